//! The worlds that are searched, and which mutant is caught in which.

use super::search::search;
use super::simulate::simulate;
use super::{Begins, Budget, Mutant, Shape};
use crate::lease::Margin;

const NONE: Budget = Budget {
    ticks: 0,
    calls: 1,
    checks: 0,
    direct: 0,
    asks: 0,
    renewals: 0,
    restarts: 0,
    others: 0,
    mints: 0,
    narrows: 0,
    moves: 0,
    restores: 0,
    suspends: 0,
    sweeps: 0,
    leaves: 0,
    pushes: 0,
};

fn base(name: &'static str, budget: Budget) -> Shape {
    Shape {
        name,
        nodes: vec![1],
        verifiers: vec![1],
        node_lease: 2,
        verifier_lease: 1,
        margin: Margin::permille(0),
        ring: 2,
        in_flight: 1,
        begins: Begins::Remembering,
        budget,
        mutant: None,
    }
}

fn worlds() -> Vec<Shape> {
    let two = |shape: Shape| Shape { nodes: vec![1, 1], ..shape };
    let direct = |shape: Shape| Shape { nodes: vec![1, 1], verifiers: vec![], ..shape };
    vec![
        base("a node and its verifier", Budget { ticks: 3, checks: 1, asks: 2, renewals: 1, ..NONE }),
        Shape {
            begins: Begins::Leased,
            ring: 1,
            ..base("a verifier that fills", Budget { ticks: 1, checks: 2, asks: 1, others: 1, ..NONE })
        },
        base("a verifier that is pushed to", Budget { calls: 2, checks: 1, asks: 1, others: 1, pushes: 2, ..NONE }),
        base("a lone node that restarts", Budget { ticks: 2, checks: 1, asks: 1, renewals: 1, restarts: 1, ..NONE }),
        direct(base("two nodes", Budget { ticks: 2, direct: 1, renewals: 1, others: 1, ..NONE })),
        Shape {
            begins: Begins::Leased,
            ..direct(base("two nodes that fill", Budget { ticks: 1, direct: 2, renewals: 1, ..NONE }))
        },
        two(base("two nodes, and a verifier of one", Budget { ticks: 2, checks: 1, asks: 1, ..NONE })),
        Shape {
            node_lease: 1,
            ..two(base("a verifier that moves", Budget { ticks: 1, checks: 1, asks: 1, renewals: 1, moves: 1, ..NONE }))
        },
        Shape {
            verifiers: vec![],
            begins: Begins::Leased,
            ..base("a restore while a node reads", Budget { ticks: 2, direct: 2, renewals: 2, restores: 1, ..NONE })
        },
        direct(base("a restore under two nodes", Budget { ticks: 1, direct: 1, renewals: 2, restores: 1, ..NONE })),
        base("a restore", Budget { ticks: 2, checks: 1, asks: 1, renewals: 2, restores: 1, ..NONE }),
        Shape {
            nodes: vec![2],
            node_lease: 4,
            verifier_lease: 2,
            margin: Margin::permille(1000),
            ..base("clocks that differ", Budget { ticks: 3, checks: 1, asks: 2, ..NONE })
        },
        base("a verifier that is suspended", Budget { ticks: 2, checks: 1, asks: 1, suspends: 1, ..NONE }),
        Shape {
            in_flight: 2,
            ..base("a verifier that leaves", Budget { ticks: 1, checks: 1, asks: 2, leaves: 1, ..NONE })
        },
        direct(base("rows that are swept", Budget { ticks: 2, direct: 1, renewals: 1, sweeps: 2, ..NONE })),
        base("a call that is repeated", Budget { ticks: 1, calls: 2, checks: 1, asks: 1, ..NONE }),
        two(base("a token that is ahead", Budget { ticks: 0, calls: 1, checks: 1, narrows: 1, mints: 1, ..NONE })),
        Shape {
            begins: Begins::Cold,
            ..direct(base("nodes that join", Budget { ticks: 2, direct: 1, renewals: 2, ..NONE }))
        },
    ]
}

