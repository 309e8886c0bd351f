//! Who comes sees a picture at once, whatever the publisher's key frames are like.

use std::time::Duration;

use sanderling_lab::{Lab, Link, PeerId, Random, Replay, SeenFrame, Source, ms, secs};

/// A connected publisher and a connected viewer, `age` after the publisher's first picture.
fn joined(seed: u64, workers: usize, source: Source, age: Duration) -> (Lab, PeerId, PeerId) {
    let link = Link::clean().delay(ms(10));
    let mut lab = Lab::with_workers(seed, workers);
    let host = lab.publisher("host", source, link);
    let guest = lab.viewer("guest", link);
    lab.run(ms(200));
    assert!(lab.connected(host) && lab.connected(guest));
    let first = lab.made_at(host, 0);
    lab.run((first + age).saturating_sub(lab.elapsed()));
    (lab, host, guest)
}

/// Time until the first frame is shown, and until one is live: no older than 300 ms, and followed by the next within
/// 100 ms.
fn times(lab: &Lab, host: PeerId, guest: PeerId, from: Duration) -> (Duration, Duration) {
    let seen = &lab.seen(guest).video;
    let shown: Vec<&SeenFrame> = seen.iter().filter(|frame| frame.shown).collect();
    let live = shown.windows(2).find(|pair| {
        pair[0].at - lab.made_at(host, pair[0].number) <= ms(300)
            && pair[1].at - pair[0].at <= ms(100)
    });
    let first = shown.first().map_or(Duration::MAX, |frame| frame.at - from);
    (first, live.map_or(Duration::MAX, |pair| pair[0].at - from))
}

#[test]
fn a_young_group_of_pictures_is_replayed_without_asking() {
    for seed in Replay::seeds(0..8) {
        let _replay = Replay::new("a_young_group_of_pictures", seed);
        for source in [Source::vp8(25).gop(25), Source::h264(25).gop(25)] {
            // One key frame a second: after 2.3 s it is 300 ms old.
            let (mut lab, host, guest) = joined(seed, 1, source, ms(2_310));
            let asked = lab.key_frames_asked(host);
            let from = lab.elapsed();
            lab.play(guest, host);
            lab.run(secs(2));
            let (first, live) = times(&lab, host, guest, from);
            assert!(
                first <= ms(60) && live <= ms(250),
                "{source:?}: {first:?} {live:?}"
            );
            let numbers = lab.seen(guest).numbers();
            assert_eq!(numbers[0], 50, "{source:?}");
            assert!(
                numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
                "{numbers:?}"
            );
            assert_eq!(lab.key_frames_asked(host), asked);
            lab.end();
        }
    }
}

#[test]
fn an_older_key_frame_is_shown_while_a_new_one_is_made() {
    for seed in Replay::seeds(0..8) {
        let _replay = Replay::new("an_older_key_frame_is_shown", seed);
        // 60 packets a second of pictures: after 900 ms there are more than are replayed.
        let source = Source::vp8(25).bytes(30_000, 6_000).gop(100);
        let (mut lab, host, guest) = joined(seed, 1, source, ms(4_900));
        let asked = lab.key_frames_asked(host);
        let from = lab.elapsed();
        lab.play(guest, host);
        lab.run(secs(2));
        let (first, live) = times(&lab, host, guest, from);
        assert!(first <= ms(100) && live <= ms(250), "{first:?} {live:?}");
        assert_eq!(lab.key_frames_asked(host), asked + 1);
        let seen = lab.seen(guest);
        let numbers = seen.numbers();
        assert_eq!(numbers[0], 100, "the key frame that was there");
        // What depends on pictures that were not sent is not sent either.
        assert!(seen.video[1].key && numbers[1] > 120, "{:?}", &numbers[..3]);
        assert_eq!(seen.key_frame_requests, 0);
        lab.end();
    }
}

#[test]
fn without_a_key_frame_of_use_one_is_asked_for() {
    for seed in Replay::seeds(0..8) {
        let _replay = Replay::new("without_a_key_frame_of_use", seed);
        let source = Source::vp8(25).bytes(30_000, 6_000).gop(250);
        let (mut lab, host, guest) = joined(seed, 1, source, secs(7));
        let (asked, from) = (lab.key_frames_asked(host), lab.elapsed());
        lab.play(guest, host);
        lab.run(secs(2));
        let (first, live) = times(&lab, host, guest, from);
        assert!(first <= ms(200) && live <= ms(250), "{first:?} {live:?}");
        assert_eq!(lab.key_frames_asked(host), asked + 1);
        lab.end();
    }
}

#[test]
fn a_publisher_that_answers_no_request_is_live_within_a_second_and_a_half() {
    for seed in Replay::seeds(0..2) {
        let _replay = Replay::new("a_publisher_that_answers_no_request", seed);
        let mut random = Random::named(seed, "ages");
        for workers in [1, 2] {
            // Before it is known what the publisher does, while it is found out, and after.
            for age in [300, 900, 1_300, 1_700, 3_000 + random.below(17_000)] {
                let source = Source::vp8(25).bytes(20_000, 3_000).gop(250).deaf();
                let (mut lab, host, guest) = joined(seed, workers, source, ms(age));
                let from = lab.elapsed();
                lab.play(guest, host);
                lab.run(secs(4));
                let (first, live) = times(&lab, host, guest, from);
                assert!(first <= ms(1_500), "{age} ms: first after {first:?}");
                assert!(live <= ms(1_500), "{age} ms: live after {live:?}");
                assert_eq!(lab.seen(guest).key_frame_requests, 0, "{age} ms");
                // A live picture stays one.
                let behind: Vec<Duration> = (lab.seen(guest).video.iter())
                    .filter(|frame| frame.shown && frame.at > from + secs(2))
                    .map(|frame| frame.at - lab.made_at(host, frame.number))
                    .collect();
                assert!(behind.len() > 45, "{age} ms: {} frames", behind.len());
                assert!(
                    behind.iter().all(|late| *late < ms(150)),
                    "{age} ms: {behind:?}"
                );
                lab.end();
            }
        }
    }
}

