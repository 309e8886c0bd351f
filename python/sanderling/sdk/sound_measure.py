"""How loud sound is, which frequencies it has, and whether somebody speaks: numbers from samples, nothing else.

Levels are 0.0 to 100.0 (product-facts 1.6): 100 is a sine at full scale, 0 is :data:`FLOOR_DB` below it, linear in
decibels between, as loudness is heard.
"""

from __future__ import annotations

import threading
from collections import deque

import numpy as np
from numpy.typing import NDArray

__all__ = ["BANDS", "SoundMeter", "VoiceDetector", "level_of", "spectrum_of"]

Samples = NDArray[np.int16]
Mono = NDArray[np.float32]

FLOOR_DB = 60.0
"""Decibels below a full sine that count as silence: a quiet room is at some -65."""
BANDS = 64
"""Values of a spectrum; band k holds the frequencies from k to k + 1 of 64 parts of half the sample rate."""
WINDOW = 2048
"""Samples a spectrum is made of, 43 ms at 48 kHz: 16 lines a band."""

SPEECH_BAND_HZ = (100.0, 4000.0)
SPEECH_LEVEL = 25.0
"""Level below which nothing is speech, -45 dB: somebody at arm's length from a microphone has 50 and more."""
ABOVE_NOISE = 8.0
"""How far speech stands out from the quietest of the last seconds; steady noise does not."""
FLATNESS = 0.35
"""Geometric to arithmetic mean of the spectrum in the speech band: white noise has 0.56, a voice below 0.2."""
NOISE_WINDOW = 60
"""Measurements whose quietest is the noise."""


def mono(samples: Samples) -> Mono:
    """Channels mixed, full scale = 1.0."""
    mixed: Mono = samples.astype(np.float32).mean(axis=1) / 32768.0
    return mixed


def _level(mean_square: float) -> float:
    if mean_square <= 0.0:
        return 0.0
    decibels = 10.0 * float(np.log10(2.0 * mean_square))  # a full sine has a mean square of one half
    return float(min(100.0, max(0.0, (decibels + FLOOR_DB) * 100.0 / FLOOR_DB)))


def level_of(sound: Mono) -> float:
    """Level of the whole of ``sound``."""
    return _level(float(np.dot(sound, sound)) / len(sound)) if len(sound) else 0.0


def _lines(sound: Mono) -> NDArray[np.float32]:
    """Mean square of each frequency line of the newest WINDOW samples; a full sine's lines sum up to one half."""
    window = np.hanning(WINDOW).astype(np.float32)
    newest = np.zeros(WINDOW, np.float32)
    tail = sound[-WINDOW:]
    if len(tail):
        newest[-len(tail) :] = tail
    power = np.abs(np.fft.rfft(newest * window)) ** 2
    lines: NDArray[np.float32] = (power * 2.0 / (WINDOW * float(np.dot(window, window)))).astype(np.float32)
    return lines


def spectrum_of(sound: Mono) -> tuple[float, ...]:
    """Level of each of the 64 bands in the newest 2048 samples, lowest first; a full sine has about 100 in its own."""
    lines = _lines(sound)[: WINDOW // 2].reshape(BANDS, -1)
    return tuple(_level(float(band)) for band in lines.sum(axis=1))


class VoiceDetector:
    """Tells speech from noise, one stretch of sound after the other."""

    def __init__(self) -> None:
        self._levels: deque[float] = deque(maxlen=NOISE_WINDOW)

    def hear(self, sound: Mono, rate: int) -> bool:
        """Whether ``sound``, some 20 to 200 ms, is speech: loud enough, above the noise, and with tones in it."""
        level = level_of(sound)
        self._levels.append(level)
        # Once there is something to compare with: a few stretches may all be speech.
        noise = min(self._levels) if len(self._levels) == NOISE_WINDOW else 0.0
        if level < SPEECH_LEVEL or level < noise + ABOVE_NOISE:
            return False
        lines = _lines(sound)
        low, high = (round(hertz * WINDOW / rate) for hertz in SPEECH_BAND_HZ)
        band = lines[low:high].astype(np.float64) + 1e-15
        if float(band.sum()) < 0.5 * float(lines.sum()):
            return False
        return float(np.exp(np.log(band).mean()) / band.mean()) < FLATNESS


class SoundMeter:
    """Gathers the sound of one stream; ``add`` may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._squares = 0.0
        self._count = 0
        self._newest: deque[Mono] = deque()
        self._held = 0
        self.rate = 48_000
        self.total = 0
        """Samples heard so far."""

    def add(self, samples: Samples, rate: int) -> None:
        """Hear int16 (samples, channels)."""
        if not len(samples):
            return
        sound = mono(samples)
        square = float(np.dot(sound, sound))
        with self._lock:
            self._squares += square
            self._count += len(sound)
            self.total += len(sound)
            self.rate = rate
            self._newest.append(sound)
            self._held += len(sound)
            while self._held - len(self._newest[0]) >= WINDOW:
                self._held -= len(self._newest.popleft())

    def read_level(self) -> float:
        """Level since the last reading; 0 when nothing came."""
        with self._lock:
            squares, count = self._squares, self._count
            self._squares, self._count = 0.0, 0
        return _level(squares / count) if count else 0.0

    def newest(self) -> Mono:
        """The newest 2048 samples or some more, as far as there were so many."""
        with self._lock:
            parts = list(self._newest)
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)
