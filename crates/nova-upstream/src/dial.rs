//! Opens a connection: name, address, TCP, TLS. The caller holds the deadline.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use crate::endpoint::{Endpoint, Host, Scheme};
use crate::failure::{Failure, Kind, Retry};
use crate::stream::Stream;
use crate::tls::Tls;

/// After how much silence TCP asks whether the peer is still there, and how often. It finds dead
/// peers under an idle or silent connection within two minutes and keeps NAT entries alive.
const KEEPALIVE: Duration = Duration::from_secs(45);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// The least time that an address gets before the next one is tried.
const ADDRESS_TIME: Duration = Duration::from_millis(500);

/// Opens a connection, by `deadline` at the latest.
pub(crate) async fn dial(endpoint: &Endpoint, tls: &Tls, deadline: Instant) -> Result<Stream, Failure> {
    match timeout_at(deadline, open(endpoint, tls, deadline)).await {
        Ok(result) => result,
        Err(_) => Err(Failure::new(Kind::ConnectTimeout)),
    }
}

async fn open(endpoint: &Endpoint, tls: &Tls, deadline: Instant) -> Result<Stream, Failure> {
    let addresses = resolve(endpoint).await?;
    let stream = connect(&addresses, deadline).await?;
    tune(&stream).map_err(|error| Failure::new(Kind::Connect).caused_by(error))?;
    match endpoint.scheme() {
        Scheme::Http => Ok(Stream::Plain(stream)),
        Scheme::Https => {
            let name = endpoint.server_name().ok_or_else(|| Failure::new(Kind::Tls))?;
            let stream = tls.connector().connect(name, stream).await.map_err(handshake_failure)?;
            Ok(Stream::Tls(Box::new(stream)))
        }
    }
}

async fn resolve(endpoint: &Endpoint) -> Result<Vec<SocketAddr>, Failure> {
    let name = match endpoint.address() {
        Host::Address(address) => return Ok(vec![SocketAddr::new(*address, endpoint.port())]),
        Host::Name(name) => &**name,
    };
    let unknown = |error: io::Error| Failure::new(Kind::Dns).caused_by(error);
    let found = lookup_host((name, endpoint.port())).await.map_err(unknown)?;
    let addresses = alternate(found.collect());
    if addresses.is_empty() {
        return Err(Failure::new(Kind::Dns));
    }
    Ok(addresses)
}

/// The addresses, families in turn, beginning with the resolver's first choice: when one family leads
/// nowhere, the second attempt is already another one (RFC 8305 §4).
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first = addresses.first().map(SocketAddr::is_ipv6);
    let (same, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| Some(address.is_ipv6()) == first);
    let (mut same, mut other) = (same.into_iter(), other.into_iter());
    let mut turns = Vec::new();
    loop {
        let (one, two) = (same.next(), other.next());
        if one.is_none() && two.is_none() {
            return turns;
        }
        turns.extend(one.into_iter().chain(two));
    }
}

/// Tries the addresses in turn; each gets its share of the time that is left, the last one all of it.
async fn connect(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Failure> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for (tried, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        let until = (Instant::now() + share.max(ADDRESS_TIME)).min(deadline);
        match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(Failure::new(Kind::Connect).caused_by(last))
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    // Without this a request of two writes waits for the peer's delayed acknowledgement, 40 ms.
    stream.set_nodelay(true)?;
    // Loopback peers do not vanish silently.
    if stream.peer_addr().is_ok_and(|peer| is_loopback(peer.ip())) {
        return Ok(());
    }
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// A connection that broke during the handshake may be made at the second try; a certificate that is
/// not trusted will not be.
fn handshake_failure(error: io::Error) -> Failure {
    let verdict = error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    let retry = if verdict { Retry::ElsewhereOnly } else { Retry::SameAllowed };
    Failure { retry, ..Failure::new(Kind::Tls) }.caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_tried_in_turn_beginning_with_the_resolvers_choice() {
        let check = |addresses: &[&str], expected: &[&str]| {
            let parse = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>();
            assert_eq!(alternate(parse(addresses)), parse(expected));
        };
        check(&[], &[]);
        check(&["1.1.1.1:1", "1.1.1.2:1"], &["1.1.1.1:1", "1.1.1.2:1"]);
        check(
            &["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"],
            &["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"],
        );
        check(&["1.1.1.1:1", "[::1]:1", "1.1.1.2:1"], &["1.1.1.1:1", "[::1]:1", "1.1.1.2:1"]);
    }
}
