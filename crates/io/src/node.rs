//! A node's worker threads: started together, spoken to by any thread, stopped together.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use mio::{Poll, Waker};
use sanderling_rtc::Certificate;
use sanderling_sfu::{Command, Protocol, WorkerConfig, WorkerId};

use crate::added_delay::BUCKETS;
use crate::config::{Config, StartError};
use crate::counters::{Counters, Totals};
use crate::interfaces::listen_addresses;
use crate::journal::Journal;
use crate::mailbox::{Mailbox, Refused};
use crate::outbox::{Notice, Outbox};
use crate::reactor::{MAILBOX, Reactor, Start};
use crate::sockets::{self, Ports};

/// Running worker threads with their sockets. Dropping it stops them.
#[derive(Debug)]
pub struct Node {
    mailboxes: Arc<[Mailbox]>,
    counters: Arc<[Counters]>,
    outbox: Arc<Outbox>,
    candidates: Vec<Vec<(Protocol, SocketAddr)>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Node {
    /// Bind the sockets and start the threads.
    pub fn start(config: &Config) -> Result<Node, StartError> {
        config.validate()?;
        let failed = |what: &str| {
            let text = what.to_owned();
            move |error: io::Error| StartError::System(text, error)
        };
        let listen = listen_addresses(config)?;
        let certificate = Certificate::generate().ok_or_else(|| {
            failed("cannot make a certificate")(io::Error::other("the system gives no randomness"))
        })?;
        let outbox = Arc::new(Outbox::new().map_err(failed("cannot make the event descriptor"))?);

        let mut ports = Ports::new(config.ports);
        let (mut polls, mut mailboxes, mut endpoints, mut candidates) =
            (vec![], vec![], vec![], vec![]);
        for _ in 0..config.workers {
            let poll = Poll::new().map_err(failed("cannot make an event loop"))?;
            let waker = Waker::new(poll.registry(), MAILBOX)
                .map_err(failed("cannot make a wake-up descriptor"))?;
            mailboxes.push(Mailbox::new(waker));
            polls.push(poll);
            let bound = ports.bind(config, &listen)?;
            candidates.push(sockets::candidates(config, &bound));
            endpoints.push(bound);
        }
        let node = Node {
            mailboxes: mailboxes.into(),
            counters: (0..config.workers).map(|_| Counters::default()).collect(),
            outbox,
            candidates,
            threads: Mutex::default(),
        };

        for (index, (poll, endpoints)) in polls.into_iter().zip(endpoints).enumerate() {
            let id = WorkerId(u16::try_from(index).unwrap_or(u16::MAX));
            let start = Start {
                poll,
                endpoints,
                worker: WorkerConfig {
                    id,
                    seed: seed(),
                    candidates: node.candidates[index].clone(),
                    certificate: certificate.clone(),
                    consent_timeout: config.consent_timeout,
                    max_sessions: config.max_sessions.div_ceil(config.workers),
                    wall_clock: std::time::SystemTime::now(),
                },
                backend: config.backend,
                mailboxes: Arc::clone(&node.mailboxes),
                counters: Arc::clone(&node.counters),
                outbox: Arc::clone(&node.outbox),
            };
            // Made here, so that what can fail fails before the thread exists. A failure drops `node`, which joins
            // the threads that run already.
            let reactor = Reactor::new(start).map_err(failed("cannot watch the media sockets"))?;
            let journal = Journal::new(Arc::clone(&node.outbox), Instant::now());
            let thread = thread::Builder::new()
                .name(format!("media-{index}"))
                .spawn(move || {
                    #[cfg(target_os = "linux")]
                    crate::linux::pin(index);
                    tracing::subscriber::with_default(journal, || reactor.run());
                })
                .map_err(failed("cannot start a worker thread"))?;
            node.threads
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(thread);
        }
        Ok(node)
    }

    /// Number of workers.
    pub fn workers(&self) -> usize {
        self.mailboxes.len()
    }

    /// Per worker, its host candidates.
    pub fn candidates(&self) -> &[Vec<(Protocol, SocketAddr)>] {
        &self.candidates
    }

    /// Put a command down for a worker; what comes of it arrives as a notice.
    pub fn command(&self, worker: WorkerId, command: Command) -> Result<(), Refused> {
        self.mailboxes
            .get(usize::from(worker.0))
            .ok_or(Refused::NoSuchWorker)?
            .command(command)
    }

    /// Number of the descriptor that is readable while notices wait; `None` once stopped.
    pub fn wake_number(&self) -> Option<i64> {
        self.outbox.wake_number()
    }

    /// Move up to `limit` notices to `into`, oldest first.
    pub fn take_notices(&self, limit: usize, into: &mut Vec<Notice>) {
        self.outbox.take(limit, into);
    }

    /// Totals since the start.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            events_waiting: self.outbox.len() as u64,
            ..Totals::default()
        };
        for counters in self.counters.iter() {
            totals.include(counters);
        }
        totals
    }

    /// How long datagrams were held, from the system's receive stamp of the oldest of a turn to the return of the call
    /// that sent what came of it: counts since the start by [`bounds_us`](crate::bounds_us).
    pub fn added_delay(&self) -> [u64; BUCKETS] {
        let mut sum = [0; BUCKETS];
        for counters in self.counters.iter() {
            counters.added_delay.add_to(&mut sum);
        }
        sum
    }

    /// Stop and join the threads, close the sockets and the descriptor. Once is enough; more do nothing.
    pub fn stop(&self) {
        for mailbox in self.mailboxes.iter() {
            mailbox.close();
        }
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A panic outside the worker core was printed by its thread already.
            let _ = thread.join();
        }
        self.outbox.close();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Secret randomness for a worker. Without any there is no safe way to go on, and no system in use lacks it.
pub(crate) fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    #[expect(
        clippy::expect_used,
        reason = "predictable ICE passwords would be worse than no worker"
    )]
    getrandom::fill(&mut seed).expect("the system gives randomness");
    seed
}
