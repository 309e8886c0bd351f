"""Pictures and sound through real peer connections in one process, by the transports of the SDK."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
import webrtc
import wrtc

from sanderling import (
    AudioFrame,
    CustomVideoSource,
    ErrorCode,
    MediaUnavailable,
    PixelFormat,
    PublisherConfig,
    PublishError,
    SanderlingError,
    VideoCodec,
    VideoFrame,
)
from sanderling.sdk.webrtc.publisher import PublisherTransport
from sanderling.sdk.webrtc.tracks import AudioFeed, AudioInput, VideoFeed, VideoInput
from sanderling.sdk.webrtc.viewer import ViewerTransport

WIDTH, HEIGHT = 320, 240
SECONDS = 15.0


async def answer(
    peer: webrtc.RTCPeerConnection, offer: str, edit: Callable[[], Awaitable[None]] | None = None
) -> str:
    """The far end's answer with its candidates, as an ICE-lite server gives it."""
    await peer.set_remote_description(webrtc.RTCSessionDescriptionInit("offer", offer))
    if edit is not None:
        await edit()
    await peer.set_local_description(await peer.create_answer())
    async with asyncio.timeout(SECONDS):
        while peer.ice_gathering_state.value != "complete":
            await asyncio.sleep(0.005)
    return peer.local_description.sdp


