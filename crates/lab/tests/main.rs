//! Scenarios on the virtual network.
#![allow(clippy::unwrap_used)]

mod connect;
mod first_frame;
mod lifetime;
mod loss;
mod narrow;
mod publish_play;
mod random_life;
