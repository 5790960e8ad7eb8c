//! Triggers as people write them, right and wrong.

use super::*;
use crate::task::parse;

fn task(name: &str, triggers: &str) -> Task {
    parse(&format!("task: {name}\ntriggers: {triggers}\nsteps: [{{ name: a, connector: file, agent: pc }}]")).unwrap()
}

fn facts(name: &str, follows: &[&str]) -> TaskFacts {
    let follows = follows.iter().map(|name| (*name).to_owned()).collect();
    TaskFacts { name: name.to_owned(), follows, calls: Vec::new() }
}

fn problems(triggers: &str, others: &[TaskFacts]) -> String {
    let lines = check(&task("here", triggers), others).into_iter();
    lines.map(|p| format!("{} [{}] {}", p.path, p.code, p.message)).collect::<Vec<_>>().join("\n")
}

#[test]
fn right_ones_are_taken() {
    let triggers = "
  - { name: nightly, cron: '0 2 * * mon-fri', zone: Europe/Prague, missed: all, late_after: 2h }
  - { name: often, every: 15m, from: '2026-01-01T00:05', zone: Europe/Prague, missed: skip }
  - { name: move, at: 2026-12-01T08:00, zone: Europe/Prague }
  - { name: hook, webhook: { signature: hmac_sha256 } }
  - { name: plain-hook, webhook: {} }
  - { name: next, after: Orders, when: any, active: false }
";
    assert_eq!(problems(triggers, &[facts("orders", &[])]), "");
    let kinds: Vec<_> = task("here", triggers).triggers.iter().map(|trigger| trigger.kind().unwrap()).collect();
    assert_eq!(kinds, [Kind::Cron, Kind::Every, Kind::At, Kind::Webhook, Kind::Webhook, Kind::After]);
    assert!(kinds.iter().all(|kind| kind.word().parse() == Ok(*kind)));
}

#[test]
fn a_trigger_gives_parameters_and_a_webhook_takes_them_from_its_body() {
    let document = |triggers: &str| {
        parse(&format!(
            "task: here\nparameters: [{{ name: shop, required: true }}, {{ name: order, type: integer }}]\n\
             triggers: {triggers}\nsteps: [{{ name: a, connector: file, agent: pc }}]"
        ))
        .unwrap()
    };
    let right = document(
        "[{ name: nightly, cron: '0 2 * * *', parameters: { shop: prague } }, \
         { name: call, webhook: { parameters: { shop: /shop/name, order: /orders/0 } }, parameters: { order: 7 } }]",
    );
    assert_eq!(check(&right, &[]), []);
    let given =
        |trigger: usize, body: serde_json::Value| serde_json::Value::Object(right.triggers[trigger].given(Some(&body)));
    assert!(!right.triggers[0].reads_body() && right.triggers[1].reads_body());
    let body = serde_json::json!({"shop": {"name": "brno"}, "orders": [12]});
    assert_eq!(given(0, body.clone()), serde_json::json!({"shop": "prague"}));
    assert_eq!(given(1, body), serde_json::json!({"shop": "brno", "order": 12}));
    assert_eq!(given(1, serde_json::json!({"shop": {"name": null}})), serde_json::json!({"order": 7}));
    let wrong = document(
        "[{ name: a, every: 1h }, { name: b, every: 1h, parameters: { shop: x, order: many, no: 1 } }, \
         { name: c, webhook: { parameters: { shop: shop, nope: /x } } }]",
    );
    let said: Vec<String> = check(&wrong, &[]).into_iter().map(|p| format!("{} [{}]", p.path, p.code)).collect();
    assert_eq!(
        said,
        [
            "/triggers/0/parameters/shop [missing_parameter]",
            "/triggers/1/parameters/no [unknown_parameter]",
            "/triggers/1/parameters/order [bad_parameter]",
            "/triggers/2/webhook/parameters/shop [bad_pointer]",
            "/triggers/2/webhook/parameters/nope [unknown_parameter]",
        ]
    );
}

