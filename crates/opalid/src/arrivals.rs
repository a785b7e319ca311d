//! How often one address may begin something that is stored before anybody has signed in, or have that looked up, and
//! one session be given a code.
//!
//! Takes: the time, an address or a session. Gives: whether it may have another.
//! Holds: memory is fixed; nobody can aim at another's place in it; a clock that steps back locks nobody out.
//! Not here: wrong passwords; see `passwords::throttle`.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use aws_lc_rs::hmac;
use opalid_core::ids::SessionId;
use opalid_core::time::UnixTime;

use crate::http::client_address::{SITE_COUNTS, site, subscriber};
use crate::mac;

/// How many of an address a second, and for how many seconds nothing is held back. An office behind one address, and a
/// tool that signs in as fast as it can, stay far below.
const A_SECOND: u64 = 5;
/// So many addresses' worth for a whole IPv6 network.
const SITE: u64 = SITE_COUNTS as u64;
/// A place counts in so many parts of a second.
const PARTS: u64 = A_SECOND * SITE;
const AHEAD: u64 = 120 * PARTS;
/// For how many seconds an address is not held back in what it has looked up: fifty a second after that, ten for each
/// request that it may begin.
const AHEAD_WITH_LOOKUPS: u64 = 20 * PARTS;
/// How many codes a session is given at once: five a second after that. A page that asks for one whenever it is loaded,
/// for each of the applications in it, stays far below.
const CODES: u64 = 60;
const AHEAD_WITH_CODES: u64 = CODES * SITE;
/// Places. Those that share one share its allowance.
const PLACES: usize = 1 << 15;

/// Everybody's allowance. Each place holds the moment, in parts of a second, at which it is whole again.
pub struct Arrivals(Option<Tables>);

struct Tables {
    key: hmac::Key,
    addresses: Places,
    lookups: Places,
    sessions: Places,
}

struct Places(Box<[AtomicU64]>);

impl Arrivals {
    /// Nobody has come yet. `key` is random and as old as the process.
    pub fn new(key: &[u8; 32]) -> Self {
        let places = || Places((0..PLACES).map(|_| AtomicU64::new(0)).collect());
        let key = hmac::Key::new(hmac::HMAC_SHA256, key);
        Self(Some(Tables { key, addresses: places(), lookups: places(), sessions: places() }))
    }

    /// No limit: for the demo and for test tools.
    pub const fn off() -> Self {
        Self(None)
    }

    /// Whether this address may begin one more; if so, that one counts.
    pub fn admit(&self, now: UnixTime, address: IpAddr) -> bool {
        let Some(Tables { key, addresses, .. }) = &self.0 else { return true };
        let one =
            |of: &[u8], parts| addresses.of(key, &[b"arrival", of]).is_some_and(|place| take(place, now, parts, AHEAD));
        one(&subscriber(address), SITE)
            && site(address).is_none_or(|site| one(&[b"site".as_slice(), &site].concat(), 1))
    }

    /// Whether what this address names may be looked up once more; if so, that counts. A flood of look-ups would take the
    /// turns of everybody who signs in.
    pub fn admit_lookup(&self, now: UnixTime, address: IpAddr) -> bool {
        let Some(Tables { key, lookups, .. }) = &self.0 else { return true };
        let place = lookups.of(key, &[b"lookup", &subscriber(address)]);
        place.is_some_and(|place| take(place, now, 1, AHEAD_WITH_LOOKUPS))
    }

    /// Whether this session may be given one more code; if so, that one counts.
    pub fn admit_code(&self, now: UnixTime, session: SessionId) -> bool {
        let Some(Tables { key, sessions, .. }) = &self.0 else { return true };
        let place = sessions.of(key, &[b"code", session.as_bytes()]);
        place.is_some_and(|place| take(place, now, SITE, AHEAD_WITH_CODES))
    }
}

impl Places {
    fn of(&self, key: &hmac::Key, what: &[&[u8]]) -> Option<&AtomicU64> {
        let [a, b, ..] = mac::short(key, what);
        self.0.get(usize::from(u16::from_be_bytes([a, b])) % PLACES)
    }
}

