//! From which address a request came.
//!
//! Holds: a header counts only when the peer is a trusted proxy, and then only as far as trusted proxies wrote it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Addresses that share their first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether the address is one of them. IPv4 inside IPv6 (`::ffff:10.0.0.1`) is IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32 - u32::from(self.bits);
                (own.to_bits() ^ other.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128 - u32::from(self.bits);
                (own.to_bits() ^ other.to_bits()).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl Network {
    /// Whether it holds every address of its kind.
    #[must_use]
    pub const fn is_everybody(&self) -> bool {
        self.bits == 0
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "an address or a network such as 10.0.0.0/8 or fd00::/8";
        if text == "localhost" {
            return Err("addresses, and not a name: localhost is both 127.0.0.1 and ::1, so name the two");
        }
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| expected)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits: u8 = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or(expected)?,
            None => most,
        };
        // IPv4 written inside IPv6: addresses come as IPv4, and this would never hold one of them.
        match address.to_canonical() {
            mapped if mapped.is_ipv4() && address.is_ipv6() => {
                let bits = bits.checked_sub(96).ok_or("a network of IPv4 addresses: write it as one, 10.0.0.0/8")?;
                Ok(Self { address: mapped, bits })
            }
            _ => Ok(Self { address, bits }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// The client's address: the peer's, or the one that trusted proxies passed on.
///
/// `X-Forwarded-For` is read from the right, where the nearest proxy wrote; the first address that is no trusted
/// proxy is the client. What cannot be read ends the search: the proxy that wrote it is all that is known.
#[must_use]
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut nearest = peer.to_canonical();
    if !is_trusted(nearest) {
        return nearest;
    }
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    for hop in lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',')) {
        let Some(address) = std::str::from_utf8(hop).ok().and_then(|hop| parse_hop(hop.trim())) else { break };
        nearest = address;
        if !is_trusted(nearest) {
            break;
        }
    }
    nearest
}

/// An address, perhaps with a port, as proxies write it.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse::<IpAddr>().ok();
    address.or_else(|| hop.parse::<std::net::SocketAddr>().ok().map(|hop| hop.ip())).map(|hop| hop.to_canonical())
}

/// What counts as one address: an IPv4 address, an IPv6 /64 (each subscriber has at least that many).
pub fn subscriber(address: IpAddr) -> [u8; 9] {
    match address.to_canonical() {
        IpAddr::V4(v4) => kept(4, u64::from(v4.to_bits())),
        IpAddr::V6(v6) => kept(6, first_half(v6)),
    }
}

/// As how many addresses a network counts: one subscriber may have it, with 65,536 addresses that count.
pub const SITE_COUNTS: u16 = 10;

/// What counts as one network: an IPv6 /48, which one subscriber may have whole, and where others may be thousands.
/// IPv4 addresses are too dear for one to take many of.
pub fn site(address: IpAddr) -> Option<[u8; 9]> {
    match address.to_canonical() {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Some(kept(6, first_half(v6) & !0xffff)),
    }
}

const fn first_half(address: Ipv6Addr) -> u64 {
    (address.to_bits() >> 64) as u64
}

fn kept(kind: u8, bits: u64) -> [u8; 9] {
    let mut out = [kind; 9];
    for (to, from) in out.iter_mut().skip(1).zip(bits.to_be_bytes()) {
        *to = from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: &str, lines: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_header_from_an_untrusted_peer_is_ignored() {
        assert_eq!(address("203.0.113.9", &["1.2.3.4"], &[]), "203.0.113.9");
        assert_eq!(address("203.0.113.9", &["1.2.3.4"], &["10.0.0.0/8"]), "203.0.113.9");
    }

    #[test]
    fn the_rightmost_untrusted_hop_is_the_client_whatever_it_wrote_itself() {
        assert_eq!(address("10.0.0.1", &["1.2.3.4, 203.0.113.9"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(address("10.0.0.1", &["6.6.6.6", "203.0.113.9 , 10.2.2.2"], &["10.0.0.0/8"]), "203.0.113.9");
        assert_eq!(address("10.0.0.1", &["10.0.0.7,10.0.0.8"], &["10.0.0.0/8"]), "10.0.0.7");
    }

    #[test]
    fn a_hop_that_cannot_be_read_ends_the_search() {
        assert_eq!(address("10.0.0.1", &["1.2.3.4, unknown, 10.0.0.2"], &["10.0.0.0/8"]), "10.0.0.2");
        assert_eq!(address("10.0.0.1", &[], &["10.0.0.0/8"]), "10.0.0.1");
    }

    #[test]
    fn hops_with_ports_and_mapped_addresses_are_read() {
        assert_eq!(address("::ffff:10.0.0.1", &["[2001:db8::1]:443"], &["10.0.0.0/8"]), "2001:db8::1");
        assert_eq!(address("10.0.0.1", &["203.0.113.9:5555"], &["10.0.0.1"]), "203.0.113.9");
    }

    #[test]
    fn networks_hold_exactly_their_addresses() {
        let network = |text: &str| text.parse::<Network>().unwrap();
        assert!(network("10.1.0.0/15").contains("10.0.255.255".parse().unwrap()));
        assert!(!network("10.1.0.0/16").contains("10.0.255.255".parse().unwrap()));
        assert!(network("0.0.0.0/0").contains("203.0.113.9".parse().unwrap()));
        assert!(!network("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(network("fd00::/8").contains("fdff::1".parse().unwrap()));
        assert!(!network("::1").contains("::2".parse().unwrap()));
        assert!(network("::ffff:127.0.0.0/104").contains("127.1.2.3".parse().unwrap()));
        assert!(!network("::ffff:127.0.0.0/104").contains("126.1.2.3".parse().unwrap()));
        assert_eq!(network("::ffff:127.0.0.1").to_string(), "127.0.0.1/32");
        for wrong in ["10.0.0.0/33", "::/129", "10.0.0/8", "example.com", "10.0.0.0/", "::ffff:10.0.0.0/95", ""] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        let refused = "localhost".parse::<Network>().unwrap_err();
        assert!(refused.contains("127.0.0.1") && refused.contains("::1"), "{refused}");
    }
}