def picture(luma: int) -> VideoFrame:
    array = np.full((HEIGHT * 3 // 2, WIDTH), 128, np.uint8)
    array[:HEIGHT] = luma
    array[: HEIGHT // 2, : WIDTH // 2] = 255 - luma
    return VideoFrame.from_ndarray(array, PixelFormat.I420)


def ignore(state: str, error: SanderlingError | None) -> None:
    assert error is None, error


async def push_until(done: asyncio.Event, push: Callable[[], object]) -> None:
    """Push every 20 ms until ``done``."""
    async with asyncio.timeout(SECONDS):
        while not done.is_set():
            push()
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("codec", [VideoCodec.VP8, VideoCodec.VP9, VideoCodec.AV1])
async def test_a_published_picture_arrives_with_its_content(codec: VideoCodec) -> None:
    transport = PublisherTransport(
        PublisherConfig(video_codec=codec), video=True, audio=True, on_state=ignore
    )
    peer = webrtc.RTCPeerConnection()
    arrived: list[VideoFrame] = []
    done = asyncio.Event()

    def take(frame: VideoFrame) -> None:
        arrived.append(frame)
        done.set()

    try:
        offer = await transport.offer()
        assert f"{codec.value}/90000" in offer
        await transport.accept(await answer(peer, offer))
        feed = VideoFeed(next(r.track for r in peer.get_receivers() if r.track.kind == "video"), take)
        feed.start()
        assert transport.video is not None
        await push_until(done, lambda: transport.video.write(picture(40)) if transport.video else None)
        feed.stop()
        frame = arrived[0]
        assert frame.width / frame.height == WIDTH / HEIGHT
        luma = frame.planes[0]
        dark = luma[frame.height * 3 // 4, frame.width * 3 // 4]
        bright = luma[frame.height // 4, frame.width // 4]
        assert abs(int(dark) - 40) <= 4
        assert abs(int(bright) - 215) <= 4
        assert frame.rtp_timestamp is not None
        assert frame.to_ndarray().shape == (frame.height, frame.width, 3)
        video, _ = await transport.track_counters()
        assert video["codec"] == codec.value
        assert isinstance(video["frames_sent"], float)
        assert video["frames_sent"] >= 1
    finally:
        transport.close()
        peer.close()


async def test_the_viewer_receives_pictures_and_stereo_sound() -> None:
    viewer = ViewerTransport((), ignore)
    peer = webrtc.RTCPeerConnection()
    pictures, sound = VideoInput(), AudioInput()
    frames: list[VideoFrame] = []
    blocks: list[AudioFrame] = []
    done = asyncio.Event()

    def check() -> None:
        loud = [block for block in blocks if np.abs(block.samples).max() > 3000]
        if frames and len(loud) >= 5:
            done.set()

    async def send() -> None:
        audio, video = peer.get_transceivers()[:2]
        for transceiver, track in ((audio, sound.track), (video, pictures.track)):
            transceiver.direction = webrtc.RTCRtpTransceiverDirection.sendonly
            await transceiver.sender.replace_track(track)

    phase = 0

    def push() -> None:
        nonlocal phase
        pictures.write(picture(90))
        angle = (phase + np.arange(960)) * 2 * np.pi * 500 / 48_000
        phase += 960
        left = (np.sin(angle) * 12_000).astype(np.int16)
        sound.write(np.stack([left, np.zeros_like(left)], axis=1), 48_000)
        check()

    try:
        await viewer.accept(await answer(peer, await viewer.offer(), send))
        audio_track, video_track = viewer.track("0"), viewer.track("1")
        assert audio_track is not None
        assert video_track is not None
        video_feed = VideoFeed(video_track, frames.append)
        audio_feed = AudioFeed(audio_track, blocks.append)
        video_feed.start()
        audio_feed.start()
        await push_until(done, push)
        loud = [block for block in blocks if np.abs(block.samples).max() > 3000]
        assert loud[-1].samples.dtype == np.int16
        assert loud[-1].samples.shape == (480, 2)
        left, right = (np.abs(loud[-1].samples[:, channel].astype(np.int32)).max() for channel in (0, 1))
        assert left > 10 * right
        video, audio = await viewer.track_counters("1", "0")
        assert isinstance(video["frames_decoded"], float)
        assert video["frames_decoded"] >= 1
        assert audio["codec"] == "opus"
        video_feed.stop()
        audio_feed.stop()
    finally:
        viewer.close()
        for source in (pictures, sound):
            source.close()
        peer.close()


async def test_the_pool_doubles_and_keeps_what_was_there() -> None:
    viewer = ViewerTransport((), ignore)
    peer = webrtc.RTCPeerConnection()
    offers: list[str] = []

    async def negotiate(offer: str) -> str:
        offers.append(offer)
        return await answer(peer, offer)

    try:
        await viewer.accept(await answer(peer, await viewer.offer()))
        first = viewer.track("1")
        await viewer.grow(2, negotiate)
        assert offers == []
        await viewer.grow(3, negotiate)
        await viewer.grow(40, negotiate)
        assert [offer.count("\nm=video") for offer in offers] == [4, 16]
        assert viewer.slots == 16
        assert viewer.track("1") == first
        assert viewer.track("31") is not None
        assert viewer.track("32") is None
    finally:
        viewer.close()
        peer.close()


async def test_codecs_that_the_machine_lacks_are_named() -> None:
    if wrtc.openH264Enabled():
        wrtc.disableOpenH264()
    with pytest.raises(PublishError) as publishing:
        PublisherTransport(
            PublisherConfig(video_codec=VideoCodec.H264), video=True, audio=False, on_state=ignore
        )
    assert publishing.value.code == ErrorCode.ENCODER_UNSUPPORTED
    assert "H264" in publishing.value.message
    with pytest.raises(MediaUnavailable) as playing:
        ViewerTransport((VideoCodec.H264,), ignore)
    assert playing.value.code == ErrorCode.DECODER_UNSUPPORTED


async def test_the_offer_is_limited_to_the_codecs_asked_for() -> None:
    viewer = ViewerTransport((VideoCodec.VP9,), ignore)
    try:
        offer = await viewer.offer()
        assert "VP9/90000" in offer
        assert "VP8/90000" not in offer
        assert "abs-capture-time" in offer
        assert "dependency-descriptor" in offer
    finally:
        viewer.close()


async def test_transports_leave_nothing_behind() -> None:
    async def cycle() -> None:
        transport = PublisherTransport(PublisherConfig(), video=True, audio=True, on_state=ignore)
        viewer = ViewerTransport((), ignore)
        peers = [webrtc.RTCPeerConnection(), webrtc.RTCPeerConnection()]
        await transport.accept(await answer(peers[0], await transport.offer()))
        await viewer.accept(await answer(peers[1], await viewer.offer()))
        for closable in (transport, viewer, *peers):
            closable.close()

    await cycle()
    before = await settled_counts()
    for _ in range(5):
        await cycle()
    assert await settled_counts() == before


async def settled_counts() -> tuple[int, int]:
    """Threads and descriptors, once they have not changed for a while: native threads end in their own time."""
    gc.collect()
    last, same = (0, 0), 0
    while same < 20:
        await asyncio.sleep(0.01)
        now = (len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd")))
        same = same + 1 if now == last else 0
        last = now
    return last


async def test_pushed_pictures_that_nobody_takes() -> None:
    source = CustomVideoSource()
    assert not await source.push(picture(10))
    taken: list[VideoFrame] = []

    class Sink:
        def write(self, frame: VideoFrame) -> bool:
            taken.append(frame)
            return True

    run = source.start(Sink(), None, lambda error: None)
    frame = picture(10)
    assert await source.push(frame)
    assert not await source.push(frame), "not newer than the one before"
    old = VideoFrame.from_ndarray(
        np.zeros((2, 2, 3), np.uint8), captured_ns=time.monotonic_ns() - 2_000_000_000
    )
    assert not source.push_nowait(old), "two seconds late"
    run.stop()
    assert not source.push_nowait(picture(11))
    assert taken == [frame]