#[test]
fn everything_wrong_is_named_with_its_place() {
    insta::assert_snapshot!(problems("
  - { name: a, cron: '0 25 * * *', zone: Europe/Parg }
  - { name: a, every: 250ms, when: any, zone: UTC }
  - { name: c, at: tomorrow, missed: skip, from: 2026-01-01T00:00 }
  - { name: d, webhook: {}, missed: all }
  - { name: e, after: order, zone: UTC }
  - { name: f }
  - { name: g, cron: '0 2 * * *', every: 1h }
  - { name: h, cron: '0 0 31 feb *' }
  - { name: i, every: 1h, from: noon }
", &[facts("orders", &[])]), @r"
    /triggers/0/zone [unknown_zone] trigger `a`: there is no time zone `Europe/Parg`; did you mean `Europe/Prague`?
    /triggers/0/cron [bad_cron] trigger `a`: cron `0 25 * * *`: hour `25`, at character 3: a number from 0 to 23 is expected
    /triggers/1/zone [misplaced_field] trigger `a`: `zone` means something beside `cron`, `at` or `from` only
    /triggers/1/when [misplaced_field] trigger `a`: `when` means something beside `after` only
    /triggers/1/every [too_often] trigger `a`: `every` is at least 1s
    /triggers/1/name [duplicate_trigger] trigger `a`: another trigger is named `a` too
    /triggers/2/from [misplaced_field] trigger `c`: `from` means something beside `every` only
    /triggers/2/at [bad_time] trigger `c`: `tomorrow` is not a time: write one such as 2026-12-01T08:00, which is local in the zone, or 2026-12-01T07:00:00Z
    /triggers/3/missed [misplaced_field] trigger `d`: `missed` means something beside `cron`, `every` or `at` only
    /triggers/4/zone [misplaced_field] trigger `e`: `zone` means something beside `cron`, `at` or `from` only
    /triggers/4/after [unknown_task] trigger `e`: there is no task `order`; did you mean `orders`?
    /triggers/5 [trigger_kind] trigger `f`: a trigger has exactly one of `cron`, `every`, `at`, `webhook` and `after`
    /triggers/6 [trigger_kind] trigger `g`: a trigger has exactly one of `cron`, `every`, `at`, `webhook` and `after`
    /triggers/7/cron [never] trigger `h`: no day is ever like this
    /triggers/8/from [bad_time] trigger `i`: `noon` is not a time: write one such as 2026-12-01T08:00, which is local in the zone, or 2026-12-01T07:00:00Z
    ");
}

#[test]
fn tasks_that_would_start_each_other_for_ever_are_refused() {
    let after = |name: &str| format!("[{{ name: next, after: {name} }}]");
    assert!(problems(&after("here"), &[]).contains("here -> here"));
    let others = [facts("a", &["here"]), facts("b", &["A", "other"]), facts("other", &[])];
    assert!(problems(&after("b"), &others).contains("here -> a -> b -> here"), "{}", problems(&after("b"), &others));
    assert_eq!(problems(&after("other"), &others), "");
    // What stands of the task itself does not count: it is being replaced.
    assert_eq!(problems(&after("other"), &[facts("other", &[]), facts("here", &["here"])]), "");
}

#[test]
fn ends_of_runs_count_as_said() {
    let follows = |when: &str| {
        let trigger = &task("here", &format!("[{{ name: next, after: a, when: {when} }}]")).triggers[0];
        RunState::ALL.into_iter().filter(|state| trigger.follows_end(*state)).map(RunState::word).collect::<Vec<_>>()
    };
    assert_eq!(follows("success"), ["succeeded", "no_data"]);
    assert_eq!(follows("failure"), ["finished_with_errors", "failed", "timed_out"]);
    assert_eq!(follows("any"), ["succeeded", "no_data", "finished_with_errors", "failed", "timed_out", "cancelled"]);
}
