//! How long a key is kept that is in use no more: until nothing that it signed or sealed can live.
//!
//! Takes: the key, the settings of its workspace, how old the oldest sealed row is. Gives: when it may go, and why not
//! before.

use opalid_core::time::{Seconds, UnixTime};
use opalid_core::token_settings::{ID_TOKEN_LIFETIME_MAX, REFRESH_GRACE_MAX, SEALED_LIFETIME_MAX};
use opalid_core::workspace::WorkspaceSettings;
use opalid_store::keys::{KeyPurpose, KeyState, WorkspaceKey};

/// Beyond every end: requests that were under way with the old key, and clocks that step back.
const MARGIN: Seconds = Seconds(24 * 3600);
/// How long an ID token is taken as a hint after its end, at least; for as long as sessions live, if that is longer.
const HINT: Seconds = Seconds(30 * 24 * 3600);
/// How long a browser keeps the proof that it signed in before.
const DEVICE_COOKIE: Seconds = Seconds(365 * 24 * 3600);

/// When a key may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Not while it is in use or follows.
    InUse,
    /// At this time.
    Until(UnixTime),
    /// When rows are gone that were made before this time.
    WhileRowsBefore(UnixTime),
}

impl Kept {
    /// How long this key is kept.
    pub fn of(key: &WorkspaceKey, settings: &WorkspaceSettings) -> Self {
        let KeyState::Previous { until } = key.state else { return Self::InUse };
        let end = until.plus(MARGIN);
        match key.purpose {
            KeyPurpose::Signing => {
                Self::Until(end.plus(ID_TOKEN_LIFETIME_MAX).plus(HINT.max(settings.tokens.session_absolute)))
            }
            KeyPurpose::Sealing => Self::Until(end.plus(SEALED_LIFETIME_MAX)),
            KeyPurpose::Refresh => Self::Until(end.plus(REFRESH_GRACE_MAX)),
            KeyPurpose::Page => Self::Until(end.plus(DEVICE_COOKIE)),
            KeyPurpose::Row => Self::WhileRowsBefore(end),
        }
    }

    /// Whether nobody needs it any more. `oldest` is when the oldest row was made that holds the digest of a sealed
    /// secret.
    pub fn is_over(self, oldest: Option<UnixTime>, now: UnixTime) -> bool {
        match self {
            Self::InUse => false,
            Self::Until(end) => now >= end,
            Self::WhileRowsBefore(end) => now >= end && oldest.is_none_or(|oldest| oldest > end),
        }
    }
}

/// Why a key is kept that is in use no more.
pub const fn why(purpose: KeyPurpose) -> &'static str {
    match purpose {
        KeyPurpose::Signing => "tokens that it signed are verified, and ID tokens taken as hints after their end",
        KeyPurpose::Sealing => "access tokens that it sealed may live",
        KeyPurpose::Row => "refresh tokens, sessions, codes and links that it sealed may live",
        KeyPurpose::Refresh => "a refresh that is tried again gets the same token",
        KeyPurpose::Page => "pages that are open, and browsers that signed in before",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use opalid_core::token_settings::TokenSettings;

    const DAY: i64 = 24 * 3600;

    fn previous(purpose: KeyPurpose) -> WorkspaceKey {
        WorkspaceKey {
            purpose,
            number: 1,
            state: KeyState::Previous { until: UnixTime(0) },
            algorithm: String::new(),
            wrapped: Vec::new(),
            created_at: UnixTime(-DAY),
        }
    }

    #[track_caller]
    fn ends(purpose: KeyPurpose, settings: &WorkspaceSettings, end: i64) {
        let kept = Kept::of(&previous(purpose), settings);
        assert!(!kept.is_over(None, UnixTime(end - 1)) && kept.is_over(None, UnixTime(end)), "{kept:?}");
    }

    #[test]
    fn each_is_kept_as_long_as_what_it_made_may_live() {
        let settings = WorkspaceSettings::default();
        ends(KeyPurpose::Signing, &settings, 61 * DAY);
        ends(KeyPurpose::Sealing, &settings, 31 * DAY);
        ends(KeyPurpose::Refresh, &settings, 2 * DAY);
        ends(KeyPurpose::Page, &settings, 366 * DAY);
        let tokens = TokenSettings { session_absolute: Seconds(100 * 24 * 3600), ..TokenSettings::default() };
        let long = WorkspaceSettings { tokens, ..settings };
        ends(KeyPurpose::Signing, &long, 131 * DAY);
    }

    #[test]
    fn a_row_key_is_kept_while_a_row_from_its_time_is_there() {
        let kept = Kept::of(&previous(KeyPurpose::Row), &WorkspaceSettings::default());
        let year = UnixTime(400 * DAY);
        assert!(!kept.is_over(Some(UnixTime(DAY)), year));
        assert!(kept.is_over(Some(UnixTime(DAY + 1)), year) && kept.is_over(None, year));
        assert!(!kept.is_over(None, UnixTime(DAY - 1)));
    }

    #[test]
    fn what_is_in_use_or_follows_is_kept() {
        for state in [KeyState::Next, KeyState::Current { since: UnixTime(0) }] {
            let key = WorkspaceKey { state, ..previous(KeyPurpose::Signing) };
            assert!(!Kept::of(&key, &WorkspaceSettings::default()).is_over(None, UnixTime(i64::MAX)));
        }
    }
}
