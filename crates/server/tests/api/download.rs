//! The zip and what its credentials open.

use std::io::{Cursor, Read as _};

use serde_json::{Value, json};
use zip::ZipArchive;

use crate::server::{Answer, Client, Server};

pub(crate) fn open(answer: &Answer) -> ZipArchive<Cursor<Vec<u8>>> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    ZipArchive::new(Cursor::new(answer.body.clone())).unwrap()
}

fn read(zip: &mut ZipArchive<Cursor<Vec<u8>>>, name: &str) -> String {
    let mut text = String::new();
    zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
    text
}

fn names(zip: &ZipArchive<Cursor<Vec<u8>>>) -> Vec<String> {
    zip.file_names().map(|name| name.unwrap().into_owned()).collect()
}

/// What a wrapper sends, from the settings in its zip.
pub(crate) fn basic(zip: &mut ZipArchive<Cursor<Vec<u8>>>) -> String {
    use base64::Engine as _;
    let settings: Value = serde_json::from_str(&read(zip, "appsettings.json")).unwrap();
    let settings = &settings["Settings"];
    let text = format!("{}:{}", settings["Username"].as_str().unwrap(), settings["Password"].as_str().unwrap());
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
}

fn fetch(client: &Client, basic: &str, platform: &str) -> Answer {
    client.send("GET", &format!("/connect/release?platform={platform}"), &[("authorization", basic)], b"")
}

fn prepared() -> (Server, Client) {
    let server = Server::start();
    server.release("linux-x86_64", "");
    server.release("windows-x86_64", ".exe");
    let administrator = server.administrator();
    administrator.post("/api/v1/agents", &json!({ "name": "Büro 1" })).is(201);
    (server, administrator)
}

#[test]
fn the_zip_has_all_that_a_site_needs() {
    let (_server, administrator) = prepared();
    let answer = administrator.get("/api/v1/agents/B%C3%BCro%201/download?platform=linux-x86_64");
    assert_eq!(answer.header("content-type"), "application/zip");
    let disposition = answer.header("content-disposition");
    assert!(disposition.contains("filename*=UTF-8''Sallyport.Agent.B%C3%BCro%201.zip"), "{disposition}");
    let mut zip = open(&answer);
    let mut names = names(&zip);
    names.sort();
    assert_eq!(
        names,
        [
            "Agent/appsettings.json",
            "Agent/sallyport-agent",
            "README.txt",
            "appsettings.json",
            "policy.toml",
            "sallyport-wrapper",
            "scheduler.bat",
            "start.bat",
            "start.sh",
        ]
    );
    assert_eq!(read(&mut zip, "Agent/sallyport-agent"), "the agent ".repeat(50_000));
    assert_eq!(read(&mut zip, "sallyport-wrapper"), "the wrapper");
    assert_eq!(read(&mut zip, "appsettings.json"), read(&mut zip, "Agent/appsettings.json"));
    for (name, mode) in [("start.sh", 0o755), ("sallyport-wrapper", 0o755), ("appsettings.json", 0o600)] {
        assert_eq!(zip.by_name(name).unwrap().unix_mode().unwrap() & 0o777, mode, "{name}");
    }
    let settings = read(&mut zip, "appsettings.json");
    let loaded = sallyport_site::Settings::parse(&settings, "appsettings.json").unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.settings.server_address.to_string(), "https://sallyport.example.org:8443");
    assert!(read(&mut zip, "README.txt").contains("Büro 1"));
    assert!(read(&mut zip, "policy.toml").contains("\ndefault = \"deny\"\n"));
}

#[test]
fn windows_programs_have_their_ending_and_missing_ones_are_named() {
    let (server, administrator) = prepared();
    let path = |platform: &str| format!("/api/v1/agents/B%C3%BCro%201/download?platform={platform}");
    let names = names(&open(&administrator.get(&path("windows-x86_64"))));
    assert!(names.contains(&"Agent/sallyport-agent.exe".into()), "{names:?}");
    let missing = administrator.get(&path("macos-aarch64"));
    missing.refused(409, "release_missing");
    assert!(missing.json()["detail"].as_str().unwrap().contains("macos-aarch64"));
    administrator.get(&path("../../etc")).refused(422, "invalid");
    administrator.get("/api/v1/agents/background/download").refused(409, "background_agent");
    drop(server);
}

#[test]
fn credentials_of_downloads_are_told_apart() {
    let (server, administrator) = prepared();
    let stranger = server.stranger();
    let download = || open(&administrator.get("/api/v1/agents/B%C3%BCro%201/download?platform=linux-x86_64"));
    let code = |basic: &str| fetch(&stranger, basic, "linux-x86_64").json()["refusal"]["code"].clone();

    let abandoned = basic(&mut download());
    let used = basic(&mut download());
    assert_eq!(code(&abandoned), "revoked_credentials", "a new download revokes what nobody has used");
    assert_eq!(fetch(&stranger, &used, "linux-x86_64").text(), "the agent ".repeat(50_000));
    let newer = basic(&mut download());
    assert_eq!(fetch(&stranger, &used, "linux-x86_64").status, 200, "what is in use stays");
    assert_eq!(fetch(&stranger, &newer, "linux-x86_64").status, 200);

    assert_eq!(administrator.send("POST", "/api/v1/agents/B%C3%BCro%201/rotate", &[], b"").is(200)["revoked"], 2);
    assert_eq!(code(&used), "revoked_credentials");
    assert_eq!(code(&newer), "revoked_credentials");
    let fresh = basic(&mut download());
    administrator.send("POST", "/api/v1/agents/B%C3%BCro%201/deactivate", &[], b"").is(200);
    assert_eq!(fetch(&stranger, &fresh, "linux-x86_64").status, 403);
    assert_eq!(code(&fresh), "deactivated");
    assert_eq!(code("Basic bm9ib2R5OnNlY3JldA=="), "unknown_agent");
    assert_eq!(stranger.get("/connect/release").status, 401);
}

#[test]
fn passwords_are_in_the_zip_and_nowhere_else() {
    let (server, administrator) = prepared();
    let mut zip = open(&administrator.get("/api/v1/agents/B%C3%BCro%201/download?platform=linux-x86_64"));
    let settings: Value = serde_json::from_str(&read(&mut zip, "appsettings.json")).unwrap();
    let password = settings["Settings"]["Password"].as_str().unwrap().to_owned();
    assert!(password.len() >= 40);
    assert!(!administrator.get("/api/v1/agents/B%C3%BCro%201").text().contains(&password));
    let folder = server.stop();
    let database = std::fs::read(folder.path().join("sallyport.db")).unwrap();
    assert!(!database.windows(password.len()).any(|window| window == password.as_bytes()));
}

#[test]
fn a_question_about_the_zip_makes_no_password() {
    let (server, administrator) = prepared();
    let path = "/api/v1/agents/B%C3%BCro%201/download?platform=linux-x86_64";
    let basic = basic(&mut open(&administrator.get(path)));
    let head = administrator.send("HEAD", path, &[], b"");
    assert_eq!((head.status, head.header("content-type").as_str()), (200, "application/zip"));
    // A second zip would have revoked what nobody has used yet.
    assert_eq!(fetch(&server.stranger(), &basic, "linux-x86_64").status, 200);
}
