//! The `Engine` class: each method one call into the node.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use sanderling_io::{Backend, Config, Node, Refused, StartError};
use sanderling_media::{Codec, Kind};
use sanderling_sfu::{Command, LayerChoice, Protocol, SessionId, StreamId, Ticket, WorkerId};

use crate::{EngineBusy, EngineClosed, bench, events};

/// Worker threads with their sockets. Made, they run; `close()` joins them.
#[pyclass(frozen, module = "sanderling._engine")]
pub struct Engine {
    /// `None` once closed.
    node: Mutex<Option<Arc<Node>>>,
    /// Process that made it: a child of a fork has neither the threads nor a right to the sockets.
    process: u32,
    workers: usize,
    candidates: Vec<Vec<String>>,
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (
        *, workers = 1, listen = Vec::new(), ports = (0, 0), advertise = Vec::new(), consent_timeout_ms = 30_000,
        max_sessions = 20_000, portable = false
    ))]
    #[expect(
        clippy::too_many_arguments,
        reason = "keyword arguments of the Python class"
    )]
    fn new(
        py: Python<'_>,
        workers: i64,
        listen: Vec<String>,
        ports: (i64, i64),
        advertise: Vec<String>,
        consent_timeout_ms: i64,
        max_sessions: i64,
        portable: bool,
    ) -> PyResult<Self> {
        let config = Config {
            workers: natural("workers", workers)?,
            listen: addresses("listen", &listen)?,
            ports: (natural("ports", ports.0)?, natural("ports", ports.1)?),
            advertise: addresses("advertise", &advertise)?,
            consent_timeout: Duration::from_millis(natural(
                "consent_timeout_ms",
                consent_timeout_ms,
            )?),
            max_sessions: natural("max_sessions", max_sessions)?,
            backend: if portable {
                Backend::Portable
            } else {
                Backend::Native
            },
        };
        let node = py.detach(|| Node::start(&config)).map_err(not_started)?;
        let name = |(protocol, address): &(Protocol, std::net::SocketAddr)| {
            let protocol = match protocol {
                Protocol::Udp => "udp",
                Protocol::Tcp => "tcp",
            };
            format!("{protocol} {} {}", address.ip(), address.port())
        };
        Ok(Engine {
            workers: node.workers(),
            candidates: node
                .candidates()
                .iter()
                .map(|worker| worker.iter().map(name).collect())
                .collect(),
            process: std::process::id(),
            node: Mutex::new(Some(Arc::new(node))),
        })
    }

    #[getter]
    fn workers(&self) -> PyResult<usize> {
        self.same_process()?;
        Ok(self.workers)
    }

    #[getter]
    fn candidates(&self) -> PyResult<Vec<Vec<String>>> {
        self.same_process()?;
        Ok(self.candidates.clone())
    }

    fn wake_fd(&self) -> PyResult<i64> {
        self.node()?.wake_number().ok_or_else(closed)
    }

    fn take_events<'py>(&self, py: Python<'py>, limit: i64) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        let limit: usize = natural("limit", limit)?;
        let mut notices = Vec::new();
        self.enter(py, |node| {
            node.take_notices(limit, &mut notices);
            Ok(())
        })?;
        notices
            .into_iter()
            .map(|notice| events::tuple(py, notice))
            .collect()
    }

    #[pyo3(signature = (ticket, worker, session, offer, codecs = Vec::new()))]
    fn open_publisher(
        &self,
        py: Python<'_>,
        ticket: u64,
        worker: i64,
        session: u64,
        offer: String,
        codecs: Vec<String>,
    ) -> PyResult<()> {
        let (ticket, session) = (Ticket(ticket), SessionId(session));
        let codecs = codecs
            .iter()
            .map(|name| video_codec(name))
            .collect::<PyResult<_>>()?;
        self.command(
            py,
            worker,
            Command::OpenPublisher {
                ticket,
                session,
                offer,
                codecs,
            },
        )
    }

    fn open_viewer(
        &self,
        py: Python<'_>,
        ticket: u64,
        worker: i64,
        session: u64,
        offer: String,
    ) -> PyResult<()> {
        let (ticket, session) = (Ticket(ticket), SessionId(session));
        self.command(
            py,
            worker,
            Command::OpenViewer {
                ticket,
                session,
                offer,
            },
        )
    }

    fn offer_viewer(
        &self,
        py: Python<'_>,
        ticket: u64,
        worker: i64,
        session: u64,
        stream: u64,
    ) -> PyResult<()> {
        self.command(
            py,
            worker,
            Command::OfferViewer {
                ticket: Ticket(ticket),
                session: SessionId(session),
                stream: StreamId(stream),
            },
        )
    }

    fn accept(
        &self,
        py: Python<'_>,
        ticket: u64,
        worker: i64,
        session: u64,
        answer: String,
    ) -> PyResult<()> {
        self.command(
            py,
            worker,
            Command::Accept {
                ticket: Ticket(ticket),
                session: SessionId(session),
                answer,
            },
        )
    }

    fn offer(
        &self,
        py: Python<'_>,
        ticket: u64,
        worker: i64,
        session: u64,
        offer: String,
    ) -> PyResult<()> {
        let (ticket, session) = (Ticket(ticket), SessionId(session));
        self.command(
            py,
            worker,
            Command::Offer {
                ticket,
                session,
                offer,
            },
        )
    }

    #[expect(clippy::too_many_arguments, reason = "arguments of the Python method")]
    fn bind(
        &self,
        py: Python<'_>,
        ticket: u64,
        worker: i64,
        session: u64,
        stream: u64,
        origin: i64,
        audio: bool,
        video: bool,
    ) -> PyResult<()> {
        let (ticket, session, stream) = (Ticket(ticket), SessionId(session), StreamId(stream));
        let origin = self.worker(origin)?;
        self.command(
            py,
            worker,
            Command::Bind {
                ticket,
                session,
                stream,
                origin,
                audio,
                video,
            },
        )
    }

    fn unbind(
        &self,
        py: Python<'_>,
        ticket: u64,
        worker: i64,
        session: u64,
        stream: u64,
    ) -> PyResult<()> {
        let (ticket, session, stream) = (Ticket(ticket), SessionId(session), StreamId(stream));
        self.command(
            py,
            worker,
            Command::Unbind {
                ticket,
                session,
                stream,
            },
        )
    }

    fn set_layer(
        &self,
        py: Python<'_>,
        ticket: u64,
        worker: i64,
        session: u64,
        stream: u64,
        choice: u8,
    ) -> PyResult<()> {
        let choice = LayerChoice::from_number(choice).ok_or_else(|| {
            PyValueError::new_err(format!(
                "choice is 0 (automatic), 1 (small) or 2 (big), not {choice}"
            ))
        })?;
        self.command(
            py,
            worker,
            Command::SetLayer {
                ticket: Ticket(ticket),
                session: SessionId(session),
                stream: StreamId(stream),
                choice,
            },
        )
    }

    fn set_delay(
        &self,
        py: Python<'_>,
        ticket: u64,
        worker: i64,
        session: u64,
        stream: u64,
        most_ms: u16,
    ) -> PyResult<()> {
        self.command(
            py,
            worker,
            Command::SetDelay {
                ticket: Ticket(ticket),
                session: SessionId(session),
                stream: StreamId(stream),
                most: most_ms / 10,
            },
        )
    }

    fn request_key_frame(&self, py: Python<'_>, worker: i64, stream: u64) -> PyResult<()> {
        self.command(
            py,
            worker,
            Command::RequestKeyFrame {
                stream: StreamId(stream),
            },
        )
    }

    fn close_session(
        &self,
        py: Python<'_>,
        ticket: u64,
        worker: i64,
        session: u64,
    ) -> PyResult<()> {
        self.command(
            py,
            worker,
            Command::Close {
                ticket: Ticket(ticket),
                session: SessionId(session),
            },
        )
    }

    fn snapshot(&self, py: Python<'_>, ticket: u64, worker: i64) -> PyResult<()> {
        self.command(
            py,
            worker,
            Command::Snapshot {
                ticket: Ticket(ticket),
            },
        )
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let totals = self.enter(py, |node| Ok(node.totals()))?;
        let counters = PyDict::new(py);
        for (name, value) in [
            ("packets_in", totals.packets_in),
            ("packets_out", totals.packets_out),
            ("bytes_in", totals.bytes_in),
            ("bytes_out", totals.bytes_out),
            ("datagrams_dropped", totals.datagrams_dropped),
            ("datagrams_late", totals.datagrams_late),
            ("datagrams_refused", totals.datagrams_refused),
            ("flushes", totals.flushes),
            ("sends", totals.sends),
            ("trains", totals.trains),
            ("gso", totals.segmentation),
            ("sessions", totals.sessions),
            ("bindings", totals.bindings),
            ("events_waiting", totals.events_waiting),
        ] {
            counters.set_item(name, value)?;
        }
        Ok(counters)
    }

    fn added_delay<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = self.enter(py, |node| Ok(node.added_delay()))?;
        bench::delay(py, &counts)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.same_process()?;
        let node = self
            .node
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(node) = node {
            // A method running in another thread may still hold the node; it finds it stopped.
            py.detach(|| node.stop());
        }
        Ok(())
    }
}

