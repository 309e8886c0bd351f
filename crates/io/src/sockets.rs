//! Binding: one UDP socket and one TCP listener per address, all with one port number.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use sanderling_sfu::Protocol;
use socket2::{Domain, Socket, Type};

use crate::config::{Config, StartError};
use crate::interfaces::{Listen, shown_address};

/// Socket buffers asked for. A key frame for many viewers is a burst of some MiB; smaller drops part of it, larger
/// only adds delay. The system may grant less.
const SOCKET_BUFFER: usize = 4 << 20;
/// Half-open and waiting TCP connections per listener.
const BACKLOG: i32 = 1024;
/// Ports tried when any will do: another program may hold the same number on one address or protocol.
const ATTEMPTS: usize = 64;

/// The sockets of one address.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Address in paths and candidates: the bound one, or the advertised one in its place.
    pub shown: SocketAddr,
    pub udp: UdpSocket,
    pub tcp: TcpListener,
}

/// Where the next worker's port comes from.
pub(crate) struct Ports {
    range: Option<std::ops::RangeInclusive<u16>>,
}

impl Ports {
    pub fn new((first, last): (u16, u16)) -> Self {
        Ports {
            range: (first != 0).then_some(first..=last),
        }
    }

    /// Bind the endpoints of one worker.
    pub fn bind(&mut self, config: &Config, listen: &Listen) -> Result<Vec<Endpoint>, StartError> {
        let mut last = None;
        if let Some(range) = &mut self.range {
            for port in range {
                match bind_all(config, listen, port) {
                    Ok(endpoints) => return Ok(endpoints),
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = Some(error),
                    Err(error) => return Err(refused(config, error)),
                }
            }
        } else {
            for _ in 0..ATTEMPTS {
                match bind_all(config, listen, 0) {
                    Ok(endpoints) => return Ok(endpoints),
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => last = Some(error),
                    Err(error) => return Err(refused(config, error)),
                }
            }
        }
        Err(refused(
            config,
            last.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrInUse)),
        ))
    }
}

fn refused(config: &Config, error: io::Error) -> StartError {
    let (first, last) = config.ports;
    let ports = if first == 0 {
        "any port".to_owned()
    } else {
        format!("ports {first} to {last}")
    };
    let each = if config.workers > 1 {
        format!(", one for each of {} workers", config.workers)
    } else {
        String::new()
    };
    StartError::System(
        format!("cannot bind the media sockets (UDP and TCP on {ports}{each})"),
        error,
    )
}

/// Bind every address to one port number; the first address chooses it when it is 0.
fn bind_all(config: &Config, listen: &Listen, mut port: u16) -> io::Result<Vec<Endpoint>> {
    let mut endpoints = Vec::with_capacity(listen.addresses.len());
    let mut skipped = None;
    for address in &listen.addresses {
        match bind_one(config, *address, port) {
            Ok(endpoint) => {
                port = endpoint.shown.port();
                endpoints.push(endpoint);
            }
            Err(error) if listen.named || error.kind() == io::ErrorKind::AddrInUse => {
                return Err(error);
            }
            // An interface may lose its address meanwhile, or IPv6 may be switched off: the others still serve.
            Err(error) => skipped = Some(error),
        }
    }
    match skipped {
        Some(error) if endpoints.is_empty() => Err(error),
        _ => Ok(endpoints),
    }
}

/// Bind a UDP socket for media.
pub(crate) fn bind_udp(address: IpAddr, port: u16) -> io::Result<UdpSocket> {
    let udp = socket(address, Type::DGRAM)?;
    // Less than asked for costs packets in bursts only, so a refusal is no reason not to start.
    let _ = udp.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = udp.set_send_buffer_size(SOCKET_BUFFER);
    udp.bind(&SocketAddr::new(address, port).into())?;
    Ok(UdpSocket::from(udp))
}

fn bind_one(config: &Config, address: IpAddr, port: u16) -> io::Result<Endpoint> {
    let udp = bind_udp(address, port)?;
    let port = udp.local_addr()?.port();

    let tcp = socket(address, Type::STREAM)?;
    // On Unix this lets a port be taken again at once after a restart; two listeners still exclude each other.
    #[cfg(unix)]
    tcp.set_reuse_address(true)?;
    tcp.bind(&SocketAddr::new(address, port).into())?;
    tcp.listen(BACKLOG)?;
    let shown = SocketAddr::new(shown_address(config, address), port);
    Ok(Endpoint {
        shown,
        udp,
        tcp: TcpListener::from(tcp),
    })
}

