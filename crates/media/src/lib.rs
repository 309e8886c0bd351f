//! Plaintext RTP values: packets, codecs, key-frame detection and datagram demultiplexing.
//!
//! Values of one packet, and the stores that keep packets for those who miss them or come later. Nothing here reads a
//! clock or does I/O.

mod cache;
pub mod codec;
pub mod demux;
pub mod fuzz;
mod net;
mod packet;
mod parameters;
mod store;

pub use cache::{BYTE_LIMIT, GopCache, KeyFrame};
pub use codec::{Codec, DependencyDescriptor, H264Profile, Kind, PictureNumbers};
pub use net::{Path, Protocol};
pub use packet::{AudioLevel, Extensions, FrameMark, Packet, PlayoutDelay};
pub use store::LayerStore;
