//! Numbers that run on across sources, layers and picture counters.

use std::sync::Arc;

use sanderling_media::{Codec, DependencyDescriptor, Extensions};

use super::*;

const A: StreamId = StreamId(1);
const B: StreamId = StreamId(2);

fn packet(start: Instant, sequence: u64, ms: u64, key: bool, picture: u8) -> Packet {
    let payload = [0x90, 0xc0, picture, picture, u8::from(!key), 0];
    let at = start + Duration::from_millis(ms);
    Packet {
        kind: Kind::Video,
        codec: Codec::Vp8,
        layer: 0,
        sequence,
        timestamp: (ms * 90) as u32,
        marker: true,
        frame_start: true,
        key_frame: key,
        extensions: Extensions::default(),
        arrival: at,
        captured: at,
        payload: Arc::from(payload.as_slice()),
    }
}

/// Forward as a live viewer does: a source begins with its next key frame.
fn forward(forwarder: &mut Forwarder, stream: StreamId, packet: &Packet) -> Option<Header> {
    let layer = packet.layer;
    if forwarder.source() != Some(Source { stream, layer }) && packet.key_frame {
        forwarder.begin(stream, packet, None, 0);
    }
    let forwarded = forwarder.forward(stream, packet);
    forwarded.map(|(header, _)| header)
}

#[test]
fn what_was_shown_of_a_stream_is_known_on_every_layer_of_it() {
    let (start, mut forwarder) = (Instant::now(), Forwarder::new(100));
    assert_eq!(forwarder.shown(A), None);
    forward(&mut forwarder, A, &packet(start, 500, 40, true, 1));
    forward(&mut forwarder, A, &packet(start, 502, 120, false, 3));
    // A late packet does not make the picture older.
    forward(&mut forwarder, A, &packet(start, 501, 80, false, 2));
    let newest = Some(start + Duration::from_millis(120));
    assert_eq!((forwarder.shown(A), forwarder.shown(B)), (newest, None));
    forwarder.stop();
    assert_eq!(forwarder.shown(A), None, "a new binding begins anywhere");
}

#[test]
fn sequences_by_table() {
    let start = Instant::now();
    let mut forwarder = Forwarder::new(100);
    // (stream, sequence in, key frame, sequence out)
    let rows = [
        (A, 500, false, None),
        (A, 501, true, Some(100)),
        (A, 503, false, Some(102)),
        (A, 502, false, Some(101)),
        (A, 500, false, None),
        (B, 9, false, None),
        (B, 10, true, Some(103)),
        (B, 9, false, None),
        (B, 12, false, Some(105)),
        (B, 11, false, Some(104)),
        (B, 1 << 17, false, Some(103 + (1 << 17) - 10)),
    ];
    for (stream, sequence, key, out) in rows {
        let header = forward(&mut forwarder, stream, &packet(start, sequence, 0, key, 1));
        assert_eq!(
            header.map(|header| header.sequence),
            out,
            "{stream:?} {sequence}"
        );
    }
}

#[test]
fn a_rebind_goes_on_by_the_time_between_the_captures() {
    let start = Instant::now();
    let mut forwarder = Forwarder::new(0);
    let first = forward(&mut forwarder, A, &packet(start, 1, 1_000, true, 5)).unwrap();
    forwarder.stop();
    assert!(forwarder.source().is_none());
    let mut next = packet(start, 77, 3_500, true, 90);
    next.timestamp = 12_345;
    let second = forward(&mut forwarder, B, &next).unwrap();
    assert_eq!(second.timestamp.wrapping_sub(first.timestamp), 2_500 * 90);
    assert_eq!(second.sequence, first.sequence + 1);
    let picture = second.picture.unwrap();
    assert_eq!((picture.number, picture.tl0_index), (Some(6), Some(6)));
    forwarder.stop();
    let early = forward(&mut forwarder, A, &packet(start, 900, 1_000, true, 7)).unwrap();
    assert_eq!(early.timestamp.wrapping_sub(second.timestamp), 3_000);
}

