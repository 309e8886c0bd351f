//! Sequences of operations on two workers, from any bytes: no panic, no unanswered command, nothing left at the end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use sanderling_sfu::{
    Certificate, Command, Event, Input, LayerChoice, Path, PeerMessage, Protocol, SessionId,
    StreamId, Ticket, WorkerConfig, WorkerId,
};

use crate::client::Client;
use crate::host::{Host, Produced};
use crate::lab::epoch;
use crate::media::Source;

/// Sessions that operations choose from: few, so that they meet.
const SESSIONS: u8 = 4;
/// Operations in one sequence.
const MAX_OPERATIONS: usize = 300;
const WORKERS: usize = 2;

/// Bytes as a source of decisions; zeros once they are used up.
struct Choices<'a>(&'a [u8]);

impl<'a> Choices<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn session(&mut self) -> SessionId {
        SessionId(u64::from(self.byte() % SESSIONS))
    }

    /// Mostly one of the numbers that publishers have.
    fn host(&mut self) -> SessionId {
        let byte = self.byte();
        SessionId(u64::from(if byte < 224 {
            byte % 2
        } else {
            byte % SESSIONS
        }))
    }

    /// Mostly one of the numbers that viewers have.
    fn guest(&mut self) -> SessionId {
        let byte = self.byte();
        SessionId(u64::from(if byte < 224 {
            2 + byte % 2
        } else {
            byte % SESSIONS
        }))
    }

    fn stream(&mut self) -> StreamId {
        StreamId(self.host().0)
    }

    fn worker(&mut self) -> usize {
        usize::from(self.byte()) % WORKERS
    }
}

/// Two workers, what they have to tell each other, and the commands that wait for their answer.
struct Pair {
    hosts: Vec<Host>,
    now: std::time::Instant,
    between: VecDeque<(usize, WorkerId, PeerMessage)>,
    tickets: u64,
    unanswered: BTreeMap<u64, String>,
    seen: BTreeSet<String>,
}

/// Run the sequence that `data` stands for. Returns the kinds of events that came of it.
pub fn operations(data: &[u8]) -> BTreeSet<String> {
    let mut choices = Choices(data);
    let mut pair = Pair::new();
    for _ in 0..MAX_OPERATIONS {
        if choices.0.is_empty() {
            break;
        }
        pair.operation(&mut choices);
    }
    pair.finish();
    pair.seen
}