impl Engine {
    /// Call the node without the interpreter, and map what it refuses: the one way down.
    fn enter<T: Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&Node) -> Result<T, Refused> + Send,
    ) -> PyResult<T> {
        let node = self.node()?;
        py.detach(move || call(&node))
            .map_err(|refused| match refused {
                Refused::Busy => EngineBusy::new_err(refused.to_string()),
                Refused::Closed => closed(),
                Refused::NoSuchWorker => PyValueError::new_err(refused.to_string()),
            })
    }

    fn command(&self, py: Python<'_>, worker: i64, command: Command) -> PyResult<()> {
        let worker = self.worker(worker)?;
        self.enter(py, move |node| node.command(worker, command))
    }

    fn worker(&self, number: i64) -> PyResult<WorkerId> {
        match u16::try_from(number) {
            Ok(worker) if usize::from(worker) < self.workers => Ok(WorkerId(worker)),
            _ => Err(PyValueError::new_err(format!(
                "there is no worker {number}; they are 0 to {}",
                self.workers - 1
            ))),
        }
    }

    fn node(&self) -> PyResult<Arc<Node>> {
        self.same_process()?;
        self.node
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or_else(closed)
    }

    fn same_process(&self) -> PyResult<()> {
        if self.process == std::process::id() {
            return Ok(());
        }
        Err(PyRuntimeError::new_err(
            "this engine belongs to the parent process: its threads do not exist after a fork; make a new one here",
        ))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let node = self
            .node
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if self.process != std::process::id() {
            // Joining threads that do not exist would wait for ever.
            std::mem::forget(node);
            return;
        }
        if let Some(node) = node {
            // The collector may run this with the interpreter held; the threads never need it, so joining is short.
            node.stop();
        }
    }
}

