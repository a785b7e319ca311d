//! Back-off: how soon after failures the next sign-in may be tried.
//!
//! Takes: the time, the name as it was typed, the client's address, and the browser if it signed in before.
//! Gives: an `Attempt`, or how long to wait. The caller ends the attempt: `failed`, `succeeded`, or by
//! dropping it when nothing was found out (busy). It belongs to the work, not to the connection: hanging up ends none.
//! Holds: only failures count. Names are counted as typed, whether or not there is such a user, so back-off
//! tells nobody which accounts exist. A browser that signed in before has a counter of its own: nobody else's
//! guesses keep it out, and a stolen device cookie guesses no faster. Attempts under way count too, so that
//! guesses sent all at once gain nothing, and no one name, address or link, nor all browsers that are not known
//! together, fill the queue of hashes. Memory is bounded; what is forgotten first is what failed least.
//! Not here: proof that a browser signed in before; see `device`.

use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::hmac;
use opalid_core::ids::{LinkId, WorkspaceId};
use opalid_core::time::{Seconds, UnixTime};

use super::device::DeviceId;
use super::throttle_counters::{Counters, Key, Rule};
use crate::http::client_address::{site, subscriber};
use crate::mac;

/// Failures of one name: five, then 1, 2, 4 … seconds up to 15 minutes; one is forgotten every hour.
const ACCOUNT: Rule = Rule { free: 5, forget_one_in: Seconds(3600), at_once: 4 };
/// Failures of one address, where a whole office may live: fifty; one is forgotten every minute.
const ADDRESS: Rule = Rule { free: 50, forget_one_in: Seconds(60), at_once: 8 };
/// Failures of one IPv6 network, which one subscriber may have whole: as of ten addresses; half of the room for those who
/// are not known.
const SITE: Rule = Rule { free: 500, forget_one_in: Seconds(6), at_once: 24 };
/// What is under way for one thing, however it ends: all browsers known for one name, the forms of one link.
const UNDER_WAY: Rule = Rule { free: u32::MAX, forget_one_in: Seconds(3600), at_once: 4 };
/// All tries under way from browsers that are not known: fewer than there is room for in the queue of hashes, so that no
/// flood, from however many addresses, keeps out a browser that is.
const UNKNOWN: Rule = Rule { free: u32::MAX, forget_one_in: Seconds(3600), at_once: 48 };
/// Tries under way from one place by browsers that are known, whatever their names and however they end: half of the room
/// that UNKNOWN leaves them, so that no address fills it with accounts of its own. Failures lock no such browser out here.
const KNOWN_AT: Rule = Rule { free: u32::MAX, forget_one_in: Seconds(3600), at_once: 8 };
/// The one key of the counter of all of them.
const EVERYBODY: Key = [0; 16];

/// Try again after this long (429 and `Retry-After`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many failed sign-ins; try again in {0}")]
pub struct RetryAfter(pub Seconds);

/// Who tries to sign in.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// Where.
    pub workspace: WorkspaceId,
    /// The name as typed, in the form in which users are looked up.
    pub login_name: &'a str,
    /// The client's address (behind trusted proxies: what they say).
    pub address: IpAddr,
    /// The browser, if it has proved that it signed in with this name before.
    pub device: Option<DeviceId>,
}

/// All counters. Clones share them.
#[derive(Clone)]
pub struct Throttle(Option<Arc<Tables>>);

struct Tables {
    key: hmac::Key,
    accounts: Counters,
    addresses: Counters,
    sites: Counters,
    devices: Counters,
    under_way: Counters,
    known_at: Counters,
    unknown: Counters,
}

/// The counters of one attempt, by table.
#[derive(Clone, Copy, Default)]
struct Counted {
    account: Option<Key>,
    address: Option<Key>,
    site: Option<Key>,
    device: Option<Key>,
    under_way: Option<Key>,
    known_at: Option<Key>,
    unknown: Option<Key>,
}

