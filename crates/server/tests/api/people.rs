//! Set-up, login, API tokens.

use serde_json::json;

use crate::server::{EMAIL, PASSWORD, Server};

#[test]
fn the_setup_link_works_once() {
    let server = Server::start();
    let stranger = server.stranger();
    let token = server.setup_token();
    let page = stranger.get(&format!("/setup?token={token}"));
    assert_eq!(page.status, 200);
    assert!(page.text().contains("<form method=\"post\""), "{}", page.text());
    assert!(!page.text().contains("<script"));
    assert!(page.header("content-security-policy").contains("default-src 'none'"));

    let setup = |password: &str, email: &str| {
        stranger.post("/api/v1/setup", &json!({ "token": token, "name": "Ada", "email": email, "password": password }))
    };
    let weak = setup("short", "nobody");
    weak.refused(422, "invalid");
    let paths: Vec<_> = weak.json()["problems"].as_array().unwrap().iter().map(|p| p["path"].clone()).collect();
    assert_eq!(paths, ["/email", "/password"]);
    assert_eq!(setup(PASSWORD, EMAIL).is(200)["email"], EMAIL);
    setup(PASSWORD, EMAIL).refused(403, "setup_token_not_good");
    assert_eq!(stranger.get(&format!("/setup?token={token}")).status, 403);
    stranger.login();
}

#[test]
fn the_form_sets_the_password_too() {
    let server = Server::start();
    let stranger = server.stranger();
    let form = |password: &str| {
        let body = format!("token={}&name=Ada&email=ada%40example.org&password={password}", server.setup_token());
        stranger.send("POST", "/setup", &[("content-type", "application/x-www-form-urlencoded")], body.as_bytes())
    };
    let weak = form("short");
    assert_eq!(weak.status, 422);
    assert!(weak.text().contains("at least 10 characters"), "{}", weak.text());
    assert_eq!(form("correct+horse+battery").status, 200);
    stranger.login();
}

#[test]
fn a_wrong_password_is_refused_and_guessing_is_slowed_down() {
    let server = Server::start();
    server.administrator();
    let stranger = server.stranger();
    let login =
        |email: &str| stranger.post("/api/v1/login", &json!({ "email": email, "password": "a wrong password" }));
    login("nobody@example.org").refused(401, "wrong_password");
    for _ in 0..10 {
        login(EMAIL).refused(401, "wrong_password");
    }
    let slowed = login(EMAIL);
    slowed.refused(429, "too_many_tries");
    assert!(slowed.header("retry-after").parse::<u64>().unwrap() > 0);
    login(&"x".repeat(300)).refused(422, "invalid");
}

#[test]
fn guesses_that_come_at_once_are_not_more_than_one_after_the_other() {
    let server = Server::start();
    server.administrator();
    let stranger = server.stranger();
    let guess = || stranger.post("/api/v1/login", &json!({ "email": EMAIL, "password": "a wrong password" })).status;
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let guesses: Vec<_> = (0..30).map(|_| scope.spawn(guess)).collect();
        guesses.into_iter().map(|guess| guess.join().unwrap()).collect()
    });
    let tried = answers.iter().filter(|status| **status == 401).count();
    assert_eq!((tried, answers.iter().filter(|status| **status == 429).count()), (10, 20), "{answers:?}");
}

