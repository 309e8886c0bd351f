"""Which crate may depend on which: media ← rtc ← sfu ← io ← load ← py (a leaf); lab is for development."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from architecture.repository import ROOT

PREFIX = "sanderling-"
# The workspace crates that each may name as an ordinary dependency.
ALLOWED = {
    "media": set[str](),
    "rtc": {"media"},
    "sfu": {"media", "rtc"},
    "io": {"media", "rtc", "sfu"},
    "py": {"media", "rtc", "sfu", "io", "load"},
    "lab": {"media", "rtc", "sfu"},
    "load": {"media", "rtc", "io"},
}
LEAVES = {"py", "lab"}


def manifests() -> dict[str, dict[str, Any]]:
    return {
        path.parent.name: tomllib.loads(path.read_text()) for path in sorted(ROOT.glob("crates/*/Cargo.toml"))
    }


def dependencies(manifest: dict[str, Any], *tables: str) -> set[str]:
    names: set[str] = set()
    for place in (manifest, *manifest.get("target", {}).values()):
        for table in tables:
            names.update(place.get(table, {}))
    return names


def own(names: set[str]) -> set[str]:
    return {name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)}


def test_every_crate_of_the_workspace_has_a_rule() -> None:
    members = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["members"]
    assert {member.removeprefix("crates/") for member in members} == set(manifests())
    assert set(manifests()) <= set(ALLOWED)


@pytest.mark.parametrize("crate", sorted(manifests()))
def test_dependencies_go_in_an_allowed_direction(crate: str) -> None:
    assert own(dependencies(manifests()[crate], "dependencies", "build-dependencies")) <= ALLOWED[crate]


@pytest.mark.parametrize("crate", sorted(manifests()))
def test_nothing_depends_on_a_leaf(crate: str) -> None:
    everything = dependencies(manifests()[crate], "dependencies", "build-dependencies", "dev-dependencies")
    assert own(everything) & LEAVES == set()


def test_only_the_extension_and_nothing_else_carries_the_load_generator() -> None:
    users = {
        crate
        for crate, manifest in manifests().items()
        if "load" in own(dependencies(manifest, "dependencies"))
    }
    assert users == {"py"}


def test_one_crate_names_the_webrtc_library() -> None:
    users = {
        crate for crate, manifest in manifests().items() if "str0m" in dependencies(manifest, "dependencies")
    }
    assert users <= {"rtc", "lab"}


def test_what_is_shipped_has_no_viewer_on_the_webrtc_library() -> None:
    features = manifests()["sfu"]["features"]
    assert "str0m-viewer" in features and not features.get("default")
    # Cargo would switch it on for everybody as soon as one crate of the workspace asked for it.
    asking = {
        crate for crate in manifests() if "str0m-viewer" in (ROOT / f"crates/{crate}/Cargo.toml").read_text()
    }
    assert asking == {"sfu"}
    builds = [
        ROOT / "build/extension.py",
        ROOT / "pyproject.toml",
        ROOT / "Dockerfile",
        ROOT / ".cargo/config.toml",
    ]
    assert [str(path) for path in builds if "str0m" in path.read_text()] == []


def test_one_crate_knows_python() -> None:
    users = {
        crate for crate, manifest in manifests().items() if "pyo3" in dependencies(manifest, "dependencies")
    }
    assert users == {"py"}


def test_the_packet_path_has_no_async_runtime() -> None:
    for crate, manifest in manifests().items():
        assert not {"tokio", "async-std", "smol"} & dependencies(manifest, "dependencies"), crate


@pytest.mark.parametrize("crate", sorted(manifests()))
def test_every_crate_is_held_to_the_workspace_lints(crate: str) -> None:
    assert manifests()[crate]["lints"] == {"workspace": True}