impl Throttle {
    /// Empty counters. `key` is random and as old as the process, so that nobody can aim at a counter.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(Some(Arc::new(Tables {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            accounts: Counters::new(ACCOUNT),
            addresses: Counters::new(ADDRESS),
            sites: Counters::new(SITE),
            devices: Counters::new(ACCOUNT),
            under_way: Counters::new(UNDER_WAY),
            known_at: Counters::new(KNOWN_AT),
            unknown: Counters::new(UNKNOWN),
        })))
    }

    /// No back-off at all: for the demo and for test tools.
    pub fn off() -> Self {
        Self(None)
    }

    /// Whether this sign-in may be tried now.
    pub fn check(&self, now: UnixTime, candidate: &Candidate<'_>) -> Result<Attempt, RetryAfter> {
        self.begin(now, |tables| tables.counted(candidate))
    }

    /// Whether a password may be set by this link now. How the attempt ends does not matter.
    pub fn check_link(&self, now: UnixTime, link: LinkId) -> Result<Attempt, RetryAfter> {
        self.begin(now, |tables| Counted {
            under_way: Some(mac::short(&tables.key, &[b"link", link.as_bytes()])),
            ..Counted::default()
        })
    }

    fn begin(&self, now: UnixTime, counted: impl FnOnce(&Tables) -> Counted) -> Result<Attempt, RetryAfter> {
        let Some(tables) = &self.0 else { return Ok(Attempt(None)) };
        let counted = counted(tables);
        for (at, (table, key)) in tables.each(counted).enumerate() {
            if let Err(wait) = table.begin(now, key) {
                tables.each(counted).take(at).for_each(|(table, key)| table.end(key));
                return Err(wait);
            }
        }
        Ok(Attempt(Some((Arc::clone(tables), counted))))
    }
}

impl Tables {
    fn counted(&self, candidate: &Candidate<'_>) -> Counted {
        let (workspace, name) = (candidate.workspace.as_bytes(), candidate.login_name.as_bytes());
        let place = site(candidate.address).unwrap_or_else(|| subscriber(candidate.address));
        match candidate.device {
            Some(device) => Counted {
                device: Some(mac::short(&self.key, &[b"device", workspace, name, &device.0])),
                under_way: Some(mac::short(&self.key, &[b"devices of", workspace, name])),
                known_at: Some(mac::short(&self.key, &[b"known at", &place])),
                ..Counted::default()
            },
            None => Counted {
                account: Some(mac::short(&self.key, &[b"account", workspace, name])),
                address: Some(mac::short(&self.key, &[b"address", &subscriber(candidate.address)])),
                site: site(candidate.address).map(|site| mac::short(&self.key, &[b"site", &site])),
                unknown: Some(EVERYBODY),
                ..Counted::default()
            },
        }
    }

    /// The counters of an attempt.
    fn each(&self, counted: Counted) -> impl Iterator<Item = (&Counters, Key)> {
        let Counted { account, address, site, device, under_way, known_at, unknown } = counted;
        let tables = [
            (&self.addresses, address),
            (&self.sites, site),
            (&self.accounts, account),
            (&self.devices, device),
            (&self.under_way, under_way),
            (&self.known_at, known_at),
            (&self.unknown, unknown),
        ];
        tables.into_iter().filter_map(|(table, key)| Some((table, key?)))
    }
}

/// A sign-in that is being tried.
#[must_use = "an attempt ends with `failed` or `succeeded`"]
pub struct Attempt(Option<(Arc<Tables>, Counted)>);

impl Attempt {
    /// The password was wrong, or there is no such user.
    pub fn failed(self, now: UnixTime) {
        let Some((tables, Counted { account, address, site, device, .. })) = &self.0 else { return };
        let counted = [
            (&tables.accounts, account),
            (&tables.addresses, address),
            (&tables.sites, site),
            (&tables.devices, device),
        ];
        for (table, key) in counted {
            key.iter().for_each(|key| table.failed(now, *key));
        }
    }

