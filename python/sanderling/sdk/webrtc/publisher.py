"""The transport that brings one stream to the server: send-only, one per publish channel."""

from __future__ import annotations

from collections.abc import Sequence

import webrtc

from sanderling.errors import ErrorCode, PublishError
from sanderling.sdk.config import PublisherConfig, VideoCodec
from sanderling.sdk.quality import Counters
from sanderling.sdk.webrtc.sdp import with_fmtp
from sanderling.sdk.webrtc.side_data import SideDataWriter
from sanderling.sdk.webrtc.tracks import AudioInput, VideoInput
from sanderling.sdk.webrtc.transport import StateHandler, Transport, codecs_of
from sanderling.signaling.messages import IceServer

__all__ = ["PublisherTransport"]

START_BITRATE_KBPS = 1500
"""Where bandwidth estimation begins. The engine's own 300 kbit/s shows 180 lines for the first seconds."""


class PublisherTransport(Transport):
    """Up to one audio and one video track.

    ``video`` and ``audio``: True makes an input of that kind, closed with this transport. An input of an earlier
    transport goes on with this one, so that its source need not notice that the connection was made anew.
    """

    def __init__(
        self,
        config: PublisherConfig,
        *,
        video: VideoInput | bool,
        audio: AudioInput | bool,
        on_state: StateHandler,
        ice_servers: Sequence[IceServer] = (),
    ) -> None:
        super().__init__(on_state, ice_servers=ice_servers)
        self._config = config
        self.video: VideoInput | None = None
        self.audio: AudioInput | None = None
        self._sender: webrtc.RTCRtpSender | None = None
        self._video_transceiver: webrtc.RTCRtpTransceiver | None = None
        self._audio_transceiver: webrtc.RTCRtpTransceiver | None = None
        try:
            if audio:
                self._add_audio(audio)
            if video:
                self._add_video(video)
        except BaseException:
            self.close()
            raise

    async def offer(self, *, hold: bool = False) -> str:
        """The offer to send with the publish request. ``hold``: the login is not answered yet."""
        await self._prefer()
        return await self.make_offer(lambda sdp: sdp, hold=hold)

    async def accept(self, answer: str, ice_servers: Sequence[IceServer] = ()) -> None:
        """Set the server's answer; encoding starts when the transport is up, over ``ice_servers`` if need be."""
        most = self._config.video_bitrate_kbps
        bitrates = {"x-google-start-bitrate": str(min(START_BITRATE_KBPS, most))}
        if self._config.fixed_bitrate:
            bitrates = {"x-google-start-bitrate": str(most), "x-google-min-bitrate": str(most)}
        sdp = answer
        for codec in self._codecs():
            sdp = with_fmtp(sdp, codec.value, bitrates)
        opus = {"maxaveragebitrate": str(self._config.audio_bitrate_kbps * 1000), "useinbandfec": "1"}
        if self._config.stereo:
            opus["stereo"] = "1"
        await self.set_answer(with_fmtp(sdp, "opus", opus), ice_servers)

    async def track_counters(self) -> tuple[Counters, Counters]:
        """Counters of the video and the audio track; empty where there is none."""
        counters = await self.counters()
        video = counters.get(_mid(self._video_transceiver), {})
        audio = counters.get(_mid(self._audio_transceiver), {})
        return video, audio

    @property
    def video_codec(self) -> str:
        """The codec that pictures are sent with, as a MIME type; "" before it is negotiated."""
        codecs = self._sender.get_parameters().codecs if self._sender is not None else []
        return codecs[0].mime_type if codecs else ""

    def carry(self, video: SideDataWriter | None, audio: SideDataWriter | None) -> None:
        """Let them put what they have into pictures and sound."""
        for writer, transceiver in ((video, self._video_transceiver), (audio, self._audio_transceiver)):
            if writer is not None and transceiver is not None:
                writer.attach(transceiver.sender)

    def close(self) -> None:
        """Close tracks and connection."""
        for source in (self.video, self.audio):
            if source is not None:
                source.close()
        super().close()

    def hand_over(self) -> tuple[VideoInput | None, AudioInput | None]:
        """Let go of the inputs, which are the caller's now: ``close`` leaves them alone."""
        inputs = (self.video, self.audio)
        self.video = self.audio = None
        return inputs

    def _add_audio(self, source: AudioInput | bool) -> None:
        self.audio = source if isinstance(source, AudioInput) else AudioInput()
        transceiver = self.connection.add_transceiver(
            self.audio.track, webrtc.RTCRtpTransceiverInit(direction="sendonly")
        )
        capabilities = webrtc.RTCRtpSender.get_capabilities("audio")
        if capabilities is not None:
            # RED sends every block twice for a loss that retransmission repairs on these paths.
            opus = [codec for codec in capabilities.codecs if codec.mime_type == "audio/opus"]
            transceiver.set_codec_preferences(opus)
        self.enable_extensions(transceiver)
        self._audio_transceiver = transceiver

    def _add_video(self, source: VideoInput | bool) -> None:
        codec = self._config.video_codec
        capabilities = webrtc.RTCRtpSender.get_capabilities("video")
        if not codecs_of(capabilities, [codec]):
            raise PublishError(
                ErrorCode.ENCODER_UNSUPPORTED,
                f"this machine cannot encode {codec.value}",
                hint="publish VP8, VP9 or AV1",
            )
        self.video = source if isinstance(source, VideoInput) else VideoInput()
        encoding = webrtc.RTCRtpEncodingParameters(
            max_bitrate=self._config.video_bitrate_kbps * 1000, max_framerate=self._config.fps
        )
        transceiver = self.connection.add_transceiver(
            self.video.track, webrtc.RTCRtpTransceiverInit(direction="sendonly", send_encodings=[encoding])
        )
        transceiver.set_codec_preferences(codecs_of(capabilities, self._codecs()))
        self.enable_extensions(transceiver)
        self._video_transceiver = transceiver
        self._sender = transceiver.sender

    def _codecs(self) -> tuple[VideoCodec, ...]:
        """The wanted codec, then the one that the server takes where a member of the room cannot decode it."""
        wanted = self._config.video_codec
        return (wanted,) if wanted is VideoCodec.VP8 else (wanted, VideoCodec.VP8)

    async def change(self, config: PublisherConfig) -> None:
        """Follow another bitrate and frame rate from now on."""
        self._config = config
        if self._sender is None:
            return
        parameters = self._sender.get_parameters()
        for encoding in parameters.encodings:
            encoding.max_bitrate = config.video_bitrate_kbps * 1000
            encoding.max_framerate = config.fps
        await self._sender.set_parameters(parameters)

    async def _prefer(self) -> None:
        if self._sender is not None:
            parameters = self._sender.get_parameters()
            parameters.degradation_preference = webrtc.RTCDegradationPreference(
                self._config.degradation.value
            )
            await self._sender.set_parameters(parameters)


def _mid(transceiver: webrtc.RTCRtpTransceiver | None) -> str:
    return (transceiver.mid or "-") if transceiver is not None else "-"
