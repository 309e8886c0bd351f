"""The pictures of one play: snapshots, super resolution, the decoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sanderling.errors import ErrorCode, PlayError
from sanderling.sdk.frames import VideoFrame
from sanderling.sdk.pictures.codec_watch import CodecWatch, number
from sanderling.sdk.pictures.snapshot import snapshot_of
from sanderling.sdk.pictures.upscaler import check_size
from sanderling.sdk.quality import Counters

if TYPE_CHECKING:
    from sanderling.sdk.reception import Reception
    from sanderling.sdk.room import Room

__all__ = ["IncomingPictures"]


class IncomingPictures:
    """Base of a player."""

    _room: Room
    _media: Reception
    _undecryptable: bool
    stream_id: str

    def __init__(self) -> None:
        self._decoder = CodecWatch()

    async def take_snapshot(self, *, path: str | Path | None = None) -> VideoFrame:
        """The newest picture as RGB24, written to ``path`` (.png, .jpg) if given. 1004030 without one."""
        newest = self._media.newest
        if newest is None:
            raise PlayError(
                ErrorCode.PLAY_SNAPSHOT_FAILED, f"stream {self.stream_id} has shown no picture yet"
            )
        return await snapshot_of(newest, path, ErrorCode.PLAY_SNAPSHOT_FAILED)

    @property
    def upscales(self) -> bool:
        """Whether super resolution is on."""
        return self._media.upscaler is not None

    def upscale(self, fail: Callable[[PlayError], None] | None) -> None:
        """Switch super resolution on, ``fail`` is called when it ends by itself, or off (None). 1004006 too large."""
        if fail is None:
            self._media.upscale(None)
        elif not self.upscales:
            newest = self._media.newest
            if newest is not None:
                check_size(newest.width, newest.height)
            self._media.upscale(fail)

    def look_at_decoder(self, video: Counters) -> None:
        """Every 3 seconds: report 1004081 when pictures arrive and none is decoded."""
        failed = self._decoder.look(number(video, "frames_received"), number(video, "frames_decoded"))
        if failed and not self._undecryptable:  # which has its own code
            self._room.report(
                PlayError(ErrorCode.DECODER_FAILED, "pictures arrive and none can be decoded"),
                "start_playing_stream",
            )
