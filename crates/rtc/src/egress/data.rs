//! Data channels of a viewer: the SCTP server over its DTLS (RFC 8831), and who opens a channel is answered (RFC 8832).
//!
//! It exists only from the peer's first message on: a viewer that opens no channel pays nothing for it.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use sctp_proto::{
    Association, AssociationHandle, DatagramEvent, Endpoint, EndpointConfig, Event, Payload,
    PayloadProtocolIdentifier as Protocol, ServerConfig, StreamEvent, TransportConfig,
};

/// Largest message in either direction, bytes; the answer says so (RFC 8841 section 6).
pub(crate) const MESSAGE_LIMIT: u32 = 64 << 10;
/// Bytes of a datagram that SCTP fills, so that with DTLS around it it stays below 1 200.
const PAYLOAD: u32 = 1_100;
/// Channels of one viewer.
const CHANNEL_LIMIT: u16 = 16;
/// Bytes that wait to be sent on one channel.
const QUEUE_LIMIT: usize = 128 << 10;
/// First byte of a message that opens a channel, and the message that says it is open (RFC 8832 section 5).
const OPEN: u8 = 3;
const ACKNOWLEDGED: [u8; 1] = [2];
/// Messages that one call reads; what is left is read with the next one.
const ROUNDS: usize = 64;

/// What the channels want done.
pub(super) enum Step {
    /// Send this within DTLS.
    Transmit(Vec<u8>),
    /// A message came.
    Message {
        /// Channel it came on.
        channel: u16,
        /// Whether it is binary, not text.
        binary: bool,
        /// The message.
        message: Vec<u8>,
    },
    /// Nothing until then.
    Wake(Option<Instant>),
}

/// The channels of one viewer.
pub(super) struct Channels {
    endpoint: Endpoint,
    association: Option<(AssociationHandle, Association)>,
    /// Channels in use.
    open: Vec<u16>,
    sending: VecDeque<Vec<u8>>,
    messages: VecDeque<(u16, bool, Vec<u8>)>,
}

/// SCTP wants an address of the peer's; under DTLS there is one peer.
fn peer() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 5_000).into()
}

impl Channels {
    pub(super) fn new() -> Self {
        let mut config = EndpointConfig::default();
        config.max_payload_size(PAYLOAD);
        let mut server = ServerConfig::default();
        server.transport = Arc::new(
            TransportConfig::default()
                .with_max_num_inbound_streams(CHANNEL_LIMIT)
                .with_max_num_outbound_streams(CHANNEL_LIMIT)
                .with_max_receive_message_size(MESSAGE_LIMIT)
                .with_max_send_message_size(MESSAGE_LIMIT),
        );
        Self {
            endpoint: Endpoint::new(Arc::new(config), Some(Arc::new(server))),
            association: None,
            open: Vec::new(),
            sending: VecDeque::new(),
            messages: VecDeque::new(),
        }
    }

    /// Take in what came within DTLS.
    pub(super) fn handle(&mut self, now: Instant, data: &[u8]) {
        let data = data.to_vec().into();
        let handled = self.endpoint.handle(now, peer(), None, None, data);
        match (handled, &mut self.association) {
            (Some((handle, DatagramEvent::NewAssociation(new))), none @ None) => {
                *none = Some((handle, new));
            }
            (Some((_, DatagramEvent::AssociationEvent(event))), Some((_, association))) => {
                association.handle_event(event);
            }
            // A peer has one association; a second one is a repetition of its beginning.
            _ => {}
        }
        self.advance(now);
    }

