use serde_json::json;

use super::*;

#[test]
fn names_are_safe_in_addresses() {
    assert_eq!(encode("client-server"), "client-server");
    assert_eq!(encode("a b/c?é"), "a%20b%2Fc%3F%C3%A9");
    assert_eq!(with_query("/api/v1/runs", &[("task", "a b"), ("limit", "5")]), "/api/v1/runs?task=a%20b&limit=5");
}

#[test]
fn a_problem_names_its_place() {
    assert_eq!(
        one_problem(&json!({"path": "steps[1].with.path", "message": "is missing"})),
        "steps[1].with.path: is missing"
    );
    assert_eq!(one_problem(&json!("no steps")), "no steps");
}

#[test]
fn an_address_that_nobody_serves_is_named() {
    let client = Client::with("http://127.0.0.1:1", None, None).unwrap();
    let error = client.get("/api/v1/me").map(|_| ()).unwrap_err();
    assert!(error.message.starts_with("cannot reach http://127.0.0.1:1: "), "{}", error.message);
    assert_eq!(error.exit, Exit::Failed);
}