    /// The password was right: the counter of this name, or of this browser, starts anew. The address's does
    /// not, or an account of one's own would buy guesses at others.
    pub fn succeeded(self) {
        let Some((tables, Counted { account, device, .. })) = &self.0 else { return };
        for (table, key) in [(&tables.accounts, account), (&tables.devices, device)] {
            key.iter().for_each(|key| table.clear(*key));
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some((tables, counted)) = &self.0 else { return };
        tables.each(*counted).for_each(|(table, key)| table.end(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passwords::password_hash::HasherSettings;

    const START: UnixTime = UnixTime(1_800_000_000);

    fn throttle() -> Throttle {
        Throttle::new(&[7; 32])
    }

    fn from<'a>(login_name: &'a str, address: &str) -> Candidate<'a> {
        let workspace = WorkspaceId::from_bytes([1; 16]);
        Candidate { workspace, login_name, address: address.parse().unwrap(), device: None }
    }

    fn with_device<'a>(login_name: &'a str, address: &str, device: u8) -> Candidate<'a> {
        Candidate { device: Some(DeviceId([device; 16])), ..from(login_name, address) }
    }

    fn fail(throttle: &Throttle, now: UnixTime, candidate: &Candidate<'_>) {
        throttle.check(now, candidate).ok().unwrap().failed(now);
    }

    fn wait(throttle: &Throttle, now: UnixTime, candidate: &Candidate<'_>) -> u32 {
        throttle.check(now, candidate).err().map_or(0, |RetryAfter(Seconds(wait))| wait)
    }

    /// The waits asked for after each of `n` failures, each failure as soon as it is allowed.
    fn waits(throttle: &Throttle, candidate: &Candidate<'_>, n: usize) -> Vec<u32> {
        let mut now = START;
        let mut waits = Vec::new();
        for _ in 0..n {
            fail(throttle, now, candidate);
            waits.push(wait(throttle, now, candidate));
            now = now.plus(Seconds(*waits.last().unwrap()));
        }
        waits
    }

    #[test]
    fn after_five_failures_an_account_waits_1_2_4_seconds_up_to_15_minutes() {
        let expected = [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900];
        assert_eq!(waits(&throttle(), &from("alice", "192.0.2.1"), 17), expected);
    }

    #[test]
    fn the_wait_is_over_when_it_said_and_not_before() {
        let (throttle, alice) = (throttle(), from("alice", "192.0.2.1"));
        waits(&throttle, &alice, 7);
        let last = START.plus(Seconds(1 + 2));
        assert_eq!(wait(&throttle, last.plus(Seconds(3)), &alice), 1);
        assert_eq!(wait(&throttle, last.plus(Seconds(4)), &alice), 0);
    }

    #[test]
    fn an_account_waits_whatever_address_the_guesses_come_from() {
        let throttle = throttle();
        for i in 0..5 {
            fail(&throttle, START, &from("alice", &format!("192.0.2.{i}")));
        }
        assert_eq!(wait(&throttle, START, &from("alice", "198.51.100.1")), 1);
        assert_eq!(wait(&throttle, START, &from("bob", "198.51.100.1")), 0);
    }

    #[test]
    fn a_network_of_many_addresses_waits_and_takes_half_of_the_room_at_most() {
        let throttle = throttle();
        let names: Vec<_> = (0..600).map(|n| format!("user {n}")).collect();
        let one = |n: usize| from(&names[n], &format!("2001:db8:1:{n:x}::1"));
        let under_way: Vec<_> = (0..60).map_while(|n| throttle.check(START, &one(n)).ok()).collect();
        assert_eq!(under_way.len(), 24);
        assert_eq!(wait(&throttle, START, &from("alice", "2001:db8:2::1")), 0, "another network");
        drop(under_way);
        (0..500).for_each(|n| fail(&throttle, START, &one(n)));
        assert_eq!(wait(&throttle, START, &one(599)), 1);
        assert_eq!(wait(&throttle, START, &from("alice", "2001:db8:2::1")), 0, "another network");
    }

    #[test]
    fn one_name_in_two_workspaces_is_two_accounts() {
        let (throttle, alice) = (throttle(), from("alice", "192.0.2.1"));
        waits(&throttle, &alice, 5);
        let elsewhere = Candidate { workspace: WorkspaceId::from_bytes([2; 16]), ..alice };
        assert_eq!(wait(&throttle, START, &alice), 1);
        assert_eq!(wait(&throttle, START, &elsewhere), 0);
    }

