#![allow(clippy::unwrap_used, clippy::panic)]
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

use super::*;

const BACKENDS: [Backend; 2] = [Backend::Native, Backend::Portable];

/// A sender with what it needs, to a receiver on the same address.
struct Pair {
    from: UdpSocket,
    to: UdpSocket,
    sender: Sender,
    receiver: Receiver,
    batch: Batch,
    backlogs: Vec<Backlog>,
    now: Instant,
}

impl Pair {
    fn new(backend: Backend, address: &str) -> Self {
        let bind = || UdpSocket::bind(format!("{address}:0").parse().unwrap()).unwrap();
        let (from, to) = (bind(), bind());
        Pair {
            sender: Sender::new(backend, std::slice::from_ref(&from)),
            receiver: Receiver::new(backend, std::slice::from_ref(&to)),
            from,
            to,
            batch: Batch::new(),
            backlogs: vec![Backlog::default()],
            now: Instant::now(),
        }
    }

    fn add(&mut self, remote: SocketAddr, datagram: &[u8]) {
        self.batch.space()[..datagram.len()].copy_from_slice(datagram);
        self.batch.commit(0, remote, datagram.len());
    }

    fn flush(&mut self) -> Sent {
        let sockets = std::slice::from_ref(&self.from);
        self.batch
            .flush(self.now, &mut self.sender, sockets, &mut self.backlogs)
    }

    /// Read until `count` datagrams (or messages that cannot be used) have come; loopback delivers before a send
    /// returns.
    fn collect(&mut self, count: usize) -> Vec<Option<(SocketAddr, Vec<u8>)>> {
        let mut poll = Poll::new().unwrap();
        poll.registry()
            .register(&mut self.to, Token(0), Interest::READABLE)
            .unwrap();
        poll.poll(&mut Events::with_capacity(4), Some(Duration::from_secs(5)))
            .unwrap();
        let mut all = Vec::new();
        while all.len() < count {
            let received = self.receiver.receive(&self.to);
            for index in 0..received.count {
                match self.receiver.message(index) {
                    Some(message) => {
                        let remote = message.remote;
                        let each = message.datagrams();
                        all.extend(each.map(|bytes| Some((remote, bytes.to_vec()))));
                    }
                    None => all.push(None),
                }
            }
            if !received.more {
                break;
            }
        }
        poll.registry().deregister(&mut self.to).unwrap();
        all
    }
}

fn entry(remote: &str, start: usize, len: usize) -> Entry {
    Entry {
        socket: 0,
        remote: remote.parse().unwrap(),
        start,
        len,
    }
}

#[test]
fn trains_by_table() {
    let (a, b) = ("192.0.2.1:1", "192.0.2.1:2");
    // (remote, length) of entries that lie back to back, and how many the first train takes
    let rows: [(&[(&str, usize)], usize); 8] = [
        (&[(a, 100)], 1),
        (&[(a, 100), (a, 100), (b, 100)], 2),
        (&[(a, 100), (a, 40), (a, 40)], 2),
        (&[(a, 100), (a, 101)], 1),
        (&[(a, 100); 12], MAX_TRAIN),
        (&[(a, 1001), (a, 1001)], 1),
        (&[(a, 1000), (a, 1000)], 2),
        (&[(b, 1), (a, 1), (b, 1)], 1),
    ];
    for (given, expected) in rows {
        let mut start = 0;
        let mut entries = Vec::new();
        for (remote, len) in given {
            entries.push(entry(remote, start, *len));
            start += len;
        }
        let train = train(&entries, 1000);
        assert_eq!(train.count, expected, "{given:?}");
        let bytes: usize = entries[..expected].iter().map(|entry| entry.len).sum();
        assert_eq!(train.bytes, bytes);
    }
    assert_eq!(train(&[entry(a, 0, 9), entry(a, 10, 9)], 1000).count, 1);
    assert_eq!(train(&[entry(a, 0, 9), entry(a, 9, 9)], 0).count, 1);
    assert_eq!(train(&[], 1000), Train::default());
}