/// 8 MiB are over in 5.6 s here: what follows the key frame is not kept, and the next one cannot be asked for.
#[test]
fn of_a_group_of_pictures_that_is_too_large_the_key_frame_is_shown() {
    for seed in Replay::seeds(0..1) {
        let _replay = Replay::new("of_a_group_of_pictures_that_is_too_large", seed);
        let source = Source::vp8(25).bytes(20_000, 60_000).gop(250).deaf();
        for workers in [1, 2] {
            let (mut lab, host, guest) = joined(seed, workers, source, secs(8));
            let from = lab.elapsed();
            lab.play(guest, host);
            lab.run(secs(3));
            let (first, _) = times(&lab, host, guest, from);
            assert!(first <= ms(200), "{first:?}");
            let numbers = lab.seen(guest).numbers();
            assert_eq!(numbers[..4], [0, 250, 251, 252]);
            assert!(numbers.len() > 15, "{numbers:?}");
            lab.end();
        }
    }
}

#[test]
fn any_number_of_workers_shows_the_same() {
    for seed in Replay::seeds(0..3) {
        let _replay = Replay::new("any_number_of_workers", seed);
        for source in [
            Source::vp8(25).gop(50),
            Source::vp8(25).bytes(30_000, 6_000).gop(100),
            Source::h264(25).gop(250).deaf(),
        ] {
            let shown = |workers: usize| -> Vec<(Vec<SeenFrame>, Vec<SeenFrame>)> {
                let mut lab = Lab::with_workers(seed, workers);
                let link = Link::clean().delay(ms(10));
                let host = lab.publisher("host", source, link);
                let guests: Vec<PeerId> = (0..5)
                    .map(|number| lab.viewer(&format!("guest {number}"), link))
                    .collect();
                for guest in &guests {
                    lab.run(ms(777));
                    lab.play(*guest, host);
                }
                lab.run(secs(2));
                let media = guests.iter().map(|guest| lab.seen(*guest).media());
                let media = media.collect();
                lab.end();
                media
            };
            let one = shown(1);
            assert!(
                one.iter()
                    .all(|(video, sound)| video.len() > 40 && sound.len() > 80)
            );
            for workers in [2, 4] {
                assert!(one == shown(workers), "{source:?} on {workers} workers");
            }
        }
    }
}

/// Viewers that come at `rate` a second for `time`; each stays for little more than a second.
fn crowd(seed: u64, workers: usize, rate: u32, time: Duration) {
    let link = Link::clean().delay(ms(10));
    let mut lab = Lab::with_workers(seed, workers);
    let source = Source::vp8(15).bytes(12_000, 1_100).gop(150).silent();
    let host = lab.publisher("host", source, link);
    lab.run(secs(7));
    let (asked, began) = (lab.key_frames_asked(host), lab.elapsed());
    let mut guests: Vec<(PeerId, Duration)> = Vec::new();
    let mut left = 0;
    for number in 0..(time.as_millis() as u32 * rate / 1_000) {
        let at = began + time * number / (time.as_millis() as u32 * rate / 1_000);
        lab.run(at.saturating_sub(lab.elapsed()));
        let guest = lab.viewer(&format!("guest {number}"), link);
        lab.play(guest, host);
        guests.push((guest, lab.elapsed()));
        while guests[left].1 + ms(1_200) < lab.elapsed() {
            lab.leave(guests[left].0);
            left += 1;
        }
    }
    let asked_after = lab.key_frames_asked(host) - asked;
    lab.run(secs(2));
    for (guest, came) in &guests {
        let first = lab.seen(*guest).video.iter().find(|frame| frame.shown);
        let waited = first.map(|frame| frame.at - *came);
        assert!(
            waited.is_some_and(|waited| waited <= secs(1)),
            "{rate} a second: a picture after {waited:?}"
        );
    }
    let allowed = time.as_secs().max(1);
    assert!(asked_after <= allowed, "{asked_after} requests in {time:?}");
    lab.end();
}

#[test]
fn three_hundred_viewers_a_second_cost_one_key_frame_a_second() {
    for seed in Replay::seeds(0..2) {
        let _replay = Replay::new("three_hundred_viewers_a_second", seed);
        // The long one once: it takes a third of the time of all scenarios.
        let (workers, time) = [(2, 5), (4, 1)][seed as usize % 2];
        crowd(seed, workers, 300, secs(time));
    }
}

#[test]
fn a_thousand_viewers_a_second_cost_no_more() {
    for seed in Replay::seeds(0..1) {
        let _replay = Replay::new("a_thousand_viewers_a_second", seed);
        crowd(seed, 1, 1_000, secs(1));
    }
}