    #[test]
    fn an_address_may_fail_fifty_times_and_then_waits_likewise() {
        let throttle = throttle();
        let names: Vec<_> = (0..60).map(|i| format!("user{i}")).collect();
        for name in names.iter().take(49) {
            fail(&throttle, START, &from(name, "192.0.2.1"));
        }
        assert_eq!(wait(&throttle, START, &from("next", "192.0.2.1")), 0);
        fail(&throttle, START, &from("user49", "192.0.2.1"));
        assert_eq!(wait(&throttle, START, &from("next", "192.0.2.1")), 1);
        assert_eq!(wait(&throttle, START, &from("next", "192.0.2.2")), 0);
        fail(&throttle, START.plus(Seconds(1)), &from("user50", "192.0.2.1"));
        assert_eq!(wait(&throttle, START.plus(Seconds(1)), &from("next", "192.0.2.1")), 2);
    }

    #[test]
    fn ipv6_addresses_count_per_64_and_mapped_ones_as_ipv4() {
        let net = |address: &str| subscriber(address.parse().unwrap());
        assert_eq!(net("2001:db8:0:1::1"), net("2001:db8:0:1:ffff::2"));
        assert_ne!(net("2001:db8:0:1::1"), net("2001:db8:0:2::1"));
        assert_eq!(net("::ffff:192.0.2.1"), net("192.0.2.1"));
        assert_ne!(net("192.0.2.1"), net("192.0.2.2"));
    }

    #[test]
    fn a_hundred_and_forty_six_sign_ins_from_one_address_in_four_minutes_never_wait() {
        let (throttle, alice) = (throttle(), from("alice", "127.0.0.1"));
        for i in 0..146 {
            throttle.check(START.plus(Seconds(i * 240 / 146)), &alice).ok().unwrap().succeeded();
        }
    }

    #[test]
    fn a_success_clears_the_account_but_not_the_address() {
        let throttle = throttle();
        for i in 0..49 {
            fail(&throttle, START, &from(&format!("user{i}"), "192.0.2.1"));
        }
        waits(&throttle, &from("alice", "198.51.100.1"), 4);
        throttle.check(START, &from("alice", "192.0.2.1")).ok().unwrap().succeeded();
        fail(&throttle, START, &from("alice", "192.0.2.1"));
        assert_eq!(wait(&throttle, START, &from("alice", "198.51.100.1")), 0);
        assert_eq!(wait(&throttle, START, &from("bob", "192.0.2.1")), 1);
    }

    #[test]
    fn after_a_thousand_wrong_guesses_elsewhere_a_browser_that_signed_in_before_still_signs_in() {
        let (throttle, attacker) = (throttle(), from("alice", "192.0.2.1"));
        let mut now = START;
        for _ in 0..1000 {
            now = now.plus(Seconds(wait(&throttle, now, &attacker)));
            fail(&throttle, now, &attacker);
        }
        assert_eq!(wait(&throttle, now, &from("alice", "198.51.100.1")), 900);
        assert_eq!(wait(&throttle, now, &with_device("alice", "198.51.100.1", 1)), 0);
        assert_eq!(wait(&throttle, now, &with_device("alice", "192.0.2.1", 1)), 0, "even from the same address");
    }

    #[test]
    fn a_stolen_device_cookie_has_its_own_back_off() {
        let throttle = throttle();
        let expected = [0, 0, 0, 0, 1, 2, 4, 8, 16, 32];
        assert_eq!(waits(&throttle, &with_device("alice", "192.0.2.1", 1), 10), expected);
        assert_eq!(wait(&throttle, START, &with_device("alice", "192.0.2.1", 2)), 0, "another browser of hers");
        assert_eq!(wait(&throttle, START, &from("alice", "192.0.2.1")), 0, "and one without a cookie");
    }

