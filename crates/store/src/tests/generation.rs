//! What was read of agents, connections, variables and tasks may be kept as long as the generation stays.

use super::runs::new_run;
use super::{NOW, bench, document};
use crate::{Error, Variable};

#[tokio::test]
async fn what_tasks_can_name_makes_the_generation_grow_and_runs_do_not() {
    let bench = bench().await;
    let mut last = bench.store.generation();
    let mut grown = |what: &str| {
        let now = bench.store.generation();
        assert!(now > last, "{what}");
        last = now;
    };
    bench.agent("one").await;
    grown("a new agent");
    let task = bench.task("orders").await;
    grown("a new task");
    bench.store.edit_task(bench.environment, task.id, None, document("orders", "steps: [] # other")).await.unwrap();
    grown("an edited task");
    let variable = Variable { name: "a".into(), value: "b".into(), author: "somebody".into(), updated_at: NOW };
    bench.store.set_variable(bench.environment, variable).await.unwrap();
    grown("a variable");
    bench.store.delete_variable(bench.environment, "a").await.unwrap();
    grown("a variable that is gone");

    bench.store.start_run(new_run(&bench, &task, None)).await.unwrap();
    assert_eq!(bench.store.generation(), last, "a run");
}

#[tokio::test]
async fn the_generation_has_grown_when_a_change_is_answered() {
    let bench = bench().await;
    for number in 0..100 {
        let before = bench.store.generation();
        let name = format!("agent {number}");
        let (_, failed) = tokio::join!(bench.agent(&name), async {
            bench.store.write(|_| Err::<(), Error>(Error::NotFound)).await.unwrap_err()
        });
        assert!(matches!(failed, Error::NotFound));
        assert!(bench.store.generation() > before);
    }
}
