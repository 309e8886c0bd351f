"""Sealed frames: what opens them, what they show to the server, and what a decoder makes of them without the key."""

from __future__ import annotations

import pytest

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.sdk.encryption import EncryptionKeys, parse_key
from sanderling.sdk.frame_cipher import DecryptionError, FrameOpener, FrameSealer, SealedCodecError, derive
from sanderling.sdk.side_data import OPUS, obus

KEY, OTHER = bytes(range(16)), bytes(range(16, 48))
VP8_KEY = bytes.fromhex("5042009d012a4001b400") + b"partitions" * 20
VP8_DELTA = bytes.fromhex("b10500") + b"partitions" * 20
AV1_KEY = b"\x12\x00" + b"\x0a\x03seq" + b"\x32\x05frame"
FRAMES = [
    ("video/VP8", VP8_KEY),
    ("video/VP8", VP8_DELTA),
    ("video/VP9", b"\x82" + b"picture" * 9),
    ("video/AV1", AV1_KEY),
    ("video/AV1", b"\x12\x00" + b"\x32\xc8\x01" + b"f" * 200),
    (OPUS, b"\x78" + b"sound" * 12),
    (OPUS, b"\x78"),
]


def test_keys_are_derived_as_in_rfc_9605() -> None:
    # Appendix C.3: suite 4, key ID 0x123
    sealing, salt = derive(KEY, 0x123)
    assert sealing.hex() == "d34f547f4ca4f9a7447006fe7fcbf768"
    assert salt.hex() == "75234edefe07819026751816"


@pytest.mark.parametrize("key", [KEY, bytes(24), OTHER], ids=len)
@pytest.mark.parametrize(("codec", "frame"), FRAMES)
def test_a_frame_opens_under_its_key_and_no_other(key: bytes, codec: str, frame: bytes) -> None:
    sealer, opener = FrameSealer(key), FrameOpener()
    for _ in range(300):  # counters of no, one and two bytes
        sealed = sealer.seal(frame, codec)
        assert opener.open(sealed, codec, (key,)) == (frame, key)
        assert frame[-5:] not in sealed or len(frame) < 5
    with pytest.raises(DecryptionError):
        FrameOpener().open(sealed, codec, (bytes(len(key) - 1) + b"\x01", bytes(32)))
    with pytest.raises(DecryptionError):
        opener.open(frame, codec, (key,))


@pytest.mark.parametrize(("codec", "frame"), FRAMES)
def test_a_changed_frame_does_not_open(codec: str, frame: bytes) -> None:
    sealed = FrameSealer(KEY).seal(frame, codec)
    opener = FrameOpener()
    tampered = 0
    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 0x10]) + sealed[at + 1 :]
        try:
            opened, _ = opener.open(changed, codec, (KEY,))
        except DecryptionError:
            tampered += 1
        else:
            assert opened == frame  # only the copy of the AV1 sequence header, which is not used
    assert tampered >= len(sealed) - (8 if codec == "video/AV1" else 0)
    for size in range(len(sealed)):
        with pytest.raises(DecryptionError):
            opener.open(sealed[:size], codec, (KEY,))


def test_two_tracks_of_one_key_share_no_key_stream() -> None:
    first, second = FrameSealer(KEY), FrameSealer(KEY)
    frame = bytes(64)
    sealed = [sealer.seal(frame, "video/VP9") for sealer in (first, second, first)]
    assert len({bytes(one[-80:]) for one in sealed}) == 3
    opener = FrameOpener()
    assert [opener.open(one, "video/VP9", (KEY,))[0] for one in sealed] == [frame] * 3


def test_the_server_sees_key_frames_and_decoders_see_no_frame() -> None:
    sealer = FrameSealer(KEY)
    key, delta = sealer.seal(VP8_KEY, "video/VP8"), sealer.seal(VP8_DELTA, "video/VP8")
    assert (key[0] & 1, delta[0] & 1) == (0, 1)
    assert key[3:10] == VP8_KEY[3:10]
    for sealed in (key, delta):
        assert int.from_bytes(sealed[:3], "little") >> 5 > len(sealed)  # RFC 6386: the first partition
    assert sealer.seal(b"\x82picture", "video/VP9")[0] >> 6 != 0b10  # the frame marker
    sealed = sealer.seal(AV1_KEY, "video/AV1")
    assert [kind for kind, *_ in obus(sealed)] == [1, 6]
    assert sealed.startswith(b"\x0a\x03seq")
    sound = sealer.seal(b"\x78sound", OPUS)
    assert (sound[0] & 3, sound[1] & 0x3F) == (3, 0)  # RFC 6716 section 3.2.5: a packet of no frames


def test_a_codec_without_a_way_is_not_sent_in_the_clear() -> None:
    with pytest.raises(SealedCodecError):
        FrameSealer(KEY).seal(b"picture", "video/H264")


def test_the_former_key_counts_until_the_newest_has_opened_something() -> None:
    keys = EncryptionKeys()
    failures: list[int] = []
    keys.set_play("film", KEY)
    opening = keys.opening("film", lambda: failures.append(1))
    assert opening is not None
    assert keys.opening("another", lambda: None) is None
    open_frame = opening.opener(lambda timestamp: timestamp > 0)
    old, new = FrameSealer(KEY), FrameSealer(OTHER)
    keys.set_play("film", OTHER)
    for sealer in (old, old, new):
        assert open_frame(sealer.seal(b"picture", "video/VP9"), "video/VP9", 1) == b"picture"
    for timestamp in (0, 1, 2):  # the first is of the stream that had the slot before
        assert open_frame(old.seal(b"picture", "video/VP9"), "video/VP9", timestamp) is None
        assert len(failures) == min(timestamp, 1)
    assert open_frame(new.seal(b"picture", "video/VP9"), "video/VP9", 1) == b"picture"
    assert open_frame(b"in the clear", "video/VP9", 1) is None
    assert len(failures) == 2
    keys.set_play("film", None)
    assert open_frame(b"in the clear", "video/VP9", 1) == b"in the clear"


@pytest.mark.parametrize("code", [1003060, 1004060])
def test_the_length_of_a_key_is_of_its_bytes(code: int) -> None:
    assert parse_key("ä" * 8, ErrorCode(code)) == ("ä" * 8).encode()
    with pytest.raises(SanderlingError) as caught:
        parse_key("ä" * 16 + "x", ErrorCode(code))
    assert caught.value.code == code
    assert "ä" not in str(caught.value)