    /// Let time pass.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some((_, association)) = &mut self.association
            && association.poll_timeout().is_some_and(|at| at <= now)
        {
            association.handle_timeout(now);
            self.advance(now);
        }
    }

    /// Take the next thing to do.
    pub(super) fn poll(&mut self, now: Instant) -> Step {
        if let Some(datagram) = self.sending.pop_front() {
            return Step::Transmit(datagram);
        }
        if let Some((channel, binary, message)) = self.messages.pop_front() {
            return Step::Message {
                channel,
                binary,
                message,
            };
        }
        let wake = self
            .association
            .as_ref()
            .and_then(|(_, a)| a.poll_timeout());
        // What is due is done in `handle_timeout`; a timer in the past would spin.
        Step::Wake(wake.map(|at| at.max(now)))
    }

    /// Send a message. False when the channel is not open, or the peer reads too slowly.
    pub(super) fn send(
        &mut self,
        now: Instant,
        channel: u16,
        binary: bool,
        message: &[u8],
    ) -> bool {
        let Some((_, association)) = &mut self.association else {
            return false;
        };
        if message.len() > MESSAGE_LIMIT as usize || !self.open.contains(&channel) {
            return false;
        }
        let protocol = match (binary, message.is_empty()) {
            (false, false) => Protocol::String,
            (false, true) => Protocol::StringEmpty,
            (true, false) => Protocol::Binary,
            (true, true) => Protocol::BinaryEmpty,
        };
        let Ok(mut stream) = association.stream(channel) else {
            return false;
        };
        let waiting = stream.buffered_amount().unwrap_or(QUEUE_LIMIT);
        // An empty message is a zero byte of its own kind (RFC 8831 section 6.6).
        let bytes = if message.is_empty() { &[0] } else { message };
        let sent =
            waiting + bytes.len() <= QUEUE_LIMIT && stream.write_with_ppi(bytes, protocol).is_ok();
        self.advance(now);
        sent
    }

    /// Bring events across, read what came, and collect what is to be sent.
    fn advance(&mut self, now: Instant) {
        let Some((handle, association)) = &mut self.association else {
            return;
        };
        while let Some(event) = association.poll_endpoint_event() {
            if let Some(event) = self.endpoint.handle_event(*handle, event) {
                association.handle_event(event);
            }
        }
        let mut lost = false;
        while let Some(event) = association.poll() {
            match event {
                Event::Stream(StreamEvent::Readable { id } | StreamEvent::Opened { id }) => {
                    let known = self.open.contains(&id);
                    if !known && self.open.len() < usize::from(CHANNEL_LIMIT) {
                        self.open.push(id);
                    }
                }
                Event::Stream(StreamEvent::Finished { id } | StreamEvent::Stopped { id, .. }) => {
                    self.open.retain(|open| *open != id);
                }
                Event::AssociationLost { .. } => lost = true,
                _ => {}
            }
        }
        let mut rounds = ROUNDS;
        for channel in &self.open {
            while rounds > 0
                && let Ok(mut stream) = association.stream(*channel)
                && let Ok(Some(chunks)) = stream.read_sctp()
            {
                rounds -= 1;
                let mut message = vec![0; chunks.len()];
                let Ok(length) = chunks.read(&mut message) else {
                    break;
                };
                message.truncate(length);
                match chunks.ppi {
                    Protocol::Dcep if message.first() == Some(&OPEN) => {
                        // When it cannot be written the peer asks again, or gives up.
                        let _ = stream.write_with_ppi(&ACKNOWLEDGED, Protocol::Dcep);
                    }
                    Protocol::String => self.messages.push_back((*channel, false, message)),
                    Protocol::Binary => self.messages.push_back((*channel, true, message)),
                    Protocol::StringEmpty => {
                        self.messages.push_back((*channel, false, Vec::new()));
                    }
                    Protocol::BinaryEmpty => {
                        self.messages.push_back((*channel, true, Vec::new()));
                    }
                    _ => {}
                }
            }
        }
        while let Some(transmit) = self.endpoint.poll_transmit() {
            collect(&mut self.sending, transmit.payload);
        }
        while let Some(transmit) = association.poll_transmit(now) {
            collect(&mut self.sending, transmit.payload);
        }
        if lost {
            // The peer may begin anew.
            self.association = None;
            self.open = Vec::new();
        }
    }
}

fn collect(sending: &mut VecDeque<Vec<u8>>, payload: Payload) {
    if let Payload::RawEncode(datagrams) = payload {
        sending.extend(datagrams.into_iter().map(|datagram| datagram.to_vec()));
    }
}
