//! Everything wrong with a task is named at once, and what is right becomes a plan.

use sallyport_protocol::{AgentId, ConnectionId, Descriptor, Origin, Reach};
use serde_json::json;

use super::*;
use crate::task::parse;

fn world() -> World {
    let agent = |n: u128, name: &str, kind, active| AgentFacts {
        id: AgentId::from_uuid(uuid::Uuid::from_u128(n)),
        name: name.to_owned(),
        kind,
        active,
    };
    let connector = |kind: &str, origin, reach| Descriptor {
        kind: kind.to_owned(),
        title: kind.to_owned(),
        summary: String::new(),
        origin,
        reach,
        promise: None,
        needs_connection: kind == "postgres",
        connection_schema: Some(json!({"type": "object"})),
        secrets: Vec::new(),
        read_schema: Some(json!({
            "type": "object",
            "properties": {
                "table": { "type": "string" }, "path": { "type": "string" }, "program": true,
                "parallel": { "type": "integer" },
                "query": { "type": "string", "contentMediaType": "application/sql" },
            },
            "additionalProperties": false,
        })),
        write_schema: Some(json!({"type": "object"})),
    };
    World {
        catalog: vec![
            connector("postgres", Origin::BuiltIn, Reach::Network),
            connector("file", Origin::BuiltIn, Reach::Files),
            connector("program", Origin::ThirdParty, Reach::Programs),
        ],
        agents: vec![
            agent(1, "background", Kind::Background, true),
            agent(2, "client-server", Kind::Remote, true),
            agent(3, "training-pc", Kind::Remote, true),
            agent(4, "old-pc", Kind::Remote, false),
        ],
        connections: vec![ConnectionFacts {
            id: ConnectionId::from_uuid(uuid::Uuid::from_u128(9)),
            name: "client-db".to_owned(),
            kind: "postgres".to_owned(),
            agent: AgentId::from_uuid(uuid::Uuid::from_u128(2)),
            agents: vec![AgentId::from_uuid(uuid::Uuid::from_u128(2))],
        }],
        variables: Map::from_iter([("schema".to_owned(), json!("sales"))]),
    }
}

fn check(document: &str) -> Result<Plan, Vec<Problem>> {
    plan(&parse(document)?, &world())
}

use crate::task::Problem;

