"""Loading the WebRTC engine: once per process, with its field trials, and with a sentence when it cannot run."""

from __future__ import annotations

import importlib
import os
import platform
import re
import sys
import threading

from sanderling.errors import ErrorCode, ForkedProcessError, MediaUnavailable, SanderlingError

__all__ = ["FIELD_TRIALS", "ForkGuard", "load", "no_candidates", "preload"]

FIELD_TRIALS = {
    # FlexFEC-03 both ways, once the server agrees to it (architecture section 6).
    "WebRTC-FlexFEC-03-Advertised": "Enabled",
    "WebRTC-FlexFEC-03": "Enabled",
}

PLATFORMS = ("linux", "darwin", "win32")
"""Where the engine has builds."""

_MISSING_LIBRARY = re.compile(r"(?:.*/)?([^/:]+): cannot open shared object file")
"""What the dynamic loader says of a library that is not there."""

_lock = threading.Lock()
_loaded_in: int | None = None
_trials: dict[str, str] | None = None


class ForkGuard:
    """Remembers the process an object was made in; a child made by fork must not touch native threads."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def check(self) -> None:
        """Raise :class:`ForkedProcessError` in another process than that of the making."""
        if os.getpid() != self._pid:
            raise ForkedProcessError(
                ErrorCode.ENGINE_NOT_CREATED,
                "this engine was made before fork and cannot be used in the child",
                hint="make the engine in the child, or start it with the spawn method of multiprocessing",
            )


def load(field_trials: dict[str, str] | None = None) -> None:
    """Load the engine and fix its field trials for the life of the process.

    1000010 when it is not installed, 1000006 where it cannot run, 1000017 for trials that differ from the first ones.
    """
    global _loaded_in, _trials
    wanted = {**FIELD_TRIALS, **(field_trials or {})}
    with _lock:
        if _loaded_in is not None:
            if _loaded_in != os.getpid():
                raise ForkedProcessError(
                    ErrorCode.UNSUPPORTED_PLATFORM,
                    "WebRTC was started before fork and cannot run in the child",
                    hint="start the child with the spawn method of multiprocessing",
                )
            if _trials != wanted:
                raise SanderlingError(
                    ErrorCode.ILLEGAL_PARAMETER,
                    "WebRTC field trials are fixed once per process and differ from those set first",
                )
            return
        if _is_musl():
            raise MediaUnavailable(
                ErrorCode.UNSUPPORTED_PLATFORM,
                "the WebRTC engine has no build for musl libc (Alpine Linux)",
                hint="use a glibc distribution (glibc 2.28 or later)",
            )
        try:
            import webrtc
        except ImportError as error:
            raise _not_loaded(error) from error
        try:
            webrtc.field_trials.update(wanted)
            # A server on this very machine must be reachable when loopback is its only interface.
            webrtc.allow_loopback()
        except webrtc.InvalidStateError:
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER,
                "WebRTC was started by other code of this process before Sanderling could set it up",
                hint="make the Sanderling engine first",
            ) from None
        for name in ("publisher", "viewer"):
            importlib.import_module(f"sanderling.sdk.webrtc.{name}")
        _loaded_in = os.getpid()
        _trials = wanted


def preload() -> None:
    """Load everything that a login needs, the engine's threads and codecs included. Blocks; call it off the loop."""
    importlib.import_module("websockets.asyncio.client")
    load()
    import webrtc

    # The first question about codecs makes the engine's factory with its threads.
    webrtc.RTCRtpReceiver.get_capabilities("video")


def no_candidates() -> MediaUnavailable:
    """The error of a machine on which no network address can be used for media."""
    return MediaUnavailable(
        ErrorCode.UNSUPPORTED_PLATFORM,
        "WebRTC found no network address on this machine, so no media can flow",
        hint="bring a network interface up (loopback is enough for a server on this machine)",
    )


def _not_loaded(error: ImportError) -> MediaUnavailable:
    """1000006 for a build that is not for this machine, or where there is none; 1000010 for what can be installed."""
    if sys.platform not in PLATFORMS:
        return MediaUnavailable(
            ErrorCode.UNSUPPORTED_PLATFORM,
            f"the WebRTC engine has no build for {sys.platform}",
            hint="use Linux with glibc, macOS or Windows",
        )
    if isinstance(error, ModuleNotFoundError):
        return MediaUnavailable(
            ErrorCode.NOT_INSTALLED,
            f"the WebRTC engine cannot be loaded: {error}",
            hint="install it with: pip install wrtc==0.1.0",
        )
    missing = _MISSING_LIBRARY.match(str(error))
    if missing is not None and not missing[1].startswith("wrtc"):
        return MediaUnavailable(
            ErrorCode.NOT_INSTALLED,
            f"the WebRTC engine cannot be loaded: {error}",
            hint=f"install the system's package that has {missing[1]}",
        )
    return MediaUnavailable(
        ErrorCode.UNSUPPORTED_PLATFORM,
        f"the WebRTC engine that is installed does not run on this machine ({platform.machine()}): {error}",
        hint="it needs glibc 2.28 or later and a build for this processor: pip install --force-reinstall wrtc==0.1.0",
    )


def _is_musl() -> bool:
    """Whether this Python runs on a Linux C library other than glibc, for which no build of the engine exists."""
    if sys.platform != "linux":
        return False
    try:
        return not os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError):
        return True
