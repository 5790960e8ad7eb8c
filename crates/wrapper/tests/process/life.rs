//! Starting, watching, restarting and ending, without a server.

use std::fs;
use std::process::Command;

use rustix::process::Signal;
use serde_json::json;

use crate::home::{Home, eventually, lives};

#[test]
fn the_agent_is_started_with_its_arguments_and_ended_in_order() {
    let home = Home::new();
    let wrapper = home.start_running();
    let (code, text, _) = home.run(&["status"]);
    assert!(code == 0 && text.contains("Agent    running, process"), "{text}");
    let (_, text, _) = home.run(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status["running"], true);
    assert_eq!(status["status"]["wrapper"]["process_id"], wrapper.process_id());
    let arguments = home.read("Agent/arguments");
    let expected =
        format!("--home {} --life-pipe --wrapper-version ", home.path("").display().to_string().trim_end_matches('/'));
    assert!(
        arguments.starts_with(&expected) && arguments.trim_end().ends_with("--executed-by foreground"),
        "{arguments}"
    );

    assert_eq!(home.run(&["stop"]), (0, "Stopped.\n".to_owned(), String::new()));
    let (code, greeting) = wrapper.end();
    assert_eq!(code, 0);
    assert!(greeting.contains("Connecting to https://127.0.0.1:1; logs are in "), "{greeting}");
    assert_eq!(home.read("Agent/ends"), "stopped\n");
    assert!(!lives(home.starts()[0]));
    assert_eq!(home.status()["agent"]["state"]["state"], "stopped");
}

#[test]
fn where_nothing_runs_the_commands_say_so() {
    let home = Home::new();
    for (command, expected) in [("status", 3), ("restart", 3), ("stop", 0)] {
        let (code, text, _) = home.run(&[command]);
        assert!(code == expected && text.starts_with("Nothing runs from "), "{command}: {code} {text}");
    }
}

#[test]
fn a_second_start_says_who_holds_the_lock() {
    let home = Home::new();
    let wrapper = home.start_running();
    let (code, _, error) = home.run(&[]);
    assert_eq!(code, 4);
    let expected = format!("already runs from this folder (in the foreground, process {}", wrapper.process_id());
    assert!(error.contains(&expected), "{error}");
    assert_eq!(home.starts().len(), 1);
}

#[test]
fn a_killed_wrapper_takes_its_agent_along_and_leaves_no_lock() {
    let home = Home::new();
    let wrapper = home.start_running();
    wrapper.kill();
    eventually("the agent noticed", || home.read("Agent/ends") == "orphaned\n");
    eventually("the agent is gone", || !lives(home.starts()[0]));
    let wrapper = home.start();
    eventually("another agent runs", || home.starts().len() == 2);
    drop(wrapper);
}

#[test]
fn a_crash_is_noted_with_its_last_words_and_restarted() {
    let home = Home::new();
    home.write("Agent/exit-with", "3");
    let _wrapper = home.start();
    eventually("it was started again", || home.starts().len() >= 2);
    eventually("the second end is noted", || home.status()["agent"]["restarts"] == 2);
    let exit = home.status()["agent"]["last_exit"].clone();
    assert_eq!((&exit["code"], &exit["expected"]), (&json!(3), &json!(false)));
    let lines = exit["stderr"].as_array().unwrap();
    assert_eq!((lines.len(), &lines[0], &lines[39]), (40, &json!("last words 11"), &json!("last words 50")));
    let delay = exit["next_start_ms"].as_u64().unwrap();
    assert!((1000..=2000).contains(&delay), "{delay}");
    assert!(home.wrapper_log().contains("logName=uncaughtException, the agent ended: exit code 3"));
}

#[test]
fn an_agent_that_asks_to_be_restarted_is_so_at_once() {
    let home = Home::new();
    home.write("Agent/exit-with", "75");
    home.write("Agent/once", "");
    let _wrapper = home.start();
    eventually("it was started again", || home.starts().len() == 2);
    let exit = home.status()["agent"]["last_exit"].clone();
    assert_eq!((&exit["code"], &exit["expected"], &exit["next_start_ms"]), (&json!(75), &json!(true), &json!(0)));
}

#[test]
fn bad_settings_wait_for_a_person_who_restarts() {
    let home = Home::new();
    home.write("Agent/exit-with", "78");
    let _wrapper = home.start();
    eventually("the end is noted", || home.status()["agent"]["last_exit"]["next_start_ms"] == 300_000);
    let (_, text, _) = home.run(&["status"]);
    assert!(text.contains("exit code 78 (its settings are not usable)") && text.contains("last words 50"), "{text}");
    fs::remove_file(home.path("Agent/exit-with")).unwrap();
    assert_eq!(home.run(&["restart"]), (0, "Restarted.\n".to_owned(), String::new()));
    eventually("another agent noted its start", || home.starts().len() == 2);
}

