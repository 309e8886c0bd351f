"""Which module may import which (docs/design/architecture.md, "Layout")."""

from __future__ import annotations

import ast
import sys

import pytest

from architecture.repository import imported_names, imports, within

VALUES = ("sanderling.errors", "sanderling.ids", "sanderling.enums")
WEB = ("fastapi", "starlette", "uvicorn", "websockets", "httptools", "httpx")

# Who → what it must not import. A rule about a package holds for everything in it.
FORBIDDEN: dict[str, tuple[str, ...]] = {
    "sanderling.signaling": ("asyncio", "socket", "threading", "time", *WEB),
    "sanderling.server": ("sanderling.sdk", "sanderling.cli", "sanderling.demo", "webrtc", "wrtc"),
    "sanderling.server.rooms": (
        *WEB,
        "sanderling.server.http",
        "sanderling.server.ws",
        "sanderling.server.app",
    ),
    "sanderling.server.storage": (
        *WEB,
        "sanderling.server.rooms",
        "sanderling.server.http",
        "sanderling.server.ws",
    ),
    # The SDK runs where the extension does not.
    "sanderling.sdk": ("sanderling.server", "sanderling.bridge", "sanderling.cli", "sanderling.demo"),
    "sanderling.bridge": ("sanderling.server", "sanderling.sdk", "sanderling.cli", "sanderling.demo", *WEB),
    "sanderling.tokens": ("asyncio", "sanderling.server", "sanderling.sdk", "sanderling.signaling"),
}

# What → who alone may import it.
RESERVED: dict[str, tuple[str, ...]] = {
    "sanderling._engine": ("sanderling.bridge",),
    "sanderling.bridge": (
        "sanderling.bridge",
        "sanderling.server",
        "sanderling.testing",
        "sanderling.bench",
    ),
    "sanderling.server": (
        "sanderling.server",
        "sanderling.cli",
        "sanderling.demo",
        "sanderling.testing",
        "sanderling.bench",
    ),
    "sanderling.sdk": (
        "sanderling",
        "sanderling.sdk",
        "sanderling.cli",
        "sanderling.demo",
        "sanderling.testing",
        "sanderling.bench",
    ),
    "sanderling.demo": ("sanderling.demo", "sanderling.cli", "sanderling.bench"),
    "sanderling.bench": ("sanderling.bench", "sanderling.cli"),
    # The demo runs the command line of the product in a process of its own.
    "sanderling.cli": ("sanderling.cli", "sanderling.demo"),
    "sanderling.testing": ("sanderling.testing",),
    # The WebRTC engine (the distribution wrtc) behind one adapter, so that it can be replaced.
    "webrtc": ("sanderling.sdk.webrtc",),
    "wrtc": ("sanderling.sdk.webrtc",),
}

# Who → the only part of the package that it imports.
ALLOWED: dict[str, tuple[str, ...]] = {
    "sanderling.errors": (),
    "sanderling.enums": (),
    "sanderling.ids": ("sanderling.errors",),
    "sanderling.signaling": (*VALUES, "sanderling.signaling"),
}


def broken_rules(modules: dict[str, set[str]]) -> list[str]:
    """Every import that breaks a rule, as ``importer imports name``."""
    broken = []
    for module, names in modules.items():
        for name in sorted(names):
            line = f"{module} imports {name}"
            if any(
                within(module, who) and any(within(name, what) for what in whats)
                for who, whats in FORBIDDEN.items()
            ):
                broken.append(line)
            if any(
                within(name, what) and not any(allows(who, module) for who in whos)
                for what, whos in RESERVED.items()
            ):
                broken.append(line)
            if within(name, "sanderling"):
                for who, whats in ALLOWED.items():
                    if within(module, who) and not any(within(name, what) for what in whats):
                        broken.append(line)
    return broken


def allows(who: str, module: str) -> bool:
    """``sanderling`` itself stands for its ``__init__`` alone, not for all that is in it."""
    return module == who if who == "sanderling" else within(module, who)


def test_every_import_goes_in_an_allowed_direction() -> None:
    assert broken_rules(imports()) == []


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("sanderling.signaling.client", "asyncio.Event"),
        ("sanderling.server.rooms.room", "fastapi.FastAPI"),
        ("sanderling.server.ws.session", "sanderling.sdk.engine"),
        ("sanderling.sdk.engine", "sanderling.server.app"),
        ("sanderling.sdk.engine", "sanderling._engine.Engine"),
        ("sanderling.sdk.engine", "webrtc"),
        ("sanderling.server.app", "sanderling.testing.FakeEngine"),
        ("sanderling.errors", "sanderling.ids.RoomId"),
        ("sanderling.signaling.codec", "sanderling.tokens.verify"),
    ],
)
def test_the_rules_catch(module: str, name: str) -> None:
    assert f"{module} imports {name}" in broken_rules({module: {name}})


def test_names_are_found_wherever_they_are_imported() -> None:
    tree = ast.parse("import a.b\nfrom c import d\ndef f():\n    from e.f import g\n")
    assert imported_names(tree) == {"a.b", "c.d", "e.f.g"}


def test_imports_are_absolute_and_only_of_what_is_declared() -> None:
    own = {"sanderling", *sys.stdlib_module_names}
    declared = {
        "aiosqlite", "alembic", "av", "cryptography", "fastapi", "httptools", "msgspec", "numpy",
        "prometheus_client", "rich", "sqlalchemy", "starlette", "structlog", "typer", "uvicorn", "uvloop",
        "websockets", "webrtc",
        "wrtc",
    }  # fmt: skip
    used = {name.split(".")[0] for names in imports().values() for name in names}
    assert used - own - declared == set()
