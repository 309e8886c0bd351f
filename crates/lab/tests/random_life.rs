//! Lives that nobody would write down: operations by chance, on the worker alone and with real peers.

use std::collections::BTreeSet;

use sanderling_lab::{Lab, LayerChoice, Link, PeerId, Random, Replay, Source, fuzz, ms, secs};

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
    for seed in Replay::seeds(0..12) {
        let _replay = Replay::new("whatever_peers_do", seed);
        let mut random = Random::named(seed, "life");
        let mut lab = Lab::with_workers(seed, [1, 2, 4][seed as usize % 3]);
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
            match (random.below(14), guest, host) {
                (0, ..) if hosts.len() < 4 => {
                    let source = [
                        Source::vp8(25),
                        Source::h264(15),
                        Source::vp8(15).bytes(40_000, 1_000).gop(20),
                        Source::h264(25).gop(60).deaf(),
                        Source::vp8(25).layered(),
                        Source::vp8(25).layered().gop(50).deaf(),
                    ][random.below(6) as usize];
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
                (10 | 11, Some(guest), Some(host)) => {
                    let choices = [LayerChoice::Automatic, LayerChoice::Small, LayerChoice::Big];
                    lab.choose(guest, host, choices[random.below(3) as usize]);
                }
                // The machine was suspended, or the clock of the virtual one was set.
                (12, ..) if random.chance(0.5) => lab.jump(ms(random.below(4_000))),
                _ => {}
            }
            lab.run(ms(random.below(800)));
        }
        lab.end();
    }
}

/// Numbers of a viewer's pictures never go down, whatever happens on the way: a key frame that is replayed may be old,
/// but what was shown is not shown again while the stream is bound.
#[test]
fn pictures_never_go_back() {
    for seed in Replay::seeds(0..24) {
        let _replay = Replay::new("pictures_never_go_back", seed);
        let mut random = Random::named(seed, "pictures");
        let mut lab = Lab::with_workers(seed, 1 + seed as usize / 4 % 2);
        let clean = Link::clean().delay(ms(10));
        let source = [
            Source::vp8(25).gop(40),
            Source::h264(25).gop(100).deaf(),
            Source::vp8(15).bytes(60_000, 2_000),
            Source::vp8(25).layered(),
        ][seed as usize % 4];
        let host = lab.publisher("host", source, clean);
        let guest = lab.viewer("guest", clean);
        lab.run(ms(1_000));
        lab.play(guest, host);
        for _ in 0..12 {
            let link = clean
                .jitter(ms(random.below(20)))
                .loss(random.share() * 0.1)
                .rate([0, 0, 500_000][random.below(3) as usize]);
            match random.below(6) {
                0 => lab.relink(guest, link),
                1 => lab.relink(host, clean.loss(random.share() * 0.1)),
                2 => lab.relink(guest, clean),
                3 => lab.jump(ms(random.below(700))),
                4 => {
                    let choices = [LayerChoice::Automatic, LayerChoice::Small, LayerChoice::Big];
                    lab.choose(guest, host, choices[random.below(3) as usize]);
                }
                _ => {}
            }
            lab.run(ms(500 + random.below(1_500)));
        }
        lab.relink(guest, clean);
        lab.relink(host, clean);
        let from = lab.elapsed();
        lab.run(secs(30));
        let shown: Vec<_> = lab.seen(guest).video.iter().filter(|f| f.shown).collect();
        // A publisher that answers nothing is replayed to a viewer that lost the picture: that begins anew.
        if !source.is_deaf() {
            let back = shown
                .windows(2)
                .find(|pair| pair[1].number < pair[0].number);
            assert!(back.is_none(), "{source:?}: {back:?}");
        }
        let after = shown.iter().filter(|f| f.at > from + secs(20)).count();
        assert!(
            after >= 100,
            "{source:?}: {after} pictures in the last 10 s"
        );
        lab.end();
    }
}