#[test]
fn a_batch_arrives_whole_and_in_order_on_every_back_end() {
    for address in ["127.0.0.1", "[::1]"] {
        for backend in BACKENDS {
            let mut pair = Pair::new(backend, address);
            let to = pair.to.local_addr().unwrap();
            for n in 0..200_u8 {
                pair.add(to, &vec![n; usize::from(n) + 1]);
            }
            let sent = pair.flush();
            assert_eq!((sent.packets, sent.dropped), (200, 0));
            assert_eq!(sent.bytes, (1..=200).sum::<u64>());
            let got = pair.collect(200);
            assert_eq!(got.len(), 200);
            for (n, datagram) in got.into_iter().enumerate() {
                let (from, bytes) = datagram.unwrap();
                assert_eq!(from, pair.from.local_addr().unwrap());
                assert_eq!(bytes, vec![n as u8; n + 1]);
            }
        }
    }
}

/// Twenty datagrams of one length, a shorter one, and two to somebody else in between.
fn mixed(pair: &mut Pair, other: SocketAddr) -> Vec<Vec<u8>> {
    let to = pair.to.local_addr().unwrap();
    let mut expected = Vec::new();
    for n in 0..21_u8 {
        if n == 5 || n == 6 {
            pair.add(other, &[0xee; 1100]);
        }
        let datagram = vec![n; if n == 20 { 77 } else { 1100 }];
        pair.add(to, &datagram);
        expected.push(datagram);
    }
    expected
}

