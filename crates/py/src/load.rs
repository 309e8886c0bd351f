//! The `Load` class: each method one call into the load generator.

use std::net::IpAddr;
use std::sync::Arc;

use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use sanderling_load::{
    Config, LoadError, Pattern, PublisherReport, Recorded, Totals, recorded_packets,
};
use sanderling_media::{Codec, Kind};

/// Real viewers and publishers on threads of their own.
#[pyclass(frozen, module = "sanderling._engine")]
pub struct Load {
    /// `None` only while it is dropped.
    load: Option<Arc<sanderling_load::Load>>,
    /// Process that made it: a child of a fork has none of the threads.
    process: u32,
}

#[pymethods]
impl Load {
    #[new]
    #[pyo3(signature = (*, threads = 1, listen = "127.0.0.1", seed = 0, loss = 0.0))]
    fn new(py: Python<'_>, threads: i64, listen: &str, seed: u64, loss: f64) -> PyResult<Self> {
        let listen: IpAddr = listen.parse().map_err(|_| {
            PyValueError::new_err(format!(
                "listen: {listen:?} is not an IP address; name one of this machine, e.g. 127.0.0.1"
            ))
        })?;
        let threads = natural("threads", threads)?;
        // Reports tell times on the clock that Python programs read.
        let clock_ns = py.import("time")?.call_method0("monotonic_ns")?.extract()?;
        let config = Config {
            threads,
            listen,
            seed,
            loss,
            clock_ns,
        };
        let load = py
            .detach(|| sanderling_load::Load::start(config))
            .map_err(raised)?;
        Ok(Self {
            load: Some(Arc::new(load)),
            process: std::process::id(),
        })
    }

    #[pyo3(signature = (*, slots = 1, check = false, audio = true, video = true))]
    fn open_viewer(
        &self,
        py: Python<'_>,
        slots: i64,
        check: bool,
        audio: bool,
        video: bool,
    ) -> PyResult<(u64, String)> {
        let slots = natural("slots", slots)?;
        self.enter(py, move |load| load.open_viewer(slots, check, audio, video))
    }

    #[pyo3(signature = (offer, *, check = false))]
    fn accept_offer(&self, py: Python<'_>, offer: &str, check: bool) -> PyResult<(u64, String)> {
        self.enter(py, |load| load.accept_offer(offer, check))
    }

    #[pyo3(signature = (*, codec = "vp8", audio = false, key_frames_on_request = true))]
    fn open_publisher(
        &self,
        py: Python<'_>,
        codec: &str,
        audio: bool,
        key_frames_on_request: bool,
    ) -> PyResult<(u64, String)> {
        let known = Codec::from_sdp_name(codec).filter(|known| known.kind() == Kind::Video);
        let codec = known.ok_or_else(|| {
            PyValueError::new_err(format!(
                "codec: {codec:?} is not one of vp8, vp9, av1, h264"
            ))
        })?;
        self.enter(py, move |load| {
            load.open_publisher(codec, audio, key_frames_on_request)
        })
    }

    fn answer(&self, py: Python<'_>, session: u64, sdp: &str) -> PyResult<()> {
        self.enter(py, |load| load.answer(session, sdp))
    }

    fn frame(
        &self,
        py: Python<'_>,
        publisher: u64,
        data: Vec<u8>,
        rtp_timestamp: i64,
        key_frame: bool,
    ) -> PyResult<()> {
        // RTP counts modulo 2^32, and so may the caller.
        let timestamp = rtp_timestamp as u32;
        self.enter(py, move |load| {
            load.frame(publisher, data, timestamp, key_frame)
        })
    }

