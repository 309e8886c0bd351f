//! Which addresses to bind and which to tell peers.

use std::net::IpAddr;

use crate::config::{Config, StartError};

/// Addresses to bind, and whether the user named them (then each must work).
pub(crate) struct Listen {
    pub addresses: Vec<IpAddr>,
    pub named: bool,
}

/// Expand `config.listen`: nothing, or an unspecified address, stands for those of the interfaces.
///
/// There is one socket per interface address instead of one wildcard socket: every datagram's local address is then
/// known without ancillary data, on every system, and an answer always leaves from the address it was asked at.
pub(crate) fn listen_addresses(config: &Config) -> Result<Listen, StartError> {
    let named = !config.listen.is_empty() && !config.listen.iter().any(IpAddr::is_unspecified);
    if named {
        return Ok(Listen {
            addresses: unique(config.listen.iter().copied()),
            named,
        });
    }
    let interfaces = if_addrs::get_if_addrs().map_err(|error| {
        StartError::System("cannot list the network interfaces".to_owned(), error)
    })?;
    let wanted = |address: &IpAddr| {
        config.listen.is_empty()
            || config.listen.iter().any(|l| {
                if l.is_unspecified() {
                    l.is_ipv4() == address.is_ipv4()
                } else {
                    l == address
                }
            })
    };
    let addresses = unique(
        interfaces
            .iter()
            .map(|i| i.ip())
            .filter(|a| usable(a) && wanted(a)),
    );
    if addresses.is_empty() {
        return Err(StartError::BadArgument(
            "listen: no network interface has a usable address".to_owned(),
        ));
    }
    Ok(Listen {
        addresses,
        named: false,
    })
}

/// The address peers are told for a socket bound to `bound`: the first advertised one of its family, else itself.
/// An advertised list without that family leaves the socket out of the candidates.
pub(crate) fn shown_address(config: &Config, bound: IpAddr) -> IpAddr {
    config
        .advertise
        .iter()
        .copied()
        .find(|a| a.is_ipv4() == bound.is_ipv4())
        .unwrap_or(bound)
}

/// Link-local addresses mean nothing to a peer without the name of our interface.
fn usable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_link_local() && !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

/// IPv4 before IPv6 and loopback last, each once: the order peers see, most useful first.
fn unique(addresses: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let mut seen = Vec::new();
    for address in addresses {
        if !seen.contains(&address) {
            seen.push(address);
        }
    }
    seen.sort_by_key(|a| (a.is_loopback(), a.is_ipv6()));
    seen
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_interface_means_loopback_too_and_nothing_link_local() {
        let listen = listen_addresses(&Config::default()).unwrap();
        assert!(listen.addresses.contains(&IpAddr::from([127, 0, 0, 1])));
        assert!(listen.addresses.iter().all(usable));
        assert!(!listen.named);
    }

    #[test]
    fn an_unspecified_address_stands_for_its_family_only() {
        let config = Config {
            listen: vec![IpAddr::from([0, 0, 0, 0])],
            ..Config::default()
        };
        let listen = listen_addresses(&config).unwrap();
        assert!(!listen.addresses.is_empty() && listen.addresses.iter().all(IpAddr::is_ipv4));
    }

    #[test]
    fn link_local_addresses_are_not_usable() {
        assert!(!usable(&"169.254.1.2".parse().unwrap()));
        assert!(!usable(&"fe80::1".parse().unwrap()));
        assert!(usable(&"fd00::1".parse().unwrap()));
    }

    #[test]
    fn peers_are_told_the_advertised_address_of_the_family() {
        let config = Config {
            advertise: vec!["203.0.113.9".parse().unwrap()],
            ..Config::default()
        };
        assert_eq!(
            shown_address(&config, IpAddr::from([10, 0, 0, 1])),
            config.advertise[0]
        );
        let six: IpAddr = "fd00::1".parse().unwrap();
        assert_eq!(shown_address(&config, six), six);
    }
}
