"""What the engine of this machine encodes and decodes."""

from __future__ import annotations

from sanderling.sdk.config import VideoCodec
from sanderling.sdk.webrtc import runtime

__all__ = ["can_decode", "can_encode"]


def can_encode(codec: VideoCodec) -> bool:
    """Whether pictures can be published with ``codec``."""
    runtime.load()
    import webrtc

    return _has(webrtc.RTCRtpSender.get_capabilities("video"), codec)


def can_decode(codec: VideoCodec) -> bool:
    """Whether pictures of ``codec`` can be shown."""
    runtime.load()
    import webrtc

    return _has(webrtc.RTCRtpReceiver.get_capabilities("video"), codec)


def _has(capabilities: object, codec: VideoCodec) -> bool:
    codecs = getattr(capabilities, "codecs", None) or []
    return any(known.mime_type == f"video/{codec.value}" for known in codecs)
