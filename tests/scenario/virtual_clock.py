"""An event loop whose clock stands still while anything happens, and else jumps to the next appointment."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["run_virtually"]

R = TypeVar("R")

START_S = 1000.0
TURN_S = 1e-6
"""What one turn of the loop takes."""
LONGEST_S = 7200.0
"""What takes more than two hours of the lab's time will not happen any more."""


class _JumpingSelector(selectors.DefaultSelector):  # type: ignore[valid-type,misc]
    """Looks whether a descriptor is ready; where the loop would wait, time passes instead."""

    now = START_S

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        # What is due in less than the clock tells apart counts as due for the loop, and not for who looks at the clock.
        self.now += TURN_S
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise AssertionError("nothing is left that could happen")
        self.now += timeout
        if self.now > START_S + LONGEST_S:
            raise AssertionError(f"not within {LONGEST_S:g} s of the lab's time")
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module. There are no threads: what is given to an executor is done at once."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """The lab's time in seconds."""
        return self._jumping.now

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Call it now."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever awaits the call
            future.set_exception(error)
        return future


def run_virtually(work: Coroutine[Any, Any, R]) -> R:
    """Run ``work`` on a loop of its own, as ``asyncio.run`` does, in as little real time as it needs."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
