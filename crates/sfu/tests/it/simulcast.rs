use std::time::Duration;

use sanderling_sfu::{Command, Event, SessionId};

use crate::client::{Client, FRAME};
use crate::network::Network;

/// The highest layer goes out; when it stops, the next one does, from a key frame on and without a seam.
#[test]
fn the_highest_layer_that_flows_is_forwarded() {
    let mut net = Network::new(1);
    let mut client = Client::new(net.now, "198.51.100.1:5000", |config| {
        config.clear_codecs().enable_vp8(true)
    });
    let (offer, video) = client.offer_layers(&["lo", "hi"]);
    let event = net.command(0, |ticket| Command::OpenPublisher {
        ticket,
        session: SessionId(1),
        offer,
        codecs: Vec::new(),
    });
    let Event::Answered { sdp, tracks, .. } = event else {
        panic!("{event:?}")
    };
    assert_eq!(tracks[0].layers, 2);
    client.answer(net.now, &sdp);
    net.clients.push(client);
    let (viewer, mids) = net.viewer(0, 2, 1);
    net.run(Duration::from_millis(500));
    net.bind(0, 2, 1, 0);

    let frames = |net: &mut Network, count: usize, high: bool| {
        for frame in 0..count {
            let now = net.now;
            let ticks = (now - net.start).as_millis() as u32 * 90;
            let client = &mut net.clients[0];
            let key = std::mem::take(&mut client.key_frame_requests) > 0 || frame == 0;
            client.send_layer(now, (video, "lo"), ticks, key, 120);
            if high {
                client.send_layer(now, (video, "hi"), ticks.wrapping_add(777), key, 600);
            }
            net.run(FRAME);
        }
        net.run(Duration::from_millis(50));
    };
    frames(&mut net, 90, true);
    let packets = net.clients[viewer].take_received(mids[1]);
    assert_eq!(packets.last().unwrap().payload.len(), 600, "the high layer");
    frames(&mut net, 90, false);
    let after = net.clients[viewer].take_received(mids[1]);
    assert!(after.len() > 20, "{} packets of the low layer", after.len());
    assert_eq!(after.last().unwrap().payload.len(), 120);
    assert_eq!(
        after[0].payload[4] & 1,
        0,
        "a change begins with a key frame"
    );

    let all: Vec<_> = packets.iter().chain(&after).collect();
    for pair in all.windows(2) {
        assert_eq!(*pair[1].seq_no, *pair[0].seq_no + 1);
        let step = pair[1]
            .header
            .timestamp
            .wrapping_sub(pair[0].header.timestamp);
        assert!(step < 90_000 * 2, "a jump of {step} ticks");
        let picture = |payload: &[u8]| u16::from_be_bytes([payload[2] & 0x7f, payload[3]]);
        assert!(picture(&pair[1].payload) > picture(&pair[0].payload));
    }
    net.close(0, 1);
    net.close(0, 2);
    net.assert_empty();
}
