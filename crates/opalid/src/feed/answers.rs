//! What a verifier is told of a token.
//!
//! Holds: the position is taken before anything is looked at; what may be given back, or is merely not known, is not dead; an
//! answer during which the store became another is none.

use std::time::Duration;

use opalid_core::alive::Verdict;
use opalid_core::lease::wire::{LONGEST_FACTS, MOST_TAGS, Said};
use opalid_core::mirror::{Tag, TagKey};
use opalid_core::time::UnixTime;

use crate::http::call::Call;
use crate::http::client_auth::AuthenticatedClient;
use crate::introspected::{self, Basis};
use crate::metrics::Introspected;

/// What is true of a token, for this client. Refresh tokens are not for resource servers.
pub(super) async fn about(call: &Call<'_>, caller: &AuthenticatedClient, tags: &TagKey, token: &str) -> Said {
    let memory = call.app.store.memory();
    let at = memory.at();
    let mut basis = Basis::default();
    let verdict = introspected::access_token(call, caller, (token, false), Some(&mut basis)).await;
    let is_same_life = memory.at().map(|now| now.incarnation) == at.map(|at| at.incarnation);
    let counts = &call.app.metrics.introspections;
    match verdict {
        Ok(_) if !is_same_life => Said::Outage,
        Ok(Verdict::Active(facts)) => {
            counts.count(Introspected::Active);
            let mut tags: Vec<Tag> = basis.touched.iter().map(|touched| tags.of(&touched.name())).collect();
            tags.sort_unstable();
            tags.dedup();
            let Ok(facts) = String::from_utf8(facts.end()) else { return Said::Outage };
            if facts.len() > LONGEST_FACTS {
                tracing::warn!("an answer is too long for a verifier, which so cannot say anything of its token");
                return Said::Outage;
            }
            // An answer that hangs from more than can be said is for this one check.
            let at = at.filter(|_| tags.len() <= MOST_TAGS);
            let tags = if at.is_some() { tags } else { Vec::new() };
            let expires_in = basis.until.map_or(Duration::ZERO, |until| left(call, until));
            Said::Active { at, expires_in, tags, facts }
        }
        Ok(Verdict::Inactive(reason)) => {
            counts.count(reason.into());
            tracing::debug!(reason = reason.name(), "inactive");
            if reason.is_final() { Said::Dead } else { Said::Inactive }
        }
        Err(why) => {
            tracing::debug!(%why, "a verifier's question was not answered");
            Said::Outage
        }
    }
}

/// How long it is until then by any clock, never more: of the second that runs, what has passed of it counts, and a hundredth goes for a clock
/// that is slower than this one.
fn left(call: &Call<'_>, until: UnixTime) -> Duration {
    let (now, millis) = call.app.clock.now_with_millis();
    let seconds = u64::try_from(until.0.saturating_sub(now.0)).unwrap_or(0);
    // A thousandth more for what is cut off below.
    Duration::from_secs(seconds).saturating_sub(Duration::from_millis(u64::from(millis) + 1)) * 99 / 100
}
