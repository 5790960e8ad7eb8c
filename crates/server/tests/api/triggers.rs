//! Triggers: listed with their times, paused, fired, called from outside.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::server::{Answer, Client, Server};

const STEPS: &str = "steps: [{ name: read, connector: file, agent: background, with: { path: in.csv } }, \
                     { name: write, connector: file, agent: background, input: read, with: { path: out.csv } }]";

fn save(client: &Client, name: &str, triggers: &str) -> Answer {
    let document = format!("task: {name}\ntriggers: {triggers}\n{STEPS}\n");
    client.send("POST", "/api/v1/tasks", &[], document.as_bytes())
}

#[test]
fn wrong_triggers_are_refused_with_their_place() {
    let server = Server::start();
    let administrator = server.administrator();
    let refused = save(&administrator, "a", "[{ name: nightly, cron: '0 25 * * *' }, { name: next, after: nobody }]");
    refused.refused(422, "invalid_task");
    let problems = refused.json()["problems"].clone();
    let places: Vec<_> = problems.as_array().unwrap().iter().map(|p| p["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(places, ["/triggers/0/cron", "/triggers/1/after"]);
}

#[test]
fn a_schedule_is_shown_paused_resumed_and_fired() {
    let server = Server::start();
    let administrator = server.administrator();
    save(&administrator, "a", "[{ name: yearly, cron: '0 0 1 1 *', zone: Europe/Prague, late_after: 1h }]").is(201);
    let all = administrator.get("/api/v1/triggers?task=a").is(200);
    assert_eq!((&all["total"], &all["items"][0]["kind"]), (&json!(1), &json!("cron")));
    let next = all["items"][0]["next"].as_array().unwrap().clone();
    assert!(next.len() == 5 && next.iter().all(|at| at.as_str().unwrap().contains("-12-31T23:00:00")), "{next:?}");

    let at = "/api/v1/tasks/a/triggers/yearly";
    administrator.post(&format!("{at}/pause"), &json!({"until": "2020-01-01T00:00:00Z"})).refused(422, "invalid");
    let until = next[1].as_str().unwrap();
    let paused = administrator.post(&format!("{at}/pause"), &json!({ "until": until })).is(200);
    assert_eq!((&paused["paused"], &paused["next"][0]), (&json!(true), &next[1]), "the end of the pause counts again");
    let for_good = administrator.post(&format!("{at}/pause"), &json!({})).is(200);
    assert_eq!(
        (&for_good["paused"], &for_good["paused_until"], &for_good["next"]),
        (&json!(true), &Value::Null, &json!([]))
    );
    let resumed = administrator.post(&format!("{at}/resume"), &json!({})).is(200);
    assert_eq!((&resumed["paused"], &resumed["next"][0]), (&json!(false), &next[0]));

    let key = [("idempotency-key", "one")];
    let run = administrator.json("POST", &format!("{at}/fire"), &key, &json!({})).is(201);
    assert_eq!((&run["trigger"], &run["trigger_name"]), (&json!("person"), &json!("yearly")));
    assert_eq!(administrator.json("POST", &format!("{at}/fire"), &key, &json!({})).is(200)["id"], run["id"]);
    administrator.post(&format!("{at}/token"), &json!({})).refused(409, "not_a_webhook");
    administrator.get("/api/v1/tasks/a/triggers/no").refused(404, "not_found");
}

#[test]
fn a_webhook_starts_one_run_a_key_for_whoever_has_its_token() {
    let server = Server::start();
    let administrator = server.administrator();
    save(&administrator, "a", "[{ name: hook, webhook: {} }]").is(201);
    let stranger = Client { token: None, ..administrator.clone() };
    let at = "/api/v1/tasks/a/triggers/hook";
    let token = administrator.post(&format!("{at}/token"), &json!({})).is(201);
    assert_eq!(token["secret"], Value::Null);
    let path = |token: &Value| format!("/hooks/{}", token["url"].as_str().unwrap().rsplit_once('/').unwrap().1);
    let run = stranger.send("POST", &path(&token), &[("idempotency-key", "one")], b"anything").is(202);
    assert_eq!(stranger.send("POST", &path(&token), &[("idempotency-key", "one")], b"").is(202), run);
    assert_ne!(stranger.send("POST", &path(&token), &[], b"").is(202), run);
    let shown = administrator.get(&format!("/api/v1/runs/{}", run["run"].as_str().unwrap())).is(200);
    assert_eq!((&shown["trigger"], &shown["trigger_name"]), (&json!("webhook"), &json!("hook")));
    stranger.send("POST", "/hooks/hook_guess", &[], b"").refused(404, "not_found");

    let newer = administrator.post(&format!("{at}/token"), &json!({})).is(201);
    stranger.send("POST", &path(&token), &[], b"").refused(404, "not_found");
    administrator.post(&format!("{at}/pause"), &json!({})).is(200);
    stranger.send("POST", &path(&newer), &[], b"").refused(409, "trigger_stopped");
}

#[test]
fn triggers_give_parameters_and_webhooks_take_them_from_their_body() {
    let server = Server::start();
    let administrator = server.administrator();
    let parameters = "parameters: [{ name: shop, required: true }, { name: order, type: integer }]";
    let document = |triggers: &str| format!("task: a\n{parameters}\ntriggers: {triggers}\n{STEPS}\n");
    let save = |triggers: &str| administrator.send("POST", "/api/v1/tasks", &[], document(triggers).as_bytes());
    let refused = save("[{ name: daily, every: 1d }]");
    refused.refused(422, "invalid_task");
    assert_eq!(refused.json()["problems"][0]["path"], "/triggers/0/parameters/shop");
    save(
        "[{ name: daily, every: 1d, parameters: { shop: prague } }, \
           { name: hook, webhook: { parameters: { order: /order/id } }, parameters: { shop: brno } }]",
    )
    .is(201);
    let fired = administrator.post("/api/v1/tasks/a/triggers/daily/fire", &json!({})).is(201);
    assert_eq!(fired["parameters"], json!({"shop": "prague", "order": null}));

    let token = administrator.post("/api/v1/tasks/a/triggers/hook/token", &json!({})).is(201);
    let path = format!("/hooks/{}", token["url"].as_str().unwrap().rsplit_once('/').unwrap().1);
    let stranger = Client { token: None, ..administrator.clone() };
    let call = |body: &[u8]| stranger.send("POST", &path, &[], body);
    let run = call(br#"{"order": {"id": 4711}}"#).is(202);
    let shown = administrator.get(&format!("/api/v1/runs/{}", run["run"].as_str().unwrap())).is(200);
    assert_eq!(shown["parameters"], json!({"shop": "brno", "order": 4711}));
    let before = administrator.get("/api/v1/runs?task=a").is(200)["total"].clone();
    call(br#"{"order": {"id": "many"}}"#).refused(422, "invalid");
    call(b"order=1").refused(400, "bad_request");
    call(format!("[\"{}\"]", "x".repeat(300 * 1024)).as_bytes()).refused(413, "too_large");
    assert_eq!(administrator.get("/api/v1/runs?task=a").is(200)["total"], before, "a refused call has started a run");
    let next = administrator.get("/api/v1/triggers?task=a&next=12").is(200);
    assert_eq!(next["items"][0]["next"].as_array().unwrap().len(), 12);
}

#[test]
fn a_signed_webhook_takes_only_what_is_signed_and_new() {
    let server = Server::start();
    let administrator = server.administrator();
    save(&administrator, "a", "[{ name: hook, webhook: { signature: hmac_sha256 } }]").is(201);
    let token = administrator.post("/api/v1/tasks/a/triggers/hook/token", &json!({})).is(201);
    let path = format!("/hooks/{}", token["url"].as_str().unwrap().rsplit_once('/').unwrap().1);
    let secret = token["secret"].as_str().unwrap().to_owned();
    let now = sallyport_protocol::Clock::system().now().0 / 1_000_000;
    let call = |stamp: i64, key: Option<&str>, signed: &str, body: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let (stamp, signature) = (stamp.to_string(), format!("sha256={hex}"));
        let mut headers =
            vec![("x-sallyport-timestamp", stamp.as_str()), ("x-sallyport-signature", signature.as_str())];
        headers.extend(key.map(|key| ("idempotency-key", key)));
        administrator.send("POST", &path, &headers, body.as_bytes())
    };
    let run = call(now, None, &format!("{now}..body"), "body").is(202);
    assert_eq!(call(now, None, &format!("{now}..body"), "body").is(202), run, "heard and repeated, it is the same");
    call(now, None, &format!("{now}..body"), "other").refused(401, "bad_signature");
    call(now, Some("new"), &format!("{now}..body"), "body").refused(401, "bad_signature");
    let old = now - 301;
    call(old, None, &format!("{old}..body"), "body").refused(401, "bad_signature");
    let keyed = call(now, Some("k"), &format!("{now}.k.body"), "body").is(202);
    assert_ne!(keyed, run);
    let later = now + 1;
    assert_eq!(call(later, Some("k"), &format!("{later}.k.body"), "body").is(202), keyed);
    administrator.send("POST", &path, &[], b"body").refused(401, "bad_signature");
}
