//! Dependency descriptors on str0m's side.

use str0m::RtcConfig;
use str0m::rtp::{Extension, ExtensionSerializer, ExtensionValues};

const DESCRIPTOR_URI: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/// The bytes of a dependency descriptor, as the client got them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor(pub Vec<u8>);

/// An offer of extensions longer than 16 bytes, which str0m takes without naming it.
pub fn allow_long(offer: String) -> String {
    offer.replace("t=0 0\r\n", "t=0 0\r\na=extmap-allow-mixed\r\n")
}

/// Add the descriptors to what a client speaks.
pub fn with_descriptors(config: RtcConfig) -> RtcConfig {
    let descriptors = Extension::with_serializer(DESCRIPTOR_URI, Descriptors);
    config.set_extension(11, descriptors)
}

#[derive(Debug)]
struct Descriptors;

impl ExtensionSerializer for Descriptors {
    fn write_to(&self, buf: &mut [u8], values: &ExtensionValues) -> usize {
        let descriptor = values.user_values.get::<Descriptor>();
        descriptor.map_or(0, |Descriptor(bytes)| {
            buf[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        })
    }

    fn requires_two_byte_form(&self, values: &ExtensionValues) -> bool {
        values.user_values.get::<Descriptor>().is_some()
    }

    fn parse_value(&self, buf: &[u8], values: &mut ExtensionValues) -> bool {
        values.user_values.set(Descriptor(buf.to_vec()));
        true
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        false
    }
}
