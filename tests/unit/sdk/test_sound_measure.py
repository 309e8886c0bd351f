"""Levels, spectra and voices of sound that is known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling.sdk.sound_measure import BANDS, SoundMeter, VoiceDetector, level_of, mono, spectrum_of

RATE = 48_000
BLOCK = RATE // 100
Samples = NDArray[np.int16]


def tone(hertz: float, amplitude: float, seconds: float = 1.0, channels: int = 1) -> Samples:
    wave = np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE) * amplitude * 32767
    return np.repeat(wave.astype(np.int16)[:, None], channels, axis=1)


def noise(amplitude: float, seconds: float = 1.0) -> Samples:
    generator = np.random.default_rng(1)
    return (generator.standard_normal((int(seconds * RATE), 1)) * amplitude * 32767).astype(np.int16)


def vowels(amplitude: float, seconds: float = 1.0) -> Samples:
    """What a throat makes: a pulse of 120 Hz through two resonances, four syllables a second."""
    time = np.arange(int(seconds * RATE)) / RATE
    harmonics = sum(
        np.sin(2 * np.pi * 120 * k * time)
        * (1 / (1 + ((120 * k - 700) / 150) ** 2) + 0.5 / (1 + ((120 * k - 1200) / 200) ** 2))
        for k in range(1, 30)
    )
    syllables = np.clip(np.sin(2 * np.pi * 4 * time) + 0.3, 0, 1)
    wave = harmonics * syllables
    return (wave / np.abs(wave).max() * amplitude * 32767).astype(np.int16)[:, None]


@pytest.mark.parametrize(
    ("amplitude", "level"), [(1.0, 100.0), (0.1, 66.7), (0.01, 33.3), (0.001, 0.0), (0.0, 0.0)]
)
def test_a_level_is_linear_in_decibels(amplitude: float, level: float) -> None:
    assert level_of(mono(tone(440, amplitude))) == pytest.approx(level, abs=1.0)
    assert level_of(mono(tone(440, amplitude, channels=2))) == pytest.approx(level, abs=1.0)


def test_nothing_is_louder_than_a_hundred_and_nothing_is_silent() -> None:
    assert level_of(mono(np.full((480, 1), -32768, np.int16))) == 100.0
    assert level_of(np.zeros(0, np.float32)) == 0.0


@pytest.mark.parametrize("hertz", [1000, 5000, 20_000])
def test_a_tone_stands_in_its_band(hertz: int) -> None:
    spectrum = spectrum_of(mono(tone(hertz, 0.5)))
    assert len(spectrum) == BANDS == 64
    assert all(0.0 <= value <= 100.0 for value in spectrum)
    own = hertz * BANDS // (RATE // 2)
    assert spectrum.index(max(spectrum)) == own
    assert spectrum[own] == pytest.approx(level_of(mono(tone(hertz, 0.5))), abs=2.0)
    assert max(value for band, value in enumerate(spectrum) if abs(band - own) > 1) < 10


def test_a_spectrum_of_too_little_sound_is_that_of_what_there_is() -> None:
    assert spectrum_of(np.zeros(0, np.float32)) == (0.0,) * BANDS
    assert max(spectrum_of(mono(tone(1000, 0.5, 0.01)))) > 0


def share_of_speech(samples: Samples) -> float:
    detector = VoiceDetector()
    sound = mono(samples)
    stretches = range(0, len(sound) - 2048, BLOCK * 5)
    heard = [detector.hear(sound[at : at + 2048], RATE) for at in stretches]
    return sum(heard) / len(heard)


def test_speech_is_told_from_noise_silence_and_hum() -> None:
    assert share_of_speech(vowels(0.3, 5)) > 0.4
    assert share_of_speech(vowels(0.05, 5)) > 0.4
    assert share_of_speech(noise(0.2, 5)) == 0
    assert share_of_speech(noise(0.001, 5)) == 0
    assert share_of_speech(np.zeros((RATE, 1), np.int16)) == 0
    # A fan or mains hum is a tone, but it never stops.
    steady = tone(200, 0.1, 6)
    assert share_of_speech(steady) < 0.6
    detector = VoiceDetector()
    sound = mono(steady)
    assert [detector.hear(sound[at : at + 2048], RATE) for at in range(0, 200_000, 2400)][-20:] == [
        False
    ] * 20


def test_a_meter_forgets_what_it_has_told_and_keeps_the_newest() -> None:
    meter = SoundMeter()
    meter.add(np.zeros((0, 1), np.int16), RATE)
    assert meter.read_level() == 0.0
    for block in np.split(tone(1000, 0.5, 1.0), 100):
        meter.add(block, RATE)
    assert meter.read_level() == pytest.approx(level_of(mono(tone(1000, 0.5))), abs=0.1)
    assert meter.read_level() == 0.0
    assert 2048 <= len(meter.newest()) < 2048 + BLOCK
    assert meter.total == RATE
    meter.add(np.zeros((RATE, 2), np.int16), RATE)
    assert max(spectrum_of(meter.newest())) == 0.0
