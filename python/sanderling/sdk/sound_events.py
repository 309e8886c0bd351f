"""What an engine reports of the loudness of sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sanderling.enums import AudioVADStableStateMonitorType, AudioVADType
from sanderling.sdk.events import Event

__all__ = [
    "AudioVADStateUpdate",
    "CapturedAudioSpectrumUpdate",
    "CapturedSoundLevelInfoUpdate",
    "CapturedSoundLevelUpdate",
    "RemoteAudioSpectrumUpdate",
    "RemoteSoundLevelInfoUpdate",
    "RemoteSoundLevelUpdate",
    "SoundLevelInfo",
]


@dataclass(frozen=True, slots=True)
class SoundLevelInfo:
    """``sound_level``: 0.0 to 100.0. ``vad``: whether somebody spoke."""

    sound_level: float
    vad: AudioVADType


@dataclass(frozen=True, slots=True)
class CapturedSoundLevelUpdate(Event):
    """How loud what is published was since the last report: the loudest of the channels."""

    sound_level: float


@dataclass(frozen=True, slots=True)
class CapturedSoundLevelInfoUpdate(Event):
    """The same, and whether somebody spoke."""

    info: SoundLevelInfo


@dataclass(frozen=True, slots=True)
class RemoteSoundLevelUpdate(Event):
    """How loud the played streams were, by streamID."""

    sound_levels: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class RemoteSoundLevelInfoUpdate(Event):
    """The same, and in which of them somebody spoke."""

    infos: Mapping[str, SoundLevelInfo]


@dataclass(frozen=True, slots=True)
class CapturedAudioSpectrumUpdate(Event):
    """Levels of 64 equally wide bands from 0 Hz to half the sample rate, lowest first."""

    spectrum: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class RemoteAudioSpectrumUpdate(Event):
    """The same of the played streams, by streamID."""

    spectrums: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class AudioVADStateUpdate(Event):
    """What the sound mostly was over the last period, when that changed, and once at the beginning."""

    kind: AudioVADStableStateMonitorType
    state: AudioVADType