fn video_codec(name: &str) -> PyResult<Codec> {
    Codec::from_sdp_name(name)
        .filter(|codec| codec.kind() == Kind::Video)
        .ok_or_else(|| PyValueError::new_err(format!("codecs: {name:?} is not a video codec")))
}

fn closed() -> PyErr {
    EngineClosed::new_err("the engine was closed")
}

pub(crate) fn not_started(error: StartError) -> PyErr {
    match &error {
        StartError::BadArgument(text) => PyValueError::new_err(text.clone()),
        StartError::System(_, source) => match source.raw_os_error() {
            // Two arguments make Python choose the subclass and fill in `errno`.
            Some(number) => PyOSError::new_err((number, error.to_string())),
            None => PyOSError::new_err(error.to_string()),
        },
    }
}

pub(crate) fn natural<T: TryFrom<i64>>(name: &str, value: i64) -> PyResult<T> {
    T::try_from(value)
        .map_err(|_| PyValueError::new_err(format!("{name}: {value} is out of range")))
}

fn addresses(name: &str, texts: &[String]) -> PyResult<Vec<IpAddr>> {
    let parse = |text: &String| {
        text.parse()
            .map_err(|_| PyValueError::new_err(format!("{name}: {text:?} is not an IP address")))
    };
    texts.iter().map(parse).collect()
}
