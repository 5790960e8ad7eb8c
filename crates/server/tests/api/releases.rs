//! Releases: publishing, archives for wrappers, rollouts.

use std::io::{Cursor, Read as _, Write as _};

use sallyport_release::{AGENT, Digest, Manifest, PrivateKey, Signed};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::server::{Client, Server};

fn archive(content: &str) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("sallyport-agent", SimpleFileOptions::default()).unwrap();
    zip.write_all(content.as_bytes()).unwrap();
    zip.finish().unwrap().into_inner()
}

fn manifest(archive: &[u8], version: &str, sequence: u64) -> Manifest {
    Manifest {
        product: AGENT.into(),
        platform: "linux-x86_64".into(),
        version: version.parse().unwrap(),
        sha256: Digest::of(archive),
        size: archive.len() as u64,
        sequence,
        expires: 4_000_000_000,
        security_floor: Default::default(),
        minimum_wrapper: Default::default(),
        minimum_os: None,
        minimum_glibc: None,
    }
}

fn signed(manifest: &Manifest, key: &PrivateKey) -> Value {
    let mut signed = Signed::unsigned(manifest);
    signed.sign(key);
    serde_json::from_str(&signed.to_text()).unwrap()
}

fn upload(client: &Client, sha256: &Digest, body: &[u8]) -> crate::server::Answer {
    client.send("PUT", &format!("/api/v1/releases/{sha256}/archive"), &[("content-type", "application/zip")], body)
}

fn state(client: &Client) -> Value {
    client.get("/api/v1/releases").is(200)["items"][0]["state"].clone()
}

#[test]
fn a_release_is_published_fetched_in_parts_and_withdrawn() {
    let server = Server::start();
    server.release("linux-x86_64", "");
    let administrator = server.administrator();
    let key = PrivateKey::generate().unwrap().0;
    let keys = json!({ "threshold": 1, "keys": [key.public().to_string()] });
    administrator.json("PUT", "/api/v1/release-keys", &[], &keys).is(200);
    let bytes = archive(&"the agent ".repeat(1000));
    let manifest = manifest(&bytes, "1.4.0", 1);

    let stranger = PrivateKey::generate().unwrap().0;
    let refused = administrator.post("/api/v1/releases", &signed(&manifest, &stranger)).is(422);
    assert!(refused["detail"].as_str().unwrap().contains("0 of the 1 signatures"), "{refused}");
    administrator.post("/api/v1/releases", &signed(&manifest, &key)).is(201);
    assert_eq!(state(&administrator), "waits_for_archive");
    upload(&administrator, &manifest.sha256, &bytes[1..]).is(422);
    upload(&administrator, &manifest.sha256, &[&bytes[..], b"more"].concat()).is(413);
    let other = [&bytes[..bytes.len() - 1], b"x"].concat();
    assert!(upload(&administrator, &manifest.sha256, &other).is(422)["detail"].as_str().unwrap().contains("SHA-256"));
    assert_eq!(state(&administrator), "waits_for_archive");
    assert_eq!(std::fs::read_dir(server.data_dir().join("archives")).unwrap().count(), 0, "no halves are left");
    upload(&administrator, &manifest.sha256, &bytes).is(200);
    assert_eq!(state(&administrator), "offered");

    administrator.post("/api/v1/agents", &json!({ "name": "one" })).is(201);
    let answer = administrator.get("/api/v1/agents/one/download?platform=linux-x86_64");
    let mut zip = ZipArchive::new(Cursor::new(answer.body.clone())).unwrap();
    let mut read = |name: &str| {
        let mut text = String::new();
        zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        serde_json::from_str::<Value>(&text).unwrap()
    };
    assert_eq!(read("trust.json"), keys, "the download carries the keys");
    let settings = read("appsettings.json")["Settings"].clone();
    let login = format!("{}:{}", settings["Username"].as_str().unwrap(), settings["Password"].as_str().unwrap());
    use base64::Engine as _;
    let login = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login));
    let path = format!("/connect/archive?sha256={}", manifest.sha256);
    let fetch = |range: &str| server.stranger().send("GET", &path, &[("authorization", &login), ("range", range)], b"");
    assert_eq!(server.stranger().get(&path).status, 401);
    assert_eq!(fetch("bytes=0-").body, bytes);
    let rest = fetch("bytes=100-");
    assert_eq!((rest.status, rest.body.as_slice()), (206, &bytes[100..]));
    assert_eq!(rest.header("content-range"), format!("bytes 100-{}/{}", bytes.len() - 1, bytes.len()));
    assert_eq!(fetch(&format!("bytes={}-", bytes.len())).status, 416);
    for elsewhere in ["..%2Fsecret.key", "x", ""] {
        let path = format!("/connect/archive?sha256={elsewhere}");
        assert_eq!(server.stranger().send("GET", &path, &[("authorization", &login)], b"").status, 404, "{elsewhere}");
    }

    administrator.post(&format!("/api/v1/releases/{}/withdraw", manifest.sha256), &json!({})).is(200);
    assert_eq!(state(&administrator), "withdrawn");
    assert_eq!(fetch("bytes=0-").status, 404);
}

