//! Lives that nobody would write down: operations by chance, on the worker alone and with real peers.

use std::collections::BTreeSet;

use sanderling_lab::{Lab, Link, PeerId, Random, Replay, Source, fuzz, ms};

#[test]
fn sequences_of_operations_leave_nothing_and_answer_everything() {
    let mut seen = BTreeSet::new();
    let seeds = Replay::seeds(0..500);
    for seed in &seeds {
        let _replay = Replay::new("sequences_of_operations", *seed);
        let mut random = Random::named(*seed, "operations");
        let bytes: Vec<u8> = (0..random.below(1_500))
            .map(|_| random.number() as u8)
            .collect();
        seen.extend(fuzz::operations(&bytes));
    }
    // The search is worth something only if it gets everywhere.
    for kind in [
        "Answered",
        "Bound",
        "Done",
        "closed IceTimeout",
        "failed BadOffer",
        "failed Duplicate",
        "failed NoSlot",
        "failed TooManySessions",
        "failed UnknownSession",
        "failed UnknownStream",
    ] {
        assert!(
            seeds.len() < 500 || seen.contains(kind),
            "no sequence came to {kind}: {seen:?}"
        );
    }
}

#[test]
fn whatever_peers_do_nothing_is_left_of_them() {
    for seed in Replay::seeds(0..6) {
        let _replay = Replay::new("whatever_peers_do", seed);
        let mut random = Random::named(seed, "life");
        let mut lab = Lab::with_workers(seed, 1 + seed as usize % 2);
        let (mut hosts, mut guests): (Vec<PeerId>, Vec<PeerId>) = (Vec::new(), Vec::new());
        for step in 0..60 {
            let link = Link::clean()
                .delay(ms(random.below(60)))
                .jitter(ms(random.below(30)))
                .loss(random.share() * 0.2)
                .rate([0, 2_000_000][random.below(2) as usize]);
            let host = hosts
                .get(random.below(hosts.len() as u64) as usize)
                .copied();
            let guest = guests
                .get(random.below(guests.len() as u64) as usize)
                .copied();
            match (random.below(12), guest, host) {
                (0, ..) if hosts.len() < 4 => {
                    let source = [Source::vp8(25), Source::h264(15)][random.below(2) as usize];
                    hosts.push(lab.publisher(&format!("host {step}"), source, link));
                }
                (1 | 2, ..) if guests.len() < 6 => {
                    guests.push(lab.viewer(&format!("guest {step}"), link))
                }
                (3..=5, Some(guest), Some(host)) => lab.play(guest, host),
                (6, Some(guest), Some(host)) => lab.stop(guest, host),
                (7, Some(guest), _) => lab.relink(guest, link),
                (8, Some(guest), _) => {
                    guests.retain(|other| *other != guest);
                    [Lab::leave, Lab::vanish][random.below(2) as usize](&mut lab, guest);
                }
                (9, _, Some(host)) if random.chance(0.4) => {
                    hosts.retain(|other| *other != host);
                    [Lab::leave, Lab::vanish][random.below(2) as usize](&mut lab, host);
                }
                _ => {}
            }
            lab.run(ms(random.below(800)));
        }
        for peer in hosts.into_iter().chain(guests) {
            lab.leave(peer);
        }
        lab.settle();
        lab.assert_empty();
    }
}
