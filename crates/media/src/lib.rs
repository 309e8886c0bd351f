//! Plaintext RTP values: packets, codecs, key-frame detection and datagram demultiplexing.
//!
//! Everything here looks at one packet at a time; nothing keeps state between packets, reads a clock or does I/O.

pub mod codec;
pub mod demux;
pub mod fuzz;
mod net;
mod packet;
mod store;

pub use codec::{Codec, DependencyDescriptor, H264Profile, Kind, PictureNumbers};
pub use net::{Path, Protocol};
pub use packet::{AudioLevel, Extensions, FrameMark, Packet, PlayoutDelay};
pub use store::LayerStore;
