//! What expressions give, and what they may not do.

use proptest::prelude::*;
use sallyport_protocol::{StepCounts, Timestamp};

use serde_json::json;

use super::*;

fn values() -> Values {
    let object = |value: serde_json::Value| value.as_object().cloned().unwrap();
    let parameters = object(json!({
        "day": "2026-01-31", "count": 4, "less": -1, "full": true, "open": null, "name": "O'Hara", "list": ["a", "b'c"],
    }));
    let variables = object(json!({ "schema": "sales\"; drop table x; --" }));
    let mut values = Values::new("run_1", Some(Timestamp(1_700_000_000_000_000)), None, 2).given(parameters, variables);
    values.step("read-orders", "succeeded", StepCounts { rows_out: 3, ..StepCounts::default() });
    values
}

#[test]
fn conditions_see_the_run_and_its_steps() {
    for (expression, holds) in [
        ("steps.read_orders.rows_out > 2", true),
        ("steps.read_orders.rows_out > 2 and run.attempt == 1", false),
        ("steps.read_orders.state == 'succeeded'", true),
        ("run.started_at < '2024'", true),
        ("run.id in ['run_1', 'run_2']", true),
    ] {
        assert_eq!(condition(expression, &values()), Ok(holds), "{expression}");
    }
}

#[test]
fn a_condition_says_why_it_has_no_answer() {
    let said = |expression: &str| condition(expression, &values()).unwrap_err().to_string();
    assert_eq!(said("run.attempt"), "it gives `2`, which is neither true nor false");
    assert_eq!(said("run.nothing.more"), "it uses a value that is not there");
    assert_eq!(said("'x' * 100000000 == ''"), "it asks for more work than one expression may take");
    let deep = format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(condition(&deep, &values()).is_err());
}

fn shown(text: &str) -> String {
    match super::text::text(text, Target::Text, &values()) {
        Ok(value) => value.to_string(),
        Err(error) => format!("error: {error}"),
    }
}