    #[test]
    fn a_success_clears_only_the_counter_of_that_browser() {
        let throttle = throttle();
        waits(&throttle, &from("alice", "192.0.2.1"), 5);
        waits(&throttle, &with_device("alice", "192.0.2.1", 1), 4);
        throttle.check(START, &with_device("alice", "192.0.2.1", 1)).ok().unwrap().succeeded();
        fail(&throttle, START, &with_device("alice", "192.0.2.1", 1));
        assert_eq!(wait(&throttle, START, &with_device("alice", "192.0.2.1", 1)), 0);
        assert_eq!(wait(&throttle, START, &from("alice", "192.0.2.9")), 1);
    }

    #[test]
    fn guesses_sent_all_at_once_are_not_let_through() {
        let (throttle, alice) = (throttle(), from("alice", "192.0.2.1"));
        let open: Vec<_> = (0..100).filter_map(|_| throttle.check(START, &alice).ok()).collect();
        assert_eq!(open.len(), 4);
        open.into_iter().for_each(|attempt| attempt.failed(START));
        fail(&throttle, START, &alice);
        let later = START.plus(Seconds(900));
        let open: Vec<_> = (0..100).filter_map(|_| throttle.check(later, &alice).ok()).collect();
        assert_eq!(open.len(), 1, "past the free failures one at a time");
    }

    #[test]
    fn no_one_name_address_or_link_comes_near_filling_the_queue_of_hashes() {
        let throttle = throttle();
        let names: Vec<_> = (0..100).map(|i| format!("user{i}")).collect();
        let of_an_address: Vec<_> =
            names.iter().filter_map(|name| throttle.check(START, &from(name, "192.0.2.1")).ok()).collect();
        let browsers = (0..100).filter_map(|i| throttle.check(START, &with_device("alice", "192.0.2.2", i)).ok());
        let of_known_browsers: Vec<_> = browsers.collect();
        let link = LinkId::from_bytes([1; 16]);
        let of_a_link: Vec<_> = (0..100).filter_map(|_| throttle.check_link(START, link).ok()).collect();
        assert_eq!((of_an_address.len(), of_known_browsers.len(), of_a_link.len()), (8, 4, 4));
        let room = HasherSettings::for_cores(1).waiting;
        assert!(of_an_address.len() + of_known_browsers.len() + of_a_link.len() <= room / 4);
        assert_eq!(wait(&throttle, START, &from("next", "192.0.2.1")), 1);
        assert_eq!(wait(&throttle, START, &from("next", "192.0.2.3")), 0);
        drop((of_an_address, of_known_browsers, of_a_link));
        assert_eq!(wait(&throttle, START, &from("next", "192.0.2.1")), 0);
        assert_eq!(wait(&throttle, START, &with_device("alice", "192.0.2.2", 1)), 0);
        assert!(throttle.check_link(START, link).is_ok());
    }

    #[test]
    fn a_flood_from_however_many_addresses_leaves_room_for_browsers_that_signed_in_before() {
        let throttle = throttle();
        let tries: Vec<_> = (0..1000).map(|i| (format!("user{i}"), format!("192.0.{}.{}", i / 250, i % 250))).collect();
        let open = tries.iter().filter_map(|(name, address)| throttle.check(START, &from(name, address)).ok());
        let open: Vec<_> = open.collect();
        assert!(open.len() >= 32 && open.len() + 16 <= HasherSettings::for_cores(1).waiting, "{}", open.len());
        for name in ["alice", "bob", "carol"] {
            assert_eq!(wait(&throttle, START, &with_device(name, "192.0.2.1", 1)), 0);
        }
        open.into_iter().for_each(|attempt| attempt.failed(START));
        assert_eq!(wait(&throttle, START, &from("next", "198.51.100.1")), 0, "it is over at once");
    }

