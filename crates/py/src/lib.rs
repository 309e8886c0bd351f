//! The Python extension `sanderling._engine`. Conversions only: no decision is taken here.
//!
//! Every entry releases the interpreter and maps its errors in one place ([`engine`]); native threads never attach to
//! the interpreter, they wake it through a descriptor.
#![allow(clippy::disallowed_methods)] // The border: the event benchmark reads the clock and starts a thread.

mod bench;
mod engine;
mod events;
mod load;

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

/// Raised with every incompatible change of the interface.
const API: i64 = 1;
/// Cargo profile. Debug assertions are on in `dev` and off in `release`, and nothing in the workspace changes that.
const PROFILE: &str = if cfg!(debug_assertions) {
    "dev"
} else {
    "release"
};

create_exception!(
    _engine,
    EngineBusy,
    PyException,
    "The command queue of a worker is full; nothing was done."
);
create_exception!(_engine, EngineClosed, PyException, "The engine was closed.");

#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("API", API)?;
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add("PROFILE", PROFILE)?;
    module.add("EngineBusy", module.py().get_type::<EngineBusy>())?;
    module.add("EngineClosed", module.py().get_type::<EngineClosed>())?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<load::Load>()?;
    module.add_class::<bench::NullForwarder>()?;
    module.add_function(wrap_pyfunction!(bench::bench_event_cost, module)?)?;
    module.add_function(wrap_pyfunction!(bench::bench_send_floor, module)?)?;
    Ok(())
}
