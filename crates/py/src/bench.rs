//! What an event costs on its way up.

use std::thread;
use std::time::Instant;

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use sanderling_io::{Notice, Outbox};
use sanderling_sfu::{Event, Kind, SessionId, StreamId};

use crate::events;

/// Events taken at once, as the bridge does.
const BATCH: usize = 512;
/// Events a thread adds at once: what a busy loop turn of a worker brings.
const PUSHED: usize = 16;
/// Above this the figure no longer changes, and the call would only seem to hang.
const MOST: i64 = 100_000_000;

/// Nanoseconds per event, pushed by a native thread and made into tuples here.
#[pyfunction]
pub fn bench_event_cost(py: Python<'_>, events: i64) -> PyResult<f64> {
    let count = usize::try_from(events)
        .ok()
        .filter(|count| *count > 0 && events <= MOST);
    let count = count.ok_or_else(|| {
        PyValueError::new_err(format!("events must be 1 to {MOST}, not {events}"))
    })?;
    let outbox = Outbox::new().map_err(|error| PyOSError::new_err(error.to_string()))?;
    let started = Instant::now();
    thread::scope(|scope| {
        let pushing = scope.spawn(|| {
            let mut batch = Vec::with_capacity(PUSHED);
            for n in 0..count {
                batch.push(Notice::Event(Event::Flowing {
                    session: SessionId(n as u64),
                    stream: StreamId(7),
                    mid: "1".to_owned(),
                    kind: Kind::Video,
                    rtp_timestamp: n as u32,
                }));
                if batch.len() == PUSHED {
                    outbox.push(&mut batch);
                }
            }
            outbox.push(&mut batch);
        });
        let mut notices = Vec::with_capacity(BATCH);
        let mut taken = 0;
        while taken < count {
            py.check_signals()?;
            outbox.take(BATCH, &mut notices);
            if notices.is_empty() {
                py.detach(thread::yield_now);
            }
            taken += notices.len();
            let tuples: PyResult<Vec<_>> = notices
                .drain(..)
                .map(|notice| events::tuple(py, notice))
                .collect();
            drop(tuples?);
        }
        pushing
            .join()
            .map_err(|_| PyRuntimeError::new_err("the pushing thread panicked"))
    })?;
    Ok(started.elapsed().as_nanos() as f64 / count as f64)
}
