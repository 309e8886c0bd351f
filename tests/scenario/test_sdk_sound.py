"""Levels, spectra and voices of sound that goes from one engine to another."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from sanderling import (
    AudioVADStableStateMonitorType,
    AudioVADType,
    CustomAudioSource,
    DeviceError,
    Engine,
    EngineProfile,
    SanderlingError,
    SoundLevelInfo,
    User,
)
from scenario.town import town
from unit.sdk.recorder import Recorder
from unit.sdk.test_sound_measure import tone, vowels

CAPTURED = AudioVADStableStateMonitorType.CAPTURED
RATE = 48_000
BLOCK = RATE // 50


class Listener(Recorder):
    """Keeps the newest of each report."""

    def __init__(self) -> None:
        super().__init__()
        self.level = -1.0
        self.info = SoundLevelInfo(-1.0, AudioVADType.NOISE)
        self.remote: Mapping[str, float] = {}
        self.remote_info: Mapping[str, SoundLevelInfo] = {}
        self.spectrum: Sequence[float] = ()
        self.remote_spectrum: Mapping[str, Sequence[float]] = {}

    def on_captured_sound_level_update(self, sound_level: float) -> None:
        self.level = sound_level
        self._add("level")

    def on_captured_sound_level_info_update(self, sound_level_info: SoundLevelInfo) -> None:
        self.info = sound_level_info
        self._add("info")

    def on_remote_sound_level_update(self, sound_levels: Mapping[str, float]) -> None:
        self.remote = sound_levels
        self._add("remote level")

    def on_remote_sound_level_info_update(self, sound_level_infos: Mapping[str, SoundLevelInfo]) -> None:
        self.remote_info = sound_level_infos
        self._add("remote info")

    def on_captured_audio_spectrum_update(self, audio_spectrum: Sequence[float]) -> None:
        self.spectrum = audio_spectrum
        self._add("spectrum")

    def on_remote_audio_spectrum_update(self, audio_spectrums: Mapping[str, Sequence[float]]) -> None:
        self.remote_spectrum = audio_spectrums
        self._add("remote spectrum")

    def on_audio_vad_state_update(self, kind: AudioVADStableStateMonitorType, state: AudioVADType) -> None:
        self._add("voice", kind, state)


@contextlib.asynccontextmanager
async def sounding(samples: NDArray[np.int16]) -> AsyncIterator[CustomAudioSource]:
    """A source that plays ``samples`` over and over, in time."""
    source = CustomAudioSource()

    async def play() -> None:
        started, at = time.monotonic(), 0
        while True:
            source.push(samples[at % len(samples) : at % len(samples) + BLOCK])
            at += BLOCK
            await asyncio.sleep(max(0.0, started + at / RATE - time.monotonic()))

    task = asyncio.create_task(play())
    try:
        yield source
    finally:
        task.cancel()


def loudest(spectrum: Sequence[float]) -> int:
    return list(spectrum).index(max(spectrum))


async def test_levels_and_spectra_of_both_sides() -> None:
    """A sine of 3 kHz, 20 dB below full scale: level 66.7 here, and the same there, through Opus."""
    async with town() as it, sounding(tone(3000, 0.1)) as source:
        here, there = Listener(), Listener()
        alice_engine, bob_engine = it.engine(here), it.engine(there)
        alice = await alice_engine.login_room("r", User("alice", "alice"), it.config("alice"))
        bob = await bob_engine.login_room("r", User("bob", "bob"), it.config("bob"))
        for engine in (alice_engine, bob_engine):
            engine.start_sound_level_monitor(100, vad=True)
            engine.start_audio_spectrum_monitor(100)
        publisher = await alice.start_publishing_stream("tone", source)
        player = await bob.start_playing_stream("tone")
        await here.until(lambda: 60 < here.level < 70)
        await here.until(lambda: len(here.spectrum) == 64 and loudest(here.spectrum) == 8)
        await there.until(lambda: 60 < there.remote.get("tone", 0) < 70)
        await there.until(
            lambda: "tone" in there.remote_spectrum and loudest(there.remote_spectrum["tone"]) == 8
        )
        await there.until(
            lambda: there.remote_info.get("tone", SoundLevelInfo(0, AudioVADType.NOISE)).sound_level > 60
        )
        assert here.remote == {}
        assert there.level == -1.0
        # Muted, the others hear nothing, and who speaks can be told so.
        await publisher.mute(audio=True)
        await there.until(lambda: there.remote["tone"] == 0 and max(there.remote_spectrum["tone"]) < 20)
        assert here.level > 60
        # The microphone off is off.
        await publisher.enable(microphone=False)
        await here.until(lambda: here.level == 0.0 and max(here.spectrum) == 0.0)
        await publisher.enable(microphone=True)
        await publisher.mute(audio=False)
        await there.until(lambda: there.remote["tone"] > 60)
        # What is not played any more is not reported any more, nor after the monitor was stopped.
        await player.stop()
        there.remote = {}
        await alice.logout()
        for engine in (alice_engine, bob_engine):
            engine.stop_sound_level_monitor()
            engine.stop_audio_spectrum_monitor()
        here.calls.clear()
        await asyncio.sleep(0.3)
        assert here.of("level") == here.of("spectrum") == []
        assert there.remote == {}


async def test_a_voice_is_told_from_its_pause() -> None:
    speech, silence = vowels(0.3, 1.0), np.zeros((RATE, 1), np.int16)
    async with town() as it, sounding(speech) as speaking, sounding(silence) as quiet:
        heard = Listener()
        engine = it.engine(heard)
        alice = await engine.login_room("r", User("alice", "alice"), it.config("alice"))
        engine.start_audio_vad_stable_state_monitor(CAPTURED, 500)
        publisher = await alice.start_publishing_stream("voice", speaking)
        await heard.until(lambda: ("voice", CAPTURED, AudioVADType.SPEECH) in heard.calls)
        await publisher.stop()
        heard.calls.clear()
        await alice.start_publishing_stream("pause", quiet)
        await heard.until(lambda: heard.of("voice") == [(CAPTURED, AudioVADType.NOISE)])
        engine.stop_audio_vad_stable_state_monitor(CAPTURED)


async def test_monitors_with_impossible_values_are_refused() -> None:
    heard = Recorder()
    async with Engine(EngineProfile(app_id=1, server="http://127.0.0.1:7700"), heard) as engine:

        def code_of(call: Callable[[], object]) -> int:
            with pytest.raises(SanderlingError) as caught:
                call()
            assert isinstance(caught.value, DeviceError) or caught.value.code == 1000017
            return int(caught.value.code)

        for interval in (99, 3001, 0, -100, 100.5, True):
            assert code_of(lambda ms=interval: engine.start_sound_level_monitor(ms)) == 1006031  # type: ignore[misc]
        for interval in (9, 0, -1, 10.5):
            assert code_of(lambda ms=interval: engine.start_audio_spectrum_monitor(ms)) == 1006032  # type: ignore[misc]
        for kind in (AudioVADStableStateMonitorType.CUSTOM_PROCESSED, 2, -1):
            assert code_of(lambda k=kind: engine.start_audio_vad_stable_state_monitor(k)) == 1006042  # type: ignore[misc]
            assert code_of(lambda k=kind: engine.stop_audio_vad_stable_state_monitor(k)) == 1006042  # type: ignore[misc]
        monitor = engine.start_audio_vad_stable_state_monitor
        for interval in (199, 10_001):
            assert code_of(lambda ms=interval: monitor(CAPTURED, ms)) == 1000017  # type: ignore[misc]
        for code in (1006031, 1006032, 1006042):
            await heard.until(lambda code=code: any(call[0] == code for call in heard.of("error")))  # type: ignore[misc]
        engine.stop_sound_level_monitor()  # none runs
