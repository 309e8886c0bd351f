//! Handshakes under way, by where they come from.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Handshakes of one source at a time. One costs about a millisecond of processor time, so this is a second that one
/// source can take from the others; a lecture hall behind one address is served all the same, because who is refused
/// asks again within a second. Sessions themselves are limited where they are opened, by logins per source.
const PER_SOURCE: u32 = 1024;

/// Counts by source. An entry is there while a handshake is under way, so sessions bound the table.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    by_source: HashMap<IpAddr, u32>,
}

/// What counts as one source: an IPv4 address, or an IPv6 network of 64 bits, which is what one host has to itself.
pub(crate) fn source(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.into(),
            None => Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
        },
        v4 => v4,
    }
}

impl Handshakes {
    /// One more begins at `source`. False when there are too many already.
    pub(crate) fn begin(&mut self, source: IpAddr) -> bool {
        let count = self.by_source.entry(source).or_default();
        let free = *count < PER_SOURCE;
        *count += u32::from(free);
        free
    }

    /// One is over, whatever came of it.
    pub(crate) fn end(&mut self, source: IpAddr) {
        if let Some(count) = self.by_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
    }

    /// Sources with a handshake under way.
    pub(crate) fn len(&self) -> usize {
        self.by_source.len()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_an_address_or_a_network_of_64_bits() {
        let rows = [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ];
        for (address, expected) in rows {
            let found = source(address.parse().unwrap());
            assert_eq!(found, expected.parse::<IpAddr>().unwrap());
        }
    }

    #[test]
    fn one_source_is_bounded_another_is_free_and_nothing_stays() {
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut handshakes = Handshakes::default();
        let begun = (0..3000).filter(|_| handshakes.begin(one)).count();
        assert_eq!(begun, PER_SOURCE as usize);
        assert!(handshakes.begin(other));
        handshakes.end(one);
        assert!(handshakes.begin(one) && !handshakes.begin(one));
        for _ in 0..begun {
            handshakes.end(one);
        }
        handshakes.end(other);
        assert_eq!(handshakes.len(), 0);
    }
}
