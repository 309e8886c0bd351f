"""Received sound brought to the rate, channels and block length that a program asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.sdk.frames import AudioFrame

if TYPE_CHECKING:
    from av import AudioResampler

__all__ = ["AudioShaper"]

RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Product-facts 1.8."""


class AudioShaper:
    """Turns blocks of any rate and channel count into blocks of ``block_ms`` at ``rate`` with ``channels``."""

    def __init__(self, *, rate: int, channels: int, block_ms: int) -> None:
        if rate not in RATES or channels not in (1, 2) or not 1 <= block_ms <= 1000:
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER,
                f"sound at {rate} Hz with {channels} channels in blocks of {block_ms} ms is not supported",
                hint=f"rate one of {RATES}, 1 or 2 channels, 1 to 1000 ms",
            )
        self._rate = rate
        self._channels = channels
        self._size = rate * block_ms // 1000
        self._samples: NDArray[np.int16] = np.empty((0, channels), np.int16)
        self._resampler: AudioResampler | None = None
        self._source_rate = rate

    def push(self, frame: AudioFrame) -> list[AudioFrame]:
        """Blocks completed by ``frame``."""
        samples = _with_channels(frame.samples, self._channels)
        if frame.rate != self._rate:
            samples = self._resample(samples, frame.rate)
        self._samples = np.concatenate([self._samples, samples])
        blocks = []
        while len(self._samples) >= self._size:
            block, self._samples = self._samples[: self._size], self._samples[self._size :]
            block.flags.writeable = False
            blocks.append(AudioFrame(block, self._rate, frame.captured_ns))
        return blocks

    def _resample(self, samples: NDArray[np.int16], source_rate: int) -> NDArray[np.int16]:
        import av

        layout = "mono" if self._channels == 1 else "stereo"
        if self._resampler is None or self._source_rate != source_rate:
            self._resampler = av.AudioResampler("s16", layout, self._rate)
            self._source_rate = source_rate
        block = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), "s16", layout)
        block.sample_rate = source_rate
        out = [part.to_ndarray().reshape(-1, self._channels) for part in self._resampler.resample(block)]
        return np.concatenate(out) if out else np.empty((0, self._channels), np.int16)


def _with_channels(samples: NDArray[np.int16], channels: int) -> NDArray[np.int16]:
    have = samples.shape[1]
    if have == channels:
        return samples
    if channels == 1:
        mixed: NDArray[np.int16] = samples.astype(np.int32).mean(axis=1, keepdims=True).astype(np.int16)
        return mixed
    return np.repeat(samples[:, :1], channels, axis=1)
