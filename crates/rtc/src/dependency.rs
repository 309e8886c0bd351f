//! The dependency descriptor as a header extension of str0m's, which knows none.

use sanderling_media::DependencyDescriptor;
use str0m::rtp::{Extension, ExtensionSerializer, ExtensionValues};

use crate::sdp::HeaderExtension;

/// Carries descriptors through as they are.
#[derive(Debug)]
struct Descriptors;

impl ExtensionSerializer for Descriptors {
    fn write_to(&self, buf: &mut [u8], values: &ExtensionValues) -> usize {
        let Some(descriptor) = values.user_values.get::<DependencyDescriptor>() else {
            return 0;
        };
        let bytes = descriptor.as_bytes();
        match buf.get_mut(..bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                bytes.len()
            }
            None => 0,
        }
    }

    fn parse_value(&self, buf: &[u8], values: &mut ExtensionValues) -> bool {
        let descriptor = DependencyDescriptor::new(buf);
        let taken = descriptor.is_some();
        if let Some(descriptor) = descriptor {
            values.user_values.set(descriptor);
        }
        taken
    }

    fn is_video(&self) -> bool {
        true
    }

    fn is_audio(&self) -> bool {
        false
    }

    fn requires_two_byte_form(&self, values: &ExtensionValues) -> bool {
        values.user_values.get::<DependencyDescriptor>().is_some()
    }
}

/// The engine's extension for descriptors.
pub(crate) fn extension() -> Extension {
    Extension::with_serializer(HeaderExtension::DependencyDescriptor.uri(), Descriptors)
}
