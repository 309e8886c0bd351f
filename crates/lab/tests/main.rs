//! Scenarios on the virtual network.
#![allow(clippy::unwrap_used)]

mod lifetime;
mod loss;
mod publish_play;
mod random_life;
