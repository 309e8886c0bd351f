//! Notices as the tuples that `_engine.pyi` describes.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use sanderling_io::Notice;
use sanderling_rtc::TrackInfo;
use sanderling_sfu::{CloseReason, Event, Kind, Reason};

/// Convert one notice.
pub fn tuple(py: Python<'_>, notice: Notice) -> PyResult<Bound<'_, PyTuple>> {
    match notice {
        Notice::Event(event) => event_tuple(py, event),
        Notice::Internal { ticket, detail } => {
            ("failed", ticket.0, "internal", detail).into_pyobject(py)
        }
        Notice::WorkerFailed { worker, detail } => {
            ("worker_failed", worker.0, detail).into_pyobject(py)
        }
        Notice::Log {
            level,
            target,
            message,
        } => ("log", level, target, message).into_pyobject(py),
    }
}

fn event_tuple(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyTuple>> {
    match event {
        Event::Answered {
            ticket,
            session,
            sdp,
            tracks,
        } => ("answered", ticket.0, session.0, sdp, track_list(&tracks)).into_pyobject(py),
        Event::Bound {
            ticket,
            session,
            stream,
            slot,
            audio_mid,
            video_mid,
            tracks,
        } => (
            "bound",
            ticket.0,
            session.0,
            stream.0,
            slot,
            audio_mid,
            video_mid,
            track_list(&tracks),
        )
            .into_pyobject(py),
        Event::Done { ticket } => ("done", ticket.0).into_pyobject(py),
        Event::Failed {
            ticket,
            reason,
            detail,
        } => ("failed", ticket.0, reason_name(reason), detail).into_pyobject(py),
        Event::Connected { session } => ("connected", session.0).into_pyobject(py),
        Event::Closed { session, reason } => {
            ("closed", session.0, close_name(reason)).into_pyobject(py)
        }
        Event::TrackStarted {
            stream,
            kind,
            codec,
        } => ("track_started", stream.0, kind_name(kind), codec).into_pyobject(py),
        Event::Flowing {
            session,
            stream,
            mid,
            kind,
            rtp_timestamp,
        } => (
            "flowing",
            session.0,
            stream.0,
            mid,
            kind_name(kind),
            rtp_timestamp,
        )
            .into_pyobject(py),
        Event::Stats { session, values } => {
            let named = PyDict::new(py);
            for (name, value) in values {
                named.set_item(name, value)?;
            }
            ("stats", session.0, named).into_pyobject(py)
        }
        Event::Snapshot { ticket, json } => ("snapshot", ticket.0, json).into_pyobject(py),
    }
}

fn track_list(tracks: &[TrackInfo]) -> Vec<(&'static str, String, &str)> {
    tracks
        .iter()
        .map(|track| {
            (
                kind_name(track.kind),
                track.codec.to_string(),
                track.mid.as_str(),
            )
        })
        .collect()
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Audio => "audio",
        Kind::Video => "video",
    }
}

fn reason_name(reason: Reason) -> &'static str {
    match reason {
        Reason::BadOffer => "bad_offer",
        Reason::NoCodec => "no_codec",
        Reason::NoSlot => "no_slot",
        Reason::UnknownSession => "unknown_session",
        Reason::UnknownStream => "unknown_stream",
        Reason::Duplicate => "duplicate",
        Reason::TooManySessions => "too_many_sessions",
    }
}

fn close_name(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::IceTimeout => "ice_timeout",
        CloseReason::ConsentExpired => "consent_expired",
        CloseReason::DtlsFailed => "dtls_failed",
        CloseReason::PeerClosed => "peer_closed",
    }
}