#[test]
fn a_string_that_is_one_expression_keeps_the_kind_of_its_value() {
    for (text, expected) in [
        ("plain { text }", r#""plain { text }""#),
        ("{{ parameters.count }}", "4"),
        (" {{ parameters.count + 1 }} ", "5"),
        ("{{ parameters.full }}", "true"),
        ("{{ parameters.list }}", r#"["a","b'c"]"#),
        ("{{ parameters.count }}.csv", r#""4.csv""#),
        ("{{ parameters.count }}{{ parameters.count }}", r#""44""#),
        ("a\n{{ 'b' if parameters.full else 'c' }}\n", r#""a\nb\n""#),
        ("{{ '{{' }}", r#""{{""#),
        ("{{ parameters.open }}", "error: it has no value"),
        ("x{{ parameters.open }}", "error: one of its expressions has no value"),
        ("x{{ parameters.none }}", "error: it uses a value that is not there"),
        ("{{ parameters.open or 'nothing' }}", r#""nothing""#),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn times_are_shifted_and_written_as_asked() {
    for (text, expected) in [
        ("{{ run.started_at | date('%Y/%m/%d') }}", r#""2023/11/14""#),
        ("{{ run.started_at | date('%H:%M', tz='Asia/Tokyo') }}", r#""07:13""#),
        ("{{ run.started_at | shift('-1d') }}", r#""2023-11-13T22:13:20Z""#),
        ("{{ parameters.day | shift('+1d') | date('%d.%m.%Y') }}", r#""01.02.2026""#),
        ("{{ parameters.day | shift('-31d') }}", r#""2025-12-31""#),
        (
            "{{ parameters.day | shift('soon') }}",
            "error: `soon` is not a length of time: write a whole number and a unit, such as 250ms, 10s, 5m, 2h or 1d (at most 366d)",
        ),
        (
            "{{ parameters.name | date('%Y') }}",
            "error: `O'Hara` is neither a date such as 2026-01-31 nor a time such as 2026-01-31T08:00:00Z",
        ),
        ("{{ run.started_at | date('%H', tz='Moon/Base') }}", "error: there is no time zone `Moon/Base`"),
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
}

#[test]
fn values_get_into_sql_only_quoted() {
    let refused = "text does not get into SQL as it is: write `| sql` behind it for a value, `| identifier` for a name, \
                   or `| raw` where it is SQL itself";
    for (query, expected) in [
        ("x = {{ parameters.name | sql }}", "x = 'O''Hara'"),
        ("x in {{ parameters.list | sql }}", "x in ('a', 'b''c')"),
        ("from {{ variables.schema | identifier }}.t", "from \"sales\"\"; drop table x; --\".t"),
        ("select {{ parameters.list | identifier }}", "select \"a\", \"b'c\""),
        ("x > {{ parameters.count }} and {{ parameters.full }}", "x > 4 and true"),
        ("x-{{ parameters.less }} and {{ parameters.less | sql }}", "x-(-1) and (-1)"),
        ("x is {{ parameters.open | sql }}", "x is NULL"),
        ("{{ 'order by 1' | raw }}", "order by 1"),
        ("x = {{ parameters.name }}", refused),
        ("x = {{ parameters.list }}", refused),
        ("x = {{ (parameters.name | sql) ~ '' }}", refused),
        ("x = {{ parameters.name | sql | upper }}", refused),
        ("x = {{ parameters.name | sql | replace('a', 'b') }}", refused),
        ("x = {{ [parameters.name | sql] | join }}", refused),
        ("x = {{ (parameters.name | sql)[1:] }}", "value of type plain object cannot be sliced"),
        ("x = {{ parameters.name | safe }}", refused),
        ("x = {{ parameters.open }}", "one of its expressions has no value"),
        ("x = {{ 'a\\0' | sql }}", "text with a zero byte does not get into SQL"),
        ("x in {{ [] | sql }}", "an empty list has no literal"),
        ("{{ '' | identifier }}", "`` is no name"),
    ] {
        let given = sql(query, &values()).unwrap_or_else(|error| error.to_string());
        assert_eq!(given, expected, "{query}");
    }
}

#[test]
fn expressions_within_quotes_of_sql_are_found() {
    use super::quote::within_quotes;
    for query in [
        "x = '{{ a }}'",
        "x = 'it''s {{ a }}'",
        "\"{{ a }}\"",
        "-- {{ a }}",
        "/* {{ a }} */",
        "$$ {{ a }} $$",
        "$f$ $$ {{ a }} $f$",
        "{{ b }} '{{ a }}'",
        "'{{ \"}}'\" }}'",
    ] {
        assert!(within_quotes(query).is_some(), "{query}");
    }
    for query in [
        "x = {{ a }}",
        "'it''s' || {{ a }}",
        "-- one\n {{ a }}",
        "/* one */ {{ a }}",
        "$1 {{ a }}",
        "$$ x $$ {{ a }}",
        "{{ \"it's\" | sql }} = {{ a }}",
        "{{ '}}' | sql }} {{ a }}",
        "",
    ] {
        assert_eq!(within_quotes(query), None, "{query}");
    }
}

#[test]
fn settings_are_evaluated_at_any_depth_and_their_schema_says_what_is_sql() {
    let schema = json!({ "properties": { "query": { "contentMediaType": "application/sql" } } });
    let with = json!({
        "query": "select {{ parameters.name | sql }}", "path": "{{ parameters.day }}/{{ run.id }}.csv",
        "deep": [{ "limit": "{{ parameters.count }}" }], "kept": 1,
    });
    let evaluated = settings(&with, Some(&schema), &values()).unwrap();
    let expected = json!({
        "query": "select 'O''Hara'", "path": "2026-01-31/run_1.csv", "deep": [{ "limit": 4 }], "kept": 1,
    });
    assert_eq!(evaluated, expected);
    let wrong = settings(&json!({ "query": "select {{ parameters.name }}" }), Some(&schema), &values());
    assert!(wrong.unwrap_err().to_string().starts_with("`query`: text does not get into SQL"));
}

#[test]
fn text_stays_within_its_bounds() {
    let long = format!("{{{{ 'x' * {} }}}}y", TEXT_BYTES_MAX);
    assert_eq!(shown(&long), "error: the text becomes 262145 bytes, over the limit of 262144");
    assert_eq!(shown("{{ 'x' * 10000000 }}y"), "error: it asks for more work than one expression may take");
}

proptest! {
    /// Whatever a value is, its literal is one literal: the quotes in it are all doubled.
    #[test]
    fn a_literal_never_ends_early(name in "[^\\x00]{0,40}") {
        let mut values = Values::default();
        values.step("a", &name, StepCounts::default());
        let text = sql("{{ steps.a.state | sql }}", &values).unwrap();
        let inner = text.strip_prefix('\'').unwrap().strip_suffix('\'').unwrap();
        prop_assert!(!inner.replace("''", "").contains('\''));
        prop_assert_eq!(inner.replace("''", "'"), name);
    }
}