#[test]
fn a_login_lasts_until_logout_and_its_cookie_is_careful() {
    let server = Server::start();
    let administrator = server.administrator();
    let answer = server.stranger().post("/api/v1/login", &json!({ "email": EMAIL, "password": PASSWORD }));
    let cookie = answer.header("set-cookie");
    for word in ["HttpOnly", "Secure", "SameSite=Strict"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    let me = administrator.get("/api/v1/me").is(200);
    assert_eq!((&me["user"]["email"], &me["environment"]), (&json!(EMAIL), &json!("production")));

    let pair = cookie.split(';').next().unwrap();
    let stranger = server.stranger();
    assert_eq!(stranger.send("GET", "/api/v1/me", &[("cookie", pair)], b"").status, 200);
    let foreign = [("cookie", pair), ("origin", "https://evil.example.org"), ("content-type", "application/json")];
    stranger.send("POST", "/api/v1/agents", &foreign, b"{\"name\":\"x\"}").refused(403, "foreign_origin");

    assert_eq!(administrator.post("/api/v1/logout", &json!({})).status, 204);
    administrator.get("/api/v1/me").refused(401, "not_logged_in");
    stranger.get("/api/v1/agents").refused(401, "not_logged_in");
    stranger.with_token("nonsense").get("/api/v1/agents").refused(401, "not_logged_in");
}

#[test]
fn an_api_token_is_shown_once_and_good_for_one_environment_until_it_is_revoked() {
    let server = Server::start();
    server.sandbox();
    let administrator = server.administrator();
    let made = administrator.post("/api/v1/tokens", &json!({ "name": "ci", "expires_in_days": 30 })).is(201);
    let secret = made["secret"].as_str().unwrap();
    let program = server.stranger().with_token(secret);
    assert_eq!(program.get("/api/v1/me").is(200)["api_token"], true);
    program.environment("sandbox").get("/api/v1/agents").refused(404, "not_found");
    program.post("/api/v1/tokens", &json!({ "name": "more" })).refused(403, "needs_login");

    let list = administrator.get("/api/v1/tokens");
    assert_eq!(list.is(200)["total"], 1);
    assert!(!list.text().contains(secret));
    assert_eq!(administrator.environment("sandbox").get("/api/v1/tokens").is(200)["total"], 0);
    let database = std::fs::read(server.data_dir().join("sallyport.db-wal")).unwrap();
    assert!(!database.windows(secret.len()).any(|window| window == secret.as_bytes()), "only its hash is kept");

    let path = format!("/api/v1/tokens/{}", made["token"]["id"].as_str().unwrap());
    assert_eq!(administrator.delete(&path).status, 204);
    program.get("/api/v1/me").refused(401, "not_logged_in");
    administrator.delete(&path).refused(404, "not_found");
    administrator.post("/api/v1/tokens", &json!({ "name": "" })).refused(422, "invalid");
}

#[test]
fn the_licence_is_shown_and_set_on_the_server_only() {
    let server = Server::start();
    let administrator = server.administrator();
    let licence = administrator.get("/api/v1/licence").is(200);
    assert_eq!(
        (&licence["tier"], &licence["agents_max"], &licence["agents_online"]),
        (&json!("trial"), &json!(1), &json!(0))
    );
    administrator.put("/api/v1/licence", "*", &json!({ "tier": "premium" })).refused(403, "operator_only");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tier = sallyport_domain::licence::Tier::Standard;
    runtime.block_on(sallyport_server::set_licence(&server.data_dir(), None, tier)).unwrap();
    assert_eq!(administrator.get("/api/v1/licence").is(200)["agents_max"], 3);
    let nowhere = tempfile::tempdir().unwrap();
    assert!(runtime.block_on(sallyport_server::set_licence(nowhere.path(), None, tier)).is_err());
}

#[test]
fn an_environment_that_cannot_be_read_is_not_the_first_one() {
    let server = Server::start();
    let administrator = server.administrator();
    let header = ureq::http::HeaderValue::from_bytes(b"prod\xff").unwrap();
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let request = ureq::http::Request::builder()
        .uri(format!("{}/api/v1/agents", administrator.base))
        .header("authorization", format!("Bearer {}", administrator.token.as_ref().unwrap()))
        .header("sallyport-environment", header);
    let mut answer = agent.run(request.body(()).unwrap()).unwrap();
    assert_eq!(answer.status().as_u16(), 400);
    assert!(answer.body_mut().read_to_string().unwrap().contains("\"bad_request\""));
    // What is not ASCII is a name like any other.
    administrator.environment("k\u{fc}che").get("/api/v1/agents").refused(404, "not_found");
}
