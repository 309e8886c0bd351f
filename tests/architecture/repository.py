"""The repository as the architecture tests see it: its files, and what its Python modules import."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "python/sanderling"


@cache
def files() -> tuple[Path, ...]:
    """Every file that is committed or would be: what git tracks, and what is new and not ignored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return tuple(path for name in sorted(set(listed.split("\0"))) if name and (path := ROOT / name).is_file())


def texts(*suffixes: str) -> Iterator[tuple[str, str]]:
    """Path (relative, with slashes) and text of every text file, or of those with one of ``suffixes``."""
    for path in files():
        if suffixes and path.suffix not in suffixes:
            continue
        try:
            yield path.relative_to(ROOT).as_posix(), path.read_text()
        except UnicodeDecodeError:
            continue


def module_name(path: Path) -> str:
    """``python/sanderling/server/app.py`` → ``sanderling.server.app``."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(tree: ast.Module) -> set[str]:
    """Absolute names of everything a module imports, at the top, in functions and for type checking.

    ``from a import b`` gives ``a.b``: whether b is a module or a name in one, a rule about ``a`` or ``a.b`` holds.
    """
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


@cache
def imports() -> dict[str, set[str]]:
    """Module of the package → everything it imports."""
    return {
        module_name(path): imported_names(ast.parse(path.read_text(), str(path)))
        for path in files()
        if path.suffix == ".py" and path.is_relative_to(PACKAGE)
    }


def within(name: str, package: str) -> bool:
    """Is ``name`` the module or package ``package``, or something in it?"""
    return name == package or name.startswith(f"{package}.")
