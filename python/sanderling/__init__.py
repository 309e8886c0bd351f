"""Sanderling: ultra-low-latency live streaming, self-hosted.

The names below are the asyncio SDK. They are loaded when first used, so that the server and the tools of this
package do not pay for numpy and the media engine, and none of them needs the server's extension.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sanderling.enums import (
        AudioDeviceType,
        AudioVADStableStateMonitorType,
        AudioVADType,
        BackgroundBlurLevel,
        BackgroundProcessType,
        Channel,
        DeviceExceptionType,
        DeviceType,
        DummyCaptureImageMode,
        GeoFenceAreaCode,
        GeoFenceType,
        ObjectSegmentationState,
        ObjectSegmentationType,
        PlayerMediaEvent,
        PlayerState,
        PublisherState,
        PublisherTakeSnapshotPosition,
        RemoteDeviceState,
        ResourceMode,
        ResourceSwitchMode,
        ResourceType,
        RoomMode,
        RoomStateReason,
        Scenario,
        StreamDeleteReason,
        StreamEvent,
        StreamQualityLevel,
        StreamRelayCDNState,
        StreamRelayCDNUpdateReason,
        StreamResourceType,
        SuperResolutionState,
        TrafficControlMinVideoBitrateMode,
        TrafficControlProperty,
        TransparentMode,
        UpdateType,
        VideoConfigPreset,
        VideoStreamType,
    )
    from sanderling.errors import (
        DeviceError,
        ErrorCode,
        ForkedProcessError,
        MediaUnavailable,
        PlayError,
        PublishError,
        RateLimited,
        RoomError,
        SanderlingError,
        TokenError,
    )
    from sanderling.sdk.capture import Camera, Microphone
    from sanderling.sdk.cdn import CDNConfig
    from sanderling.sdk.config import (
        CustomResource,
        DegradationPreference,
        EngineProfile,
        PlayerConfig,
        PublisherConfig,
        RoomConfig,
        TokenProvider,
        User,
        VideoCodec,
    )
    from sanderling.sdk.engine import Engine
    from sanderling.sdk.events import (
        AudioDeviceStateChanged,
        BarrageMessage,
        BarrageMessageReceived,
        BroadcastMessage,
        BroadcastMessageReceived,
        CustomCommandReceived,
        DebugError,
        DeviceInfo,
        Event,
        EventsLost,
        LocalDeviceException,
        NetworkQualityUpdate,
        PlayerAudioSideInfo,
        PlayerFirstAudio,
        PlayerFirstFrame,
        PlayerMediaBreak,
        PlayerQualityUpdate,
        PlayerResourceUpdate,
        PlayerSei,
        PlayerStateUpdate,
        PlayerStreamEvent,
        PlayerVideoSizeChanged,
        PublisherFirstFrame,
        PublisherQualityUpdate,
        PublisherRelayCDNStateUpdate,
        PublisherStateUpdate,
        PublisherStreamEvent,
        PublisherVideoSizeChanged,
        RemoteCameraStateUpdate,
        RemoteMicStateUpdate,
        RoomExtraInfo,
        RoomExtraInfoUpdate,
        RoomOnlineUserCountUpdate,
        RoomStateChanged,
        RoomStreamExtraInfoUpdate,
        RoomStreamUpdate,
        RoomTokenWillExpire,
        RoomUserUpdate,
        SequentialDataReceived,
        Stream,
        StreamRelayCDNInfo,
        TransparentMessageReceived,
        VideoDeviceStateChanged,
    )
    from sanderling.sdk.file_source import File
    from sanderling.sdk.frames import AudioFrame, ColorSpace, PixelFormat, VideoFrame
    from sanderling.sdk.geo_fence import GeoFence
    from sanderling.sdk.handler import EventHandler
    from sanderling.sdk.log_file import LogConfig, set_log_config
    from sanderling.sdk.login import Login
    from sanderling.sdk.pictures.config import (
        BackgroundConfig,
        ObjectSegmentationConfig,
        Rect,
        VideoConfig,
        Watermark,
    )
    from sanderling.sdk.pictures.events import (
        PlayerVideoSuperResolutionUpdate,
        PublisherDummyCaptureImagePathError,
        PublisherVideoEncoderChanged,
        VideoObjectSegmentationStateChanged,
    )
    from sanderling.sdk.playing import Player, Playing
    from sanderling.sdk.preview import Preview
    from sanderling.sdk.publishing import Publisher, Publishing
    from sanderling.sdk.quality import PlayQuality, PublishQuality
    from sanderling.sdk.room import Room
    from sanderling.sdk.sequential_data import SequentialDataManager
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
    from sanderling.sdk.sources import (
        AudioSource,
        CustomAudioSource,
        CustomVideoSource,
        MediaSources,
        Source,
        Still,
        VideoSource,
    )
    from sanderling.sdk.tls import TLS

_MODULES = {
    "enums": (
        "StreamRelayCDNState StreamRelayCDNUpdateReason "
        "AudioDeviceType AudioVADStableStateMonitorType AudioVADType BackgroundBlurLevel "
        "BackgroundProcessType Channel DeviceExceptionType DeviceType DummyCaptureImageMode "
        "GeoFenceAreaCode GeoFenceType ObjectSegmentationState ObjectSegmentationType PlayerMediaEvent "
        "PlayerState PublisherState PublisherTakeSnapshotPosition RemoteDeviceState ResourceMode "
        "ResourceSwitchMode ResourceType RoomMode RoomStateReason Scenario StreamDeleteReason StreamEvent "
        "StreamQualityLevel StreamResourceType SuperResolutionState TrafficControlMinVideoBitrateMode "
        "TrafficControlProperty TransparentMode UpdateType VideoConfigPreset VideoStreamType"
    ),
    "errors": (
        "DeviceError ErrorCode ForkedProcessError MediaUnavailable PlayError PublishError RateLimited "
        "RoomError SanderlingError TokenError"
    ),
    "sdk.capture": "Camera Microphone",
    "sdk.cdn": "CDNConfig",
    "sdk.config": (
        "CustomResource DegradationPreference EngineProfile PlayerConfig PublisherConfig RoomConfig "
        "TokenProvider User VideoCodec"
    ),
    "sdk.engine": "Engine",
    "sdk.events": (
        "PublisherRelayCDNStateUpdate StreamRelayCDNInfo "
        "AudioDeviceStateChanged BarrageMessage BarrageMessageReceived BroadcastMessage "
        "BroadcastMessageReceived CustomCommandReceived DebugError DeviceInfo Event EventsLost "
        "LocalDeviceException NetworkQualityUpdate PlayerAudioSideInfo PlayerFirstAudio PlayerFirstFrame "
        "PlayerMediaBreak PlayerQualityUpdate PlayerResourceUpdate PlayerSei PlayerStateUpdate "
        "PlayerStreamEvent PlayerVideoSizeChanged PublisherFirstFrame PublisherQualityUpdate "
        "PublisherStateUpdate PublisherStreamEvent PublisherVideoSizeChanged RemoteCameraStateUpdate "
        "RemoteMicStateUpdate RoomExtraInfo RoomExtraInfoUpdate RoomOnlineUserCountUpdate RoomStateChanged "
        "RoomStreamExtraInfoUpdate RoomStreamUpdate RoomTokenWillExpire RoomUserUpdate "
        "SequentialDataReceived Stream TransparentMessageReceived VideoDeviceStateChanged"
    ),
    "sdk.file_source": "File",
    "sdk.frames": "AudioFrame ColorSpace PixelFormat VideoFrame",
    "sdk.geo_fence": "GeoFence",
    "sdk.handler": "EventHandler",
    "sdk.log_file": "LogConfig set_log_config",
    "sdk.login": "Login",
    "sdk.pictures.config": "BackgroundConfig ObjectSegmentationConfig Rect VideoConfig Watermark",
    "sdk.pictures.events": (
        "PlayerVideoSuperResolutionUpdate PublisherDummyCaptureImagePathError PublisherVideoEncoderChanged "
        "VideoObjectSegmentationStateChanged"
    ),
    "sdk.playing": "Player Playing",
    "sdk.preview": "Preview",
    "sdk.publishing": "Publisher Publishing",
    "sdk.quality": "PlayQuality PublishQuality",
    "sdk.room": "Room",
    "sdk.sequential_data": "SequentialDataManager",
    "sdk.sound_events": (
        "AudioVADStateUpdate CapturedAudioSpectrumUpdate CapturedSoundLevelInfoUpdate "
        "CapturedSoundLevelUpdate RemoteAudioSpectrumUpdate RemoteSoundLevelInfoUpdate "
        "RemoteSoundLevelUpdate SoundLevelInfo"
    ),
    "sdk.sources": "AudioSource CustomAudioSource CustomVideoSource MediaSources Source Still VideoSource",
    "sdk.tls": "TLS",
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "AudioDeviceStateChanged",
    "AudioDeviceType",
    "AudioFrame",
    "AudioSource",
    "AudioVADStableStateMonitorType",
    "AudioVADStateUpdate",
    "AudioVADType",
    "BackgroundBlurLevel",
    "BackgroundConfig",
    "BackgroundProcessType",
    "BarrageMessage",
    "BarrageMessageReceived",
    "BroadcastMessage",
    "BroadcastMessageReceived",
    "CDNConfig",
    "Camera",
    "CapturedAudioSpectrumUpdate",
    "CapturedSoundLevelInfoUpdate",
    "CapturedSoundLevelUpdate",
    "Channel",
    "ColorSpace",
    "CustomAudioSource",
    "CustomCommandReceived",
    "CustomResource",
    "CustomVideoSource",
    "DebugError",
    "DegradationPreference",
    "DeviceError",
    "DeviceExceptionType",
    "DeviceInfo",
    "DeviceType",
    "DummyCaptureImageMode",
    "Engine",
    "EngineProfile",
    "ErrorCode",
    "Event",
    "EventHandler",
    "EventsLost",
    "File",
    "ForkedProcessError",
    "GeoFence",
    "GeoFenceAreaCode",
    "GeoFenceType",
    "LocalDeviceException",
    "LogConfig",
    "Login",
    "MediaSources",
    "MediaUnavailable",
    "Microphone",
    "NetworkQualityUpdate",
    "ObjectSegmentationConfig",
    "ObjectSegmentationState",
    "ObjectSegmentationType",
    "PixelFormat",
    "PlayError",
    "PlayQuality",
    "Player",
    "PlayerAudioSideInfo",
    "PlayerConfig",
    "PlayerFirstAudio",
    "PlayerFirstFrame",
    "PlayerMediaBreak",
    "PlayerMediaEvent",
    "PlayerQualityUpdate",
    "PlayerResourceUpdate",
    "PlayerSei",
    "PlayerState",
    "PlayerStateUpdate",
    "PlayerStreamEvent",
    "PlayerVideoSizeChanged",
    "PlayerVideoSuperResolutionUpdate",
    "Playing",
    "Preview",
    "PublishError",
    "PublishQuality",
    "Publisher",
    "PublisherConfig",
    "PublisherDummyCaptureImagePathError",
    "PublisherFirstFrame",
    "PublisherQualityUpdate",
    "PublisherState",
    "PublisherRelayCDNStateUpdate",
    "PublisherStateUpdate",
    "PublisherStreamEvent",
    "PublisherTakeSnapshotPosition",
    "PublisherVideoEncoderChanged",
    "PublisherVideoSizeChanged",
    "Publishing",
    "RateLimited",
    "Rect",
    "RemoteAudioSpectrumUpdate",
    "RemoteCameraStateUpdate",
    "RemoteDeviceState",
    "RemoteMicStateUpdate",
    "RemoteSoundLevelInfoUpdate",
    "RemoteSoundLevelUpdate",
    "ResourceMode",
    "ResourceSwitchMode",
    "ResourceType",
    "Room",
    "RoomConfig",
    "RoomError",
    "RoomExtraInfo",
    "RoomExtraInfoUpdate",
    "RoomMode",
    "RoomOnlineUserCountUpdate",
    "RoomStateChanged",
    "RoomStateReason",
    "RoomStreamExtraInfoUpdate",
    "RoomStreamUpdate",
    "RoomTokenWillExpire",
    "RoomUserUpdate",
    "SanderlingError",
    "Scenario",
    "SequentialDataManager",
    "SequentialDataReceived",
    "SoundLevelInfo",
    "Source",
    "Still",
    "Stream",
    "StreamDeleteReason",
    "StreamEvent",
    "StreamQualityLevel",
    "StreamRelayCDNInfo",
    "StreamRelayCDNState",
    "StreamRelayCDNUpdateReason",
    "StreamResourceType",
    "SuperResolutionState",
    "TLS",
    "TokenError",
    "TokenProvider",
    "TrafficControlMinVideoBitrateMode",
    "TrafficControlProperty",
    "TransparentMessageReceived",
    "TransparentMode",
    "UpdateType",
    "User",
    "VideoCodec",
    "VideoConfig",
    "VideoConfigPreset",
    "VideoDeviceStateChanged",
    "VideoFrame",
    "VideoObjectSegmentationStateChanged",
    "VideoSource",
    "VideoStreamType",
    "Watermark",
    "set_log_config",
]


def __getattr__(name: str) -> object:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module 'sanderling' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"sanderling.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
