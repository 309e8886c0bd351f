//! What an event costs on its way up, and what the sockets alone can do.

use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use sanderling_io::bench::{FloorConfig, NullForwarder as Forwarder, NullReport, SendFloor};
use sanderling_io::{Notice, Outbox};
use sanderling_sfu::{Event, Kind, SessionId, StreamId};

use crate::engine::{natural, not_started};
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

/// Longest time without a look at Python's signals.
const SLICE: Duration = Duration::from_millis(50);
/// Longest measurement: a typing error shall not hold a processor for hours.
const LONGEST: f64 = 600.0;

/// Bare sending, for so many seconds on the calling thread.
#[pyfunction]
#[pyo3(signature = (addresses, *, size = 1200, per_flush = 1, seconds = 1.0, listen = "0.0.0.0", gso = true))]
pub fn bench_send_floor<'py>(
    py: Python<'py>,
    addresses: Vec<String>,
    size: i64,
    per_flush: i64,
    seconds: f64,
    listen: &str,
    gso: bool,
) -> PyResult<Bound<'py, PyDict>> {
    if !(seconds > 0.0 && seconds <= LONGEST) {
        return Err(PyValueError::new_err(format!(
            "seconds must be more than 0 and at most {LONGEST}, not {seconds}"
        )));
    }
    let config = FloorConfig {
        addresses: sockets(&addresses)?,
        size: natural("size", size)?,
        per_flush: natural("per_flush", per_flush)?,
        listen: address("listen", listen)?,
        segmentation: gso,
    };
    let mut floor = py.detach(|| SendFloor::new(&config)).map_err(not_started)?;
    let mut left = Duration::from_secs_f64(seconds);
    let total = loop {
        let slice = left.min(SLICE);
        let total = py.detach(|| floor.run(slice))?;
        left -= slice;
        if left.is_zero() {
            break total;
        }
        py.check_signals()?;
    };
    let result = PyDict::new(py);
    for (name, value) in [
        ("packets", total.packets),
        ("dropped", total.dropped),
        ("bytes", total.bytes),
        ("flushes", total.flushes),
        ("sends", total.sends),
        ("trains", total.trains),
        ("gso", u64::from(total.segmentation)),
    ] {
        result.set_item(name, value as f64)?;
    }
    result.set_item("cpu_seconds", total.cpu.as_secs_f64())?;
    result.set_item("seconds", total.elapsed.as_secs_f64())?;
    Ok(result)
}

/// A thread that sends what comes in to everybody, unchanged.
#[pyclass(frozen, module = "sanderling._engine")]
pub struct NullForwarder {
    forwarder: Forwarder,
}

#[pymethods]
impl NullForwarder {
    #[new]
    #[pyo3(signature = (addresses, *, listen = "127.0.0.1"))]
    fn new(py: Python<'_>, addresses: Vec<String>, listen: &str) -> PyResult<Self> {
        let (addresses, listen) = (sockets(&addresses)?, address("listen", listen)?);
        let forwarder = py
            .detach(|| Forwarder::start(addresses, listen))
            .map_err(not_started)?;
        Ok(NullForwarder { forwarder })
    }

    #[getter]
    fn address(&self) -> String {
        self.forwarder.address().to_string()
    }

    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        report(py, &self.forwarder.report())
    }

    fn close<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        py.detach(|| self.forwarder.stop());
        report(py, &self.forwarder.report())
    }
}

fn report<'py>(py: Python<'py>, report: &NullReport) -> PyResult<Bound<'py, PyDict>> {
    let totals = &report.totals;
    let result = PyDict::new(py);
    for (name, value) in [
        ("packets_in", totals.packets_in),
        ("packets_out", totals.packets_out),
        ("dropped", totals.datagrams_dropped),
        ("flushes", totals.flushes),
        ("sends", totals.sends),
        ("trains", totals.trains),
        ("gso", totals.segmentation),
    ] {
        result.set_item(name, value)?;
    }
    result.set_item("cpu_seconds", report.cpu.as_secs_f64())?;
    result.set_item("added_delay", delay(py, &report.added_delay)?)?;
    Ok(result)
}

/// A histogram of delays with the bounds of its buckets.
pub fn delay<'py>(py: Python<'py>, counts: &[u64]) -> PyResult<Bound<'py, PyDict>> {
    let histogram = PyDict::new(py);
    let bounds: Vec<f64> = sanderling_io::bounds_us().collect();
    histogram.set_item("bounds_us", bounds)?;
    histogram.set_item("counts", counts)?;
    Ok(histogram)
}

fn sockets(texts: &[String]) -> PyResult<Vec<SocketAddr>> {
    let parse = |text: &String| {
        text.parse().map_err(|_| {
            PyValueError::new_err(format!(
                "addresses: {text:?} is not an IP address with a port, like 127.0.0.1:4000"
            ))
        })
    };
    texts.iter().map(parse).collect()
}

fn address(name: &str, text: &str) -> PyResult<IpAddr> {
    text.parse()
        .map_err(|_| PyValueError::new_err(format!("{name}: {text:?} is not an IP address")))
}