    #[pyo3(signature = (
        publisher, *, packets_per_second, packet_bytes = 1160, burst = 1, gop_packets = 500
    ))]
    fn start_pattern(
        &self,
        py: Python<'_>,
        publisher: u64,
        packets_per_second: i64,
        packet_bytes: i64,
        burst: i64,
        gop_packets: i64,
    ) -> PyResult<()> {
        let pattern = Pattern {
            packets_per_second: natural("packets_per_second", packets_per_second)?,
            packet_bytes: natural("packet_bytes", packet_bytes)?,
            burst: natural("burst", burst)?,
            gop_packets: natural("gop_packets", gop_packets)?,
        };
        self.enter(py, move |load| load.start_pattern(publisher, pattern))
    }

    #[pyo3(signature = (publisher, *, height, pictures_per_second, gop_pictures = 250))]
    fn start_recorded(
        &self,
        py: Python<'_>,
        publisher: u64,
        height: i64,
        pictures_per_second: f64,
        gop_pictures: i64,
    ) -> PyResult<()> {
        let recorded = Recorded {
            height: natural("height", height)?,
            pictures_per_second,
            gop_pictures: natural("gop_pictures", gop_pictures)?,
        };
        self.enter(py, move |load| load.start_recorded(publisher, recorded))
    }

    #[staticmethod]
    fn recorded_packets(height: i64) -> PyResult<Vec<u32>> {
        let height: u32 = natural("height", height)?;
        recorded_packets(height).ok_or_else(|| {
            PyValueError::new_err(format!("height must be 360 or 540 lines, not {height}"))
        })
    }

    fn stop_pattern(&self, py: Python<'_>, publisher: u64) -> PyResult<u64> {
        self.enter(py, move |load| load.stop_pattern(publisher))
    }

    fn publisher_report<'py>(
        &self,
        py: Python<'py>,
        publisher: u64,
    ) -> PyResult<Bound<'py, PyDict>> {
        let report = self.enter(py, move |load| load.publisher_report(publisher))?;
        let PublisherReport {
            connected,
            connected_ns,
            packets_sent,
            bytes_sent,
            key_frame_requests,
            request_times_ns,
            nacks,
            repairs_sent,
            refused,
            skipped,
            ended,
        } = report;
        let dict = PyDict::new(py);
        dict.set_item("connected", connected)?;
        dict.set_item("connected_ns", connected_ns)?;
        dict.set_item("packets_sent", packets_sent)?;
        dict.set_item("bytes_sent", bytes_sent)?;
        dict.set_item("key_frame_requests", key_frame_requests)?;
        dict.set_item("request_times_ns", request_times_ns)?;
        dict.set_item("nacks", nacks)?;
        dict.set_item("repairs_sent", repairs_sent)?;
        dict.set_item("refused", refused)?;
        dict.set_item("skipped", skipped)?;
        dict.set_item("ended", ended)?;
        Ok(dict)
    }

    fn viewer_report<'py>(&self, py: Python<'py>, viewer: u64) -> PyResult<Bound<'py, PyDict>> {
        let report = self.enter(py, move |load| load.viewer_report(viewer))?;
        let dict = PyDict::new(py);
        dict.set_item("opened_ns", report.opened_ns)?;
        dict.set_item("connected_ns", report.connected_ns)?;
        dict.set_item("first_packet_ns", report.first_packet_ns)?;
        dict.set_item("first_key_frame_ns", report.first_key_frame_ns)?;
        dict.set_item("second_frame_ns", report.second_frame_ns)?;
        dict.set_item("ended", report.ended)?;
        fill(&dict, &report.totals)?;
        let streams = PyList::empty(py);
        for stream in report.streams {
            let entry = PyDict::new(py);
            entry.set_item("ssrc", stream.ssrc)?;
            entry.set_item("kind", stream.codec.kind().as_str())?;
            entry.set_item("codec", stream.codec.name())?;
            entry.set_item("packets", stream.packets)?;
            entry.set_item("lost", stream.lost)?;
            entry.set_item("repaired", stream.repaired)?;
            entry.set_item("first_packet_ns", stream.first_packet_ns)?;
            entry.set_item("first_key_frame_ns", stream.first_key_frame_ns)?;
            entry.set_item("second_frame_ns", stream.second_frame_ns)?;
            streams.append(entry)?;
        }
        dict.set_item("streams", streams)?;
        Ok(dict)
    }

    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let report = self.enter(py, sanderling_load::Load::report)?;
        let dict = PyDict::new(py);
        dict.set_item("viewers", report.viewers)?;
        dict.set_item("connected", report.connected)?;
        dict.set_item("refused", report.refused)?;
        fill(&dict, &report.totals)?;
        Ok(dict)
    }

    #[expect(clippy::type_complexity, reason = "a list of tuples of Python")]
    fn take_frames<'py>(
        &self,
        py: Python<'py>,
        viewer: u64,
    ) -> PyResult<Vec<(Bound<'py, PyBytes>, u32, bool, u64)>> {
        let frames = self.enter(py, move |load| load.take_frames(viewer))?;
        let tuples = frames.iter().map(|frame| {
            let data = PyBytes::new(py, &frame.data);
            (data, frame.rtp_timestamp, frame.key_frame, frame.arrival_ns)
        });
        Ok(tuples.collect())
    }

    fn close_session(&self, py: Python<'_>, session: u64) -> PyResult<()> {
        self.enter(py, move |load| load.close_session(session))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        self.enter(py, |load| {
            load.close();
            Ok(())
        })
    }
}

impl Load {
    /// Call the generator without the interpreter, and map what it refuses: the one way down.
    fn enter<T: Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&sanderling_load::Load) -> Result<T, LoadError> + Send,
    ) -> PyResult<T> {
        if self.process != std::process::id() {
            return Err(PyRuntimeError::new_err(
                "this load generator belongs to the parent process: its threads do not exist after a fork; make a new \
                 one here",
            ));
        }
        let Some(load) = &self.load else {
            return Err(raised(LoadError::Closed));
        };
        py.detach(|| call(load)).map_err(raised)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let load = self.load.take();
        if self.process != std::process::id() {
            // Joining threads that do not exist would wait for ever.
            std::mem::forget(load);
        }
    }
}

fn fill(dict: &Bound<'_, PyDict>, totals: &Totals) -> PyResult<()> {
    for (name, value) in [
        ("packets", totals.packets),
        ("bytes", totals.bytes),
        ("lost", totals.lost),
        ("missing", totals.missing),
        ("repaired", totals.repaired),
        ("repeated", totals.repeated),
        ("checked", totals.checked),
        ("corrupted", totals.corrupted),
        ("nacks_sent", totals.nacks_sent),
        ("key_frames_asked", totals.key_frames_asked),
        ("dropped", totals.dropped),
    ] {
        dict.set_item(name, value)?;
    }
    Ok(())
}

fn raised(error: LoadError) -> PyErr {
    match &error {
        LoadError::BadArgument(text) => PyValueError::new_err(text.clone()),
        LoadError::Closed => PyRuntimeError::new_err(error.to_string()),
        LoadError::System(_, source) => match source.raw_os_error() {
            // Two arguments make Python choose the subclass and fill in `errno`.
            Some(number) => PyOSError::new_err((number, error.to_string())),
            None => PyOSError::new_err(error.to_string()),
        },
    }
}

fn natural<T: TryFrom<i64>>(name: &str, value: i64) -> PyResult<T> {
    T::try_from(value)
        .map_err(|_| PyValueError::new_err(format!("{name}: {value} is out of range")))
}
