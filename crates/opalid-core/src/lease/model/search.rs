//! Every state of a small world, depth first, by fingerprint.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::act::Action;
use super::world::{Violation, World};
use super::{Begins, Shape};

/// What a search found.
#[derive(Debug)]
pub(super) struct Found {
    pub states: usize,
    /// Every state was visited.
    pub whole: bool,
    pub violation: Option<(Violation, Vec<Action>)>,
}

struct Frame {
    world: World,
    actions: Vec<Action>,
    next: usize,
}

/// Visits at most `most` states. Of every 256th, faults end.
pub(super) fn search(shape: &Shape, most: usize) -> Found {
    let mut seen = HashSet::new();
    let mut path = Vec::new();
    let mut found = Found { states: 0, whole: true, violation: None };
    let mut world = World::new(shape);
    world.warm_up(shape);
    visit(shape, world, &mut seen, &mut path, &mut found);
    while let Some(frame) = path.last_mut() {
        let Some(action) = frame.actions.get(frame.next).copied() else {
            path.pop();
            continue;
        };
        frame.next += 1;
        let mut world = frame.world.clone();
        let lawful = world.act(shape, action);
        if let Err(violation) = lawful {
            found.violation = Some((violation, trace(&path)));
        } else if seen.len() >= most {
            found.whole = false;
        } else {
            visit(shape, world, &mut seen, &mut path, &mut found);
        }
        if found.violation.is_some() || !found.whole {
            break;
        }
    }
    found.states = seen.len();
    found
}

fn visit(shape: &Shape, world: World, seen: &mut HashSet<u64>, path: &mut Vec<Frame>, found: &mut Found) {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    let fingerprint = hasher.finish();
    if !seen.insert(fingerprint) {
        return;
    }
    if fingerprint.is_multiple_of(256)
        && let Err(violation) = world.clone().heal(shape)
    {
        found.violation = Some((violation, trace(path)));
    }
    let actions = world.possible(shape);
    path.push(Frame { world, actions, next: 0 });
}

fn trace(path: &[Frame]) -> Vec<Action> {
    path.iter().filter_map(|frame| frame.actions.get(frame.next.checked_sub(1)?).copied()).collect()
}

impl World {
    /// What comes before the history.
    pub(super) fn warm_up(&mut self, shape: &Shape) {
        if shape.begins == Begins::Cold {
            return;
        }
        let shape = &Shape { mutant: None, ..shape.clone() };
        let left = self.left;
        self.left = super::Budget::default();
        let ran = self.everybody_runs(shape).and_then(|()| {
            if shape.begins == Begins::Remembering {
                for at in 0..self.verifiers.len() {
                    self.check_begins(shape, at, 0)?;
                    self.runs_down(shape)?;
                }
                for node in &mut self.nodes {
                    node.known = Some(self.store.facts);
                }
            }
            self.everybody_runs(shape)
        });
        assert_eq!(ran, Ok(()), "a world without faults");
        for verifier in &mut self.verifiers {
            verifier.questions = 0;
        }
        self.left = left;
    }
}