/// Which world tells a mutant from the protocol. Many are caught in several.
const CAUGHT: [(Mutant, &str); 26] = [
    (Mutant::AcknowledgeBeforeApply, "a verifier that is pushed to"),
    (Mutant::LeaseCountedFromAnswer, "a node and its verifier"),
    (Mutant::GapIgnored, "a verifier that is pushed to"),
    (Mutant::FillWithoutRing, "a verifier that fills"),
    (Mutant::RingAndInsertApart, "a verifier that fills"),
    (Mutant::PositionAfterEvaluating, "a verifier that fills"),
    (Mutant::EntryBeforeLease, "a node and its verifier"),
    (Mutant::NodeLeaseShorter, "two nodes, and a verifier of one"),
    (Mutant::RestartForgetsVerifiers, "a lone node that restarts"),
    (Mutant::FormerRowReused, "a lone node that restarts"),
    (Mutant::RowsReadBeforeCommit, "nodes that join"),
    (Mutant::SweptByOldSight, "rows that are swept"),
    (Mutant::JoinInOneTransaction, "nodes that join"),
    (Mutant::RepetitionAnsweredAtOnce, "a call that is repeated"),
    (Mutant::OwnCommitMovesPastOthers, "two nodes"),
    (Mutant::ReadAcrossIncarnations, "a restore while a node reads"),
    (Mutant::RestoreWithoutGhost, "a restore under two nodes"),
    (Mutant::TagKeyPerConnection, "a verifier that moves"),
    (Mutant::NotFinalKeptAsFinal, "a token that is ahead"),
    (Mutant::AheadIsFinal, "a token that is ahead"),
    (Mutant::LateAnswerServesNewCheck, "a verifier that fills"),
    (Mutant::NoMargin, "clocks that differ"),
    (Mutant::ClockStopsInSuspend, "a verifier that is suspended"),
    (Mutant::LeaseBelievedBeforeForgetting, "a node and its verifier"),
    (Mutant::LeftButStillBelieving, "a verifier that leaves"),
    (Mutant::LateGrantAfterLeaving, "a verifier that leaves"),
];

/// More than any of the worlds has.
const MOST: usize = 4_000_000;

#[test]
fn in_every_state_of_every_small_world_the_promise_holds() {
    for shape in worlds() {
        let found = search(&shape, MOST);
        println!("{}: {} states", shape.name, found.states);
        assert!(found.violation.is_none(), "{}: {:?}", shape.name, found.violation);
        assert!(found.whole, "{} has more than {MOST} states", shape.name);
    }
}

#[test]
fn every_clause_that_is_left_out_is_caught() {
    for (mutant, name) in CAUGHT {
        let world = worlds().into_iter().find(|world| world.name == name).expect("a world of that name");
        let margin = if mutant == Mutant::NoMargin { Margin::permille(0) } else { world.margin };
        let found = search(&Shape { mutant: Some(mutant), margin, ..world }, MOST);
        let (violation, path) = found.violation.unwrap_or_else(|| panic!("{mutant:?} is not caught in {name}"));
        println!("{mutant:?} in {name}: {} ({} steps, {} states)", violation.0, path.len(), found.states);
    }
}

/// Worlds too large to search, walked at random: everything happens in one of them.
fn larger_worlds() -> [Shape; 3] {
    let budget = Budget {
        ticks: 12,
        calls: 3,
        checks: 12,
        direct: 4,
        asks: 12,
        renewals: 12,
        restarts: 2,
        others: 3,
        mints: 1,
        narrows: 2,
        moves: 3,
        restores: 1,
        suspends: 2,
        sweeps: 4,
        leaves: 1,
        pushes: 4,
    };
    let large =
        Shape { nodes: vec![1, 1], verifiers: vec![1, 1], in_flight: 3, ..base("two nodes and two verifiers", budget) };
    let three = Shape { nodes: vec![1, 1, 1], node_lease: 3, begins: Begins::Cold, ..large.clone() };
    let clocks = Shape {
        nodes: vec![2, 1],
        verifiers: vec![1, 2],
        node_lease: 4,
        verifier_lease: 2,
        margin: Margin::permille(1000),
        ..large.clone()
    };
    [large, three, clocks]
}

/// `OPALID_TEST_SEED` walks one history again; `OPALID_TEST_LONG` walks two million.
#[test]
#[expect(clippy::disallowed_methods, reason = "how far a test goes is asked where it runs")]
fn random_histories_of_larger_worlds_keep_the_promise() {
    let set = |name| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seeds = match (set("OPALID_TEST_SEED"), set("OPALID_TEST_LONG")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(_)) => 0..2_000_000,
        (None, None) => 0..12_000,
    };
    let worlds = larger_worlds();
    for seed in seeds {
        let shape = &worlds[usize::try_from(seed % 3).unwrap_or(0)];
        if let Err((violation, walked)) = simulate(shape, seed, 150) {
            panic!("OPALID_TEST_SEED={seed}: {} after {walked:?}", violation.0);
        }
    }
}
