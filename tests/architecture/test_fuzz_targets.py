"""Only ``make fuzz`` builds the fuzz targets: here they are held to functions that exist, and those to a target."""

from __future__ import annotations

import re
import tomllib

from tests.architecture.repository import ROOT

CALL = re.compile(r"\bsanderling_(\w+)::fuzz::(\w+)\(data\)")
ENTRY = re.compile(r"^pub fn (\w+)\(data: &\[u8\]\)", re.MULTILINE)


def entry_points() -> set[tuple[str, str]]:
    """Crate and function of everything public that takes the bytes of a fuzzer."""
    found = set()
    for crate in (ROOT / "crates").iterdir():
        source = crate / "src"
        for file in (*source.rglob("fuzz.rs"), *source.rglob("fuzz/*.rs")):
            found |= {(crate.name, name) for name in ENTRY.findall(file.read_text())}
    return found


def test_every_entry_point_has_a_target() -> None:
    calls = {file.stem: CALL.findall(file.read_text()) for file in (ROOT / "fuzz/targets").glob("*.rs")}
    assert all(len(found) == 1 for found in calls.values()), calls
    assert {found[0] for found in calls.values()} == entry_points()


def test_every_target_is_built() -> None:
    manifest = tomllib.loads((ROOT / "fuzz/Cargo.toml").read_text())
    listed = {binary["name"]: binary["path"] for binary in manifest["bin"]}
    files = {file.stem: f"targets/{file.name}" for file in (ROOT / "fuzz/targets").glob("*.rs")}
    assert listed == files
