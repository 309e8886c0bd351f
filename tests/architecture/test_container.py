"""Dockerfile and compose file: what a linter asks of them, and that they say the same as the server's defaults."""

from __future__ import annotations

import re
import runpy
import tomllib
from typing import Any

import pytest

from architecture.repository import ROOT
from sanderling.server.config import ServerConfig

read: dict[str, Any] = runpy.run_path(str(ROOT / "build/dockerfile.py"))
DOCKERFILE = (ROOT / "Dockerfile").read_text()
STAGE = read["last_stage"](DOCKERFILE)
COMPOSE = (ROOT / "compose.yaml").read_text()
DEFAULTS = ServerConfig()

PORTS = {f"{DEFAULTS.port}/tcp", f"{DEFAULTS.media_ports}/udp", f"{DEFAULTS.media_ports}/tcp"}


def images() -> list[str]:
    return [i.rest.split()[0] for i in read["instructions"](DOCKERFILE) if i.word == "FROM"]


def items(key: str) -> list[str]:
    """The list under ``key`` of the compose file."""
    lines = iter(COMPOSE.splitlines())
    for line in lines:
        if line.strip() == f"{key}:":
            break
    found = []
    for line in lines:
        if not (match := re.fullmatch(r'\s+- "?([^"]*)"?', line)):
            break
        found.append(match[1])
    return found


def test_every_image_has_a_version() -> None:
    versions = [image.partition(":")[2] for image in images()]
    assert len(versions) >= 2
    assert [version for version in versions if not re.match(r"\d+\.\d+", version)] == []
    assert "latest" not in DOCKERFILE + COMPOSE


def test_the_images_meet_the_requirements_of_a_build() -> None:
    wanted = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
    rust = next(image for image in images() if image.startswith("rust:"))
    assert [int(part) for part in rust.removeprefix("rust:").split("-")[0].split(".")] >= [
        int(part) for part in wanted.split(".")[:2]
    ]
    # One C library for building and running.
    assert {image.rpartition("-")[2] if "slim-" in image else image.split("-")[-2] for image in images()} == {
        "bookworm"
    }


def test_it_runs_as_an_ordinary_user_by_number() -> None:
    user = read["one"](STAGE, "USER").rest
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user), "a number: some engines refuse names for non-root"
    made = next(i.rest for i in STAGE if i.word == "RUN")
    assert f"--uid {user.split(':')[0]}" in made


def test_it_is_watched_and_started_without_a_shell() -> None:
    health = read["one"](STAGE, "HEALTHCHECK")
    assert health.command() == ["sanderling", "health"]
    assert re.search(r"--interval=\d+s --timeout=\d+s --start-period=\d+s", health.rest)
    start = [*read["one"](STAGE, "ENTRYPOINT").command(), *read["one"](STAGE, "CMD").command()]
    assert start == ["sanderling", "serve"]


def test_the_ports_are_the_defaults_of_the_server() -> None:
    assert set(read["one"](STAGE, "EXPOSE").rest.split()) == PORTS
    published = [tuple(item.split(":")) for item in items("ports")]
    assert {inside for _, inside in published} == PORTS
    # Candidates name the ports inside: published under other numbers, media would go astray.
    assert all(outside == inside.split("/")[0] for outside, inside in published)


def test_the_environment_names_settings_that_exist() -> None:
    names = set(re.findall(r"SANDERLING_(\w+)(?==|:)", DOCKERFILE + COMPOSE))
    assert {"HOST", "STATE", "PUBLIC_ADDRESS"} <= names
    assert {name.lower() for name in names} <= set(ServerConfig.__struct_fields__)


def test_the_state_outlives_the_container() -> None:
    state = read["environment"](STAGE)["SANDERLING_STATE"]
    assert read["one"](STAGE, "VOLUME").command() == [state]
    assert items("volumes") == [f"state:{state}"]
    assert re.search(
        rf"install -d -o 10001 -g 10001 -m 0700 {state}$", next(i.rest for i in STAGE if i.word == "RUN")
    )


def test_the_container_has_no_more_rights_than_it_needs() -> None:
    assert items("cap_drop") == ["ALL"]
    assert items("security_opt") == ["no-new-privileges:true"]
    assert "read_only: true" in COMPOSE
    assert "privileged" not in COMPOSE.replace("no-new-privileges", "")


def test_the_image_has_the_packages_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"image: sanderling:{version}\n" in COMPOSE


def test_everything_that_is_copied_exists_and_is_let_in() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    for instruction in read["instructions"](DOCKERFILE):
        if instruction.word != "COPY" or instruction.rest.startswith("--from"):
            continue
        for source in instruction.rest.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source.split("/")[0] in allowed, source


@pytest.mark.parametrize("text", ["CMD sanderling serve", "CMD ['sanderling']", 'CMD ["a", 1]'])
def test_shell_forms_are_found(text: str) -> None:
    (instruction,) = read["instructions"](text)
    with pytest.raises(ValueError, match=r"exec form|Expecting"):
        instruction.command()


def test_continued_lines_and_variables_are_read() -> None:
    stage = read["last_stage"]("FROM a:1\nFROM b:2\n# words\nENV A=1 \\\n    B=$A/2\nENV PATH=/x:$PATH\n")
    values = read["environment"](stage)
    assert (values["A"], values["B"]) == ("1", "1/2")
    assert values["PATH"].startswith("/x:/usr/local/sbin:")
