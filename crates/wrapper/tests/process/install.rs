//! The agent program: downloaded when it is missing, replaced when the server offers another and settings allow it.

use std::fs;

use serde_json::json;

use crate::home::{AGENT, eventually};
use crate::server::Server;

#[test]
fn a_missing_agent_is_downloaded_and_given_the_settings() {
    let server = Server::start();
    server.offer(AGENT, None);
    let home = server.home(&json!({}));
    fs::remove_dir_all(home.path("Agent")).unwrap();
    let _wrapper = home.start_running();
    assert_eq!(home.read("Agent/sallyport-agent"), AGENT);
    assert_eq!(home.read("Agent/appsettings.json"), home.read("appsettings.json"));
    assert!(home.wrapper_log().contains("downloading the agent, percent=100"));
    assert!(server.logins()[0].ends_with("Basic dTpodW50ZXIy"));
}

#[test]
fn a_damaged_download_is_not_installed_and_tried_again() {
    let server = Server::start();
    server.offer(AGENT, Some("00"));
    let home = server.home(&json!({}));
    fs::remove_file(home.path("Agent/sallyport-agent")).unwrap();
    let _wrapper = home.start();
    eventually("the damage is said", || home.wrapper_log().contains("the downloaded agent is damaged"));
    let left: Vec<_> = fs::read_dir(home.path("Agent")).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
    server.offer(AGENT, None);
    eventually("the next try works", || home.starts().len() == 1);
}

#[test]
fn a_server_without_a_release_is_said_so() {
    let server = Server::start();
    let home = server.home(&json!({}));
    fs::remove_file(home.path("Agent/sallyport-agent")).unwrap();
    let _wrapper = home.start();
    eventually("it is said", || home.run(&["status"]).1.contains("the server offers no agent for linux-x86_64"));
}

/// Starts with settings while the server offers another program; says whether it was installed, and the log.
fn update(changes: &serde_json::Value) -> (bool, String) {
    let other = format!("{AGENT}# another version\n");
    let server = Server::start();
    server.offer(&other, None);
    let home = server.home(changes);
    let _wrapper = home.start_running();
    (home.read("Agent/sallyport-agent") == other, home.wrapper_log())
}

#[test]
fn another_version_is_installed_where_it_may_be() {
    const NOTE: &str = "another version of the agent was installed";
    let (replaced, log) = update(&json!({}));
    assert!(replaced && log.contains(NOTE));
    let (replaced, log) = update(&json!({ "NotifyUpdated": false }));
    assert!(replaced && !log.contains(NOTE));
    assert!(!update(&json!({ "AllowAutoUpdate": false })).0);
    assert!(!update(&json!({ "SuppressUpdate": true })).0);
}

#[test]
fn the_same_version_is_not_downloaded_again() {
    let server = Server::start();
    server.offer(AGENT, None);
    let home = server.home(&json!({}));
    let before = fs::metadata(home.path("Agent/sallyport-agent")).unwrap().modified().unwrap();
    let _wrapper = home.start_running();
    assert_eq!(fs::metadata(home.path("Agent/sallyport-agent")).unwrap().modified().unwrap(), before);
    assert!(!home.wrapper_log().contains("downloading"));
}
