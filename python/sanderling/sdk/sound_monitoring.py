"""Watching how loud published and played sound is, which frequencies it has, and whether somebody speaks."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Coroutine, Mapping
from typing import NoReturn

from sanderling.enums import AudioVADStableStateMonitorType, AudioVADType, PlayerState
from sanderling.errors import DeviceError, ErrorCode, SanderlingError
from sanderling.sdk.config import EngineProfile
from sanderling.sdk.dispatch import Dispatcher
from sanderling.sdk.engine_life import EngineLife
from sanderling.sdk.frames import AudioFrame
from sanderling.sdk.handler import EventHandler
from sanderling.sdk.room import Room
from sanderling.sdk.sound_events import (
    AudioVADStateUpdate,
    CapturedAudioSpectrumUpdate,
    CapturedSoundLevelInfoUpdate,
    CapturedSoundLevelUpdate,
    RemoteAudioSpectrumUpdate,
    RemoteSoundLevelInfoUpdate,
    RemoteSoundLevelUpdate,
    SoundLevelInfo,
)
from sanderling.sdk.sound_measure import BANDS, SoundMeter, VoiceDetector, spectrum_of

__all__ = ["SoundMonitoring", "SoundMonitors"]

LEVEL_INTERVAL_MS = (100, 3000)
SHORTEST_SPECTRUM_INTERVAL_MS = 10
VOICE_INTERVAL_MS = (200, 10_000)
"""Product-facts 1.6."""

VOICE_STEP_MS = 50
"""Between two looks at whether somebody speaks; the state is what they mostly say over the period."""
SPEAKING_SHARE = 0.4
"""Of the looks of a period: a speaker's pauses and consonants are some half of the time."""

SILENCE = (0.0,) * BANDS

Meters = dict[str, tuple[object, SoundMeter]]
"""Each with the publisher or player that it listens to: of played streams by streamID, of published ones by room and
channel."""


class SoundMonitoring(EngineLife):
    """The calls of an engine that concern sound. Read while a monitor runs: some 100 blocks a second and stream."""

    def __init__(self, profile: EngineProfile, handler: EventHandler | None = None) -> None:
        super().__init__(profile, handler)
        self._sound = SoundMonitors(self._loop, self._dispatcher, self._members)

    def start_sound_level_monitor(self, interval_ms: int = 100, *, vad: bool = False) -> None:
        """Report the level, 0.0 to 100.0, of what is published and of each played stream, every ``interval_ms``
        milliseconds (100 to 3000, else 1006031); with ``vad`` also whether somebody speaks. Called again: as said last.

        100 is a sine at full scale, 0 is 60 dB below, decibels between. Captured sound counts while it is muted too.
        """
        self._check()
        if not _within(interval_ms, *LEVEL_INTERVAL_MS):
            self._refuse(
                "start_sound_level_monitor",
                ErrorCode.SOUND_LEVEL_INTERVAL_INVALID,
                f"interval_ms is {interval_ms!r}, 100 to 3000 allowed",
            )
        self._sound.start("levels", self._sound.levels(interval_ms / 1000, vad=vad))

    def stop_sound_level_monitor(self) -> None:
        """Report levels no longer."""
        self._check()
        self._sound.stop("levels")

    def start_audio_spectrum_monitor(self, interval_ms: int = 500) -> None:
        """Report the levels of 64 bands of frequency, every ``interval_ms`` milliseconds (10 or more, else 1006032)."""
        self._check()
        if not _within(interval_ms, SHORTEST_SPECTRUM_INTERVAL_MS, 3_600_000):
            self._refuse(
                "start_audio_spectrum_monitor",
                ErrorCode.SPECTRUM_INTERVAL_INVALID,
                f"interval_ms is {interval_ms!r}, 10 or more allowed",
            )
        self._sound.start("spectra", self._sound.spectra(interval_ms / 1000))

    def stop_audio_spectrum_monitor(self) -> None:
        """Report spectra no longer."""
        self._check()
        self._sound.stop("spectra")

    def start_audio_vad_stable_state_monitor(
        self,
        kind: AudioVADStableStateMonitorType = AudioVADStableStateMonitorType.CAPTURED,
        interval_ms: int = 3000,
    ) -> None:
        """Report whether captured sound is speech or noise, judged over ``interval_ms`` milliseconds (200 to 10000),
        once and whenever that changes.

        1006042 for another sound than the captured one: nothing stands between capture and encoder here.
        1000017 for an impossible period.
        """
        self._check()
        name = "start_audio_vad_stable_state_monitor"
        self._check_kind(name, kind)
        if not _within(interval_ms, *VOICE_INTERVAL_MS):
            self._refuse(
                name, ErrorCode.ILLEGAL_PARAMETER, f"interval_ms is {interval_ms!r}, 200 to 10000 allowed"
            )
        self._sound.start("voice", self._sound.voice(interval_ms))

    def stop_audio_vad_stable_state_monitor(
        self, kind: AudioVADStableStateMonitorType = AudioVADStableStateMonitorType.CAPTURED
    ) -> None:
        """Report it no longer. 1006042 as for the start."""
        self._check()
        self._check_kind("stop_audio_vad_stable_state_monitor", kind)
        self._sound.stop("voice")

    def _check_kind(self, function: str, kind: AudioVADStableStateMonitorType) -> None:
        if kind != AudioVADStableStateMonitorType.CAPTURED:
            self._refuse(
                function,
                ErrorCode.VOICE_DETECTION_TYPE_INVALID,
                f"there is no sound of type {kind!r} to watch, captured sound is",
            )

    def _refuse(self, function: str, code: ErrorCode, message: str) -> NoReturn:
        kind = SanderlingError if code is ErrorCode.ILLEGAL_PARAMETER else DeviceError
        self._fail(kind(code, message), function)


