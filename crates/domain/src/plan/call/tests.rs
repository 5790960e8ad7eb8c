use serde_json::json;

use super::*;
use crate::plan::{World, plan};
use crate::task::parse;

fn task(steps: &str) -> Task {
    parse(&format!("task: outer\nsteps:\n{steps}")).unwrap()
}

fn facts(name: &str, calls: &[&str]) -> TaskFacts {
    let calls = calls.iter().map(|name| (*name).to_owned()).collect();
    TaskFacts { name: name.to_owned(), follows: Vec::new(), calls }
}

fn said(problems: Vec<Problem>) -> Vec<String> {
    problems.into_iter().map(|p| format!("{} [{}] {}", p.path, p.code, p.message)).collect()
}

#[test]
fn a_step_that_starts_a_task_is_a_pipeline_without_an_agent() {
    let text = "  - { name: first, task: inner, parameters: { day: '{{ run.started_at }}' } }\n  \
                  - { name: second, task: other, after: first, wait: false, retry: { attempts: 2 } }\n";
    let plan = plan(&task(text), &World::default()).unwrap();
    assert_eq!(plan.pipelines, [vec![0], vec![1]]);
    assert_eq!((plan.call_of(0), plan.call_of(1)), (Some((0, true)), Some((1, false))));
    assert!(plan.agents_of(0).is_empty() && plan.steps[0].agent.is_none());
    assert_eq!((plan.steps[0].retry.attempts, plan.steps[1].retry.attempts), (1, 2));
    assert_eq!(plan.steps[1].after, [0]);
}

#[test]
fn what_a_step_that_starts_a_task_may_not_say_is_named() {
    let text = "  - { name: call, task: inner, agent: one, with: { path: x }, timeout: 5s }\n  \
                  - { name: take, transform: select 1, input: call, parameters: { a: 1 }, wait: false }\n  \
                  - { name: lost, task: inner, parameters: { a: '{{ parameters.nope }}' } }\n";
    let problems = said(plan(&task(text), &World::default()).unwrap_err());
    assert!(problems.iter().any(|line| line.starts_with("/steps/2/parameters/a [expression]")), "{problems:#?}");
    let text = text.replace("parameters.nope", "run.id");
    let problems = said(plan(&task(&text), &World::default()).unwrap_err());
    for wanted in [
        "/steps/0/agent [misplaced_field]",
        "/steps/0/with [misplaced_field]",
        "/steps/0/timeout [misplaced_field]",
        "/steps/1/input [input_calls]",
        "/steps/1/parameters [misplaced_field]",
        "/steps/1/wait [misplaced_field]",
    ] {
        assert!(problems.iter().any(|line| line.starts_with(wanted)), "{wanted}: {problems:#?}");
    }
}

#[test]
fn tasks_that_would_start_each_other_for_ever_are_refused() {
    let outer = task("  - { name: a, task: middle }\n");
    let check = |others: &[TaskFacts]| said(check_calls(&outer, others, &[]));
    assert_eq!(check(&[facts("middle", &["inner"]), facts("inner", &[])]), Vec::<String>::new());
    let circle = check(&[facts("Middle", &["inner"]), facts("inner", &["OUTER"])]);
    assert_eq!(
        circle,
        ["/steps/0/task [circle] the tasks would start each other for ever: outer -> Middle -> inner -> outer"]
    );
    // Also where the way back is a trigger.
    let after = TaskFacts { follows: vec!["middle".into()], ..facts("outer", &[]) };
    let following = Task {
        triggers: vec![serde_json::from_value(json!({"name": "t", "after": "middle"})).unwrap()],
        ..outer.clone()
    };
    assert!(said(check_calls(&following, &[after, facts("middle", &[])], &[]))[0].contains("[circle]"));
    let own = task("  - { name: a, task: outer }\n");
    assert!(said(check_calls(&own, &[], &[]))[0].contains("[circle]"));
    assert_eq!(
        check(&[facts("midle", &[])]),
        ["/steps/0/task [unknown_task] there is no task `middle`; did you mean `midle`?"]
    );
}

#[test]
fn a_row_of_tasks_has_an_end() {
    let row = |length: usize| -> Vec<TaskFacts> {
        let one = |at: usize| {
            let next = format!("t{}", at + 1);
            let calls = if at < length { vec![next.as_str()] } else { Vec::new() };
            facts(&format!("t{at}"), &calls)
        };
        (1..=length).map(one).collect()
    };
    let outer = task("  - { name: a, task: t1 }\n");
    assert_eq!(said(check_calls(&outer, &row(CALL_DEPTH_MAX - 1), &[])), Vec::<String>::new());
    let wrong = said(check_calls(&outer, &row(CALL_DEPTH_MAX), &[]));
    assert!(wrong[0].starts_with("/steps/0/task [too_deep]") && wrong[0].contains("outer -> t1 -> t2"), "{wrong:?}");
}

#[test]
fn parameters_are_checked_as_far_as_they_are_known() {
    let declared: Vec<Parameter> = serde_json::from_value(json!([
        {"name": "day", "type": "date", "required": true}, {"name": "parts", "type": "integer"},
    ]))
    .unwrap();
    let check = |parameters: &str| {
        let task = task(&format!("  - {{ name: a, task: inner, parameters: {parameters} }}\n"));
        said(check_calls(&task, &[facts("inner", &[])], &[("inner".to_owned(), declared.clone())]))
    };
    assert_eq!(check("{ day: '{{ run.started_at }}', parts: 3 }"), Vec::<String>::new());
    assert!(check("{ parts: 3 }")[0].starts_with("/steps/0/parameters/day [missing_parameter]"));
    assert!(check("{ day: 2026-01-31, parts: many }")[0].starts_with("/steps/0/parameters/parts [bad_parameter]"));
    assert!(check("{ day: 2026-01-31, part: 3 }")[0].starts_with("/steps/0/parameters/part [unknown_parameter]"));
}