    #[test]
    fn seventeen_accounts_of_one_place_leave_room_for_whoever_is_known_elsewhere() {
        let names: Vec<_> = (0..17).map(|i| format!("user{i}")).collect();
        for place in [["192.0.2.1"; 2], ["2001:db8:1:1::1", "2001:db8:1:2::1"]] {
            let throttle = throttle();
            let browsers = names.iter().flat_map(|name| (0..4).map(move |device| (name, device)));
            let tries = browsers.zip(place.into_iter().cycle());
            let open =
                tries.filter_map(|((name, device), at)| throttle.check(START, &with_device(name, at, device)).ok());
            let open: Vec<_> = open.collect();
            assert_eq!(open.len(), 8);
            for elsewhere in ["192.0.2.2", "2001:db8:2::1"] {
                assert_eq!(wait(&throttle, START, &with_device("alice", elsewhere, 1)), 0);
            }
            assert_eq!(wait(&throttle, START, &with_device("alice", place[1], 1)), 1);
            open.into_iter().for_each(|attempt| attempt.failed(START));
            assert_eq!(
                wait(&throttle, START, &with_device("alice", place[1], 1)),
                0,
                "failures there count for nothing"
            );
        }
    }

    #[test]
    fn guesses_elsewhere_that_are_under_way_leave_room_for_a_browser_that_signed_in_before() {
        let throttle = throttle();
        let open: Vec<_> =
            (0..100).filter_map(|i| throttle.check(START, &from("alice", &format!("192.0.2.{i}"))).ok()).collect();
        assert_eq!(open.len(), 4);
        assert_eq!(wait(&throttle, START, &with_device("alice", "192.0.2.1", 1)), 0);
    }

    #[test]
    fn an_attempt_that_found_nothing_out_does_not_count() {
        let (throttle, alice) = (throttle(), from("alice", "192.0.2.1"));
        for _ in 0..1000 {
            drop(throttle.check(START, &alice).ok().unwrap());
        }
        assert_eq!(waits(&throttle, &alice, 5), [0, 0, 0, 0, 1]);
    }

    #[test]
    fn an_attempt_refused_for_its_account_leaves_nothing_with_the_address() {
        let (throttle, alice) = (throttle(), from("alice", "192.0.2.1"));
        waits(&throttle, &alice, 5);
        for _ in 0..100 {
            assert_eq!(wait(&throttle, START, &alice), 1);
        }
        assert_eq!(wait(&throttle, START, &from("bob", "192.0.2.1")), 0);
    }

    #[test]
    fn a_failure_of_an_address_is_forgotten_each_minute() {
        let throttle = throttle();
        for i in 0..49 {
            fail(&throttle, START, &from(&format!("user{i}"), "192.0.2.1"));
        }
        let later = START.plus(Seconds(60));
        fail(&throttle, later, &from("user49", "192.0.2.1"));
        assert_eq!(wait(&throttle, later, &from("next", "192.0.2.1")), 0);
        fail(&throttle, later, &from("user50", "192.0.2.1"));
        assert_eq!(wait(&throttle, later, &from("next", "192.0.2.1")), 1);
    }

    #[test]
    fn a_failure_of_an_account_is_forgotten_each_hour() {
        let (throttle, alice) = (throttle(), from("alice", "192.0.2.1"));
        waits(&throttle, &alice, 5);
        fail(&throttle, START.plus(Seconds(3600)), &alice);
        assert_eq!(wait(&throttle, START.plus(Seconds(3600)), &alice), 1, "four left, and one more");
        fail(&throttle, START.plus(Seconds(6 * 3600)), &alice);
        assert_eq!(wait(&throttle, START.plus(Seconds(6 * 3600)), &alice), 0);
    }

    #[test]
    fn a_clock_that_stepped_back_locks_nobody_out() {
        let (throttle, alice) = (throttle(), from("alice", "192.0.2.1"));
        waits(&throttle, &alice, 15);
        assert_eq!(wait(&throttle, START.minus(Seconds(86_400)), &alice), 0);
    }

    #[test]
    fn a_name_that_nobody_has_waits_like_any_other() {
        // Nothing here knows which users exist; the series of two names under like guesses are equal.
        let throttle = throttle();
        let real = waits(&throttle, &from("alice", "192.0.2.1"), 12);
        assert_eq!(waits(&throttle, &from("no-such-user", "192.0.2.2"), 12), real);
    }

    #[test]
    fn switched_off_it_lets_everything_through() {
        let (throttle, alice) = (Throttle::off(), from("alice", "192.0.2.1"));
        for _ in 0..1000 {
            fail(&throttle, START, &alice);
        }
        assert_eq!(wait(&throttle, START, &alice), 0);
    }
}
