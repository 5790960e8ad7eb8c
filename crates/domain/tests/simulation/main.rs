//! The state machine of runs in simulated worlds: many agents and runs, messages that are lost, repeated and reordered,
//! crashes between commit and effect, clocks that are set, agents that die, vanish and come back.
//!
//! Every world grows from a seed. `SALLYPORT_SIMULATION=7` lives through world 7 alone, `100..200` through others than
//! usual.

mod agent;
mod check;
mod links;
mod queue;
mod random;
mod server;
mod story;
mod world;

use std::ops::Range;

use world::{Tally, World};

/// Enough for 100,000 runs.
const WORLDS: Range<u64> = 0..1_000;

/// What must have come about often enough for the test to be worth something.
const EXPECTED: [&str; 24] = [
    "a commit failed",
    "agents killed",
    "attempts that could not be sent",
    "cancelled",
    "cancels",
    "commits found already there",
    "effects repeated",
    "events refused",
    "failed",
    "finished_with_errors",
    "messages lost",
    "messages repeated",
    "no_data",
    "reruns",
    "runs had to wait",
    "succeeded",
    "the clock set",
    "the server died before a commit",
    "the server died between commit and effect",
    "the server killed",
    "timed_out",
    "cancels that came too late",
    "successes after a loss",
    "old attempts that came back",
];

#[test]
fn whatever_goes_wrong_every_run_ends_and_ends_right() {
    let worlds = worlds();
    let whole = worlds == WORLDS;
    let (mut tally, mut runs) = (Tally::default(), 0);
    for seed in worlds {
        match World::new(seed, &mut tally).live() {
            Ok(lived) => runs += lived,
            Err(broken) => panic!("world {seed} (again with SALLYPORT_SIMULATION={seed}): {}", broken.0),
        }
    }
    if whole {
        assert!(runs >= 100_000, "{runs} runs");
        for what in EXPECTED {
            let times = tally.0.get(what).copied().unwrap_or(0);
            assert!(times >= 20, "{what}: only {times} times, of {:#?}", tally.0);
        }
    }
}

/// The seeds that are asked for.
fn worlds() -> Range<u64> {
    let Some(asked) = std::env::var_os("SALLYPORT_SIMULATION") else { return WORLDS };
    let asked = asked.to_string_lossy().into_owned();
    let number = |text: &str| {
        text.parse::<u64>()
            .unwrap_or_else(|_| panic!("SALLYPORT_SIMULATION={text}: a number, or two with `..` between"))
    };
    match asked.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => number(&asked)..number(&asked) + 1,
    }
}