#[test]
fn a_restart_ends_the_agent_in_order_and_starts_another() {
    let home = Home::new();
    let wrapper = home.start_running();
    assert_eq!(home.run(&["restart"]).0, 0);
    eventually("another agent runs", || home.starts().len() == 2);
    assert_eq!(home.read("Agent/ends"), "stopped\n");
    assert!(!lives(home.starts()[0]) && lives(home.starts()[1]) && lives(wrapper.process_id()));
}

#[test]
fn an_agent_that_does_not_listen_is_killed_with_its_children() {
    let home = Home::new();
    home.write("Agent/stubborn", "");
    let wrapper = home.start_running();
    eventually("it has a child", || !home.read("Agent/child").is_empty());
    let child = home.read("Agent/child").trim().parse().unwrap();
    assert!(lives(child));
    wrapper.signal(Signal::TERM);
    let (code, _) = wrapper.end();
    assert_eq!(code, 0);
    eventually("the child is gone too", || !lives(child));
    assert!(home.wrapper_log().contains("is killed"));
    assert_eq!(home.status()["agent"]["last_exit"]["signal"], 9);
}

#[test]
fn ctrl_c_ends_everything_in_order() {
    let home = Home::new();
    let wrapper = home.start_running();
    wrapper.signal(Signal::INT);
    assert_eq!(wrapper.end().0, 0);
    assert_eq!(home.read("Agent/ends"), "stopped\n");
}

#[test]
fn a_command_for_an_earlier_wrapper_is_not_obeyed() {
    let home = Home::new();
    home.start_running().kill();
    home.write("state/command", "stop");
    let wrapper = home.start();
    eventually("another agent runs", || home.starts().len() == 2);
    assert!(!home.path("state/command").exists());
    assert_eq!(home.run(&["restart"]).0, 0);
    assert!(lives(wrapper.process_id()));
}

#[test]
fn settings_that_are_not_usable_are_said_with_their_own_exit_code() {
    let home = Home::new();
    home.settings("http://plain", &json!({ "FileLogLevel": "Loud" }));
    let (code, _, error) = home.run(&[]);
    assert_eq!(code, 78);
    for expected in ["appsettings.json", "ServerAddress", "FileLogLevel is `\"Loud\"`: allowed are Trace"] {
        assert!(error.contains(expected), "{error}");
    }
    fs::remove_file(home.path("appsettings.json")).unwrap();
    let (code, _, error) = home.run(&[]);
    assert!(code == 78 && error.contains("the file is missing"), "{error}");
}

#[test]
fn mistyped_keys_are_warned_about() {
    let home = Home::at("https://127.0.0.1:1", &json!({ "FileLogLvel": "Debug" }));
    let _wrapper = home.start_running();
    assert!(home.wrapper_log().contains(
        "unknown key `Settings.FileLogLvel` has no effect; the nearest known key is `Settings.FileLogLevel`"
    ));
}

#[test]
fn a_log_that_cannot_be_written_is_an_error_at_start() {
    let home = Home::new();
    home.write("logs", "a file where the folder should be");
    let (code, _, error) = home.run(&[]);
    assert!(code == 1 && error.contains("logs"), "{code} {error}");
    assert!(home.starts().is_empty());
}

#[test]
fn the_password_is_in_no_log_and_no_argument() {
    let home = Home::at("https://127.0.0.1:1", &json!({ "FileLogLevel": "Trace", "LogAPICallBody": true }));
    let wrapper = home.start_running();
    eventually("it tried to connect", || home.wrapper_log().contains("not online: connecting to 127.0.0.1:1 failed"));
    assert!(!home.wrapper_log().contains("hunter2") && !home.read("Agent/arguments").contains("hunter2"));
    assert!(!home.read("state/status.json").contains("hunter2"));
    drop(wrapper);
}

#[test]
fn the_launcher_starts_it_from_any_folder_and_hands_arguments_on() {
    let home = Home::new();
    fs::copy(env!("CARGO_BIN_EXE_sallyport-wrapper"), home.path("sallyport-wrapper")).unwrap();
    home.write("start.sh", sallyport_site::launchers::START_SH);
    let output = Command::new("sh").arg(home.path("start.sh")).arg("status").current_dir("/").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(3) && text.starts_with("Nothing runs from "), "{text}");
}