#[test]
fn only_the_layer_that_runs_goes_out() {
    let start = Instant::now();
    let mut forwarder = Forwarder::new(0);
    let on = |layer, sequence, key| Packet {
        layer,
        ..packet(start, sequence, 0, key, 0)
    };
    assert!(forward(&mut forwarder, A, &on(0, 1, true)).is_some());
    assert!(forward(&mut forwarder, A, &on(1, 50, false)).is_none());
    assert!(forward(&mut forwarder, A, &on(0, 2, false)).is_some());
    let changed = forward(&mut forwarder, A, &on(1, 51, true)).unwrap();
    assert_eq!(changed.sequence, 2);
    assert!(forward(&mut forwarder, A, &on(0, 3, false)).is_none());
}

/// Frames of a replay, 40 ms apart and one packet each, and the live one after them.
fn replayed(forwarder: &mut Forwarder, start: Instant, frames: u64) -> Vec<(u32, Instant)> {
    let frame = |number: u64| packet(start, 10 + number, 5_000 + number * 40, number == 0, 0);
    let newest = frame(frames - 1);
    let replay = Replay {
        newest: newest.timestamp,
        captured: newest.captured,
        frames: frames as u32,
    };
    forwarder.begin(A, &frame(0), Some(replay), 0);
    let sent = (0..=frames).map(|number| forwarder.forward(A, &frame(number)).unwrap());
    sent.map(|(header, captured)| (header.timestamp, captured))
        .collect()
}

#[test]
fn a_short_replay_keeps_its_spacing_and_a_long_one_is_squeezed_towards_live() {
    let start = Instant::now();
    // (frames, ticks between two of them)
    for (frames, step) in [(1, 3_600), (10, 3_600), (12, 90), (250, 90)] {
        let mut forwarder = Forwarder::new(0);
        let sent = replayed(&mut forwarder, start, frames);
        for pair in sent.windows(2).take(frames as usize - 1) {
            assert_eq!(pair[1].0 - pair[0].0, step, "{frames} frames");
            let apart = (pair[1].1 - pair[0].1).as_nanos() as u32 * 9 / 100_000;
            assert_eq!(apart, step, "sender reports of {frames} frames");
        }
        let [.., newest, live] = sent.as_slice() else {
            panic!()
        };
        assert_eq!(live.0 - newest.0, 3_600);
        let natural = (5_000 + frames * 40) as u32 * 90;
        assert_eq!(live.0, natural, "live has its own time");
    }
}

#[test]
fn a_replay_after_another_source_never_goes_back() {
    let start = Instant::now();
    // (last frame before at, ms; frames; first timestamp after it; live after the last before it)
    let rows = [
        (4_000, 5, 1_000 * 90, 1_200 * 90),
        (5_150, 5, 0, 50 * 90),
        (5_199, 5, 0, 0),
        (4_900, 100, 0, 4_100 * 90),
    ];
    for (before, frames, first, live) in rows {
        let mut forwarder = Forwarder::new(0);
        let last = forward(&mut forwarder, B, &packet(start, 1, before, true, 0)).unwrap();
        let sent = replayed(&mut forwarder, start, frames);
        let after = |at: usize| sent[at].0.wrapping_sub(last.timestamp).cast_signed();
        let row = format!("{before} ms, {frames} frames");
        assert!(after(0) > 0 && sent.is_sorted(), "{row}: {}", after(0));
        if first > 0 {
            assert_eq!(after(0), first, "{row}");
        }
        let late = after(frames as usize) - live.max(3_600);
        assert!((0..=3_600 + 450).contains(&late), "{row}: {late}");
    }
}

#[test]
fn a_packet_in_front_of_the_first_one_has_its_own_number() {
    let start = Instant::now();
    let mut forwarder = Forwarder::new(7);
    let key = packet(start, 50, 0, true, 0);
    forwarder.begin(A, &key, None, 1);
    let (ahead, _) = forwarder.ahead(&key).unwrap();
    let (first, _) = forwarder.forward(A, &key).unwrap();
    assert_eq!((ahead.sequence, first.sequence), (7, 8));
    assert_eq!(ahead.timestamp, first.timestamp);
}

