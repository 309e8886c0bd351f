//! Data channels of viewers, opened by a real client.

use std::time::{Duration, Instant};

use sanderling_rtc::{Certificate, EgressViewer, Event, Session};

use crate::rig::Rig;
use crate::{config, section, vector};

const SETTLE: Duration = Duration::from_millis(300);

/// What came on channels, taken out of the events.
fn messages(rig: &mut Rig<EgressViewer>) -> Vec<(u16, bool, Vec<u8>)> {
    let events = std::mem::take(&mut rig.events);
    let data = events.into_iter().filter_map(|event| match event {
        Event::Data {
            channel,
            binary,
            message,
        } => Some((channel, binary, message)),
        _ => None,
    });
    data.collect()
}

fn sizes(messages: &[(bool, &[u8])]) -> Vec<(bool, usize)> {
    messages
        .iter()
        .map(|(binary, m)| (*binary, m.len()))
        .collect()
}

#[test]
fn messages_go_both_ways_whole_and_of_their_kind() {
    let certificate = Certificate::generate().unwrap();
    let mut rig: Rig<EgressViewer> = Rig::talking(Instant::now(), &certificate);
    let id = rig.seen.channel.expect("the channel is open");
    let long = vec![7; 40_000];
    let sent: [(bool, &[u8]); 2] = [(false, b"hello"), (true, &long)];
    for (binary, message) in sent {
        assert!(rig.rtc.channel(id).unwrap().write(binary, message).unwrap());
        // The client sends when it is given the time.
        rig.wake_client();
        rig.run(SETTLE);
    }
    let got = messages(&mut rig);
    let channel = got[0].0;
    let kinds: Vec<_> = got
        .iter()
        .map(|(_, binary, message)| (*binary, &message[..]))
        .collect();
    assert!(kinds == sent, "{:?}", sizes(&kinds));
    assert!(got.iter().all(|(on, ..)| *on == channel));

    // The client cannot send empty ones, but it can receive them.
    let sent: [(bool, &[u8]); 4] = [(false, b"hello"), (true, &long), (true, b""), (false, b"")];
    for (binary, message) in sent {
        assert!(rig.session.send_data(rig.now, channel, binary, message));
        rig.drain();
        rig.run(SETTLE);
    }
    let came: Vec<_> = rig
        .seen
        .messages
        .iter()
        .map(|(binary, m)| (*binary, &m[..]))
        .collect();
    assert!(came == sent, "{:?}", sizes(&came));
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let certificate = Certificate::generate().unwrap();
    let mut rig: Rig<EgressViewer> = Rig::talking(Instant::now(), &certificate);
    let id = rig.seen.channel.expect("the channel is open");
    rig.rtc.channel(id).unwrap().write(false, b"hello").unwrap();
    rig.wake_client();
    rig.run(SETTLE);
    let channel = messages(&mut rig)[0].0;
    assert!(!rig.session.send_data(rig.now, channel + 2, true, b"nobody"));
    assert!(
        !rig.session
            .send_data(rig.now, channel, true, &vec![0; 65_537])
    );
    // A peer that reads nothing more fills the queue, which has an end.
    let taken =
        (0..100).take_while(|_| rig.session.send_data(rig.now, channel, true, &[0; 10_000]));
    let taken = taken.count();
    assert!((5..40).contains(&taken), "{taken}");

    let mut without: Rig<EgressViewer> = Rig::connected(Instant::now(), &certificate, 1);
    assert!(!without.session.send_data(without.now, 0, true, b"nobody"));
}

#[test]
fn channels_survive_loss_and_end_with_the_session() {
    let certificate = Certificate::generate().unwrap();
    let mut rig: Rig<EgressViewer> = Rig::talking(Instant::now(), &certificate);
    let id = rig.seen.channel.expect("the channel is open");
    for number in 0..20_u8 {
        rig.rtc
            .channel(id)
            .unwrap()
            .write(true, &[number; 3_000])
            .unwrap();
        rig.wake_client();
        if number % 3 == 0 {
            rig.lose_in_flight();
        }
        rig.run(SETTLE);
    }
    rig.run(Duration::from_secs(10));
    let got = messages(&mut rig);
    let numbers: Vec<u8> = got.iter().map(|(.., message)| message[0]).collect();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>());
    let channel = got[0].0;
    let mut batch = crate::rig::Batch(Vec::new(), std::time::Duration::ZERO);
    rig.session.close(rig.now, &mut batch);
    assert!(!rig.session.send_data(rig.now, channel, true, b"late"));
}

#[test]
fn a_section_for_data_is_answered_once_and_only_beside_media() {
    let data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=sctp-port:5000\r\n";
    let bundled = vector("wrtc-viewer").replacen("a=group:BUNDLE", "a=group:BUNDLE data more", 1);
    let offer = format!("{bundled}{data}a=mid:data\r\n{data}a=mid:more\r\n");
    let (_, answer) = EgressViewer::open(Instant::now(), &offer, config()).unwrap();
    let count = answer.matches("m=").count();
    let first = section(&answer, count - 2);
    assert_eq!(first[0], "m=application 9 UDP/DTLS/SCTP webrtc-datachannel");
    for line in [
        "a=mid:data",
        "a=sctp-port:5000",
        "a=max-message-size:65536",
        "a=setup:passive",
    ] {
        assert!(first.contains(&line), "{line}: {first:?}");
    }
    let second = section(&answer, count - 1);
    assert_eq!(
        second[0],
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel"
    );
    let bundle = answer
        .lines()
        .find(|line| line.starts_with("a=group:BUNDLE"));
    assert!(bundle.unwrap().contains(" data") && !bundle.unwrap().contains("more"));

    let alone = offer.replace("a=recvonly", "a=sendonly");
    assert!(EgressViewer::open(Instant::now(), &alone, config()).is_err());
}
