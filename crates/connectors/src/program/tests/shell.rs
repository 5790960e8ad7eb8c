//! Programs that behave badly, as shell scripts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use sallyport_protocol::{ConnectionOrder, Secret};
use serde_json::json;

use crate::file::tests::kit::{End, Kit, failure};
use crate::{Error, Program, Site};

pub(super) fn kit<const N: usize>(programs: [(&str, Program); N]) -> Kit {
    let mut kit = Kit::new();
    let programs = programs.into_iter().map(|(name, program)| (name.to_owned(), program)).collect();
    kit.cx.site = Arc::new(Site { files_root: kit.cx.site.files_root.clone(), programs, ..Site::default() });
    kit
}

/// A kit whose program `p` is a script; `$1` is a folder that it may write to.
fn script(text: &str) -> Kit {
    let mut kit = Kit::new();
    let files_root = kit.cx.site.files_root.clone();
    let arguments = vec!["-c".into(), text.into(), "p".into(), files_root.to_string_lossy().into_owned()];
    let program = Program { command: "/bin/bash".into(), arguments };
    kit.cx.site =
        Arc::new(Site { files_root, programs: BTreeMap::from([("p".to_owned(), program)]), ..Site::default() });
    kit
}

const READY: &str = r#"read -r hello; echo '{"type":"ready","protocol":1}' >&2;"#;

fn numbers(rows: i64) -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new((0..rows).collect::<Int64Array>()) as ArrayRef)]).unwrap()
}

fn read_failure(text: &str) -> (String, String) {
    failure(script(text).read("program", &json!({"program": "p"})))
}

fn write_failure(text: &str) -> (String, String) {
    failure(script(text).write("program", &json!({"program": "p"}), &numbers(10)))
}

#[test]
fn only_registered_programs_are_started() {
    let kit = Kit::new();
    let (code, text) = failure(kit.read("program", &json!({"program": "/bin/sh"})));
    assert!(code == "program_not_registered" && text.contains("`/bin/sh`") && text.contains("programs.json"), "{text}");
    assert_eq!(failure(kit.read("program", &json!({}))).0, "bad_settings");
    let (code, text) = failure(
        super::shell::kit([("gone", Program { command: "/no/such/program".into(), arguments: vec![] })])
            .read("program", &json!({"program": "gone"})),
    );
    assert!(code == "program_not_started" && text.contains("/no/such/program"), "{text}");
}

