//! The one place that draws random bytes.

use std::time::Duration;

use aws_lc_rs::rand;

/// Random bytes. None: this machine has none to give.
pub(crate) fn bytes<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// A length of time up to `most`, so that many do not come at once. Without randomness all of it.
pub(crate) fn up_to(most: Duration) -> Duration {
    let part = bytes().map_or(u32::MAX, u32::from_be_bytes);
    most.mul_f64(f64::from(part) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_drawn_and_never_more_than_asked_for() {
        let most = Duration::from_secs(1);
        let drawn: Vec<Duration> = (0..100).map(|_| up_to(most)).collect();
        assert!(drawn.iter().all(|length| *length <= most));
        assert!(drawn.iter().any(|length| *length != drawn[0]));
        assert_ne!(bytes::<16>(), bytes::<16>());
    }
}