#[test]
fn sound_starts_at_once_but_not_with_padding() {
    let start = Instant::now();
    let mut forwarder = Forwarder::new(0);
    let mut sound = packet(start, 1, 0, false, 0);
    sound.kind = Kind::Audio;
    sound.codec = Codec::Opus;
    let padding = Packet {
        payload: Arc::from([].as_slice()),
        ..sound.clone()
    };
    assert!(forwarder.forward_sound(A, &padding).is_none());
    let header = forwarder.forward_sound(A, &sound).unwrap();
    assert_eq!((header.picture, header.playout_delay), (None, None));
}

/// A packet with its codec's numbers.
fn numbered(start: Instant, codec: Codec, sequence: u64, number: u16) -> Packet {
    let [high, low] = number.to_be_bytes();
    let payload = match codec {
        Codec::Vp8 => vec![0x90, 0xc0, 0x80 | high, low, low, 0, 0],
        Codec::Vp9 => vec![0xa8, 0x80 | high, low, 0, low, 0],
        _ => vec![0x18, 0x0a, 0],
    };
    let dependency = DependencyDescriptor::new(&[0xc0, high, low, 0x80, 1]);
    Packet {
        codec,
        extensions: Extensions {
            dependency: dependency.filter(|_| codec == Codec::Av1),
            ..Extensions::default()
        },
        payload: Arc::from(payload.as_slice()),
        ..packet(start, sequence, sequence * 33, true, 0)
    }
}

#[test]
fn numbers_of_every_codec_go_on_across_switches() {
    let start = Instant::now();
    for (codec, mask) in [
        (Codec::Vp8, 0x7fff),
        (Codec::Vp9, 0x7fff),
        (Codec::Av1, 0xffff),
    ] {
        let mut forwarder = Forwarder::new(0);
        let mut seen = Vec::new();
        // (stream, layer, first number): two streams and two layers, some close to a wrap.
        for (stream, layer, first) in [
            (A, 0, 0x7ffd_u16),
            (B, 0, 3),
            (B, 1, 0x1234),
            (A, 0, 0xfffe & mask),
            (A, 1, 0),
        ] {
            for step in 0..5_u16 {
                let number = first.wrapping_add(step) & mask;
                let mut packet = numbered(start, codec, u64::from(step) + 70, number);
                packet.layer = layer;
                let header = forward(&mut forwarder, stream, &packet).unwrap();
                let came = PictureNumbers::of(&packet).unwrap();
                seen.push(header.picture.unwrap_or(came));
            }
        }
        for pair in seen.windows(2) {
            let numbers = |at: usize| (pair[at].number.unwrap(), pair[at].tl0_index);
            let ((last, last_tl0), (next, tl0)) = (numbers(0), numbers(1));
            assert_eq!(next, last.wrapping_add(1) & mask, "{codec}: {seen:?}");
            assert_eq!(tl0, last_tl0.map(|tl0| tl0.wrapping_add(1)), "{codec}");
            assert_eq!(tl0.is_some(), codec != Codec::Av1);
        }
    }
}

#[test]
fn narrow_numbers_go_on_from_wide_ones() {
    let start = Instant::now();
    let mut forwarder = Forwarder::new(0);
    let wide = numbered(start, Codec::Vp8, 1, 0x1234);
    assert_eq!(forward(&mut forwarder, A, &wide).unwrap().picture, None);
    for (expected, number) in (0x1235..).zip(5..8) {
        let narrow = packet(start, u64::from(number) + 1, 50, true, number);
        let picture = forward(&mut forwarder, B, &narrow)
            .unwrap()
            .picture
            .unwrap();
        assert_eq!(picture.number, Some(expected & 0x7f));
    }
}
