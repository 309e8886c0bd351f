//! What the workers have to say to the control plane: one queue and one descriptor for the whole node.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sanderling_sfu::{Event, Ticket, WorkerId};

use crate::wake::Wake;

/// Statistics and log lines that may wait. They are worth little when old, so the oldest go; everything else stays.
const MAX_SAMPLES: usize = 16_384;

/// One thing to tell the control plane.
#[derive(Debug, Clone)]
pub enum Notice {
    /// The worker core says it.
    Event(Event),
    /// A command could not be carried out for a reason that is our fault.
    Internal {
        /// The command's ticket.
        ticket: Ticket,
        /// A sentence.
        detail: String,
    },
    /// A worker panicked; its sessions are gone and it goes on empty.
    WorkerFailed {
        /// Which one.
        worker: WorkerId,
        /// The panic's message.
        detail: String,
    },
    /// A warning or an error from the log.
    Log {
        /// `"warning"` or `"error"`.
        level: &'static str,
        /// The module that wrote it.
        target: String,
        /// The line, with addresses left out.
        message: String,
    },
}

impl Notice {
    /// May be dropped under pressure, unlike a change of state.
    fn is_sample(&self) -> bool {
        matches!(
            self,
            Notice::Event(Event::Stats { .. }) | Notice::Log { .. }
        )
    }
}

#[derive(Debug)]
struct Waiting {
    /// Changes of state and samples, each with its place in the common order.
    states: VecDeque<(u64, Notice)>,
    samples: VecDeque<(u64, Notice)>,
    next: u64,
    wake: Option<Wake>,
}

/// The queue. The descriptor is readable exactly while something waits.
#[derive(Debug)]
pub struct Outbox {
    waiting: Mutex<Waiting>,
}

impl Outbox {
    /// An empty queue with its descriptor.
    pub fn new() -> io::Result<Self> {
        let waiting = Waiting {
            states: VecDeque::new(),
            samples: VecDeque::new(),
            next: 0,
            wake: Some(Wake::new()?),
        };
        Ok(Outbox {
            waiting: Mutex::new(waiting),
        })
    }

    /// Add a batch, oldest first; one wake-up at most.
    pub fn push(&self, batch: &mut Vec<Notice>) {
        if batch.is_empty() {
            return;
        }
        let mut waiting = self.lock();
        if waiting.wake.is_none() {
            batch.clear();
            return;
        }
        let was_empty = waiting.states.is_empty() && waiting.samples.is_empty();
        for notice in batch.drain(..) {
            let entry = (waiting.next, notice);
            waiting.next += 1;
            if entry.1.is_sample() {
                if waiting.samples.len() >= MAX_SAMPLES {
                    waiting.samples.pop_front();
                }
                waiting.samples.push_back(entry);
            } else {
                waiting.states.push_back(entry);
            }
        }
        if was_empty && let Some(wake) = &waiting.wake {
            wake.raise();
        }
    }

    /// Move up to `limit` notices to `into`, oldest first.
    pub fn take(&self, limit: usize, into: &mut Vec<Notice>) {
        let mut waiting = self.lock();
        for _ in 0..limit {
            let place = |queue: &VecDeque<(u64, Notice)>| {
                queue.front().map_or(u64::MAX, |(place, _)| *place)
            };
            let states_first = place(&waiting.states) <= place(&waiting.samples);
            let next = if states_first {
                waiting.states.pop_front()
            } else {
                waiting.samples.pop_front()
            };
            let Some((_, notice)) = next else { break };
            into.push(notice);
        }
        if waiting.states.is_empty()
            && waiting.samples.is_empty()
            && let Some(wake) = &waiting.wake
        {
            wake.clear();
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        let waiting = self.lock();
        waiting.states.len() + waiting.samples.len()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The descriptor's number; `None` once closed.
    pub fn wake_number(&self) -> Option<i64> {
        self.lock().wake.as_ref().map(Wake::number)
    }

    /// Close the descriptor and forget what waits.
    pub fn close(&self) {
        let mut waiting = self.lock();
        waiting.wake = None;
        waiting.states.clear();
        waiting.samples.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing in here panics half way, so a poisoned lock still guards a sound queue.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use sanderling_sfu::SessionId;

    fn done(ticket: u64) -> Notice {
        Notice::Event(Event::Done {
            ticket: Ticket(ticket),
        })
    }

    fn stats(session: u64) -> Notice {
        Notice::Event(Event::Stats {
            session: SessionId(session),
            values: Vec::new(),
        })
    }

    fn number(notice: &Notice) -> u64 {
        match notice {
            Notice::Event(Event::Done { ticket }) => ticket.0,
            Notice::Event(Event::Stats { session, .. }) => session.0,
            _ => u64::MAX,
        }
    }

    #[test]
    fn states_and_samples_come_out_in_the_order_they_went_in() {
        let outbox = Outbox::new().unwrap();
        outbox.push(&mut vec![done(0), stats(1), stats(2), done(3)]);
        let mut taken = Vec::new();
        outbox.take(3, &mut taken);
        assert_eq!(outbox.len(), 1);
        outbox.take(10, &mut taken);
        assert_eq!(taken.iter().map(number).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn under_pressure_the_oldest_samples_go_and_no_state_does() {
        let outbox = Outbox::new().unwrap();
        let count = MAX_SAMPLES as u64 + 10;
        for n in 0..count {
            outbox.push(&mut vec![done(n), stats(n)]);
        }
        let mut taken = Vec::new();
        outbox.take(usize::MAX, &mut taken);
        let (states, samples): (Vec<&Notice>, Vec<&Notice>) =
            taken.iter().partition(|n| !n.is_sample());
        assert_eq!(states.len() as u64, count);
        assert_eq!(samples.len(), MAX_SAMPLES);
        assert_eq!(number(samples[0]), 10);
    }

    #[test]
    fn closed_it_has_no_descriptor_and_takes_no_harm() {
        let outbox = Outbox::new().unwrap();
        assert!(outbox.wake_number().is_some());
        outbox.push(&mut vec![done(1)]);
        outbox.close();
        outbox.push(&mut vec![done(2)]);
        assert_eq!(outbox.wake_number(), None);
        assert!(outbox.is_empty());
    }
}