fn socket(address: IpAddr, kind: Type) -> io::Result<Socket> {
    let domain = if address.is_ipv4() {
        Domain::IPV4
    } else {
        Domain::IPV6
    };
    let socket = Socket::new(domain, kind, None)?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Host candidates of a worker with these endpoints, UDP first.
pub(crate) fn candidates(config: &Config, endpoints: &[Endpoint]) -> Vec<(Protocol, SocketAddr)> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for endpoint in endpoints {
        let port = endpoint.shown.port();
        let shown = if config.advertise.is_empty() {
            vec![endpoint.shown]
        } else {
            config
                .advertise
                .iter()
                .map(|a| SocketAddr::new(*a, port))
                .collect()
        };
        for address in shown {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    let of = |protocol| addresses.iter().map(move |address| (protocol, *address));
    of(Protocol::Udp).chain(of(Protocol::Tcp)).collect()
}

/// Finds the socket that a path's local address means.
pub(crate) struct Routes {
    shown: Vec<SocketAddr>,
    /// Where each peer was last heard, kept only when an advertised address stands for several sockets.
    heard: Option<std::collections::HashMap<SocketAddr, usize>>,
}

impl Routes {
    /// Peers remembered. When it is full all are forgotten; each is learned again with its next datagram.
    const REMEMBERED: usize = 65_536;

    pub fn new(shown: Vec<SocketAddr>) -> Self {
        let ambiguous = shown
            .iter()
            .enumerate()
            .any(|(i, a)| shown[..i].contains(a));
        Routes {
            shown,
            heard: ambiguous.then(std::collections::HashMap::new),
        }
    }

    /// The address that stands for a socket.
    pub fn shown(&self, socket: usize) -> SocketAddr {
        self.shown[socket]
    }

    /// A peer was heard on a socket.
    pub fn heard(&mut self, socket: usize, remote: SocketAddr) {
        if let Some(heard) = &mut self.heard {
            if heard.len() >= Self::REMEMBERED && !heard.contains_key(&remote) {
                heard.clear();
            }
            heard.insert(remote, socket);
        }
    }

    /// The socket to send from.
    #[inline]
    pub fn socket(&self, local: SocketAddr, remote: SocketAddr) -> Option<usize> {
        let known = self
            .heard
            .as_ref()
            .and_then(|heard| heard.get(&remote).copied());
        known
            .filter(|socket| self.shown[*socket] == local)
            .or_else(|| self.shown.iter().position(|a| *a == local))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn loopback() -> Listen {
        Listen {
            addresses: vec![IpAddr::from([127, 0, 0, 1])],
            named: true,
        }
    }

    #[test]
    fn udp_and_tcp_share_the_port_number_on_every_address() {
        let config = Config::default();
        let listen = Listen {
            addresses: vec!["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()],
            named: true,
        };
        let endpoints = Ports::new((0, 0)).bind(&config, &listen).unwrap();
        let port = endpoints[0].shown.port();
        assert_eq!(endpoints.len(), 2);
        for endpoint in &endpoints {
            assert_eq!(endpoint.udp.local_addr().unwrap().port(), port);
            assert_eq!(endpoint.tcp.local_addr().unwrap().port(), port);
        }
        let listed = candidates(&config, &endpoints);
        assert_eq!(listed.len(), 4);
        assert_eq!(listed[0].0, Protocol::Udp);
    }

    #[test]
    fn a_taken_port_is_passed_over_and_a_full_range_is_an_error() {
        let held = UdpSocket::bind("127.0.0.1:0").unwrap();
        let taken = held.local_addr().unwrap().port();
        let config = Config {
            ports: (taken, taken),
            ..Config::default()
        };
        let error = Ports::new(config.ports)
            .bind(&config, &loopback())
            .unwrap_err();
        assert!(
            matches!(&error, StartError::System(_, e) if e.kind() == io::ErrorKind::AddrInUse),
            "{error}"
        );
        drop(held);
        assert_eq!(
            Ports::new(config.ports).bind(&config, &loopback()).unwrap()[0]
                .shown
                .port(),
            taken
        );
    }

    #[test]
    fn an_unknown_named_address_is_an_error() {
        let listen = Listen {
            addresses: vec!["192.0.2.77".parse().unwrap()],
            named: true,
        };
        assert!(
            Ports::new((0, 0))
                .bind(&Config::default(), &listen)
                .is_err()
        );
    }

    #[test]
    fn advertised_addresses_replace_the_bound_ones_and_answers_leave_where_the_peer_was_heard() {
        let config = Config {
            advertise: vec!["203.0.113.9".parse().unwrap()],
            ..Config::default()
        };
        let listen = Listen {
            addresses: vec!["127.0.0.1".parse().unwrap(), "127.0.0.2".parse().unwrap()],
            named: true,
        };
        let endpoints = Ports::new((0, 0)).bind(&config, &listen).unwrap();
        let shown = endpoints[0].shown;
        assert_eq!(
            candidates(&config, &endpoints),
            vec![(Protocol::Udp, shown), (Protocol::Tcp, shown)]
        );

        let mut routes = Routes::new(endpoints.iter().map(|e| e.shown).collect());
        let peer = "127.0.0.9:5000".parse().unwrap();
        assert_eq!(routes.socket(shown, peer), Some(0));
        routes.heard(1, peer);
        assert_eq!(routes.socket(shown, peer), Some(1));
        assert_eq!(routes.socket("127.0.0.1:1".parse().unwrap(), peer), None);
    }
}
