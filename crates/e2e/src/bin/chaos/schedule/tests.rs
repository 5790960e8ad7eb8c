use std::collections::BTreeSet;

use super::*;

#[test]
fn a_seed_makes_the_same_decisions_again_and_another_one_does_not() {
    for round in 1..50 {
        assert_eq!(plan(7, round), plan(7, round));
        assert_ne!(plan(7, round), plan(8, round));
        assert_ne!(plan(7, round), plan(7, round + 1));
    }
}

#[test]
fn every_fault_comes_and_some_rounds_hold_one_that_outlasts_a_lost_agent() {
    let all: Vec<Planned> = (1..200).flat_map(|round| plan(1, round)).collect();
    let kinds: BTreeSet<String> = all.iter().map(|planned| planned.fault.to_string()).collect();
    assert_eq!(kinds.len(), WEIGHTS.len(), "{kinds:?}");
    let long = all.iter().filter(|planned| planned.over() > Duration::from_secs(65)).count();
    assert_eq!(long, 199 / LONG_EVERY as usize);
}

#[test]
fn one_thing_has_one_fault_at_a_time() {
    for round in 1..500 {
        let planned = plan(3, round);
        for (index, one) in planned.iter().enumerate() {
            for other in &planned[index + 1..] {
                let apart =
                    one.fault.subject() != other.fault.subject() || one.over() < other.at || other.over() < one.at;
                assert!(apart, "round {round}: {one:?} and {other:?}");
            }
        }
    }
}
