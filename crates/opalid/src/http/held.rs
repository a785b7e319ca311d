//! How many connections everybody has, so that who has most of them gives way first.

use std::collections::HashMap;
use std::net::IpAddr;

use super::client_address::{SITE_COUNTS, site, subscriber};

/// How many connections each address has, and each network: see `subscriber` and `site`.
#[derive(Default)]
pub(super) struct Held {
    addresses: HashMap<[u8; 9], usize>,
    sites: HashMap<[u8; 9], usize>,
}

/// So many connections anybody may have before it counts how many.
const A_FEW: usize = 16;

impl Held {
    pub(super) fn count(&mut self, from: IpAddr) {
        *self.addresses.entry(subscriber(from)).or_default() += 1;
        if let Some(site) = site(from) {
            *self.sites.entry(site).or_default() += 1;
        }
    }

    /// How many more than a few this address or its network has.
    pub(super) fn too_many(&self, from: IpAddr) -> usize {
        let of_address = self.addresses.get(&subscriber(from)).copied().unwrap_or_default();
        let of_site =
            site(from).and_then(|site| self.sites.get(&site)).copied().unwrap_or_default() / usize::from(SITE_COUNTS);
        of_address.max(of_site).saturating_sub(A_FEW)
    }
}
