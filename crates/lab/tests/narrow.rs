//! Viewers whose network carries less than the stream.

use std::time::Duration;

use sanderling_lab::{Lab, LayerChoice, Link, PeerId, Replay, Source, ms, secs};

/// Delays of sound that came in a time, as the lab's sound is made every 20 ms; and the longest silence.
fn sound(lab: &Lab, guest: PeerId, from: Duration) -> (Vec<Duration>, Duration) {
    let heard: Vec<_> = lab
        .seen(guest)
        .audio
        .iter()
        .filter(|p| p.at > from)
        .collect();
    let began = lab
        .seen(guest)
        .audio
        .iter()
        .map(|p| p.at - ms(20 * p.number))
        .min();
    let began = began.unwrap_or_default();
    let delays = heard
        .iter()
        .map(|p| p.at - ms(20 * p.number) - began)
        .collect();
    let silences = heard.windows(2).map(|pair| pair[1].at - pair[0].at);
    (delays, silences.max().unwrap_or(Duration::MAX))
}

#[test]
fn on_a_link_that_is_too_narrow_sound_goes_on_and_no_queue_stands() {
    for seed in Replay::seeds(0..6) {
        let _replay = Replay::new("on_a_link_that_is_too_narrow", seed);
        for rate in [200_000, 400_000] {
            let clean = Link::clean().delay(ms(10));
            let mut lab = Lab::seed(seed);
            // 0.6 Mb/s of pictures; a queue that could hold three seconds.
            let host = lab.publisher("host", Source::vp8(25), clean);
            let guest = lab.viewer("guest", clean);
            lab.run(secs(1));
            lab.play(guest, host);
            lab.run(secs(5));
            lab.relink(guest, clean.rate(rate).queue(secs(3)));
            let narrowed = lab.elapsed();
            lab.run(secs(20));
            let (delays, silence) = sound(&lab, guest, narrowed);
            let worst = delays.iter().max().copied().unwrap_or_default();
            assert!(
                delays.len() >= 900,
                "{rate}: {} packets of sound",
                delays.len()
            );
            assert!(silence < ms(400), "{rate}: silent for {silence:?}");
            assert!(worst < ms(1_000), "{rate}: sound late by {worst:?}");
            // The queue is gone most of the time, not bounded by the link's patience.
            let late = delays.iter().filter(|delay| **delay > ms(400)).count();
            assert!(
                late * 10 < delays.len(),
                "{rate}: {late} of {}",
                delays.len()
            );
            let seen = lab.seen(guest).video.iter();
            let shown: Vec<_> = seen
                .filter(|f| f.shown && f.at > narrowed + secs(1))
                .collect();
            assert!(shown.len() >= 5, "{rate}: {} pictures", shown.len());
            // Its key frames do not become everybody's.
            assert!(
                lab.key_frames_asked(host) <= 25,
                "{}",
                lab.key_frames_asked(host)
            );
            // The link is wide again.
            lab.relink(guest, clean);
            lab.run(secs(15));
            let wide = lab.elapsed() - secs(2);
            let seen = lab.seen(guest).video.iter();
            let frames = seen.filter(|f| f.shown && f.at > wide).count();
            assert!(frames >= 45, "{rate}: {frames} frames in the last 2 s");
            lab.end();
        }
    }
}

#[test]
fn a_viewer_on_a_narrow_link_harms_no_other() {
    for seed in Replay::seeds(0..10) {
        let _replay = Replay::new("a_viewer_on_a_narrow_link", seed);
        let clean = Link::clean().delay(ms(10));
        let mut lab = Lab::seed(seed);
        let host = lab.publisher("host", Source::vp8(25), clean);
        let narrow = lab.viewer("narrow", clean.rate(150_000).queue(secs(1)));
        let wide = lab.viewer("wide", clean);
        lab.run(secs(1));
        lab.play(narrow, host);
        lab.play(wide, host);
        lab.run(secs(15));
        let numbers = lab.seen(wide).numbers();
        assert!(numbers.len() >= 370, "{}", numbers.len());
        assert!(
            lab.seen(wide).longest_gap() < ms(200),
            "{:?}",
            lab.seen(wide).longest_gap()
        );
        let (delays, silence) = sound(&lab, narrow, secs(3));
        assert!(
            delays.len() > 500 && silence < ms(700),
            "{} {silence:?}",
            delays.len()
        );
        lab.end();
    }
}

#[test]
fn the_lower_layer_is_sent_where_the_higher_one_does_not_fit_and_only_there() {
    for seed in Replay::seeds(0..6) {
        let _replay = Replay::new("the_lower_layer_is_sent", seed);
        let clean = Link::clean().delay(ms(10));
        let mut lab = Lab::seed(seed);
        // 0.6 Mb/s, and 0.12 Mb/s.
        let host = lab.publisher("host", Source::vp8(25).layered(), clean);
        let narrow = lab.viewer("narrow", clean);
        let wide = lab.viewer("wide", clean);
        let small = lab.viewer("small", clean);
        lab.run(secs(2));
        for guest in [narrow, wide, small] {
            lab.play(guest, host);
        }
        lab.choose(small, host, LayerChoice::Small);
        lab.run(secs(4));
        lab.relink(narrow, clean.rate(350_000).queue(secs(2)));
        let narrowed = lab.elapsed();
        lab.run(secs(12));
        // Frames and the largest of them that was no key frame, in the last seconds.
        let recent = |lab: &Lab, guest: PeerId| {
            let from = lab.elapsed() - secs(4);
            let seen = lab.seen(guest).video.iter();
            let frames: Vec<_> = seen.filter(|f| f.shown && f.at > from && !f.key).collect();
            let largest = frames.iter().map(|f| f.bytes).max();
            (frames.len(), largest.unwrap_or(0))
        };
        for (guest, bytes) in [(narrow, 600), (wide, 3_000), (small, 600)] {
            let (frames, largest) = recent(&lab, guest);
            assert!(
                frames >= 85 && largest == bytes,
                "{frames} frames of up to {largest}"
            );
        }
        let (delays, silence) = sound(&lab, narrow, narrowed);
        let late = delays.iter().filter(|delay| **delay > ms(300)).count();
        assert!(
            silence < ms(300) && late * 10 < delays.len(),
            "{silence:?}, {late} late"
        );
        // Wide again: the higher layer comes back.
        lab.relink(narrow, clean);
        lab.run(secs(25));
        let (frames, largest) = recent(&lab, narrow);
        assert!(
            frames >= 85 && largest == 3_000,
            "{frames} frames of up to {largest}"
        );
        let back = lab
            .seen(narrow)
            .video
            .windows(2)
            .find(|pair| pair[1].number < pair[0].number);
        assert!(back.is_none(), "{back:?}");
        lab.end();
    }
}
