//! The one place that draws randomness.

use std::cell::RefCell;

/// The system's source of randomness failed; nothing that needs a secret can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's source of randomness failed")]
pub struct NoRandomness;

/// `N` random bytes, fit for secrets.
///
/// AWS-LC's generator cannot fail once it is seeded; where it does, the process ends rather than go on with bytes
/// that somebody could guess.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    try_bytes().unwrap_or_else(|_| std::process::abort())
}

/// `N` random bytes, or the news that there are none.
pub fn try_bytes<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// How many nonces are drawn at once.
const NONCES: usize = 32;

/// A nonce for a sealed reference. It is no secret: it leaves as the token's `jti`.
///
/// Each thread draws many at once: the generator hardens itself before every draw, which costs more than the draw.
#[must_use]
pub fn nonce() -> [u8; 12] {
    thread_local! {
        static DRAWN: RefCell<Vec<[u8; 12]>> = const { RefCell::new(Vec::new()) };
    }
    DRAWN.with_borrow_mut(|drawn| {
        if drawn.is_empty() {
            drawn.extend_from_slice(bytes::<{ NONCES * 12 }>().as_chunks().0);
        }
        drawn.pop().unwrap_or_else(bytes)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(bytes::<32>(), bytes::<32>());
    }

    #[test]
    fn no_nonce_comes_twice_within_a_draw_or_after_it() {
        let nonces: HashSet<_> = (0..3 * NONCES + 1).map(|_| nonce()).collect();
        assert_eq!(nonces.len(), 3 * NONCES + 1);
    }
}
