//! Notification channels: their secrets stay inside, what could not work is refused, a test says what went wrong.

use serde_json::{Value, json};

use crate::server::Server;

const SECRET: &str = "s3cr3t-of-the-channel";

fn mail() -> Value {
    json!({
        "name": "ops", "kind": "smtp",
        "settings": { "host": "mail.example.org", "user": "sallyport", "from": "S <s@example.org>", "to": ["o@example.org"] },
        "secrets": { "password": SECRET },
    })
}

#[test]
fn a_channel_is_made_changed_and_removed_and_its_secret_never_comes_out() {
    let server = Server::start();
    let administrator = server.administrator();
    let at = "/api/v1/notifications/channels";
    let made = administrator.post(at, &mail());
    let everything = json!([{ "tasks": [], "events": ["failure", "recovery", "late"], "repeat": false }]);
    assert_eq!((&made.is(201)["secrets"], &made.json()["rules"]), (&json!({ "password": "***" }), &everything));
    administrator.post(at, &mail()).refused(409, "name_taken");
    let mut changed = mail();
    changed["hourly"] = json!(5);
    changed["secrets"] = json!({ "password": "***" });
    let replaced = administrator.put(&format!("{at}/ops"), "\"1\"", &changed);
    assert_eq!((&replaced.is(200)["hourly"], &replaced.json()["secrets"]), (&json!(5), &json!({ "password": "***" })));
    administrator.put(&format!("{at}/ops"), "\"1\"", &changed).refused(412, "changed_meanwhile");
    let list = administrator.get(at);
    assert_eq!(list.is(200)["total"], json!(1));
    for answer in [made, replaced, list] {
        assert!(!answer.text().contains(SECRET));
    }
    assert_eq!(
        administrator.get("/api/v1/notifications/deliveries?channel=ops&state=failed").is(200)["total"],
        json!(0)
    );
    administrator.get("/api/v1/notifications/deliveries?state=lost").refused(422, "invalid");
    assert_eq!(administrator.delete(&format!("{at}/ops")).status, 204);
    administrator.get(&format!("{at}/ops")).refused(404, "not_found");
    let database = std::fs::read(server.stop().path().join("sallyport.db")).unwrap();
    assert!(!database.windows(SECRET.len()).any(|window| window == SECRET.as_bytes()));
}

#[test]
fn every_wrong_field_is_named() {
    let server = Server::start();
    let administrator = server.administrator();
    let places = |document: &Value| {
        let refused = administrator.post("/api/v1/notifications/channels", document);
        refused.refused(422, "invalid");
        let problems = refused.json()["problems"].clone();
        let paths = problems.as_array().unwrap().iter().map(|problem| problem["path"].as_str().unwrap().to_owned());
        paths.collect::<Vec<_>>()
    };
    let mut wrong = mail();
    wrong["settings"]["to"] = json!(["nobody"]);
    wrong["rules"] = json!([{ "tasks": ["no-such-task"] }]);
    assert_eq!(places(&wrong), ["/settings/to", "/rules/0/tasks/0"]);
    let mut wrong = mail();
    wrong["settings"]["ca"] = json!("no certificate");
    assert_eq!(places(&wrong), ["/settings/ca"]);
    let hook =
        |url: &str| json!({ "name": "hook", "kind": "webhook", "settings": { "url": url }, "secrets": { "key": "x" } });
    assert_eq!(places(&hook("ftp://example.org")), ["/settings/url", "/secrets/key"]);
}

#[test]
fn a_test_says_what_went_wrong_and_the_channel_remembers() {
    let server = Server::start();
    let administrator = server.administrator();
    // Nobody listens on a port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings =
        json!({ "host": "127.0.0.1", "port": port, "tls": "none", "from": "s@example.org", "to": ["o@example.org"] });
    let channels = [
        json!({ "name": "ops", "kind": "smtp", "settings": settings }),
        json!({ "name": "hook", "kind": "webhook", "settings": { "url": format!("http://127.0.0.1:{port}/x") } }),
    ];
    for (channel, stage) in channels.iter().zip(["login", "delivery"]) {
        let name = channel["name"].as_str().unwrap();
        administrator.post("/api/v1/notifications/channels", channel).is(201);
        let tested = administrator.post(&format!("/api/v1/notifications/channels/{name}/test"), &json!({})).is(200);
        assert_eq!((&tested["passed"], &tested["stages"][0]["stage"]), (&json!(false), &json!(stage)));
        let detail = tested["stages"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(&port.to_string()), "{detail}");
        let shown = administrator.get(&format!("/api/v1/notifications/channels/{name}")).is(200);
        assert_eq!(shown["problem"].as_str(), Some(detail));
        assert!(shown["last_failed_at"].is_string());
    }
}
