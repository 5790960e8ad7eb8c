//! How long things are kept.

use serde_json::json;

use crate::server::Server;

#[test]
fn retention_is_shown_and_set_by_environment() {
    let server = Server::start();
    server.sandbox();
    let person = server.administrator();
    let address = "/api/v1/retention";
    assert_eq!(person.get(address).is(200).clone(), json!({ "runs_days": 90, "logs_days": 30 }));
    let set = |body: serde_json::Value| person.json("PUT", address, &[], &body);
    set(json!({ "runs_days": null, "logs_days": 7 })).is(200);
    assert_eq!(person.get(address).is(200).clone(), json!({ "runs_days": null, "logs_days": 7 }));
    assert_eq!(person.environment("sandbox").get(address).is(200)["runs_days"], json!(90));
    set(json!({ "runs_days": 0, "logs_days": 7 })).refused(422, "invalid");
    // What is left out is not meant to be for ever.
    set(json!({ "logs_days": 7 })).refused(422, "invalid");
}
