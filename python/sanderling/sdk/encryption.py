"""Stream encryption: which key belongs to which channel and which played stream, and what comes of a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sanderling.enums import Channel
from sanderling.errors import ErrorCode, PlayError, error_for
from sanderling.ids import parse_stream_id
from sanderling.sdk.engine_life import EngineLife

if TYPE_CHECKING:
    from sanderling.sdk.config import EngineProfile
    from sanderling.sdk.handler import EventHandler
    from sanderling.sdk.webrtc.side_data import Open

__all__ = ["KEY_SIZES", "EncryptionKeys", "Opening", "StreamEncryption", "decryption_failed", "parse_key"]

KEY_SIZES = (16, 24, 32)
"""Bytes of a key: AES-128, AES-192, AES-256 (product-facts 1.2)."""

MAX_STREAMS = 1000
"""Streams whose key is remembered; beyond it the oldest is forgotten."""


def parse_key(key: str | bytes, code: ErrorCode) -> bytes:
    """The bytes of a key, text as UTF-8; ``code`` when it has not 16, 24 or 32 of them."""
    if not isinstance(key, str | bytes):
        raise error_for(code, "a key is text or bytes")
    data = key.encode(errors="surrogatepass") if isinstance(key, str) else key
    if len(data) not in KEY_SIZES:
        raise error_for(code, f"the key has {len(data)} bytes, 16, 24 or 32 needed")
    return data


class PlayKeys:
    """Of one played stream, newest first. The former key counts until the newest has opened something, so that players
    may change to a new key before their publisher does.
    """

    def __init__(self) -> None:
        self.keys: tuple[bytes, ...] = ()

    def set(self, key: bytes | None) -> None:
        """Add the newest key, or forget all."""
        if key is None:
            self.keys = ()
        elif key not in self.keys[:1]:
            self.keys = (key, *self.keys[:1])

    def opened_by(self, key: bytes) -> None:
        """``key`` opened a frame."""
        if key == self.keys[0]:
            self.keys = (key,)


class Opening:
    """Opens the frames of one play. ``on_failed`` is called once for each key under which frames cannot be opened."""

    def __init__(self, keys: PlayKeys, on_failed: Callable[[], None]) -> None:
        self._keys = keys
        self._on_failed = on_failed
        self._told: tuple[bytes, ...] | None = None

    def opener(self, counts: Callable[[int], bool]) -> Open:
        """The function for one track. ``counts``: whether the frame of an RTP timestamp belongs to this stream."""
        from sanderling.sdk.frame_cipher import DecryptionError, FrameOpener

        track = FrameOpener()

        def open_frame(data: bytes, codec: str, rtp_timestamp: int) -> bytes | None:
            keys = self._keys.keys
            if not keys:
                return data
            try:
                frame, key = track.open(data, codec, keys)
            except DecryptionError:
                if counts(rtp_timestamp) and self._told != keys[:1]:
                    self._told = keys[:1]
                    self._on_failed()
                return None
            self._keys.opened_by(key)
            self._told = None
            return frame

        return open_frame


class EncryptionKeys:
    """The keys that an engine was given; they count for what is published and played now and later."""

    def __init__(self) -> None:
        self._publish: dict[Channel, bytes] = {}
        self._play: dict[str, PlayKeys] = {}

    def set_publish(self, channel: Channel, key: bytes | None) -> None:
        """Encrypt what ``channel`` publishes; None: no longer."""
        if key is None:
            self._publish.pop(channel, None)
        else:
            self._publish[channel] = key

    def set_play(self, stream_id: str, key: bytes | None) -> None:
        """Decrypt ``stream_id``; None: no longer."""
        keys = self._play.pop(stream_id, None) or PlayKeys()
        keys.set(key)
        self._play[stream_id] = keys  # the newest last; a play that is running keeps what it has
        if len(self._play) > MAX_STREAMS:
            self._play.pop(next(iter(self._play)))

    def publish_key(self, channel: Channel) -> bytes | None:
        """The key of ``channel``."""
        return self._publish.get(channel)

    def opening(self, stream_id: str, on_failed: Callable[[], None]) -> Opening | None:
        """What opens the frames of ``stream_id``; None when it never had a key."""
        keys = self._play.get(stream_id)
        return Opening(keys, on_failed) if keys is not None else None


class StreamEncryption(EngineLife):
    """The calls of an engine that concern the encryption of streams.

    Pictures and sound are encrypted between this process and the players'; the server passes on what it cannot read.
    Where they are not played by this SDK (browser, WHEP, OBS) an encrypted stream is black and silent.
    """

    def __init__(self, profile: EngineProfile, handler: EventHandler | None = None) -> None:
        super().__init__(profile, handler)
        self._encryption = EncryptionKeys()

    def set_publish_stream_encryption_key(
        self, key: str | bytes | None, channel: Channel = Channel.MAIN
    ) -> None:
        """Encrypt what ``channel`` publishes under ``key`` (16, 24 or 32 bytes), now and later; None: no longer.

        1003060 for another length. A stream that is on its way without encryption begins anew with a key frame.
        """
        self._check()
        parsed = parse_key(key, ErrorCode.ENCRYPTION_KEY_INVALID) if key is not None else None
        self._encryption.set_publish(channel, parsed)
        for room in self._members.values():
            publisher = room.publishers.get(channel)
            if publisher is not None:
                publisher.encrypt(parsed)

    def set_play_stream_decryption_key(self, stream_id: str, key: str | bytes | None) -> None:
        """Decrypt ``stream_id`` with ``key`` (16, 24 or 32 bytes), now and later; None: play it as it comes.

        1004060 for another length, 1000014-1000016 streamID. Change the players' key before the publisher's: the former
        one counts until frames under the new one come. Frames that do not fit the key, unencrypted ones among them, are
        not shown, and ``on_player_state_update`` tells 1004061.
        """
        self._check()
        parse_stream_id(stream_id)
        parsed = parse_key(key, ErrorCode.DECRYPTION_KEY_INVALID) if key is not None else None
        self._encryption.set_play(stream_id, parsed)
        for room in self._members.values():
            player = room.players.get(stream_id)
            if player is not None:
                player.decrypt()


def decryption_failed(stream_id: str) -> PlayError:
    """The error of a stream whose frames do not fit the key."""
    return PlayError(
        ErrorCode.DECRYPTION_FAILED,
        f"stream {stream_id} cannot be decrypted with the key that was set",
        hint="set the publisher's key with set_play_stream_decryption_key",
    )
