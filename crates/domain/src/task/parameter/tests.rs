//! What is given to a run, right and wrong.

use super::super::parse;
use super::*;

fn task(parameters: &str) -> Vec<Parameter> {
    let steps = "steps: [{ name: a, connector: file, agent: pc }]";
    parse(&format!("task: t\nparameters:\n{parameters}\n{steps}")).unwrap().parameters
}

fn every_kind() -> Vec<Parameter> {
    task(
        "
  - { name: text }
  - { name: count, type: integer, default: 3 }
  - { name: rate, type: number, default: '0.5' }
  - { name: full, type: boolean, required: true }
  - { name: day, type: date, default: 2026-01-31 }
  - { name: since, type: timestamp, default: '2026-01-31T08:00:00+01:00' }
  - { name: mode, choices: [fast, slow], default: fast }",
    )
}

fn given(pairs: &[(&str, Value)]) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn said(problems: Vec<Problem>) -> String {
    let lines: Vec<String> = problems.into_iter().map(|p| format!("{} [{}] {}", p.path, p.code, p.message)).collect();
    lines.join("\n")
}

#[test]
fn values_take_their_kind_and_defaults_fill_in() {
    let values = arguments(&every_kind(), &given(&[("full", json!("true")), ("count", json!("-7"))])).unwrap();
    let expected = json!({
        "text": null, "count": -7, "rate": 0.5, "full": true, "day": "2026-01-31", "since": "2026-01-31T07:00:00Z",
        "mode": "fast",
    });
    assert_eq!(Value::Object(values), expected);
}

#[test]
fn every_value_that_does_not_fit_is_named() {
    let wrong = given(&[
        ("text", json!(1)),
        ("count", json!("1.5")),
        ("rate", json!("NaN")),
        ("day", json!("31.1.2026")),
        ("since", json!("2026-01-31")),
        ("mode", json!("medium")),
        ("cuont", json!(1)),
    ]);
    insta::assert_snapshot!(said(arguments(&every_kind(), &wrong).unwrap_err()), @r#"
    /parameters/cuont [unknown_parameter] the task has no parameter `cuont`; did you mean `count`?
    /parameters/text [bad_parameter] parameter `text`: expected text of at most 8192 bytes, found 1
    /parameters/count [bad_parameter] parameter `count`: expected a whole number, found "1.5"
    /parameters/rate [bad_parameter] parameter `rate`: expected a number, found "NaN"
    /parameters/full [missing_parameter] the task needs parameter `full`: true or false
    /parameters/day [bad_parameter] parameter `day`: expected a date such as 2026-01-31, found "31.1.2026"
    /parameters/since [bad_parameter] parameter `since`: expected a time with its offset, such as 2026-01-31T08:00:00Z, found "2026-01-31"
    /parameters/mode [bad_parameter] parameter `mode`: expected one of "fast", "slow", found "medium"
    "#);
}

#[test]
fn a_task_whose_parameters_contradict_themselves_is_refused() {
    let wrong = task(
        "
  - { name: a, type: integer, default: many, choices: [1, two] }
  - { name: a, required: true, default: x }",
    );
    insta::assert_snapshot!(said(check(&wrong)), @r#"
    /parameters/0/choices/1 [bad_choice] parameter `a`: expected a whole number, found "two"
    /parameters/0/default [bad_default] parameter `a`: expected a whole number, found "many"
    /parameters/1/name [duplicate_parameter] another parameter is named `a` too
    /parameters/1/required [required_default] parameter `a` has a default and is required; leave one of them out
    "#);
}
