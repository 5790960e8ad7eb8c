//! The queue, told by example and over a long time.

use proptest::prelude::*;

use super::*;

const fn run(n: u128) -> RunId {
    RunId::from_uuid(uuid::Uuid::from_u128(n))
}

const fn agent(n: u128) -> Place {
    Place::Agent(AgentId::from_uuid(uuid::Uuid::from_u128(n)))
}

fn queued(n: u128, priority: i32, needs: &[(Place, u32)]) -> Queued {
    Queued { run: run(n), needs: needs.to_vec(), priority, queued_at: Timestamp(i64::try_from(n).unwrap()) }
}

#[test]
fn priority_comes_before_age_within_each_limit() {
    let (busy, free) = ((agent(1), 2), (agent(2), 2));
    let all = vec![
        queued(5, 0, &[free]),
        queued(1, 0, &[free]),
        queued(2, 0, &[free]),
        queued(9, 9, &[busy]),
        queued(8, 9, &[busy]),
        queued(7, -1, &[]),
    ];
    let decision = decide(all, [(run(100), vec![busy.0])]);
    assert_eq!(decision.start, [run(8), run(1), run(2), run(7)]);
    assert_eq!(decision.wait.keys().copied().collect::<Vec<_>>(), [run(5), run(9)]);
}

#[test]
fn a_reason_names_what_is_full_and_by_whom() {
    let place = (agent(1), 2);
    let decision = decide(vec![queued(3, 0, &[place])], [(run(1), vec![place.0]), (run(2), vec![place.0])]);
    insta::assert_snapshot!(decision.wait[&run(3)].words("client-server"), @"waiting: agent `client-server` serves at most 2 runs at one time, 2 are running (run_00000000000000000000000000000001, run_00000000000000000000000000000002)");
}

#[test]
fn the_first_in_line_keeps_its_other_places_and_only_it() {
    let (a, b) = ((agent(1), 2), (agent(2), 1));
    // Two wait for `b`; the first of them keeps one place of `a`, the second none.
    let all = vec![queued(1, 0, &[a, b]), queued(2, 0, &[a, b]), queued(3, 0, &[a]), queued(4, 0, &[a])];
    let decision = decide(all, [(run(100), vec![b.0])]);
    assert_eq!(decision.start, [run(3)]);
    assert_eq!(decision.wait[&run(4)].kept_for, [run(1)]);
    insta::assert_snapshot!(decision.wait[&run(4)].words("a"), @"waiting: agent `a` serves at most 2 runs at one time, 1 is running (run_00000000000000000000000000000003), 1 kept free for what waits longer (run_00000000000000000000000000000001)");
}

proptest! {
    /// Limits hold, nobody is forgotten, and a run that needs every place starts after a bounded time, although newer
    /// ones that need one place each never stop coming.
    #[test]
    fn no_run_is_passed_for_ever(
        before in prop::collection::vec(1_u8..16, 0..12),
        limits in prop::array::uniform4(1_u32..3),
        lasts in 1_usize..4,
    ) {
        let needs = |bits: u8| -> Vec<(Place, u32)> {
            let wanted = (0..4_u8).filter(|bit| bits & (1 << bit) != 0);
            wanted.map(|bit| (agent(u128::from(bit)), limits[usize::from(bit)])).collect()
        };
        let mut waiting: Vec<Queued> = Vec::new();
        let mut running: Vec<(RunId, Vec<Place>, usize)> = Vec::new();
        let elders = before.len();
        let mut coming = before;
        coming.push(15);
        let (mut next, mut started_at) = (0, None);
        let greedy = run(u128::try_from(elders).unwrap() + 1);
        for step in 0..100 {
            for bits in coming.drain(..) {
                next += 1;
                waiting.push(queued(next, 0, &needs(bits)));
            }
            coming = vec![1, 2, 4, 8, 1, 2, 4, 8];
            running.iter_mut().for_each(|(_, _, left)| *left -= 1);
            running.retain(|(_, _, left)| *left > 0);
            let decision = decide(waiting.clone(), running.iter().map(|(run, places, _)| (*run, places.clone())));
            prop_assert_eq!(decision.start.len() + decision.wait.len(), waiting.len());
            for one in waiting.iter().filter(|one| decision.start.contains(&one.run)) {
                running.push((one.run, one.needs.iter().map(|(place, _)| *place).collect(), lasts));
            }
            waiting.retain(|one| !decision.start.contains(&one.run));
            for bit in 0..4_u8 {
                let place = agent(u128::from(bit));
                let holds = running.iter().filter(|(_, places, _)| places.contains(&place)).count();
                prop_assert!(holds <= usize::try_from(limits[usize::from(bit)]).unwrap());
            }
            if decision.start.contains(&greedy) {
                started_at = Some(step);
                break;
            }
        }
        // At worst its elders run one after the other, and what was there first ends.
        prop_assert!(started_at.is_some_and(|step| step <= (elders + 1) * lasts), "{started_at:?}");
    }
}
