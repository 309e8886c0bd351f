"""The parent: server, host and viewer as processes, their reports, the result, and the end in order."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypedDict

import msgspec

from sanderling.demo import reports, save
from sanderling.demo.children import Child, ChildFailed
from sanderling.demo.clip import clip_path
from sanderling.demo.collector import Collector, Incomplete, failure_text
from sanderling.demo.link import debug_link
from sanderling.demo.node import Node
from sanderling.demo.output import REFRESHES_PER_SECOND, Output, open_output
from sanderling.demo.participant import HOST, ROOM_ID, VIEWER, Invitation
from sanderling.demo.result import Result, summary
from sanderling.demo.waiting import first_of
from sanderling.errors import SanderlingError

__all__ = ["EXIT_FAILED", "EXIT_INTERRUPTED", "EXIT_OK", "Options", "run"]

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

PICTURE_SECONDS = 20.0
"""How long the first picture may take, from the start of the host on, before the demo says what is missing."""

CAUSE_SECONDS = 0.5
"""How long the end of the server is waited for when another process has failed: the cause is named, not the effect."""

BROWSER = "browser"
"""User of the link to the debug page."""

STATE_PREFIX = "sanderling-demo-"
_QUOTED_LINES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asked for.

    ``seconds``: how long to watch from the first picture on; None = until stopped. ``save``: folder to write
    pictures, sound and rows to. ``port``: of the server, 0 = a free one. ``media_ports``: first and last UDP/TCP
    port of the media engine, None = free ones.
    """

    seconds: float | None = None
    json: bool = False
    save: Path | None = None
    port: int = 0
    media_ports: tuple[int, int] | None = None


class Failure(Exception):
    """The demo cannot go on; the text is one sentence for the user."""


def run(options: Options) -> int:
    """Run the demo; returns the exit code."""
    with (
        open_output(panel=not options.json) as output,
        tempfile.TemporaryDirectory(prefix=STATE_PREFIX) as state,
    ):
        demo = _Demo(options, output)
        try:
            clip_path()
            _prepare_folder(options.save)
            asyncio.run(demo.run(Path(state)))
            result = demo.finish()
        except (Failure, ChildFailed, SanderlingError) as error:
            output.line(f"error: {error}")
            return EXIT_FAILED
    if result is None:
        output.line("stopped before the first picture")
        return EXIT_INTERRUPTED
    output.line(summary(result))
    if options.json:
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
        sys.stdout.flush()
    # Without --seconds an interruption is how the demo ends.
    return EXIT_INTERRUPTED if demo.interrupted and options.seconds is not None else EXIT_OK


class _States(TypedDict):
    room_states: list[str]
    player_states: list[str]
    publisher_states: list[str]


