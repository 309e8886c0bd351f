//! What other threads put down for a worker: commands of the control plane, messages of its peers.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sanderling_sfu::{Command, PeerMessage, WorkerId};

/// Commands that may wait for one worker. A burst of logins of this size is answered in order; above it the control
/// plane is told to slow down. Higher values hide an overloaded worker for longer.
pub(crate) const MAX_COMMANDS: usize = 1024;
/// Packets of other workers that may wait: about a second of a hundred streams. More would only grow old.
pub(crate) const MAX_PACKETS: usize = 16_384;
/// Commands taken in one loop turn, so that a burst of them does not hold up media.
pub(crate) const COMMANDS_PER_TURN: usize = 16;

/// Why a command was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The worker's queue is full; nothing was done.
    Busy,
    /// The node was stopped.
    Closed,
    /// There is no such worker.
    NoSuchWorker,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Busy => "the worker's command queue is full",
            Refused::Closed => "the engine was closed",
            Refused::NoSuchWorker => "there is no such worker",
        })
    }
}

#[derive(Debug, Default)]
struct Waiting {
    commands: VecDeque<Command>,
    peers: VecDeque<(WorkerId, PeerMessage)>,
    packets: usize,
    dropped: u64,
    closed: bool,
    /// The worker has been woken and has not looked yet: no second system call.
    woken: bool,
}

/// One worker's mailbox.
#[derive(Debug)]
pub(crate) struct Mailbox {
    waiting: Mutex<Waiting>,
    waker: mio::Waker,
}

/// What a worker took in one turn.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    pub commands: Vec<Command>,
    pub peers: VecDeque<(WorkerId, PeerMessage)>,
    /// Packets thrown away since the last time.
    pub dropped: u64,
    /// Commands were left; look again soon.
    pub more: bool,
    pub closed: bool,
}

impl Mailbox {
    pub fn new(waker: mio::Waker) -> Self {
        Mailbox {
            waiting: Mutex::default(),
            waker,
        }
    }

    /// Put down a command.
    pub fn command(&self, command: Command) -> Result<(), Refused> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(Refused::Closed);
        }
        if waiting.commands.len() >= MAX_COMMANDS {
            return Err(Refused::Busy);
        }
        waiting.commands.push_back(command);
        self.wake(waiting);
        Ok(())
    }

    /// Put down what one turn of another worker produced for this one. Over the bound the oldest packets go; control
    /// messages always arrive.
    pub fn peers(&self, from: WorkerId, messages: &mut Vec<PeerMessage>) {
        let mut waiting = self.lock();
        if waiting.closed {
            messages.clear();
            return;
        }
        for message in messages.drain(..) {
            if matches!(message, PeerMessage::Packet { .. }) {
                if waiting.packets >= MAX_PACKETS {
                    waiting.drop_oldest_packet();
                }
                waiting.packets += 1;
            }
            waiting.peers.push_back((from, message));
        }
        self.wake(waiting);
    }

    /// Take what waits. `mail` keeps its buffers from turn to turn.
    pub fn take(&self, mail: &mut Mail) {
        mail.commands.clear();
        mail.peers.clear();
        let mut waiting = self.lock();
        let count = waiting.commands.len().min(COMMANDS_PER_TURN);
        mail.commands.extend(waiting.commands.drain(..count));
        std::mem::swap(&mut mail.peers, &mut waiting.peers);
        waiting.packets = 0;
        mail.dropped = std::mem::take(&mut waiting.dropped);
        mail.more = !waiting.commands.is_empty();
        mail.closed = waiting.closed;
        waiting.woken = mail.more;
    }

    /// Refuse everything from now on and tell the worker to stop.
    pub fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.commands.clear();
        waiting.peers.clear();
        waiting.woken = false;
        self.wake(waiting);
    }

    fn wake(&self, mut waiting: MutexGuard<'_, Waiting>) {
        let first = !std::mem::replace(&mut waiting.woken, true);
        drop(waiting);
        if first {
            // It can fail only when the counter is full, and then the worker is awake already.
            let _ = self.waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here panics half way, so a poisoned lock still guards a sound queue.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn drop_oldest_packet(&mut self) {
        // Control messages are few, so this ends within a step or two.
        if let Some(at) = self
            .peers
            .iter()
            .position(|(_, m)| matches!(m, PeerMessage::Packet { .. }))
        {
            self.peers.remove(at);
            self.packets -= 1;
            self.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use mio::{Poll, Token, Waker};
    use sanderling_sfu::{StreamId, Ticket};

    fn mailbox() -> (Poll, Mailbox) {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), Token(0)).unwrap();
        (poll, Mailbox::new(waker))
    }

    fn snapshot(ticket: u64) -> Command {
        Command::Snapshot {
            ticket: Ticket(ticket),
        }
    }

    #[test]
    fn commands_are_bounded_and_come_in_order_a_few_per_turn() {
        let (_poll, mailbox) = mailbox();
        for ticket in 0..MAX_COMMANDS as u64 {
            assert_eq!(mailbox.command(snapshot(ticket)), Ok(()));
        }
        assert_eq!(mailbox.command(snapshot(9999)), Err(Refused::Busy));
        let mut mail = Mail::default();
        let mut next = 0;
        loop {
            mailbox.take(&mut mail);
            assert!(mail.commands.len() <= COMMANDS_PER_TURN);
            for command in &mail.commands {
                assert!(matches!(command, Command::Snapshot { ticket } if ticket.0 == next));
                next += 1;
            }
            if !mail.more {
                break;
            }
        }
        assert_eq!(next, MAX_COMMANDS as u64);
    }

    #[test]
    fn a_closed_mailbox_refuses() {
        let (_poll, mailbox) = mailbox();
        mailbox.command(snapshot(1)).unwrap();
        mailbox.close();
        assert_eq!(mailbox.command(snapshot(2)), Err(Refused::Closed));
        let mut mail = Mail::default();
        mailbox.take(&mut mail);
        assert!(mail.closed && mail.commands.is_empty());
    }

    #[test]
    fn control_messages_all_arrive() {
        let (_poll, mailbox) = mailbox();
        let mut messages: Vec<_> = (0..100_000)
            .map(|n| PeerMessage::Pull {
                stream: StreamId(n),
            })
            .collect();
        mailbox.peers(WorkerId(1), &mut messages);
        let mut mail = Mail::default();
        mailbox.take(&mut mail);
        assert_eq!(mail.peers.len(), 100_000);
        assert_eq!(mail.dropped, 0);
    }
}
