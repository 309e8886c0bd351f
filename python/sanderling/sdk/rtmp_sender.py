"""The process that holds the connection to an RTMP server: FLV comes in by standard input and goes out to the server.

It is a process of its own because PyAV keeps the interpreter lock while it connects: a server that accepts and says
nothing would stop the whole program.

The first line of the input is the URL, which must not be seen in the list of processes. ``up`` on the standard output
says that the server has taken the stream, ``lost`` and a sentence that it has not, or has gone. The end of the input
ends the stream.
"""

from __future__ import annotations

import os
import signal
import sys
from io import RawIOBase

import av

__all__ = ["PATIENCE", "main"]

PATIENCE = 10
"""Seconds for which the server may take nothing: then the alarm ends the process."""

READING = {"probesize": "32768", "analyzeduration": "1000000", "fpsprobesize": "0"}
"""Begin as soon as the streams' headers are there."""


def main() -> None:
    """Send until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the program decides when a stream ends
    with os.fdopen(0, "rb", buffering=0) as source:
        url = source.readline().decode().rstrip("\n")
        try:
            _send(source, url)
        except (av.FFmpegError, OSError) as error:
            _say(f"lost {error.strerror or error}")


def _send(source: RawIOBase, url: str) -> None:
    with av.open(source, "r", format="flv", options=READING) as flv:
        signal.alarm(PATIENCE)
        with av.open(url, "w", format="flv") as target:
            streams = {stream.index: target.add_stream_from_template(stream) for stream in flv.streams}
            target.start_encoding()  # connects
            _say("up")
            signal.alarm(0)
            for packet in flv.demux():
                if packet.dts is None:
                    continue
                packet.stream = streams[packet.stream.index]
                signal.alarm(PATIENCE)
                target.mux(packet)
                signal.alarm(0)
            signal.alarm(PATIENCE)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
