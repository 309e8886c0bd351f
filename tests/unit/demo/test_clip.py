"""The clip is what the issue names, or its absence is told with the remedy."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from sanderling.demo.clip import clip_path
from sanderling.errors import DeviceError, ErrorCode


def test_the_clip_is_720p25_with_sound() -> None:
    with av.open(str(clip_path())) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height, float(video.average_rate or 0)) == (1280, 720, 25.0)
        assert audio.codec_context.name == "aac"


def test_a_missing_clip_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="make setup") as caught:
        clip_path(tmp_path)
    assert caught.value.code is ErrorCode.FILE_NOT_FOUND
    assert str(tmp_path) in str(caught.value)