impl Pair {
    fn new() -> Self {
        let now = epoch();
        let host = |index: usize| {
            let address = SocketAddr::from(([192, 0, 2, 1], 4000 + index as u16));
            let config = WorkerConfig {
                id: WorkerId(index as u16),
                seed: [index as u8; 32],
                candidates: vec![(Protocol::Udp, address), (Protocol::Tcp, address)],
                certificate: certificate().clone(),
                consent_timeout: Duration::from_secs(10),
                max_sessions: 3,
                wall_clock: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
            };
            Host::new(address, config, now)
        };
        let hosts = (0..WORKERS).map(host).collect();
        Pair {
            hosts,
            now,
            between: VecDeque::new(),
            tickets: 0,
            unanswered: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    fn operation(&mut self, choices: &mut Choices<'_>) {
        let worker = choices.worker();
        match choices.byte() % 14 {
            0 => {
                let (session, offer) = (choices.host(), offer(choices, PUBLISHERS));
                self.command(worker, |ticket| Command::OpenPublisher {
                    ticket,
                    session,
                    offer,
                    codecs: Vec::new(),
                });
            }
            1 => {
                let (session, offer) = (choices.guest(), offer(choices, VIEWERS));
                self.command(worker, |ticket| Command::OpenViewer {
                    ticket,
                    session,
                    offer,
                });
            }
            2 => {
                let (session, offer) = (choices.session(), offer(choices, VIEWERS));
                self.command(worker, |ticket| Command::Offer {
                    ticket,
                    session,
                    offer,
                });
            }
            12 => {
                let (session, stream) = (choices.guest(), choices.stream());
                self.command(worker, |ticket| Command::OfferViewer {
                    ticket,
                    session,
                    stream,
                });
            }
            13 => {
                let (session, answer) = (choices.session(), offer(choices, VIEWERS));
                self.command(worker, |ticket| Command::Accept {
                    ticket,
                    session,
                    answer,
                });
            }
            3 | 4 => {
                let (session, stream, origin) =
                    (choices.guest(), choices.stream(), choices.worker());
                let wanted = choices.byte();
                let (origin, audio, video) =
                    (WorkerId(origin as u16), wanted & 1 == 0, wanted & 2 == 0);
                self.command(worker, |ticket| Command::Bind {
                    ticket,
                    session,
                    stream,
                    origin,
                    audio,
                    video,
                });
            }
            5 => {
                let (session, stream) = (choices.guest(), choices.stream());
                self.command(worker, |ticket| Command::Unbind {
                    ticket,
                    session,
                    stream,
                });
            }
            6 => {
                let session = choices.session();
                self.command(worker, |ticket| Command::Close { ticket, session });
            }
            7 => {
                let (stream, number) = (choices.stream(), choices.byte());
                let Some(choice) = LayerChoice::from_number(number % 4) else {
                    self.feed(worker, Input::Command(Command::RequestKeyFrame { stream }));
                    return;
                };
                let session = choices.guest();
                let most = u16::from(number) * 40;
                self.command(worker, |ticket| Command::SetDelay {
                    ticket,
                    session,
                    stream,
                    most,
                });
                self.command(worker, |ticket| Command::SetLayer {
                    ticket,
                    session,
                    stream,
                    choice,
                });
            }
            8 => {
                let length = usize::from(choices.byte()) * 6;
                let (path, datagram) = (self.path(worker, choices), choices.take(length));
                self.feed(worker, Input::Datagram(path, datagram));
            }
            9 => {
                let path = self.path(worker, choices);
                self.feed(worker, Input::TcpClosed(path));
            }
            10 => {
                let byte = u64::from(choices.byte());
                // Now and then long enough for deadlines.
                self.now += Duration::from_millis(if byte < 250 { byte * 4 } else { 40_000 });
                self.feed(worker, Input::Timeout);
            }
            _ => self.message(worker, choices),
        }
        // Some messages stay on their way for a while.
        if !choices.byte().is_multiple_of(4) {
            self.deliver();
        }
    }

    /// A message that the other worker might have sent, at a time when it need not make sense.
    fn message(&mut self, worker: usize, choices: &mut Choices<'_>) {
        let stream = choices.stream();
        let from = WorkerId(((worker + 1) % WORKERS) as u16);
        let choice = choices.byte();
        let message = match choice % 6 {
            0 => PeerMessage::Pull { stream },
            1 => PeerMessage::Unpull { stream },
            2 => PeerMessage::NeedKeyFrame {
                stream,
                layer: choice / 6,
            },
            3 => PeerMessage::Tracks {
                stream,
                tracks: None,
                cached: None,
            },
            4 => PeerMessage::Answers {
                stream,
                answers: choice & 64 == 0,
            },
            _ => PeerMessage::Ended { stream },
        };
        self.feed(worker, Input::Peer(from, message));
    }

    fn path(&self, worker: usize, choices: &mut Choices<'_>) -> Path {
        let choice = choices.byte();
        let protocol = if choice & 1 == 0 {
            Protocol::Udp
        } else {
            Protocol::Tcp
        };
        let remote = SocketAddr::from(([10, 0, 0, choice >> 6], 5000));
        Path {
            protocol,
            ..self.hosts[worker].path(remote)
        }
    }

    fn command(&mut self, worker: usize, command: impl FnOnce(Ticket) -> Command) {
        self.tickets += 1;
        let command = command(Ticket(self.tickets));
        self.unanswered.insert(
            self.tickets,
            format!("{command:?}").chars().take(80).collect(),
        );
        self.feed(worker, Input::Command(command));
    }

    fn feed(&mut self, worker: usize, input: Input<'_>) {
        let mut produced = Produced::default();
        self.hosts[worker].feed(self.now, input, &mut produced);
        assert!(
            self.hosts[worker].wake_at() >= self.now,
            "a wake-up in the past would spin"
        );
        for (to, message) in produced.peers {
            self.between
                .push_back((usize::from(to.0), WorkerId(worker as u16), message));
        }
        for event in produced.events {
            self.seen.insert(kind(&event));
            let ticket = match event {
                Event::Answered { ticket, .. }
                | Event::Bound { ticket, .. }
                | Event::Done { ticket }
                | Event::Failed { ticket, .. }
                | Event::Snapshot { ticket, .. } => ticket,
                _ => continue,
            };
            assert!(
                self.unanswered.remove(&ticket.0).is_some(),
                "{ticket:?} was answered twice"
            );
        }
    }

    fn deliver(&mut self) {
        let mut count = 0;
        while let Some((to, from, message)) = self.between.pop_front() {
            self.feed(to, Input::Peer(from, message));
            count += 1;
            assert!(count < 10_000, "two workers talk without end");
        }
    }

    /// Close everything; then nothing may be left and no command unanswered.
    fn finish(&mut self) {
        self.deliver();
        for worker in 0..WORKERS {
            for session in 0..u64::from(SESSIONS) {
                self.command(worker, |ticket| Command::Close {
                    ticket,
                    session: SessionId(session),
                });
            }
            self.deliver();
        }
        assert!(
            self.unanswered.is_empty(),
            "never answered: {:?}",
            self.unanswered.values()
        );
        // Requests for key frames that wait for their turn end with their time.
        self.now += Duration::from_secs(60);
        for worker in 0..WORKERS {
            self.feed(worker, Input::Timeout);
        }
        self.deliver();
        for host in &self.hosts {
            assert_eq!(
                host.worker().table_entries(),
                0,
                "left: {:?}",
                host.worker()
            );
        }
    }
}

/// What sort of event it is, with the reason of a failure or an end.
fn kind(event: &Event) -> String {
    match event {
        Event::Failed { reason, .. } => format!("failed {reason:?}"),
        Event::Closed { reason, .. } => format!("closed {reason:?}"),
        event => format!("{event:?}")
            .chars()
            .take_while(char::is_ascii_alphabetic)
            .collect(),
    }
}

/// The first of two offers for a publisher, and of two for a viewer.
const PUBLISHERS: usize = 0;
const VIEWERS: usize = 2;

/// An offer, mostly one that suits: good for a publisher, good for a viewer, or one of these with something wrong in it.
fn offer(choices: &mut Choices<'_>, suited: usize) -> String {
    static OFFERS: OnceLock<Vec<String>> = OnceLock::new();
    let offers = OFFERS.get_or_init(|| {
        let address = SocketAddr::from(([10, 0, 0, 1], 5000));
        vec![
            Client::publisher("a", address, Source::vp8(25), epoch()).1,
            Client::publisher("b", address, Source::h264(25).silent(), epoch()).1,
            Client::viewer("c", address, 1, epoch()).1,
            Client::viewer("d", address, 3, epoch()).1,
        ]
    });
    let byte = usize::from(choices.byte());
    let index = if byte < 224 {
        suited + byte % 2
    } else {
        byte % offers.len()
    };
    let mut text = offers[index].clone().into_bytes();
    if choices.byte().is_multiple_of(3) {
        for _ in 0..choices.byte() % 4 {
            let at = (usize::from(choices.byte()) << 8 | usize::from(choices.byte()))
                % text.len().max(1);
            match choices.byte() % 3 {
                0 => text.truncate(at),
                1 => text.extend_from_within(at..),
                _ => text[at..]
                    .iter_mut()
                    .take(1)
                    .for_each(|byte| *byte = choices.byte() & 0x7f),
            }
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[expect(clippy::expect_used, reason = "no fuzzing without a certificate")]
fn certificate() -> &'static Certificate {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    CERTIFICATE.get_or_init(|| Certificate::generate().expect("a certificate"))
}
