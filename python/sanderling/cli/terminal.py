"""How commands speak: results to standard output, everything else to standard error, errors as one sentence."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any, Never

import typer
from rich.console import Console

from sanderling.errors import SanderlingError

__all__ = ["errors_as_sentences", "fail", "print_json", "progress", "results"]

results = Console(highlight=False, soft_wrap=True, markup=False)
progress = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


def print_json(value: Any) -> None:
    """Print ``value`` as one JSON document."""
    results.print(json.dumps(value, indent=2, ensure_ascii=False))


def fail(sentence: str, *, hint: str = "", exit_code: int = 1) -> Never:
    """Say what is wrong and end with ``exit_code``."""
    progress.print(f"sanderling: {sentence}")
    if hint:
        progress.print(f"  {hint}")
    raise typer.Exit(exit_code)


@contextlib.contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Turn a SanderlingError into its sentence and exit code 1."""
    try:
        yield
    except SanderlingError as error:
        fail(f"{error.message} ({int(error.code)})", hint=error.hint)
