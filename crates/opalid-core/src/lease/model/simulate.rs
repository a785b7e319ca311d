//! Random walks through larger worlds, each by its seed.

use super::Shape;
use super::act::Action;
use super::world::{Violation, World};

/// Walks `steps` steps and lets faults end. The same seed walks the same way.
pub(super) fn simulate(shape: &Shape, seed: u64, steps: usize) -> Result<(), (Violation, Vec<Action>)> {
    let mut random = Random(seed.wrapping_mul(2).wrapping_add(1));
    let mut world = World::new(shape);
    world.warm_up(shape);
    let mut walked = Vec::new();
    for _ in 0..steps {
        let possible = world.possible(shape);
        let Some(action) = random.one_of(&possible) else { break };
        walked.push(action);
        if let Err(violation) = world.act(shape, action) {
            return Err((violation, walked));
        }
    }
    world.heal(shape).map_err(|violation| (violation, walked))
}

/// SplitMix64: enough to choose by.
struct Random(u64);

impl Random {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn one_of<T: Copy>(&mut self, list: &[T]) -> Option<T> {
        let at = self.next().checked_rem(list.len() as u64)?;
        list.get(usize::try_from(at).ok()?).copied()
    }
}
