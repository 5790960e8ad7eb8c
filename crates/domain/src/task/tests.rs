//! Documents as people write them, right and wrong.

use super::*;

#[test]
fn wrong_fields_are_all_named() {
    let problems = parse(
        "
task: 'bad name!'
limt: 3
steps:
  - { name: read, connector: file, agent: pc, timeout: soon }
  - { nam: write }
",
    )
    .unwrap_err();
    let lines: Vec<String> =
        problems.iter().map(|p| format!("{} {:?} {}", p.path, p.step.as_deref(), p.message)).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    /steps/0/timeout Some("read") "soon" does not match "^[0-9]+(ms|s|m|h|d)$"
    /steps/1/nam None there is no field `nam`; did you mean `name`?
    /steps/1 None the field `name` is missing
    /task None "bad name!" does not match "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
    /limt None there is no field `limt`; did you mean `limit`?
    "#);
}

#[test]
fn text_that_is_not_yaml_says_where() {
    let problems = parse("task: [1,\n  }").unwrap_err();
    assert_eq!(problems[0].code, "syntax");
    insta::assert_snapshot!(problems[0].message, @r"
    the document is not valid YAML: error: line 1 column 7: mismatched bracket '[' closed by '}'
     --> <input>:1:7
      |
    1 | task: [1,
      |       ^ mismatched bracket '[' closed by '}'
    2 |   }
      |
    ");
}

#[test]
fn json_is_yaml_and_one_input_is_a_list() {
    let task = parse(
        r#"{"task": "t", "steps": [{"name": "a", "transform": "select 1", "input": "b", "retry": {"attempts": 2}}]}"#,
    )
    .unwrap();
    assert_eq!(task.steps[0].input, ["b"]);
    assert_eq!(task.steps[0].retry.unwrap().backoff, Span::seconds(5));
    assert_eq!((task.limit, task.active, task.priority), (1, true, 0));
    let again = parse(&serde_json::to_string(&task).unwrap()).unwrap();
    assert_eq!(again, task);
}

#[test]
fn spans_are_whole_numbers_with_a_unit() {
    for (text, millis) in [("250ms", 250), ("10s", 10_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000)] {
        let span: Span = text.parse().unwrap();
        assert_eq!(span.0.as_millis(), millis);
        assert_eq!(span.to_string(), text);
    }
    for text in ["", "s", "1", "1.5s", "-1s", "1w", "99999999999999999999s", "400d"] {
        assert!(text.parse::<Span>().is_err(), "{text}");
    }
}