#[test]
fn archives_and_manifests_that_no_agent_would_take_are_refused() {
    let server = Server::start();
    let administrator = server.administrator();
    let key = PrivateKey::generate().unwrap().0;
    let publish = |manifest: &Manifest| administrator.post("/api/v1/releases", &signed(manifest, &key));
    let no_program = {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("other", SimpleFileOptions::default()).unwrap();
        zip.finish().unwrap().into_inner()
    };
    publish(&manifest(&no_program, "1.0.0", 1)).is(201);
    let refused = upload(&administrator, &Digest::of(&no_program), &no_program).is(422);
    assert!(refused["detail"].as_str().unwrap().contains("does not hold `sallyport-agent`"), "{refused}");
    publish(&Manifest { expires: 1, ..manifest(b"x", "1.0.1", 2) }).is(422);
    publish(&Manifest { platform: "amiga".into(), ..manifest(b"x", "1.0.1", 2) }).is(422);
    // Two archives of one sequence would leave open which is newer.
    publish(&manifest(b"other", "1.0.1", 1)).is(409);
    upload(&administrator, &Digest::of(b"nothing"), b"x").is(404);
    administrator.json("PUT", "/api/v1/release-keys", &[], &json!({ "threshold": 2, "keys": [] })).is(422);
}

#[test]
fn rollouts_are_checked_and_kept() {
    let server = Server::start();
    let administrator = server.administrator();
    administrator.post("/api/v1/agents", &json!({ "name": "one" })).is(201);
    let mut rollout = administrator.get("/api/v1/rollout").is(200);
    assert_eq!((&rollout["percent"], &rollout["confirm_seconds"]), (&json!(100), &json!(60)));
    rollout["percent"] = json!(10);
    rollout["windows"] = json!(["sat,sun 01:00-05:00 Europe/Berlin"]);
    let set = |rollout: &Value| administrator.json("PUT", "/api/v1/rollout", &[], rollout);
    set(&rollout).is(200);
    assert_eq!(administrator.get("/api/v1/rollout").is(200), rollout);
    for (key, value) in [
        ("percent", json!(101)),
        ("windows", json!(["sometimes"])),
        ("pin", json!("newest")),
        ("confirm_seconds", json!(100_000_000)),
    ] {
        let mut wrong = rollout.clone();
        wrong[key] = value;
        set(&wrong).is(422);
    }
    let pinned = json!({ "pin": "1.0.0", "minimum": null });
    administrator.json("PUT", "/api/v1/agents/one/rollout", &[], &pinned).is(200);
    assert_eq!(administrator.get("/api/v1/agents/one/rollout").is(200), pinned);
    administrator.post("/api/v1/agents/one/retry-update", &json!({})).is(409);
    administrator.post("/api/v1/agents/one/update", &json!({})).refused(409, "agent_offline");
    administrator.post("/api/v1/agents/background/update", &json!({})).refused(409, "background_agent");
}