fn problems(document: &str) -> String {
    let lines = check(document).unwrap_err().into_iter().map(|p| format!("{} [{}] {}", p.path, p.code, p.message));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_two_agent_task_becomes_one_pipeline() {
    let plan = check(
        "
task: orders
steps:
  - { name: read, connection: client-db, with: { table: orders } }
  - { name: big, transform: 'select * from read', input: read }
  - { name: write, connector: file, agent: training-pc, input: [big], with: { path: orders.csv } }
  - { name: other, connector: file, agent: training-pc, with: { path: x.csv } }
",
    )
    .unwrap();
    assert_eq!(plan.pipelines, [vec![0, 1, 2], vec![3]]);
    assert_eq!(plan.steps[1].agent_name, "client-server");
    assert_eq!(plan.agents_of(0).len(), 2);
    assert_eq!(plan.consumers_of(0).collect::<Vec<_>>(), [1]);
}

#[test]
fn steps_behind_an_inactive_one_are_skipped() {
    let plan = check(
        "
task: orders
steps:
  - { name: read, connection: client-db, with: { table: orders }, active: false }
  - { name: write, connector: file, agent: training-pc, input: read, with: { path: orders.csv } }
",
    )
    .unwrap();
    assert!(plan.steps.iter().all(|step| !step.runs));
    assert!(plan.pipelines.is_empty());
}

#[test]
fn every_problem_is_named_at_once() {
    insta::assert_snapshot!(problems(
        "
task: orders
steps:
  - { name: read, connection: client-dv }
  - { name: read, connector: file, agent: training-pcs }
  - { name: lonely, transform: select 1, agent: client-server }
  - { name: nowhere, connector: file }
  - { name: third, connector: program, agent: background }
  - { name: far, connector: postgres, agent: old-pc, with: { tabel: orders } }
  - { name: mixed, connector: file, connection: client-db }
  - { name: lost, connector: file, agent: training-pc, input: redd }
"
    ), @r"
    /steps/1/name [duplicate_step] another step is named `read` too
    /steps/7/input [unknown_step] there is no step `redd`; did you mean `read`?
    ");
    insta::assert_snapshot!(problems(
        "
task: orders
steps:
  - { name: read, connection: client-dv }
  - { name: read2, connector: file, agent: training-pcs }
  - { name: lonely, transform: select 1, agent: client-server }
  - { name: nowhere, connector: file }
  - { name: third, connector: program, agent: background }
  - { name: far, connector: postgres, agent: old-pc, with: { tabel: orders } }
  - { name: mixed, connector: file, connection: client-db }
"
    ), @r"
    /steps/0/connection [unknown_connection] there is no connection `client-dv`; did you mean `client-db`?
    /steps/1/agent [unknown_agent] there is no agent `training-pcs`; did you mean `training-pc`?
    /steps/2/input [no_input] a transform needs at least one `input`
    /steps/3 [no_agent] the step needs an `agent` or a `connection` to say where it runs
    /steps/4/agent [background_refused] step `third` uses connector `program`, which agent `background` may not serve: third-party connectors are served by remote agents only; choose a remote agent
    /steps/5/agent [agent_deactivated] agent `old-pc` is deactivated; reactivate it or choose another
    /steps/5/connection [no_connection] connector `postgres` needs a `connection`
    /steps/5/with/tabel [unknown_field] there is no field `tabel`; did you mean `table`?
    /steps/6/connector [connector_mismatch] connection `client-db` is of kind `postgres`, not `file`
    ");
}

#[test]
fn a_circle_of_inputs_is_refused() {
    let found = problems(
        "
task: round
steps:
  - { name: a, transform: select 1, input: b, agent: client-server }
  - { name: b, transform: select 1, input: a, agent: client-server }
",
    );
    assert_eq!(found, "/steps/0/input [cycle] step `a` needs its own rows: the inputs form a circle");
}

#[test]
fn third_party_connectors_need_a_remote_agent() {
    let found = problems(
        "
task: foreign
steps:
  - { name: third, connector: program, agent: background }
",
    );
    insta::assert_snapshot!(found, @r"/steps/0/agent [background_refused] step `third` uses connector `program`, which agent `background` may not serve: third-party connectors are served by remote agents only; choose a remote agent");
}

#[test]
fn a_connection_is_used_through_the_agent_that_reaches_it() {
    let plan = check(
        "
task: away
steps:
  - { name: own, connection: client-db, with: { table: a } }
  - { name: far, connection: client-db, agent: training-pc, with: { table: a } }
  - { name: server, connection: client-db, agent: background, with: { table: a } }
",
    )
    .unwrap();
    let through = |step: usize| plan.steps[step].through.iter().map(|one| one.name.as_str()).collect::<Vec<_>>();
    assert_eq!((through(0), through(1), through(2)), (vec![], vec!["client-server"], vec!["client-server"]));
    let [client, training] = [2, 3].map(|n| AgentId::from_uuid(uuid::Uuid::from_u128(n)));
    assert_eq!(plan.agents_of(1), [training]);
    assert_eq!(plan.agents_needed(1), BTreeSet::from([client, training]));
    assert!(plan.goes_through(1) && !plan.goes_through(0));
    assert_eq!(plan.steps[1].absent(&BTreeSet::from([training])), ["client-server"]);
    assert_eq!(plan.steps[1].absent(&BTreeSet::new()), ["training-pc", "client-server"]);
    assert!(plan.steps[1].absent(&BTreeSet::from([client, training])).is_empty());
}

#[test]
fn what_lies_on_a_machine_is_used_there_and_a_deactivated_agent_reaches_nothing() {
    let mut world = world();
    let own =
        ConnectionFacts { name: "client-files".to_owned(), kind: "file".to_owned(), ..world.connections[0].clone() };
    world.connections.push(own);
    world.agents[1].active = false;
    let document = "
task: away
steps:
  - { name: files, connection: client-files, agent: training-pc, with: { path: a.csv } }
  - { name: far, connection: client-db, agent: background, with: { table: a } }
";
    let found = plan(&parse(document).unwrap(), &world).unwrap_err();
    insta::assert_snapshot!(found.iter().map(|p| format!("{} [{}] {}", p.path, p.code, p.message)).collect::<Vec<_>>().join("\n"), @r"
    /steps/0/agent [agent_mismatch] connection `client-files` is on the machine of agent `client-server`, not of `training-pc`; leave `agent` out
    /steps/1/connection [agent_deactivated] agent `client-server`, which reaches connection `client-db`, is deactivated; reactivate it
    ");
}

#[test]
fn steps_wait_for_those_they_name_and_those_whose_results_they_use() {
    let plan = check(
        "
task: nightly
steps:
  - { name: first-read, connector: file, agent: training-pc, with: { path: a.csv } }
  - { name: other, connector: file, agent: training-pc, after: first-read, with: { path: b.csv } }
  - { name: last, connector: file, agent: training-pc, after: [other], when: steps.first_read.rows_out > 0, on_error: continue }
",
    )
    .unwrap();
    let after: Vec<_> = plan.steps.iter().map(|step| step.after.clone()).collect();
    assert_eq!(after, [vec![], vec![0], vec![0, 1]]);
    assert_eq!(plan.pipelines.len(), 3);
    assert_eq!(plan.steps[2].on_error, crate::task::OnError::Continue);
}

#[test]
fn orders_that_cannot_be_kept_are_refused() {
    insta::assert_snapshot!(problems(
        "
task: round
steps:
  - { name: a, connector: file, agent: training-pc, after: d }
  - { name: b, transform: select 1, input: a, after: a }
  - { name: c, connector: file, agent: training-pc, after: [b, b, e, c] }
  - { name: d, connector: file, agent: training-pc, when: steps.c.state == 'succeeded' }
"
    ), @r"
    /steps/0 [cycle] step `a` waits for its own end: `after`, and the results that expressions use, form a circle
    /steps/1 [same_time] step `b` cannot wait for step `a`, nor know its result: rows join them, so that they run at the same time
    /steps/2 [same_time] step `c` cannot wait for itself
    /steps/2/after [duplicate_after] after `b` is named twice
    /steps/2/after [unknown_step] there is no step `e`
    ");
}

#[test]
fn conditions_are_checked_when_they_are_saved() {
    insta::assert_snapshot!(problems(
        "
task: odd
steps:
  - { name: a-b, connector: file, agent: training-pc }
  - { name: open, connector: file, agent: training-pc, when: steps.a_b.rows_out > }
  - { name: braces, connector: file, agent: training-pc, when: '{{ true }}' }
  - { name: names, connector: file, agent: training-pc, when: stepz.a_b.rows and run.user and steps.a_c.bytes and steps.a_b.row_out }
  - { name: groups, connector: file, agent: training-pc, when: steps and steps.a_b and run }
  - { name: filters, connector: file, agent: training-pc, when: steps.a_b.rows_out | doubled > 1 }
"
    ), @r"
    /steps/1/when [expression] it is not an expression: unexpected end of input, expected expression
    /steps/2/when [expression] it is not an expression: unexpected `}`, expected `:`; write the expression alone, without `{{ }}`
    /steps/3/when [expression] there is no `run.user`; `run` has id, started_at, due_at, attempt
    /steps/3/when [expression] there is no `steps.a_b.row_out`; did you mean `rows_out`?; `steps.a_b` has state, rows_in, rows_out, rows_rejected, bytes
    /steps/3/when [expression] there is no `stepz`; did you mean `steps`?; names begin with run, parameters, variables, steps
    /steps/3/when [expression] there is no step `a_c`; did you mean `a_b`?
    /steps/4/when [expression] `run` is a group of names: write `run.NAME`
    /steps/4/when [expression] `steps.a_b` is a step: write `steps.a_b.rows_out` or another field
    /steps/4/when [expression] `steps` is a group of names: write `steps.NAME`
    /steps/5/when [expression] filter doubled is unknown
    ");
}

#[test]
fn expressions_in_settings_and_queries_are_checked_when_they_are_saved() {
    let plan = check(
        "
task: daily
parameters: [{ name: day, type: date }, { name: parts, type: integer, default: 2 }]
steps:
  - { name: count, connection: client-db, with: { query: 'select {{ parameters.day | sql }}' } }
  - { name: read, connection: client-db, with: { table: '{{ variables.schema }}.orders', parallel: '{{ parameters.parts }}' } }
  - { name: cut, transform: 'select * from read limit {{ steps.count.rows_out }}', input: read }
",
    )
    .unwrap();
    assert_eq!(plan.steps[2].after, [0]);
    insta::assert_snapshot!(problems(
        "
task: daily
parameters: [{ name: day, type: date }, { name: day }]
steps:
  - { name: read, connection: client-db, with: { query: \"select '{{ parameters.day }}'\", parallel: x } }
  - { name: names, connection: client-db, with: { table: '{{ parameters.dya }}{{ variables.scheme }}', path: '{{ x' } }
  - { name: cut, transform: 'select {% if x %} from read', input: read }
  - { name: own, transform: 'select {{ steps.cut.rows_out }}', input: cut }
"
    ), @r"
    /parameters/1/name [duplicate_parameter] another parameter is named `day` too
    /steps/1/with/path [expression] its expressions cannot be read: unexpected end of input, expected end of variable block
    /steps/1/with/table [expression] there is no `parameters.dya`; `parameters` has day
    /steps/1/with/table [expression] there is no `variables.scheme`; did you mean `schema`?; `variables` has schema
    /steps/2/transform [expression] statements (`{% %}`) are not understood: write an expression, such as `{{ a if b else c }}`
    /steps/3 [same_time] step `own` cannot wait for step `cut`, nor know its result: rows join them, so that they run at the same time
    ");
}

#[test]
fn an_expression_within_quotes_of_sql_is_refused_and_other_settings_are_still_checked() {
    insta::assert_snapshot!(problems(
        "
task: daily
parameters: [{ name: day, type: date }]
steps:
  - { name: read, connection: client-db, with: { query: \"select '{{ parameters.day }}'\", parallel: x, tabel: '{{ run.id }}' } }
"
    ), @r#"
    /steps/0/with/parallel [bad_value] "x" is not of type "integer"
    /steps/0/with/query [expression] `{{ parameters.day }}` stands inside of quotes: leave them out, the filter adds its own quotes
    /steps/0/with/tabel [unknown_field] there is no field `tabel`; did you mean `table`?
    "#);
}

#[test]
fn what_expressions_give_is_checked_before_a_step_starts() {
    let document = "
task: daily
parameters: [{ name: parts }]
steps:
  - { name: read, connection: client-db, with: { parallel: '{{ parameters.parts }}', table: 'a{{ run.attempt }}' } }
  - { name: cut, transform: 'select {{ parameters.parts | sql }} from read', input: read }
";
    let plan = check(document).unwrap();
    let evaluated = |parts: serde_json::Value, step: usize| {
        let given = json!({ "parts": parts }).as_object().cloned().unwrap();
        let values = crate::template::Values::new("run_1", None, None, 1).given(given, serde_json::Map::new());
        plan.steps[step].evaluated(&values, &world().catalog).map_err(|failure| failure.message)
    };
    let Ok(Work::Connector { settings, .. }) = evaluated(json!(3), 0) else { panic!() };
    assert_eq!(settings, json!({ "parallel": 3, "table": "a1" }));
    assert_eq!(evaluated(json!("x'y"), 1), Ok(Work::Transform { sql: "select 'x''y' from read".to_owned() }));
    assert_eq!(
        evaluated(json!("many"), 0).unwrap_err(),
        "step `read`, setting `parallel`, with its expressions: \"many\" is not of type \"integer\""
    );
    assert_eq!(evaluated(json!(null), 0).unwrap_err(), "step `read`, setting `parallel`: it has no value");
}
