//! How an ancestor stands, as memory keeps it: there are more of these than of anything else.

use opalid_core::alive::Standing;
use opalid_core::grant::Epoch;
use opalid_core::time::UnixTime;

/// Half the size of a [`Standing`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    epoch: Epoch,
    /// In seconds; `FOREVER` for what has no end.
    ends_at: u32,
    enabled: bool,
}

const FOREVER: u32 = u32::MAX;

impl From<Standing> for Kept {
    fn from(standing: Standing) -> Self {
        let ends_at = standing.ends_at.map_or(FOREVER, |at| at.as_u32().min(FOREVER - 1));
        Self { epoch: standing.epoch, ends_at, enabled: standing.enabled }
    }
}

impl From<Kept> for Standing {
    fn from(kept: Kept) -> Self {
        let ends_at = (kept.ends_at != FOREVER).then(|| UnixTime::from(kept.ends_at));
        Self { epoch: kept.epoch, enabled: kept.enabled, ends_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_what_was_read() {
        assert!(size_of::<Kept>() <= 12);
        for ends_at in [None, Some(UnixTime(0)), Some(UnixTime(1_800_000_000))] {
            for enabled in [true, false] {
                let standing = Standing { epoch: Epoch(7), enabled, ends_at };
                assert_eq!(Standing::from(Kept::from(standing)), standing);
            }
        }
    }

    #[test]
    fn an_end_beyond_all_dates_is_still_an_end() {
        let standing = Standing { epoch: Epoch(7), enabled: true, ends_at: Some(UnixTime(i64::MAX)) };
        assert!(Standing::from(Kept::from(standing)).ends_at.is_some());
    }
}