class SoundMonitors:
    """The monitors of an engine that run, and a meter for each stream while one does."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, dispatcher: Dispatcher, rooms: Mapping[str, Room]
    ) -> None:
        self._loop = loop
        self._dispatcher = dispatcher
        self._rooms = rooms
        self._running: dict[str, asyncio.Task[None]] = {}
        self._captured: Meters = {}
        self._remote: Meters = {}

    def start(self, name: str, work: Coroutine[object, object, None]) -> None:
        """Run a monitor, in place of the one of that name."""
        self._end(name)
        self._running[name] = self._loop.create_task(work, name=f"sanderling-sound-{name}")

    def stop(self, name: str) -> None:
        """End a monitor; with the last one nothing is listened to any more."""
        self._end(name)
        if not self._running:
            for room in self._rooms.values():
                for publisher in room.publishers.values():
                    publisher.listen(None)
                for player in room.players.values():
                    player.listen(None)
            self._captured, self._remote = {}, {}

    def close(self) -> None:
        """End all of them."""
        for name in list(self._running):
            self.stop(name)

    async def levels(self, seconds: float, *, vad: bool) -> None:
        """Report levels, until cancelled."""
        voices: dict[str, VoiceDetector] = {}
        while True:
            await asyncio.sleep(seconds)
            self._listen()
            voices = {key: voices.get(key) or VoiceDetector() for key in (*self._captured, *self._remote)}
            captured, remote = (
                {key: _info(meter, voices[key] if vad else None) for key, (_, meter) in meters.items()}
                for meters in (self._captured, self._remote)
            )
            if captured:
                loudest = max(captured.values(), key=lambda info: info.sound_level)
                self._emit(CapturedSoundLevelUpdate(loudest.sound_level))
                if vad:
                    speaks = max(info.vad for info in captured.values())
                    self._emit(CapturedSoundLevelInfoUpdate(SoundLevelInfo(loudest.sound_level, speaks)))
            if remote:
                self._emit(RemoteSoundLevelUpdate({key: info.sound_level for key, info in remote.items()}))
                if vad:
                    self._emit(RemoteSoundLevelInfoUpdate(remote))

    async def spectra(self, seconds: float) -> None:
        """Report spectra, until cancelled."""
        heard: dict[str, int] = {}
        while True:
            await asyncio.sleep(seconds)
            self._listen()
            meters = [*self._captured.items(), *self._remote.items()]
            # What was silent for the whole interval is silent, whatever came last.
            spectra = {
                key: spectrum_of(meter.newest()) if meter.total != heard.get(key, 0) else SILENCE
                for key, (_, meter) in meters
            }
            heard = {key: meter.total for key, (_, meter) in meters}
            captured = [spectra[key] for key in self._captured]
            if captured:
                self._emit(
                    CapturedAudioSpectrumUpdate(tuple(max(band) for band in zip(*captured, strict=True)))
                )
            if self._remote:
                self._emit(RemoteAudioSpectrumUpdate({key: spectra[key] for key in self._remote}))

    async def voice(self, interval_ms: int) -> None:
        """Report whether captured sound is speech, until cancelled."""
        looks: deque[bool] = deque(maxlen=max(1, interval_ms // VOICE_STEP_MS))
        voices: dict[str, VoiceDetector] = {}
        heard: dict[str, int] = {}
        state: AudioVADType | None = None
        while True:
            await asyncio.sleep(VOICE_STEP_MS / 1000)
            self._listen()
            if not self._captured:
                looks.clear()
                continue
            voices = {key: voices.get(key) or VoiceDetector() for key in self._captured}
            speech = [
                voices[key].hear(meter.newest(), meter.rate)
                for key, (_, meter) in self._captured.items()
                if meter.total != heard.get(key, 0)
            ]
            heard = {key: meter.total for key, (_, meter) in self._captured.items()}
            looks.append(any(speech))
            if len(looks) < (looks.maxlen or 1):
                continue
            speaking = sum(looks) >= SPEAKING_SHARE * len(looks)
            now = AudioVADType.SPEECH if speaking else AudioVADType.NOISE
            if now is not state:
                state = now
                self._dispatcher.emit(AudioVADStateUpdate(AudioVADStableStateMonitorType.CAPTURED, now))

    def _listen(self) -> None:
        """A meter at each stream that has sound, none at those that are gone."""
        captured: Meters = {}
        remote: Meters = {}
        for room in self._rooms.values():
            for publisher in room.publishers.values():
                key = f"{room.id}/{publisher.channel}"
                meter = _meter_of(publisher, self._captured.get(key))
                if publisher.listen(meter.add):
                    captured[key] = publisher, meter
            for player in room.players.values():
                meter = _meter_of(player, self._remote.get(player.stream_id))
                player.listen(functools.partial(_hear, meter))
                if player.state is PlayerState.PLAYING and player.audio_mid:
                    remote[player.stream_id] = player, meter
        self._captured, self._remote = captured, remote

    def _emit(self, event: CapturedSoundLevelUpdate | _Other) -> None:
        self._dispatcher.emit_newest(f"sound/{type(event).__name__}", event)

    def _end(self, name: str) -> None:
        task = self._running.pop(name, None)
        if task is not None:
            task.cancel()


_Other = (
    CapturedSoundLevelInfoUpdate
    | RemoteSoundLevelUpdate
    | RemoteSoundLevelInfoUpdate
    | CapturedAudioSpectrumUpdate
    | RemoteAudioSpectrumUpdate
)


def _meter_of(part: object, known: tuple[object, SoundMeter] | None) -> SoundMeter:
    return known[1] if known is not None and known[0] is part else SoundMeter()


def _hear(meter: SoundMeter, frame: AudioFrame) -> None:
    meter.add(frame.samples, frame.rate)


def _info(meter: SoundMeter, voice: VoiceDetector | None) -> SoundLevelInfo:
    level = meter.read_level()
    speech = voice is not None and level > 0 and voice.hear(meter.newest(), meter.rate)
    return SoundLevelInfo(level, AudioVADType(speech))


def _within(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