class _Demo:
    """One run."""

    def __init__(self, options: Options, output: Output) -> None:
        self._options = options
        self._output = output
        self._collector = Collector()
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._ended: dict[str, asyncio.Task[int]] = {}
        self._last_words: dict[str, list[str]] = {}
        self._unclean: list[str] = []
        self._states = self._present_states()

    @property
    def interrupted(self) -> bool:
        """Whether a signal ended the run."""
        return self._stop.is_set()

    async def run(self, state: Path) -> None:
        """Start everything, watch, stop everything. ``state``: an empty folder for the server."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        ticking = asyncio.create_task(self._tick(), name="demo-tick")
        try:
            async with Node.start(
                state,
                port=self._options.port,
                media_ports=self._options.media_ports,
                on_progress=self._output.line,
                on_error_line=partial(self._on_error_line, "server"),
            ) as node:
                await self._with_node(node)
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)

    def finish(self) -> Result | None:
        """The result, saved if that was asked for; None when the run was stopped before the first picture."""
        self._raise_if_ended()
        if self._unclean:
            raise Failure("; ".join(self._unclean))
        try:
            result = msgspec.structs.replace(self._collector.result(), **self._states)
        except Incomplete as error:
            if self.interrupted:
                return None
            raise Failure(str(error)) from None
        if self._options.save is not None and self._collector.until_ns is not None:
            save.write_rows(self._options.save / save.FRAMES, self._collector.rows())
            save.write_session(self._options.save, save.SavedSession(self._collector.until_ns, result))
            self._output.line(f"saved in {self._options.save}")
        return result

    async def _with_node(self, node: Node) -> None:
        if self.interrupted:
            return
        self._output.line(f"server ready: {node.url}, media on {node.media}")
        project = await node.create_project()
        self._output.line(f"project {project.app_id} made, L3 on")
        ends = (
            "Ctrl-C stops"
            if self._options.seconds is None
            else f"ends after {self._options.seconds:g} s, or Ctrl-C"
        )
        link = debug_link(
            node.url,
            app_id=project.app_id,
            room_id=ROOM_ID,
            user_id=BROWSER,
            token=node.token(project, BROWSER),
        )
        # On a line of its own: broken by the panel's border it could not be copied.
        self._output.line(f"in a browser: {link}")
        self._output.watch(self._collector, debug_page=f"{node.url}/debug/", ends=ends)
        self._ended["server"] = asyncio.create_task(node.wait(), name="server-ended")
        children: list[Child] = []
        try:
            deadline = time.monotonic() + PICTURE_SECONDS
            invitation = partial(Invitation, project.app_id, node.url)
            children.append(await self._participant(HOST, invitation(node.token(project, HOST))))
            if await self._reached(lambda: "PUBLISHING" in self._collector.publisher_states, deadline):
                children.append(await self._participant(VIEWER, invitation(node.token(project, VIEWER))))
                if await self._reached(self._collector.has_picture, deadline):
                    await self._watch()
        finally:
            # Viewer first: it says what it has seen while the stream is still there.
            self._states = self._present_states()
            for child in reversed(children):
                self._output.line(f"stopping the {child.name}")
                await self._end(child)
            self._output.line("stopping the server")
            self._ended.pop("server").cancel()

    async def _participant(self, role: str, invitation: Invitation) -> Child:
        arguments = []
        if role == VIEWER and self._options.save is not None:
            arguments = ["--save", str(self._options.save.resolve())]
        child = await Child.start(
            role,
            f"sanderling.demo.{role}",
            arguments,
            first_line=msgspec.json.encode(invitation) + b"\n",
            on_line=partial(self._on_report, role),
            on_error_line=partial(self._on_error_line, role),
        )
        self._output.line(f"{role}: started as process {child.pid}")
        self._ended[role] = asyncio.create_task(child.wait(), name=f"{role}-ended")
        return child

    async def _end(self, child: Child) -> None:
        ended = self._ended.pop(child.name)
        known = ended.done()
        code = await child.stop()
        await ended
        if code and not known and child.name not in self._collector.failed:
            self._unclean.append(f"the {child.name} did not end cleanly: code {code}")

    async def _reached(self, condition: Callable[[], bool], deadline: float) -> bool:
        """Wait for ``condition``; False when stopped before, Failure when a process ended or time ran out."""
        while not condition():
            if self._stop.is_set():
                return False
            await self._fail_if_ended()
            left = deadline - time.monotonic()
            if left <= 0:
                raise Failure(f"no picture within {PICTURE_SECONDS:.0f} s: {self._collector.missing()}")
            self._changed.clear()
            await first_of(self._changed.wait(), self._stop.wait(), *self._ended.values(), within=left)
        return True

    async def _watch(self) -> None:
        await first_of(self._stop.wait(), *self._ended.values(), within=self._options.seconds)
        await self._fail_if_ended()

    async def _fail_if_ended(self) -> None:
        """As ``_raise_if_ended``. When the server dies the others fail too, and may say so before its end is known."""
        if self._collector.failed or any(task.done() for task in self._ended.values()):
            await first_of(self._ended["server"], within=CAUSE_SECONDS)
        self._raise_if_ended()

    def _raise_if_ended(self) -> None:
        """Failure when a process has ended by itself, or has said that it will."""
        self._raise_if_dead("server")
        for role, failed in self._collector.failed.items():
            raise Failure(f"the {role} failed: {failure_text(failed)}")
        for name in self._ended:
            self._raise_if_dead(name)

    def _raise_if_dead(self, name: str) -> None:
        task = self._ended.get(name)
        if task is not None and task.done():
            words = " / ".join(self._last_words.get(name, [])[-_QUOTED_LINES:]) or "it said nothing"
            raise Failure(f"the {name} ended by itself with code {task.result()}: {words}")

    def _present_states(self) -> _States:
        """The states up to the end of watching; those of the orderly stop that follows are only shown."""
        return {
            "room_states": list(self._collector.room_states[VIEWER]),
            "player_states": list(self._collector.player_states),
            "publisher_states": list(self._collector.publisher_states),
        }

    def _on_report(self, role: str, line: bytes) -> None:
        try:
            report = reports.decode(line)
        except msgspec.DecodeError:
            self._on_error_line(role, line.decode(errors="replace").rstrip())
            return
        if text := self._collector.apply(role, report):
            self._output.line(text)
        self._changed.set()

    def _on_error_line(self, name: str, line: str) -> None:
        words = self._last_words.setdefault(name, [])
        words.append(line)
        del words[:-_QUOTED_LINES]
        self._output.line(f"[{name}] {line}")

    async def _tick(self) -> None:
        while True:
            self._output.tick()
            await asyncio.sleep(1 / REFRESHES_PER_SECOND)


def _prepare_folder(folder: Path | None) -> None:
    """Make the folder of ``--save``; Failure when it cannot be used or holds another run."""
    if folder is None:
        return
    try:
        if (folder / save.FRAMES).exists() or (folder / save.PICTURES).exists():
            raise Failure(f"{folder} holds a saved run already; name another folder with --save")
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise Failure(
            f"{folder} cannot be used: {error.strerror or error}; name another folder with --save"
        ) from error
