"""The page about `sanderling serve` names every setting with its flag and default, and none that is not there."""

from __future__ import annotations

import re

import msgspec
import typer.main

from architecture.repository import ROOT
from sanderling.cli.commands.serve import serve
from sanderling.server.config import ServerConfig
from sanderling.server.storage.settings import ProjectSettings

ROW = re.compile(r"^\| `(\w+)` \| (?:`(--[a-z-]+)`)? ?\| (.*?) \|", re.MULTILINE)
TEXT = (ROOT / "docs/reference/serve.md").read_text()


def shown(default: object) -> str:
    if default == () or default is None:
        return "none"
    return (
        f"`{str(default).lower()}`"
        if isinstance(default, bool)
        else f"`{default}`"
        if default != ""
        else '`""`'
    )


def test_every_setting_stands_there_with_its_default() -> None:
    documented = {name: default for name, _, default in ROW.findall(TEXT)}
    settings = {field.name: shown(field.default) for field in msgspec.structs.fields(ServerConfig)}
    assert documented == settings


def test_every_flag_stands_there() -> None:
    application = typer.Typer(add_completion=False)
    application.command()(serve)
    command = typer.main.get_command(application)
    flags = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    documented = {name: flag for name, flag, _ in ROW.findall(TEXT) if flag}
    assert all(flag == "--" + name.replace("_", "-") for name, flag in documented.items())
    assert flags - {"--help"} == set(documented.values()) | {"--config", "--ready-json"}
    for flag in flags:
        assert flag in TEXT


def test_every_project_setting_stands_on_its_page_with_its_default() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (.*?) \|", (ROOT / "docs/reference/project.md").read_text(), re.MULTILINE
    )
    settings = {field.name: shown(field.default) for field in msgspec.structs.fields(ProjectSettings)}
    assert dict(rows) == settings


def test_the_firewall_rules_open_the_default_ports() -> None:
    text = (ROOT / "docs/howto/deploy.md").read_text()
    defaults = ServerConfig()
    assert f"tcp dport {{ {defaults.port}, {defaults.media_ports} }} accept" in text
    assert f"udp dport {defaults.media_ports} accept" in text
