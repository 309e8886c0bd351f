"""What the demo shows while it runs. Everything goes to standard error; standard output is for the result alone."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.live import Live

from sanderling.demo.collector import Collector
from sanderling.demo.panel import render, status_line

__all__ = ["Output", "open_output"]

REFRESHES_PER_SECOND = 4
STATUS_SECONDS = 5.0
"""How often a line of figures is written where there is no panel."""


class Output(Protocol):
    """A place for progress and figures."""

    def line(self, text: str) -> None:
        """Show one line for good."""

    def watch(self, collector: Collector, *, debug_page: str, ends: str) -> None:
        """From now on show the figures of ``collector``."""

    def tick(self) -> None:
        """Called a few times a second: show what has changed."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class LineOutput:
    """Lines only: for ``--json``, a pipe or a log."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._collector: Collector | None = None
        self._due = 0.0

    def line(self, text: str) -> None:
        """See :class:`Output`."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def watch(self, collector: Collector, *, debug_page: str, ends: str) -> None:
        """See :class:`Output`."""
        self._collector = collector
        self._due = time.monotonic() + STATUS_SECONDS
        self.line(f"debug page {debug_page}; {ends}")

    def tick(self) -> None:
        """See :class:`Output`."""
        if self._collector is not None and time.monotonic() >= self._due:
            self._due += STATUS_SECONDS
            if self._collector.has_picture():
                self.line(status_line(self._collector, time.time_ns()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class PanelOutput(LineOutput):
    """A live panel below the lines, on a terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        # No refresh thread: the loop redraws, so nothing is left running when it ends.
        self._live = Live(console=console, auto_refresh=False)
        self._texts = {"debug_page": "", "ends": ""}

    def watch(self, collector: Collector, *, debug_page: str, ends: str) -> None:
        """See :class:`Output`."""
        self._collector = collector
        self._texts = {"debug_page": debug_page, "ends": ends}
        self._live.start()

    def tick(self) -> None:
        """See :class:`Output`."""
        if self._collector is not None:
            self._live.update(render(self._collector, time.time_ns(), **self._texts), refresh=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last panel on the screen."""
        self._live.stop()


def open_output(*, panel: bool) -> Output:
    """Return the output to use: a panel when asked for and standard error is a terminal, else lines."""
    console = Console(stderr=True)
    return PanelOutput(console) if panel and console.is_terminal else LineOutput(console)
