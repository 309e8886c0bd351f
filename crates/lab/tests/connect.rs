//! How long it takes to connect where most gets lost.

use sanderling_lab::{Handshake, Keys, Link, ms, secs};

/// One round trip each for ICE, the first flights of DTLS and the second ones.
#[test]
fn a_clean_link_is_connected_in_three_round_trips() {
    let keys = Keys::generate();
    let handshake = Handshake::run(&keys, 1, Link::clean().delay(ms(20)), secs(5));
    assert_eq!(handshake.server, Some(ms(100)), "{handshake:?}");
    assert_eq!(handshake.client, Some(ms(120)), "{handshake:?}");
    // An answer to the check and two flights of a datagram each.
    assert_eq!(handshake.datagrams, 3, "{handshake:?}");
}

/// Losses come from the seeds, so what varies from run to run is the jitter of the client's timers alone.
#[test]
fn with_half_of_all_datagrams_lost_nineteen_of_twenty_connect_in_three_seconds() {
    let link = Link::clean().delay(ms(20)).loss(0.5);
    let keys = Keys::generate();
    let limit = secs(30);
    let runs = (0..600).map(|seed| Handshake::run(&keys, seed, link, limit));
    let mut times: Vec<_> = runs.map(|run| run.client.unwrap_or(limit)).collect();
    times.sort_unstable();
    let at = |share: usize| times[times.len() * share / 100];
    let (p50, p95) = (at(50), at(95));
    assert!(p95 <= secs(3), "p50 {p50:?}, p95 {p95:?}");
    assert!(p50 <= secs(1), "p50 {p50:?}, p95 {p95:?}");
}
