"""Compute a run's figures again from what ``--save`` wrote: ``python -m sanderling.demo.recompute DIR``."""

from __future__ import annotations

import sys
from pathlib import Path

import av
import msgspec

from sanderling.demo import save
from sanderling.demo.measure import figures
from sanderling.demo.result import Result, make_result

__all__ = ["main", "recompute"]


def recompute(folder: Path) -> Result:
    """Return the result as the saved files give it.

    Delay, frames, freezes and frame rate come from ``frames.csv`` (with the end of watching, ``until_ns``), sound
    length from ``sound.wav``, picture size from the newest PNG. What is no figure of frames or sound (states, codec,
    login and first-frame time, share of concealed sound) is taken over from ``session.json``.
    """
    session = save.read_session(folder)
    saved = session.result
    width, height = _picture_size(folder / save.PICTURES)
    return make_result(
        figures(save.read_rows(folder / save.FRAMES), session.until_ns),
        resource_mode=saved.resource_mode,
        room_states=saved.room_states,
        player_states=saved.player_states,
        publisher_states=saved.publisher_states,
        login_ms=saved.login_ms,
        first_frame_ms=saved.first_frame_ms,
        audio_received_ms=save.sound_duration_ms(folder / save.SOUND),
        audio_concealed_ratio=saved.audio.concealed_ratio,
        width=width,
        height=height,
        codec=saved.video.codec,
    )


def _picture_size(folder: Path) -> tuple[int, int]:
    pictures = sorted(folder.glob("frame-*.png"))
    if not pictures:
        raise ValueError(f"{folder} holds no picture")
    with av.open(str(pictures[-1])) as container:
        stream = container.streams.video[0]
        return stream.width, stream.height


def main(arguments: list[str]) -> int:
    """Print the figures of the folder named in ``arguments``; 1 when they differ from the saved ones."""
    if len(arguments) != 1:
        print("usage: python -m sanderling.demo.recompute DIR", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    try:
        again = recompute(folder)
    except (OSError, ValueError) as error:
        print(f"{folder} does not hold what --save writes: {error}", file=sys.stderr)
        return 1
    print(msgspec.json.encode(again).decode())
    if again != save.read_session(folder).result:
        print("the figures differ from those saved with the run", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
