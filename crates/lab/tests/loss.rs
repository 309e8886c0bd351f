//! Bad links: what is lost is repaired, what cannot be is asked for anew.

use sanderling_lab::{Lab, Link, Replay, Source, ms, secs};

/// Packets lost one way only, so that it is known who repaired them.
#[test]
fn losses_on_either_side_of_the_server_are_repaired() {
    for seed in Replay::seeds(0..5) {
        let _replay = Replay::new("losses_on_either_side", seed);
        for (up, down) in [(0.05, 0.0), (0.0, 0.05), (0.1, 0.0), (0.0, 0.1)] {
            for source in [Source::vp8(25), Source::h264(25)] {
                let link = Link::clean().delay(ms(20)).jitter(ms(8));
                let mut lab = Lab::seed(seed);
                let host = lab.publisher("host", source, link);
                let guest = lab.viewer("guest", link);
                lab.run(secs(1));
                lab.play(guest, host);
                lab.run(secs(1));
                lab.relink(host, link.loss(up));
                lab.relink(guest, link.loss(down));
                lab.forget(guest);
                let before = lab.frames_sent(host);
                lab.run(secs(10));
                let sent = lab.frames_sent(host) - before;
                let whole = lab
                    .seen(guest)
                    .video
                    .iter()
                    .filter(|frame| frame.whole)
                    .count() as u64;
                // Without repair 10 % of loss spoils a quarter of the frames, which are three packets each. Twelve
                // may still be on their way through the jitter buffer.
                assert!(
                    whole + 15 >= sent,
                    "{source:?}, loss {up} up, {down} down: {whole} of {sent}"
                );
                lab.end();
            }
        }
    }
}

#[test]
fn on_a_link_that_loses_and_reorders_the_picture_comes_and_stays() {
    for seed in Replay::seeds(0..6) {
        let _replay = Replay::new("on_a_link_that_loses_and_reorders", seed);
        for loss in [0.05, 0.1] {
            let link = Link::clean().delay(ms(20)).jitter(ms(8)).loss(loss);
            let mut lab = Lab::seed(seed);
            let host = lab.publisher("host", Source::vp8(25), link);
            let guest = lab.viewer("guest", link);
            lab.run(secs(4));
            assert!(
                lab.connected(host) && lab.connected(guest),
                "not connected in 4 s with {loss} loss"
            );
            lab.play(guest, host);
            lab.run(secs(20));
            let seen = lab.seen(guest);
            let shown: Vec<_> = seen.video.iter().filter(|frame| frame.shown).collect();
            let (first, last) = (shown[0], shown[shown.len() - 1]);
            assert!(first.key, "a picture before a key frame");
            // The key frame itself may be damaged where it begins; the viewer asks again every half second.
            assert!(
                first.at < secs(4) + ms(2_000),
                "the picture came after {:?}",
                first.at
            );
            let sent = last.number - first.number + 1;
            assert!(
                shown.len() as f64 >= 0.95 * sent as f64,
                "{} of {sent} with {loss} loss",
                shown.len()
            );
            assert!(
                seen.longest_gap() < ms(1_500),
                "{:?} with {loss} loss",
                seen.longest_gap()
            );
            lab.end();
        }
    }
}

#[test]
fn a_link_with_a_rate_and_a_queue_delivers_what_fits() {
    for seed in Replay::seeds(0..8) {
        let _replay = Replay::new("a_link_with_a_rate", seed);
        let mut lab = Lab::seed(seed);
        let host = lab.publisher("host", Source::vp8(25), Link::clean());
        // The source needs about 0.7 Mbit/s with its headers.
        let guest = lab.viewer(
            "guest",
            Link::clean().rate(1_500_000).jitter(ms(5)).loss(0.02),
        );
        lab.run(secs(2));
        lab.play(guest, host);
        lab.run(secs(10));
        let seen = lab.seen(guest);
        assert!(
            seen.numbers().len() >= 240,
            "{} frames",
            seen.numbers().len()
        );
        assert!(seen.longest_gap() < ms(500), "{:?}", seen.longest_gap());
        lab.end();
    }
}

#[test]
fn after_an_outage_the_picture_comes_back_with_a_key_frame() {
    for seed in Replay::seeds(0..10) {
        let _replay = Replay::new("after_an_outage", seed);
        let mut lab = Lab::seed(seed);
        let host = lab.publisher("host", Source::vp8(25), Link::clean());
        let guest = lab.viewer("guest", Link::clean());
        lab.run(ms(500));
        lab.play(guest, host);
        lab.run(secs(2));
        lab.relink(guest, Link::clean().loss(1.0));
        lab.run(secs(4));
        lab.relink(guest, Link::clean());
        lab.forget(guest);
        lab.run(secs(4));
        let seen = lab.seen(guest);
        assert!(seen.key_frame_requests >= 1, "the viewer noticed nothing");
        let fresh = seen.video.iter().position(|frame| frame.key).unwrap();
        assert!(
            seen.video[fresh..]
                .iter()
                .filter(|frame| frame.shown)
                .count()
                > 50
        );
        // One request per round of the viewer's patience, not one per lost packet.
        assert!(
            lab.key_frames_asked(host) <= 4,
            "{}",
            lab.key_frames_asked(host)
        );
        lab.end();
    }
}