/// Takes so much of a place's allowance, if there is some left: it is never further `ahead` than this.
fn take(place: &AtomicU64, now: UnixTime, parts: u64, ahead: u64) -> bool {
    let now = u64::try_from(now.0).unwrap_or_default() * PARTS;
    let next = |whole_at: u64| {
        // No place is ever further ahead than this: the clock has stepped back.
        let whole_at = if whole_at >= now + ahead + parts { now } else { whole_at.max(now) };
        (whole_at < now + ahead).then_some(whole_at + parts)
    };
    place.fetch_update(Relaxed, Relaxed, next).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one address may begin at once.
    const FIRST: u64 = 120 * A_SECOND;
    const NOW: UnixTime = UnixTime(2_000_000_000);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn admitted(arrivals: &Arrivals, now: i64, from: &str) -> u64 {
        (0..2 * FIRST).filter(|_| arrivals.admit(UnixTime(now), address(from))).count() as u64
    }

    #[test]
    fn an_address_has_an_allowance_that_comes_back_and_others_have_their_own() {
        let arrivals = Arrivals::new(&[7; 32]);
        assert_eq!(admitted(&arrivals, NOW.0, "192.0.2.1"), FIRST);
        assert_eq!(admitted(&arrivals, NOW.0, "192.0.2.2"), FIRST);
        assert_eq!(admitted(&arrivals, NOW.0 + 1, "192.0.2.1"), A_SECOND);
        assert_eq!(admitted(&arrivals, NOW.0 + 3600, "192.0.2.1"), FIRST);
    }

    #[test]
    fn all_addresses_of_one_subscriber_are_one() {
        let arrivals = Arrivals::new(&[7; 32]);
        assert_eq!(admitted(&arrivals, NOW.0, "2001:db8:1:2::1"), FIRST);
        assert_eq!(admitted(&arrivals, NOW.0, "2001:db8:1:2:ffff::9"), 0);
        assert_eq!(admitted(&arrivals, NOW.0, "2001:db8:1:3::1"), FIRST);
    }

    #[test]
    fn a_whole_network_has_the_allowance_of_ten_addresses() {
        let arrivals = Arrivals::new(&[7; 32]);
        let admitted_to = |site: &str| -> u64 {
            (0..20).map(|subnet| admitted(&arrivals, NOW.0, &format!("2001:db8:{site}:{subnet:x}::1"))).sum()
        };
        assert_eq!(admitted_to("1"), SITE * FIRST);
        assert_eq!(admitted(&arrivals, NOW.0, "2001:db8:2::1"), FIRST, "another network");
        assert_eq!(admitted(&arrivals, NOW.0 + 1, "2001:db8:1:ffff::1"), SITE * A_SECOND);
    }

    #[test]
    fn a_clock_that_steps_back_locks_nobody_out() {
        let arrivals = Arrivals::new(&[7; 32]);
        assert_eq!(admitted(&arrivals, NOW.0, "192.0.2.1"), FIRST);
        assert_eq!(admitted(&arrivals, NOW.0 - 7200, "192.0.2.1"), FIRST);
    }

    #[test]
    fn an_address_has_a_thousand_look_ups_at_once_then_fifty_a_second() {
        let arrivals = Arrivals::new(&[7; 32]);
        let looked_up = |now, from: &str| {
            (0..2 * AHEAD_WITH_LOOKUPS).filter(|_| arrivals.admit_lookup(UnixTime(now), address(from))).count() as u64
        };
        assert_eq!(looked_up(NOW.0, "192.0.2.1"), AHEAD_WITH_LOOKUPS);
        assert_eq!(looked_up(NOW.0 + 1, "192.0.2.1"), PARTS);
        assert_eq!(looked_up(NOW.0 + 1, "192.0.2.2"), AHEAD_WITH_LOOKUPS, "another");
        assert_eq!(looked_up(NOW.0 - 7200, "192.0.2.1"), AHEAD_WITH_LOOKUPS, "the clock has stepped back");
        assert_eq!(admitted(&arrivals, NOW.0, "192.0.2.1"), FIRST, "and what it begins is counted apart");
    }

    #[test]
    fn a_session_is_given_sixty_codes_at_once_then_five_a_second_and_others_have_their_own() {
        let arrivals = Arrivals::new(&[7; 32]);
        let given = |now, session| {
            let session = SessionId::from_bytes([session; 16]);
            (0..2 * CODES).filter(|_| arrivals.admit_code(UnixTime(now), session)).count() as u64
        };
        assert_eq!(given(NOW.0, 1), CODES);
        assert_eq!(given(NOW.0 + 1, 1), A_SECOND);
        assert_eq!(given(NOW.0 + 1, 2), CODES);
        assert_eq!(given(NOW.0 + 3600, 1), CODES);
        assert_eq!(given(NOW.0 - 7200, 1), CODES, "the clock has stepped back");
        assert_eq!(admitted(&arrivals, NOW.0, "192.0.2.1"), FIRST, "and addresses have theirs");
    }

    #[test]
    fn without_a_limit_everybody_may() {
        let session = SessionId::from_bytes([1; 16]);
        assert!((0..2 * CODES).all(|_| Arrivals::off().admit_code(NOW, session)));
        assert_eq!(admitted(&Arrivals::off(), NOW.0, "192.0.2.1"), 2 * FIRST);
    }
}