fn bytes(got: Vec<Option<(SocketAddr, Vec<u8>)>>) -> Vec<Vec<u8>> {
    got.into_iter().map(|one| one.unwrap().1).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn runs_to_one_address_leave_as_trains_and_come_out_one_by_one() {
    let mut pair = Pair::new(Backend::Native, "127.0.0.1");
    assert!(pair.sender.segments(), "this kernel knows no segmentation");
    let other = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let expected = mixed(&mut pair, other.local_addr().unwrap());
    let sent = pair.flush();
    assert_eq!((sent.packets, sent.dropped, sent.calls), (23, 0, 1));
    // 5 of the first run; 2 lone ones; 8 + 7 and the short one of the second.
    assert_eq!(sent.trains, 3);
    assert_eq!(bytes(pair.collect(21)), expected);
    let mut room = [0; 2000];
    for _ in 0..2 {
        assert_eq!(other.recv(&mut room).unwrap(), 1100, "without GRO too");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn what_the_kernel_put_together_is_stamped_and_taken_apart() {
    let mut pair = Pair::new(Backend::Native, "127.0.0.1");
    let to = pair.to.local_addr().unwrap();
    let before = crate::portable::unix_ns();
    for length in [1000, 1000, 1000, 10] {
        pair.add(to, &vec![1; length]);
    }
    pair.flush();
    let received = pair.receiver.receive(&pair.to);
    let message = pair.receiver.message(0).unwrap();
    assert_eq!((received.count, message.segment), (1, 1000));
    let lengths: Vec<usize> = message.datagrams().map(<[u8]>::len).collect();
    assert_eq!(lengths, [1000, 1000, 1000, 10]);
    assert!((before..=crate::portable::unix_ns()).contains(&message.stamp_ns));
    assert!(pair.receiver.message(1).is_none());
}

#[cfg(target_os = "linux")]
fn linux(sender: &mut Sender) -> &mut linux::Sender {
    match sender {
        Sender::Linux(sender) => sender,
        Sender::Portable(_) => panic!("not this system's"),
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_system_that_refuses_trains_gets_none_any_more_and_nothing_is_lost() {
    for code in [libc::EIO, libc::EINVAL, libc::EOPNOTSUPP] {
        let mut pair = Pair::new(Backend::Native, "127.0.0.1");
        let other = pair.from.local_addr().unwrap();
        linux(&mut pair.sender).refuse_trains = Some(code);
        let expected = mixed(&mut pair, other);
        let sent = pair.flush();
        assert_eq!((sent.packets, sent.dropped, sent.trains), (23, 0, 0));
        assert!(!pair.sender.segments(), "for good after {code}");
        assert_eq!(bytes(pair.collect(21)), expected);

        linux(&mut pair.sender).refuse_trains = None;
        mixed(&mut pair, other);
        assert_eq!(pair.flush().trains, 0);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_path_too_narrow_for_long_segments_still_gets_trains_of_shorter_ones() {
    let mut pair = Pair::new(Backend::Native, "127.0.0.1");
    let to = pair.to.local_addr().unwrap();
    linux(&mut pair.sender).refuse_trains = Some(libc::EMSGSIZE);
    for _ in 0..3 {
        pair.add(to, &[1; 1300]);
    }
    assert_eq!((pair.flush().packets, pair.sender.segments()), (3, true));
    linux(&mut pair.sender).refuse_trains = None;
    for length in [1300, 1300, 1200, 1200] {
        pair.add(to, &vec![1; length]);
    }
    let sent = pair.flush();
    assert_eq!((sent.packets, sent.trains), (4, 1));
}

#[test]
#[cfg(target_os = "linux")]
fn nobody_at_an_address_is_no_reason_to_give_trains_up() {
    let mut pair = Pair::new(Backend::Native, "127.0.0.1");
    linux(&mut pair.sender).refuse_trains = Some(libc::ENETUNREACH);
    let other = pair.from.local_addr().unwrap();
    let expected = mixed(&mut pair, other);
    let sent = pair.flush();
    // What went alone arrived; each train cost only itself.
    assert_eq!(sent.packets + sent.dropped, expected.len() as u64 + 2);
    assert!(sent.dropped >= 20 && pair.sender.segments());
}

#[test]
fn a_full_socket_keeps_what_it_did_not_take_until_it_is_too_old() {
    for backend in BACKENDS {
        let mut pair = Pair::new(backend, "127.0.0.1");
        let to = pair.to.local_addr().unwrap();
        let full_after = |sender: &mut Sender, count| match sender {
            #[cfg(target_os = "linux")]
            Sender::Linux(sender) => sender.full_after = count,
            Sender::Portable(sender) => sender.full_after = count,
        };
        full_after(&mut pair.sender, Some(1));
        // Each of its own length, so that no train hides what one call took.
        pair.add(to, &[0x80; 12]);
        pair.add(to, &[0x80; 13]);
        pair.add(to, &[0x00; 14]);
        assert_eq!(
            (pair.flush().packets, pair.backlogs[0].is_empty()),
            (1, false)
        );

        // Still full: new ones go behind the old.
        pair.now += Duration::from_millis(30);
        pair.add(to, &[0x80; 15]);
        let sent = pair.flush();
        assert_eq!((sent.packets, sent.dropped), (0, 0));

        // The first media packet is 50 ms old now, the check and the second packet are young enough.
        pair.now += Duration::from_millis(20);
        full_after(&mut pair.sender, None);
        pair.add(to, &[0x80; 16]);
        let sent = pair.flush();
        assert_eq!((sent.packets, sent.dropped, sent.late), (3, 1, 1));
        assert!(pair.backlogs[0].is_empty());
        let lengths: Vec<usize> = bytes(pair.collect(4)).iter().map(Vec::len).collect();
        assert_eq!(lengths, [12, 14, 15, 16]);
    }
}

#[test]
fn one_datagram_that_cannot_be_sent_costs_only_itself() {
    for backend in BACKENDS {
        let mut pair = Pair::new(backend, "127.0.0.1");
        let to = pair.to.local_addr().unwrap();
        for remote in [to, "[::1]:9".parse().unwrap(), to] {
            pair.add(remote, &[0; 10]);
        }
        let sent = pair.flush();
        assert_eq!((sent.packets, sent.bytes, sent.dropped), (2, 20, 1));
        assert_eq!(pair.collect(2).len(), 2);
    }
}

#[test]
fn a_datagram_that_is_too_long_is_not_taken_for_a_shorter_one() {
    for backend in BACKENDS {
        let mut pair = Pair::new(backend, "127.0.0.1");
        let to = pair.to.local_addr().unwrap();
        pair.from.send_to(&vec![1; MAX_DATAGRAM + 1], to).unwrap();
        pair.from.send_to(&vec![2; MAX_DATAGRAM], to).unwrap();
        let got = pair.collect(2);
        // A back end may hand it out whole; the reactor leaves out what is longer than a datagram may be.
        assert!(
            got[0]
                .as_ref()
                .is_none_or(|(_, bytes)| bytes.len() > MAX_DATAGRAM)
        );
        assert_eq!(got[1].as_ref().unwrap().1, vec![2; MAX_DATAGRAM]);
    }
}

#[test]
fn a_batch_is_full_before_it_has_no_room() {
    let mut batch = Batch::new();
    let to = "127.0.0.1:9".parse().unwrap();
    let mut count = 0;
    while !batch.is_full() {
        assert_eq!(batch.space().len(), MAX_DATAGRAM);
        batch.commit(0, to, MAX_DATAGRAM);
        count += 1;
    }
    assert_eq!(count, MAX_BATCH / MAX_DATAGRAM);
}
