//! The one place that draws randomness.

use std::cell::RefCell;

use zeroize::Zeroize;

/// How many bytes are drawn at once.
const DRAWN: usize = 512;

/// `N` random bytes, fit for secrets.
///
/// AWS-LC's generator cannot fail once it is seeded; where it does, the process ends rather than go on with bytes
/// that somebody could guess. Each thread draws many at once and wipes what it has given away: the generator hardens
/// itself before every draw, which costs more than the draw. This process never forks.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    thread_local! {
        static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; DRAWN], left: 0 }) };
    }
    POOL.with_borrow_mut(Pool::take).unwrap_or_else(|| std::process::abort())
}

/// What is left of a draw: the first bytes.
struct Pool {
    bytes: [u8; DRAWN],
    left: usize,
}

impl Pool {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        const { assert!(N <= DRAWN) };
        if self.left < N {
            self.left = 0;
            aws_lc_rs::rand::fill(&mut self.bytes).ok()?;
            self.left = DRAWN;
        }
        let given = self.bytes.get_mut(..self.left)?.last_chunk_mut::<N>()?;
        let taken = *given;
        given.zeroize();
        self.left -= N;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_bytes_come_twice_within_a_draw_or_after_it() {
        let drawn: HashSet<[u8; 12]> = (0..3 * DRAWN / 12 + 1).map(|_| bytes()).collect();
        assert_eq!(drawn.len(), 3 * DRAWN / 12 + 1);
    }

    #[test]
    fn what_was_given_away_is_wiped() {
        let mut pool = Pool { bytes: [0; DRAWN], left: 0 };
        let (first, second) = (pool.take::<16>().unwrap(), pool.take::<32>().unwrap());
        assert_eq!(pool.left, DRAWN - 48);
        assert!(first != [0; 16] && second != [0; 32]);
        assert_eq!(pool.bytes[DRAWN - 48..], [0; 48]);
        assert_ne!(pool.bytes[..16], [0; 16]);
    }
}
