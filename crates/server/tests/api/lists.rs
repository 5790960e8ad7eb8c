//! Lists, and requests that cannot be understood.

use serde_json::json;

use crate::server::Server;

#[test]
fn pages_join_to_the_whole_list() {
    let server = Server::start();
    let administrator = server.administrator();
    for number in 0..7 {
        administrator.post("/api/v1/agents", &json!({ "name": format!("agent {number}") })).is(201);
    }
    let mut names = Vec::new();
    let mut path = "/api/v1/agents?limit=3&sort=-name".to_owned();
    loop {
        let page = administrator.get(&path).is(200);
        assert_eq!(page["total"], 8);
        names.extend(page["items"].as_array().unwrap().iter().map(|agent| agent["name"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/agents?limit=3&sort=-name&cursor={cursor}"),
            None => break,
        }
    }
    let mut sorted = names.clone();
    sorted.sort();
    sorted.reverse();
    assert_eq!((names.len(), &names), (8, &sorted));

    let first = administrator.get("/api/v1/agents?limit=3&sort=-name").is(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    administrator.get(&format!("/api/v1/agents?sort=name&cursor={cursor}")).refused(400, "bad_cursor");
    let refused = administrator.get("/api/v1/agents?sort=password");
    refused.refused(400, "bad_sort");
    assert!(refused.json()["detail"].as_str().unwrap().contains("connected_since"));
    administrator.get("/api/v1/agents?limit=many").refused(400, "bad_request");
    administrator.get("/api/v1/agents?status=sleeping").refused(422, "invalid");
    assert_eq!(administrator.get("/api/v1/agents?search=AGENT%205").is(200)["total"], 1);
}

#[test]
fn what_cannot_be_understood_is_a_problem_too() {
    let server = Server::start();
    let administrator = server.administrator();
    administrator.get("/api/v1/nothing").refused(404, "no_such_route");
    administrator.send("DELETE", "/api/v1/agents", &[], b"").refused(405, "method_not_allowed");
    let json = [("content-type", "application/json")];
    administrator.send("POST", "/api/v1/agents", &json, b"{").refused(400, "bad_request");
    administrator.send("POST", "/api/v1/agents", &[], b"{}").refused(415, "unsupported_media_type");
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(1024 * 1024));
    administrator.send("POST", "/api/v1/agents", &json, large.as_bytes()).refused(413, "too_large");
    assert_eq!(administrator.get("/api/v1/companies").is(200)["total"], 1);
    assert_eq!(administrator.get("/api/v1/environments").is(200)["items"][0]["name"], "production");
}
