"""Streams to the RTMP servers of a CDN: pushed in place of publishing, or besides it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sanderling.enums import Channel, StreamRelayCDNState, StreamRelayCDNUpdateReason
from sanderling.errors import ErrorCode, PublishError, SanderlingError
from sanderling.sdk.engine_life import EngineLife
from sanderling.sdk.events import PublisherRelayCDNStateUpdate, StreamRelayCDNInfo

if TYPE_CHECKING:
    from sanderling.sdk.config import EngineProfile, PublisherConfig
    from sanderling.sdk.handler import EventHandler
    from sanderling.sdk.room import Room
    from sanderling.sdk.rtmp_push import RtmpPush
    from sanderling.sdk.webrtc.tracks import AudioInput, VideoInput

__all__ = ["CDNConfig", "CDNPublishing", "Relays", "parse_push_url"]

MAX_URL = 1023
"""Bytes (product-facts 1.2: below 1024)."""
MAX_AUTH_PARAM = 511
"""Bytes (product-facts 1.2: below 512)."""


@dataclass(frozen=True, slots=True)
class CDNConfig:
    """Where a CDN takes a stream. ``url``: ``rtmp://`` or ``rtmps://``, below 1024 bytes, with the stream's name;
    ``auth_param``: what the CDN wants behind the question mark, below 512 bytes.

    1000018 and 1000019 too long, 1000055 another kind of URL.
    """

    url: str
    auth_param: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        parse_push_url(self.url)
        size = len(self.auth_param.encode(errors="surrogatepass"))
        if size > MAX_AUTH_PARAM:
            raise SanderlingError(
                ErrorCode.CDN_AUTH_PARAM_TOO_LONG, f"auth_param has {size} bytes, {MAX_AUTH_PARAM} allowed"
            )

    @property
    def target(self) -> str:
        """The URL with the parameters."""
        if not self.auth_param:
            return self.url
        return f"{self.url}{'&' if '?' in self.url else '?'}{self.auth_param}"


def parse_push_url(url: str) -> str:
    """``url`` when a stream can be pushed to it; 1000018 too long, 1000055 not RTMP."""
    size = len(url.encode(errors="surrogatepass"))
    if size > MAX_URL:
        raise SanderlingError(ErrorCode.CDN_URL_TOO_LONG, f"the URL has {size} bytes, {MAX_URL} allowed")
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("rtmp", "rtmps") and bool(parts.hostname) and bool(parts.path.strip("/"))
        _ = parts.port
    except ValueError:
        valid = False
    if not valid:
        raise SanderlingError(
            ErrorCode.CDN_URL_INVALID,
            "a stream cannot be pushed to this URL",
            hint="it looks like rtmp://host/application/stream",
        )
    return url


class Relays:
    """What one published stream is pushed to besides."""

    def __init__(self, room: Room, stream_id: str, config: PublisherConfig) -> None:
        self._room = room
        self._stream_id = stream_id
        self._config = config
        self._pushes: dict[str, RtmpPush] = {}
        self._infos: dict[str, StreamRelayCDNInfo] = {}
        self._adding: dict[str, asyncio.Future[None]] = {}
        self._video: VideoInput | None = None
        self._audio: AudioInput | None = None

    def attach(self, video: VideoInput | None, audio: AudioInput | None) -> None:
        """What is published comes through these."""
        self._video, self._audio = video, audio

    async def add(self, url: str, seconds: float) -> None:
        """Push to ``url`` as well; 1003040 when the server there does not take the stream within ``seconds``."""
        from sanderling.sdk.rtmp_push import RtmpPush

        if url in self._pushes:
            raise _target_error("it is relayed to this URL already")
        loop = asyncio.get_running_loop()
        taken = self._adding[url] = loop.create_future()
        taken.add_done_callback(_retrieve)

        def up() -> None:
            if not taken.done():
                taken.set_result(None)
                self._tell(url, StreamRelayCDNState.RELAYING)

        def lost(why: str) -> None:
            if taken.done():
                self._drop(url, StreamRelayCDNUpdateReason.CDN_SERVER_DISCONNECTED)
            else:
                taken.set_exception(_target_error(f"the server does not take the stream: {why}"))

        call = self._room.session.call_soon
        self._pushes[url] = RtmpPush(
            url,
            self._config,
            video=self._video is not None,
            audio=self._audio is not None,
            on_up=lambda: call(up),
            on_lost=lambda why: call(lambda: lost(why)),
        )
        self._connect()
        self._tell(url, StreamRelayCDNState.RELAY_REQUESTING)
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(taken)
        except TimeoutError:
            self._drop(url, StreamRelayCDNUpdateReason.CREATE_STREAM_FAILED)
            raise _target_error(f"the server did not take the stream within {seconds:g} seconds") from None
        except (SanderlingError, asyncio.CancelledError):
            self._drop(url, StreamRelayCDNUpdateReason.HANDSHAKE_FAILED)
            raise
        finally:
            self._adding.pop(url, None)

    async def remove(self, url: str) -> None:
        """Push there no longer; 1003040 when it is not."""
        push = self._pushes.get(url)
        if push is None:
            raise _target_error("the stream is not relayed to this URL")
        self._drop(url, StreamRelayCDNUpdateReason.NONE)
        await push.wait()

    def stop(self) -> None:
        """The stream has ended."""
        for url in list(self._pushes):
            self._drop(url, StreamRelayCDNUpdateReason.NONE)

    def _drop(self, url: str, reason: StreamRelayCDNUpdateReason) -> None:
        push = self._pushes.pop(url, None)
        if push is not None:
            self._connect()
            push.stop()
            self._tell(url, StreamRelayCDNState.NO_RELAY, reason)
            self._infos.pop(url, None)
        adding = self._adding.get(url)
        if adding is not None and not adding.done():
            adding.set_exception(_target_error("the stream ended, or was told to go there no longer"))

    def _connect(self) -> None:
        pushes = tuple(self._pushes.values())
        if self._video is not None:
            self._video.taps = tuple(push.write_video for push in pushes)
        if self._audio is not None:
            self._audio.taps = tuple(push.write_audio for push in pushes)

    def _tell(
        self,
        url: str,
        state: StreamRelayCDNState,
        reason: StreamRelayCDNUpdateReason = StreamRelayCDNUpdateReason.NONE,
    ) -> None:
        self._infos[url] = StreamRelayCDNInfo(url, state, reason, int(time.time() * 1000))
        self._room.emit(PublisherRelayCDNStateUpdate(self._stream_id, tuple(self._infos.values())))


class CDNPublishing(EngineLife):
    """The calls of an engine that concern a CDN. The SDK pushes by itself; the server has no part in it."""

    def __init__(self, profile: EngineProfile, handler: EventHandler | None = None) -> None:
        super().__init__(profile, handler)
        self._direct: dict[Channel, CDNConfig] = {}

    def enable_publish_direct_to_cdn(
        self, enable: bool, config: CDNConfig | None = None, channel: Channel = Channel.MAIN
    ) -> None:
        """Push what ``channel`` publishes from its next stream on to ``config`` instead of to the server.

        1000017 without a config. The members of the room do not see such a stream, and it is not encrypted.
        """
        self._check()
        if not enable:
            self._direct.pop(channel, None)
        elif config is None:
            raise SanderlingError(ErrorCode.ILLEGAL_PARAMETER, "a CDN to push to is needed")
        else:
            self._direct[channel] = config

    async def add_publish_cdn_url(
        self,
        stream_id: str,
        target_url: str,
        timeout: float = 30.0,  # noqa: ASYNC109
    ) -> None:
        """Push a stream that this engine publishes to ``target_url`` as well, until it ends or ``timeout`` seconds
        have not sufficed. 1000018 and 1000055 for the URL, 1003040 when it is not relayed; the message says why.
        """
        await self._relays(stream_id, target_url).add(target_url, timeout)

    async def remove_publish_cdn_url(self, stream_id: str, target_url: str) -> None:
        """Push there no longer; the codes of :meth:`add_publish_cdn_url`."""
        await self._relays(stream_id, target_url).remove(target_url)

    def _relays(self, stream_id: str, url: str) -> Relays:
        self._check()
        parse_push_url(url)
        for room in self._members.values():
            for publisher in room.publishers.values():
                if publisher.stream_id == stream_id and publisher.relays is not None:
                    return publisher.relays
        raise _target_error(
            f"this engine does not publish {stream_id}, or not to the server",
            hint="relay at the publisher: the server itself does not push",
        )


def _target_error(message: str, *, hint: str = "") -> PublishError:
    return PublishError(ErrorCode.CDN_TARGET_UPDATE_FAILED, message, hint=hint)


def _retrieve(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.exception()
