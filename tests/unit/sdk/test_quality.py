"""Figures from counters; gaps between pictures; sound in other shapes; queues of frames."""

from __future__ import annotations

import numpy as np
import pytest

from sanderling import AudioFrame, ErrorCode, PlayError, SanderlingError
from sanderling.sdk.audio import AudioShaper
from sanderling.sdk.frame_queue import FrameQueue
from sanderling.sdk.quality import Counters, GapMeter, play_quality, publish_quality

MS = 1_000_000


def test_rates_are_of_the_interval_and_counts_of_the_whole() -> None:
    before: Counters = {"time_ms": 1000.0, "frames_received": 100.0, "bytes_received": 50_000.0}
    now: Counters = {
        "time_ms": 3000.0,
        "frames_received": 150.0,
        "bytes_received": 300_000.0,
        "packets_lost": 5.0,
        "packets_received": 95.0,
        "jitter_buffer_delay": 0.5,
        "jitter_buffer_emitted_count": 50.0,
        "codec": "VP8",
    }
    audio: Counters = {
        "time_ms": 3000.0,
        "total_samples_received": 96_000.0,
        "concealed_samples": 9_600.0,
        "silent_concealed_samples": 4_800.0,
    }
    quality = play_quality(now, audio, before, {}, GapMeter())
    assert quality.video_recv_fps == 25.0
    assert quality.video_kbps == 1000.0
    assert quality.frames_received == 150
    assert quality.packet_lost_rate == pytest.approx(0.05)
    assert quality.jitter_buffer_ms == pytest.approx(10.0)
    assert quality.concealed_ratio == pytest.approx(0.05)
    assert quality.audio_received_ms == pytest.approx(1800.0)
    assert quality.video_codec == "VP8"


def test_without_counters_there_are_only_zeros() -> None:
    assert play_quality({}, {}, {}, {}, GapMeter()).video_recv_fps == 0.0
    assert publish_quality({"time_ms": 5.0, "frames_sent": 3.0}, {}, {}, {}).video_send_fps == 0.0


def test_gaps_above_half_a_second_are_freezes() -> None:
    meter = GapMeter()
    for at in (0, 40, 540, 1041, 1081):
        meter.frame(at * MS)
    assert (meter.freezes, meter.frozen_ns) == (1, 501 * MS)


def block(values: list[list[int]], rate: int = 48_000) -> AudioFrame:
    return AudioFrame(np.array(values, np.int16), rate, 0)


def test_sound_is_cut_into_blocks_without_losing_a_sample() -> None:
    shaper = AudioShaper(rate=48_000, channels=1, block_ms=20)
    out = []
    for start in range(0, 4800, 480):
        out += shaper.push(block([[value % 30_000] for value in range(start, start + 480)]))
    assert [len(part.samples) for part in out] == [960] * 5
    assert (np.concatenate([part.samples for part in out])[:, 0] == np.arange(4800)).all()


def test_channels_are_mixed_and_doubled() -> None:
    mono = AudioShaper(rate=8000, channels=1, block_ms=1).push(block([[100, 300]] * 8, 8000))
    assert (mono[0].samples == 200).all()
    stereo = AudioShaper(rate=8000, channels=2, block_ms=1).push(block([[7]] * 8, 8000))
    assert stereo[0].samples.shape == (8, 2)
    assert (stereo[0].samples == 7).all()


def test_sound_is_resampled() -> None:
    shaper = AudioShaper(rate=16_000, channels=1, block_ms=10)
    tone = (np.sin(np.arange(48_000) * 2 * np.pi * 400 / 48_000) * 10_000).astype(np.int16)[:, None]
    out = [
        part
        for start in range(0, 48_000, 480)
        for part in shaper.push(AudioFrame(tone[start : start + 480], 48_000, 0))
    ]
    samples = np.concatenate([part.samples for part in out])[:, 0]
    assert len(samples) == pytest.approx(16_000, abs=320)
    spectrum = np.abs(np.fft.rfft(samples[1600:14_400].astype(np.float64)))
    assert int(spectrum.argmax() * 16_000 / 12_800) == 400


@pytest.mark.parametrize(("rate", "channels", "block_ms"), [(48_001, 1, 10), (48_000, 3, 10), (48_000, 1, 0)])
def test_shapes_of_sound_that_are_not_offered(rate: int, channels: int, block_ms: int) -> None:
    with pytest.raises(SanderlingError) as caught:
        AudioShaper(rate=rate, channels=channels, block_ms=block_ms)
    assert caught.value.code == ErrorCode.ILLEGAL_PARAMETER


async def test_a_slow_reader_gets_the_newest_and_drops_are_counted() -> None:
    queue: FrameQueue[int] = FrameQueue(1)
    for number in range(5):
        queue.put(number)
    assert await anext(queue) == 4
    assert queue.dropped == 4
    everything: FrameQueue[int] = FrameQueue(0)
    for number in range(5):
        everything.put(number)
    everything.close()
    assert [item async for item in everything] == [0, 1, 2, 3, 4]


async def test_a_queue_raises_its_error_once() -> None:
    queue: FrameQueue[int] = FrameQueue(1)
    queue.close(PlayError(ErrorCode.PLAY_INTERRUPTED))
    with pytest.raises(PlayError):
        await anext(queue)
    with pytest.raises(StopAsyncIteration):
        await anext(queue)
