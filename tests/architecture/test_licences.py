"""The licence of the product, and that of everything it stands on."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess

import pytest
from packaging.utils import canonicalize_name

from architecture.repository import ROOT

# What may be combined with Apache-2.0 in one work that is handed on. MPL-2.0 covers only its own, unchanged files.
PERMISSIVE = {
    "0BSD", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "BlueOak-1.0.0",
    "CC0-1.0", "CDLA-Permissive-2.0", "ISC", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "OpenSSL", "PSF-2.0",
    "Python-2.0", "Unicode-3.0", "Unlicense", "Zlib", "CC-BY-4.0",
}  # fmt: skip

# Distributions that say it in words, or not at all: read in their licence files.
READ_BY_HAND = {
    "wrtc": "BSD-3-Clause",
}
WORDS = {
    "Apache 2.0": "Apache-2.0", "Apache License 2.0": "Apache-2.0", "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0", "BSD": "BSD-3-Clause", "BSD License": "BSD-3-Clause",
    "BSD 3-Clause License": "BSD-3-Clause", "ISC License (ISCL)": "ISC", "MIT License": "MIT",
    "3-Clause BSD License": "BSD-3-Clause",
}  # fmt: skip


def terms(expression: str) -> list[list[str]]:
    """An SPDX expression as alternatives (OR) of lists that must all hold (AND)."""
    flat = expression.replace("(", " ").replace(")", " ").replace("/", " OR ")
    return [re.split(r"\s+AND\s+", option.strip()) for option in re.split(r"\s+OR\s+", flat)]


def is_permissive(expression: str) -> bool:
    options = terms(WORDS.get(expression, expression))
    return any(all(WORDS.get(term, term) in PERMISSIVE for term in option) for option in options)


def python_licence(name: str) -> str:
    if name in READ_BY_HAND:
        return READ_BY_HAND[name]
    metadata = importlib.metadata.metadata(name)
    expression = metadata["License-Expression"]
    if expression:
        return str(expression)
    for classifier in metadata.get_all("Classifier", []):
        if classifier.startswith("License :: OSI Approved :: "):
            return str(classifier.rsplit(" :: ", 1)[1])
    return str(metadata["License"] or "")


def runtime_distributions() -> list[str]:
    text = (ROOT / "requirements/runtime.txt").read_text()
    names = re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==", text, re.MULTILINE)
    elsewhere = re.findall(r"^([\w.-]+)==[^\n]*;[^\n]*sys_platform == 'win32'", text, re.MULTILINE)
    return sorted(
        {canonicalize_name(name) for name in names} - {canonicalize_name(name) for name in elsewhere}
    )


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    words = " ".join(text.split("END OF TERMS AND CONDITIONS")[0].split())
    assert words.startswith("Apache License Version 2.0, January 2004")
    assert hashlib.sha256(words.encode()).hexdigest() == (
        "09ae9bf1886f530f7338889ef805f37b288ec6adedd1e1e32058921acf05a782"
    )
    packages = [ROOT / "web/package.json", *ROOT.glob("web/packages/*/package.json")]
    assert {json.loads(path.read_text())["license"] for path in packages} == {"Apache-2.0"}


def test_the_makers_of_the_clip_are_named() -> None:
    notice = (ROOT / "NOTICE").read_text()
    assert "Blender Foundation" in notice
    assert "Creative Commons Attribution 3.0" in notice


@pytest.mark.parametrize("name", runtime_distributions())
def test_a_python_dependency_is_permissive(name: str) -> None:
    assert is_permissive(python_licence(name)), python_licence(name)


def test_every_crate_is_permissive() -> None:
    host = f"{platform.machine()}-unknown-linux-gnu"
    command = [os.environ.get("CARGO", "cargo"), "metadata", "--format-version", "1", "--locked", "--offline"]
    command += ["--filter-platform", host]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    packages = json.loads(listed)["packages"]
    assert len(packages) > 5
    assert [f"{p['name']}: {p['license']}" for p in packages if not is_permissive(p["license"] or "")] == []


def test_every_npm_package_is_permissive() -> None:
    locked = json.loads((ROOT / "web/package-lock.json").read_text())["packages"]
    fetched = {
        name: entry
        for name, entry in locked.items()
        if name.startswith("node_modules/") and "link" not in entry
    }
    assert {
        name: entry.get("license")
        for name, entry in fetched.items()
        if not is_permissive(entry.get("license", ""))
    } == {}


def test_a_restrictive_licence_is_told_apart() -> None:
    assert is_permissive("MIT OR GPL-3.0-only")
    assert is_permissive("(Apache-2.0 OR MIT) AND Unicode-3.0")
    assert not is_permissive("AGPL-3.0-only")
    assert not is_permissive("MIT AND GPL-2.0-only")
    assert not is_permissive("")
