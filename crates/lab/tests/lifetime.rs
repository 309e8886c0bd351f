//! Ends: with a word, without one, and what is left of them.

use sanderling_lab::{Lab, Link, Replay, Source, ms, secs};

#[test]
fn nothing_is_left_of_those_who_leave() {
    for seed in Replay::seeds(0..10) {
        let _replay = Replay::new("nothing_is_left_of_those_who_leave", seed);
        for workers in [1, 2] {
            let mut lab = Lab::with_workers(seed, workers);
            let host = lab.publisher("host", Source::vp8(25), Link::wifi());
            let guest = lab.viewer("guest", Link::wifi());
            lab.run(ms(500));
            lab.play(guest, host);
            lab.run(secs(2));
            lab.leave(host);
            lab.run(ms(100));
            lab.leave(guest);
            lab.run(ms(100));
            lab.assert_empty();
            assert!(lab.failures().is_empty(), "{:?}", lab.failures());
        }
    }
}

#[test]
fn peers_that_vanish_are_given_up_after_their_time_and_leave_nothing() {
    for seed in Replay::seeds(0..10) {
        let _replay = Replay::new("peers_that_vanish", seed);
        for workers in [1, 2] {
            let mut lab = Lab::with_workers(seed, workers);
            let host = lab.publisher("host", Source::vp8(25), Link::clean());
            let guest = lab.viewer("guest", Link::clean());
            lab.run(ms(500));
            lab.play(guest, host);
            lab.run(secs(1));
            lab.vanish(guest);
            lab.run(secs(5));
            assert!(
                !lab.trace()
                    .lines()
                    .iter()
                    .any(|line| line.contains("closed")),
                "given up too early"
            );
            lab.vanish(host);
            lab.settle();
            let closed: Vec<&String> = lab
                .trace()
                .lines()
                .iter()
                .filter(|line| line.contains("closed"))
                .collect();
            assert_eq!(closed.len(), 2, "{closed:?}");
            assert!(
                closed.iter().all(|line| line.contains("ConsentExpired")),
                "{closed:?}"
            );
            lab.assert_empty();
        }
    }
}

#[test]
fn a_peer_that_never_connects_is_given_up() {
    for seed in Replay::seeds(0..10) {
        let _replay = Replay::new("a_peer_that_never_connects", seed);
        let mut lab = Lab::seed(seed);
        let host = lab.publisher("host", Source::vp8(25), Link::clean());
        let guest = lab.viewer("guest", Link::clean());
        lab.vanish(host);
        lab.vanish(guest);
        lab.settle();
        lab.settle();
        let lines = lab.trace().lines();
        assert_eq!(
            lines
                .iter()
                .filter(|line| line.contains("IceTimeout"))
                .count(),
            2,
            "{lines:?}"
        );
        lab.assert_empty();
    }
}

#[test]
fn a_viewer_outlives_the_streams_it_plays() {
    for seed in Replay::seeds(0..6) {
        let _replay = Replay::new("a_viewer_outlives", seed);
        for workers in [1, 2] {
            let mut lab = Lab::with_workers(seed, workers);
            let guest = lab.viewer("guest", Link::clean());
            // More streams one after the other than it has slots.
            for number in 0..4 {
                let host = lab.publisher(&format!("host {number}"), Source::vp8(25), Link::clean());
                lab.run(ms(500));
                lab.forget(guest);
                lab.play(guest, host);
                lab.run(secs(1));
                assert!(
                    lab.seen(guest).numbers().len() > 15,
                    "host {number}: {:?}",
                    lab.failures()
                );
                lab.leave(host);
                lab.run(ms(50));
            }
            lab.leave(guest);
            lab.run(ms(50));
            lab.assert_empty();
        }
    }
}

#[test]
fn playing_more_than_there_are_slots_or_what_is_not_there_fails_with_its_reason() {
    let mut lab = Lab::seed(1);
    let guest = lab.viewer("guest", Link::clean());
    let hosts: Vec<_> = (0..3)
        .map(|n| lab.publisher(&format!("host {n}"), Source::vp8(25), Link::clean()))
        .collect();
    lab.run(ms(500));
    for host in &hosts {
        lab.play(guest, *host);
    }
    assert_eq!(lab.failures().len(), 1);
    assert!(
        lab.failures()[0].starts_with("NoSlot"),
        "{:?}",
        lab.failures()
    );
    lab.leave(hosts[2]);
    lab.play(guest, hosts[2]);
    lab.play(guest, hosts[0]);
    let reasons: Vec<&str> = lab
        .failures()
        .iter()
        .map(|text| text.split(':').next().unwrap())
        .collect();
    assert_eq!(reasons, ["NoSlot", "UnknownStream", "Duplicate"]);
    lab.end();
}
