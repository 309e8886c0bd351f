//! Virtual network and scripted peers around the worker core.
