//! The one place that draws randomness.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(bytes::<32>(), bytes::<32>());
    }
}
