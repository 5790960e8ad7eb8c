//! Login, encryption, and the connection's test.

use sallyport_dataplane::Cancel;
use sallyport_protocol::{ConnectionOrder, ConnectionTest, Secret};
use serde_json::json;

use crate::flow::{Step, failure};
use crate::server::Server;

fn tested(connection: &ConnectionOrder) -> ConnectionTest {
    sallyport_connectors::test("postgres", connection, &Default::default(), &Cancel::new())
}

fn stages(test: &ConnectionTest) -> Vec<(&str, bool)> {
    test.stages.iter().map(|stage| (stage.stage.as_str(), stage.ok)).collect()
}

/// The last stage's name and words, which must be a failure.
fn failed(test: &ConnectionTest) -> (String, String) {
    let last = test.stages.last().expect("a stage");
    assert!(!last.ok, "{test:?}");
    assert!(test.stages[..test.stages.len() - 1].iter().all(|stage| stage.ok), "{test:?}");
    (last.stage.clone(), last.detail.clone())
}

#[test]
fn a_good_connection_passes_every_stage() {
    let server = Server::start();
    let test = tested(&server.connection(json!({"tls": "verify-full", "ca": server.ca})));
    let expected = ["settings", "name", "policy", "port", "tls", "login", "query"].map(|stage| (stage, true));
    assert_eq!(stages(&test), expected, "{test:?}");
    assert!(test.stages[4].detail.contains("TLSv1_3"), "{test:?}");
    assert!(test.stages[6].detail.contains("PostgreSQL"), "{test:?}");
}

#[test]
fn the_first_stage_that_fails_is_the_last_and_says_what_to_do() {
    let mut server = Server::start();
    let check = |changes: serde_json::Value, stage: &str, words: &str| {
        let (failed_stage, detail) = failed(&tested(&server.connection(changes)));
        assert_eq!(failed_stage, stage, "{detail}");
        assert!(detail.contains(words), "{stage}: {detail}");
    };
    check(json!({"colour": "red"}), "settings", "colour");
    check(json!({"host": "no-such-host.invalid"}), "name", "does not resolve");
    check(json!({"port": 1}), "port", "check `port`");
    check(json!({"tls": "verify-full"}), "tls", "ca");
    check(json!({"tls": "require", "ca": "nonsense"}), "tls", "BEGIN");
    check(json!({"tls": "verify-full", "ca": server.ca, "host": "127.0.0.1"}), "tls", "127.0.0.1");
    check(json!({"user": "nobody"}), "login", "pg_hba.conf");
    check(json!({"database": "nowhere"}), "login", "`database`");
    check(json!({"user": "tls_only", "tls": "disable"}), "login", "no encryption");
    let mut wrong = server.connection(json!({}));
    wrong.secrets.insert("password".into(), Secret::new("wrong"));
    let (stage, detail) = failed(&tested(&wrong));
    assert_eq!(stage, "login");
    assert!(detail.contains("28P01") && !detail.contains("wrong"), "{detail}");
    wrong.secrets.clear();
    assert!(failed(&tested(&wrong)).1.contains("`password`"));
    server.crash();
    assert_eq!(failed(&tested(&server.connection(json!({})))).0, "port");
}

#[test]
fn every_login_method_and_encryption_works() {
    let server = Server::start();
    for user in ["worker", "plain", "md5_user", "clear_user", "trusted", "tls_only"] {
        for tls in ["prefer", "require", "disable"] {
            if user == "tls_only" && tls == "disable" {
                continue;
            }
            let rows = Step::new()
                .read(
                    &server.connection(json!({"user": user, "tls": tls})),
                    json!({"query": "select current_user::text as me, (select ssl from pg_stat_ssl where pid = pg_backend_pid()) as ssl"}),
                )
                .unwrap_or_else(|error| panic!("{user} {tls}: {error}"));
            assert_eq!(rows.lines(), [format!("{user}|{}", tls != "disable")]);
        }
    }
    // An authority is checked even where the name is not.
    let by_address = json!({"host": "127.0.0.1", "tls": "require", "ca": server.ca});
    assert!(tested(&server.connection(by_address)).passed());
    let other = Server::start();
    let stranger = tested(&server.connection(json!({"tls": "require", "ca": other.ca})));
    assert_eq!(failed(&stranger).0, "tls");
}

#[test]
fn a_clear_password_is_not_sent_because_somebody_says_that_nothing_is_encrypted() {
    let server = Server::start();
    server.sql("alter system set ssl = off");
    server.sql("select pg_reload_conf()");
    server.wait_for("show ssl", "off");
    let read = |tls| {
        let connection = server.connection(json!({"user": "clear_user", "tls": tls}));
        Step::new().read(&connection, json!({"query": "select 1 as one"}))
    };
    let refused = failure(read("prefer"));
    assert_eq!(refused.code, "login_method", "{refused:?}");
    assert!(refused.message.contains("clear text"), "{refused:?}");
    assert_eq!(failure(read("require")).code, "tls_not_offered");
    assert_eq!(read("disable").unwrap().lines(), ["1"]);
}

#[test]
fn failures_say_whether_trying_again_may_help() {
    let server = Server::start();
    let read = |changes: serde_json::Value| {
        failure(Step::new().read(&server.connection(changes), json!({"query": "select 1 as one"})))
    };
    let refused = read(json!({"user": "nobody"}));
    assert_eq!((refused.code.as_str(), refused.transient), ("login_refused", false));
    let gone = read(json!({"port": 1}));
    assert_eq!((gone.code.as_str(), gone.transient), ("unreachable", true));
    let closed = failure(
        Step::new()
            .read(&server.connection(json!({})), json!({"query": "select pg_terminate_backend(pg_backend_pid())"})),
    );
    assert_eq!((closed.code.as_str(), closed.transient), ("server_shutdown", true), "{closed:?}");
}

#[test]
fn the_descriptor_has_schemas_that_refuse_unknown_fields() {
    let descriptor = sallyport_connectors::postgres::descriptor();
    for schema in [descriptor.connection_schema, descriptor.read_schema, descriptor.write_schema] {
        let schema = schema.expect("a schema");
        assert_eq!(schema["additionalProperties"], json!(false), "{schema}");
        for (name, property) in schema["properties"].as_object().expect("properties") {
            assert!(property["title"].is_string() && property["description"].is_string(), "{name}: {property}");
        }
    }
}
