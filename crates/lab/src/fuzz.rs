//! Sequences of operations on a worker.
