use http::Method;

use super::change;

fn check(method: &Method, pattern: &str, expected: Option<&str>) {
    let found = change(method, &format!("/api/v1/{pattern}"), &["it", "part"]);
    assert_eq!(found.map(|change| change.action).as_deref(), expected, "{method} {pattern}");
}

#[test]
fn requests_that_change_something_have_a_word() {
    check(&Method::POST, "agents", Some("agent.add"));
    check(&Method::PATCH, "agents/{id}", Some("agent.change"));
    check(&Method::POST, "agents/{id}/restart", Some("agent.restart"));
    check(&Method::PUT, "agents/{id}/levels", Some("agent.levels.change"));
    check(&Method::DELETE, "tasks/{id}", Some("task.remove"));
    check(&Method::POST, "tasks/{id}/triggers/{name}/pause", Some("task.triggers.pause"));
    check(&Method::POST, "notifications/channels", Some("channel.add"));
    check(&Method::POST, "notifications/channels/{id}/test", Some("channel.test"));
    check(&Method::PUT, "variables/{name}", Some("variable.change"));
}

#[test]
fn reads_and_starts_of_runs_have_none() {
    check(&Method::GET, "agents", None);
    check(&Method::POST, "tasks/validate", None);
    check(&Method::POST, "tasks/{id}/runs", None);
    check(&Method::PUT, "views/{list}/{name}", None);
}

#[test]
fn the_target_is_what_the_first_names_end_with() {
    let target = |pattern: &str| change(&Method::PUT, &format!("/api/v1/{pattern}"), &["one", "two"]).unwrap().target;
    assert_eq!(target("agents"), None);
    assert_eq!(target("agents/{id}").as_deref(), Some("one"));
    assert_eq!(target("limits/{kind}/{name}").as_deref(), Some("two"));
    assert_eq!(target("tasks/{id}/triggers/{name}").as_deref(), Some("one"));
}

#[test]
fn a_long_target_is_cut_between_characters() {
    let long = "ä".repeat(500);
    let found = change(&Method::DELETE, "/api/v1/tasks/{id}", &[&long]).unwrap();
    assert_eq!(found.target.unwrap().chars().count(), 100);
}
