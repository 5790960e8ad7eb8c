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
            "properties": { "table": { "type": "string" }, "path": { "type": "string" }, "program": true },
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
        }],
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
