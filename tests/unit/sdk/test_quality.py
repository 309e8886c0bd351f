"""Figures from counters; gaps between pictures; sound in other shapes; queues of frames."""

from __future__ import annotations

import numpy as np
import pytest

from sanderling import AudioFrame, ErrorCode, PlayError, PlayQuality, SanderlingError, StreamQualityLevel
from sanderling.sdk.audio import AudioShaper
from sanderling.sdk.frame_queue import FrameQueue
from sanderling.sdk.quality import Counters, GapMeter, Upstream, network_level, play_quality, publish_quality

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


def test_every_figure_of_a_play() -> None:
    before: Counters = {"time_ms": 0.0, "packets_received": 0.0, "jitter_buffer_emitted_count": 0.0}
    now: Counters = {
        "time_ms": 2000.0,
        "packets_received": 198.0,
        "packets_lost": 2.0,
        "round_trip_time": 0.04,
        "bytes_received": 1000.0,
        "jitter_buffer_delay": 1.0,
        "jitter_buffer_emitted_count": 50.0,
        "frozen_ms": 500.0,
        "running_ms": 1500.0,
        "estimated_playout_timestamp": 10_020.0,
    }
    audio_before: Counters = {"time_ms": 0.0}
    audio: Counters = {
        "time_ms": 2000.0,
        "packets_received": 100.0,
        "bytes_received": 500.0,
        "total_samples_received": 96_000.0,
        "concealed_samples": 9_600.0,
        "concealment_events": 3.0,
        "jitter_buffer_delay": 96_000 * 0.03,
        "jitter_buffer_emitted_count": 96_000.0,
        "estimated_playout_timestamp": 10_000.0,
    }
    quality = play_quality(now, audio, before, audio_before, GapMeter())
    assert (quality.video_dejitter_fps, quality.video_break_rate, quality.video_decode_ms) == (
        25.0,
        0.25,
        1500.0,
    )
    assert (quality.audio_recv_fps, quality.audio_dejitter_fps, quality.audio_render_fps) == (
        50.0,
        100.0,
        100.0,
    )
    assert quality.audio_decode_fps == pytest.approx(90.0)
    assert (quality.audio_break_count, quality.audio_break_ms) == (3, pytest.approx(200.0))
    assert quality.audio_break_rate == pytest.approx(0.1)
    assert 1.0 < quality.mos < 4.0
    assert quality.delay_ms == pytest.approx(30.0)
    assert quality.peer_to_peer_delay_ms == pytest.approx(50.0)
    assert quality.level is StreamQualityLevel.EXCELLENT
    assert quality.av_timestamp_diff_ms == -20.0
    assert (quality.video_recv_bytes, quality.audio_recv_bytes, quality.total_recv_bytes) == (1000, 500, 1500)


def test_every_figure_of_a_publish() -> None:
    video: Counters = {
        "time_ms": 1000.0,
        "bytes_sent": 100.0,
        "target_bitrate": 900_000.0,
        "round_trip_time": 0.3,
    }
    audio: Counters = {"time_ms": 1000.0, "bytes_sent": 50.0, "packets_sent": 50.0, "captured_seconds": 1.0}
    quality = publish_quality(video, audio, {"time_ms": 0.0}, {"time_ms": 0.0})
    assert (quality.video_send_bytes, quality.audio_send_bytes) == (100, 50)
    assert (quality.audio_send_fps, quality.audio_capture_fps) == (50.0, 100.0)
    assert quality.video_target_kbps == 900.0
    assert quality.level is StreamQualityLevel.MEDIUM


@pytest.mark.parametrize(
    ("rtt_ms", "loss", "level"),
    [
        (20.0, 0.0, StreamQualityLevel.EXCELLENT),
        (200.0, 0.0, StreamQualityLevel.GOOD),
        (20.0, 0.05, StreamQualityLevel.GOOD),
        (20.0, 0.15, StreamQualityLevel.MEDIUM),
        (20.0, 0.5, StreamQualityLevel.BAD),
        (20.0, 0.7, StreamQualityLevel.DIE),
        (3000.0, 0.0, StreamQualityLevel.DIE),
    ],
)
def test_the_worse_of_round_trip_and_loss_decides(
    rtt_ms: float, loss: float, level: StreamQualityLevel
) -> None:
    assert network_level(rtt_ms, loss) is level


def test_the_best_sound_is_better_than_any_other() -> None:
    perfect = play_quality(
        {}, {"time_ms": 1.0, "total_samples_received": 480.0}, {}, {"time_ms": 0.0}, GapMeter()
    )
    assert perfect.mos == pytest.approx(4.4, abs=0.1)
    assert play_quality({}, {}, {}, {}, GapMeter()).mos == -1.0


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


def test_figures_from_publisher_to_player_hold_both_ways() -> None:
    behind = PlayQuality(peer_to_peer_delay_ms=50.0, peer_to_peer_packet_lost_rate=0.2)
    whole = Upstream(rtt_ms=80.0, loss=0.5).added_to(behind)
    assert whole.peer_to_peer_delay_ms == pytest.approx(90.0)
    assert whole.peer_to_peer_packet_lost_rate == pytest.approx(0.6)
    unknown = Upstream().added_to(behind)
    assert unknown.peer_to_peer_packet_lost_rate == pytest.approx(0.2)
    assert unknown.peer_to_peer_delay_ms == pytest.approx(50.0)


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