#[test]
fn a_program_that_dies_is_named_with_its_code_and_last_lines() {
    let (code, text) = read_failure(&format!("{READY} echo one >&2; echo two >&2; exit 7"));
    assert!(
        code == "program_died" && text.contains("`p`") && text.contains("exit code 7") && text.contains("one | two"),
        "{text}"
    );
    let (code, text) = read_failure("echo no protocol >&2; exit 3");
    assert!(code == "program_died" && text.contains("exit code 3") && text.contains("no protocol"), "{text}");
    let (code, text) = write_failure(&format!("{READY} kill -SEGV $$"));
    assert!(code == "program_died" && text.contains("signal 11"), "{text}");
    let (code, text) = write_failure(&format!("{READY} cat >/dev/null; exit 0"));
    assert!(code == "program_protocol" && text.contains("committed"), "{text}");
    let (code, text) = read_failure(&format!("{READY} echo garbage; exit 0"));
    assert!(code == "program_protocol" && text.contains("Arrow"), "{text}");
    let (code, text) = read_failure(r#"read -r hello; echo '{"type":"ready","protocol":9}' >&2; sleep 60"#);
    assert!(code == "program_protocol" && text.contains("version 9"), "{text}");
    let told = r#"{"type":"error","code":"no_rights","message":"the table is closed","transient":true}"#;
    let error =
        script(&format!("{READY} echo '{told}' >&2; exit 1")).read("program", &json!({"program": "p"})).unwrap_err();
    let Error::Failed(failure) = error else { panic!("{error:?}") };
    assert!(failure.transient && failure.code == "no_rights" && failure.message.contains("the table is closed"));
}

#[test]
fn a_sink_that_says_committed_has_succeeded() {
    let kit = script(&format!(
        r#"{READY} cat >/dev/null; echo '{{"type":"committed","rows":10,"already_committed":true}}' >&2"#
    ));
    let written = kit.write("program", &json!({"program": "p"}), &numbers(10)).unwrap();
    assert!(written.already_committed);
    assert_eq!(kit.cx.progress.counts().rows_out, 10);
}

#[test]
fn secrets_come_over_standard_input_alone_and_the_environment_is_clean() {
    let kit = script(&format!(
        r#"{READY} echo "$hello" > "$1/hello"; env > "$1/environment"; tr '\0' ' ' < /proc/$$/cmdline > "$1/arguments"; pwd > "$1/folder"; cat >/dev/null; echo '{{"type":"committed"}}' >&2"#
    ));
    let order = ConnectionOrder {
        name: "c".into(),
        settings: json!({"program": "p", "settings": {"host": "h", "port": 1}}),
        secrets: BTreeMap::from([("password".to_owned(), Secret::new("hunter2"))]),
    };
    let batch = numbers(1);
    kit.write_to(
        "program",
        Some(&order),
        &json!({"settings": {"port": 2}}),
        &batch.schema(),
        vec![batch.clone()],
        End::Good,
    )
    .unwrap();
    let hello: serde_json::Value = serde_json::from_str(&kit.text("hello")).unwrap();
    assert_eq!(hello["secrets"], json!({"password": "hunter2"}));
    assert_eq!(hello["settings"], json!({"host": "h", "port": 2}));
    assert_eq!(
        (&hello["role"], &hello["protocol"], &hello["commit"]["key"]),
        (&json!("sink"), &json!(1), &json!("run/step"))
    );
    let commit = &hello["commit"];
    assert_eq!((&commit["task"], &commit["run"], &commit["step"]), (&json!("copy"), &json!("run_1"), &json!("write")));
    assert_eq!((&commit["attempt"], &commit["fence"]), (&json!(1), &json!(1)));
    assert_eq!(hello["schema"][0]["name"], "n");
    assert!(!kit.text("environment").contains("hunter2") && !kit.text("arguments").contains("hunter2"));
    for line in kit.text("environment").lines() {
        let name = line.split('=').next().unwrap();
        assert!(["PATH", "HOME", "LANG", "TMPDIR", "PWD", "SHLVL", "_", "OLDPWD"].contains(&name), "{line}");
    }
    assert_eq!(kit.text("folder").trim(), std::fs::canonicalize(&kit.cx.scratch).unwrap().to_string_lossy());
    assert!(kit.log.lock().unwrap().iter().all(|line| !line.contains("hunter2")));
}

/// Waits until `condition` holds.
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..1500 {
        if condition() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("waited 15 s: {what}");
}

fn is_running(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn cancel_ends_the_program_and_its_children_even_if_they_ignore_it() {
    let kit = script(&format!(
        r#"trap '' TERM; {READY} sleep 1000 & echo $! > "$1/child.new"; mv "$1/child.new" "$1/child"; while :; do sleep 1; done"#
    ));
    let (cancel, child) = (kit.cx.cancel.clone(), kit.path("child"));
    let stopper = std::thread::spawn(move || {
        eventually("the program has started its child", || child.exists());
        cancel.cancel();
    });
    let result = kit.read("program", &json!({"program": "p"}));
    stopper.join().unwrap();
    assert_eq!(result.unwrap_err(), Error::Cancelled);
    let child = kit.text("child");
    eventually("the child is gone", || !is_running(&child));
}

#[test]
fn noise_is_bounded() {
    let kit = script(&format!(
        r#"{READY} yes noise | head -n 30000 >&2; cat >/dev/null; echo '{{"type":"committed","rows":1}}' >&2"#
    ));
    kit.write("program", &json!({"program": "p"}), &numbers(1)).unwrap();
    let log = kit.log.lock().unwrap();
    assert_eq!(log.len(), 10_001);
    assert!(log[10_000].contains("left out"));
}

#[test]
fn a_connection_is_tested_without_running_the_program() {
    let kit = script("touch \"$1/ran\"");
    let order = |program: &str| ConnectionOrder {
        name: "c".into(),
        settings: json!({"program": program}),
        secrets: BTreeMap::new(),
    };
    assert!(crate::test("program", &order("p"), &kit.cx.site, &kit.cx.cancel).passed());
    let test = crate::test("program", &order("q"), &kit.cx.site, &kit.cx.cancel);
    assert!(!test.passed() && test.stages.last().unwrap().detail.contains("registered are: p"), "{test:?}");
    assert!(kit.names().is_empty());
}
