use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use serde_json::json;

use super::kit::{End, Kit, failure};
use crate::Error;

fn numbers(rows: i64) -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new((0..rows).collect::<Int64Array>()) as ArrayRef)]).unwrap()
}

#[test]
fn a_file_is_whole_or_not_there() {
    for path in ["x.csv", "x.jsonl.gz", "x.csv.zst", "x.parquet"] {
        for end in [End::Broken, End::Cancelled] {
            let kit = Kit::new();
            kit.put(path, "old");
            let batches = vec![numbers(100_000); 5];
            let result = kit.write_to("file", None, &json!({"path": path}), &numbers(1).schema(), batches, end);
            assert!(matches!(result.unwrap_err(), Error::Edge(_) | Error::Cancelled), "{path} {end:?}");
            assert_eq!(kit.names(), [path], "{end:?}");
            assert_eq!(kit.text(path), "old");
        }
    }
}

#[test]
fn what_a_killed_attempt_left_is_cleared_by_the_next() {
    let mut kit = Kit::new();
    let part = crate::part::PartFile::create(
        &crate::paths::Root::new(&kit.cx.site.files_root).unwrap(),
        "x.csv",
        &kit.cx.commit,
    );
    std::mem::forget(part.unwrap());
    assert_eq!(kit.names().len(), 1);
    kit.cx.commit.attempt = 2;
    kit.cx.commit.fence = 2;
    kit.write("file", &json!({"path": "x.csv"}), &numbers(2)).unwrap();
    assert_eq!(kit.names(), ["x.csv"]);
    assert_eq!(kit.text("x.csv"), "n\n0\n1\n");
}

#[test]
fn an_existing_file_is_kept_if_so_asked() {
    let mut kit = Kit::new();
    let with = json!({"path": "x.csv", "overwrite": false});
    kit.write("file", &with, &numbers(1)).unwrap();
    kit.cx.commit.key = "another run".to_owned();
    let (code, text) = failure(kit.write("file", &with, &numbers(2)));
    assert!(code == "file_exists" && text.contains("x.csv"), "{text}");
    assert_eq!(kit.text("x.csv"), "n\n0\n");
    kit.write("file", &json!({"path": "x.csv"}), &numbers(2)).unwrap();
    assert_eq!(kit.text("x.csv"), "n\n0\n1\n");
    assert_eq!(kit.names(), ["x.csv"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_repeated_attempt_finds_its_own_file() {
    let mut kit = Kit::new();
    let probe = kit.path("probe");
    std::fs::write(&probe, "").unwrap();
    let handle = std::fs::File::open(&probe).unwrap();
    let marks = rustix::fs::fsetxattr(&handle, "user.sallyport.test", b"1", rustix::fs::XattrFlags::empty()).is_ok();
    let with = json!({"path": "x.csv", "overwrite": false});
    kit.write("file", &with, &numbers(1)).unwrap();
    kit.cx.commit.attempt = 2;
    kit.cx.commit.fence = 2;
    let again = kit.write("file", &with, &numbers(1));
    if marks {
        assert!(again.unwrap().already_committed);
    } else {
        assert_eq!(failure(again).0, "file_exists");
    }
    assert_eq!(kit.text("x.csv"), "n\n0\n");
}

#[test]
fn counts_are_kept() {
    let kit = Kit::new();
    kit.write("file", &json!({"path": "x.csv"}), &numbers(1000)).unwrap();
    let counts = kit.cx.progress.counts();
    assert_eq!(counts.rows_out, 1000);
    assert_eq!(counts.bytes, std::fs::metadata(kit.path("x.csv")).unwrap().len());
}

/// Runs in a child process whose files may not grow beyond 1 MiB, which the system reports as it does a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_is_named_and_nothing_is_left() {
    const CHILD: &str = "SALLYPORT_TEST_SMALL_DISK";
    #[expect(clippy::disallowed_methods, reason = "tells the child process from its parent")]
    if std::env::var(CHILD).is_ok() {
        for path in ["full/x.csv", "full/x.parquet", "full/x.jsonl"] {
            let kit = Kit::new();
            let with = json!({"path": path, "compression": "none"});
            let batches = vec![numbers(200_000); 10];
            let (code, text) = failure(kit.write_to("file", None, &with, &numbers(1).schema(), batches, End::Good));
            assert_eq!(code, "disk_full", "{text}");
            assert!(text.contains(path) && text.contains("full`"), "{text}");
            assert!(kit.names().is_empty());
        }
        return;
    }
    // `ulimit -f` counts in blocks of 512 bytes or a KiB; SIGXFSZ is ignored so that the write itself fails.
    let script = "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\"";
    let this = std::env::current_exe().unwrap();
    let name = "file::tests::whole::a_full_disk_is_named_and_nothing_is_left";
    let output = std::process::Command::new("bash")
        .args(["-c", script])
        .arg(this)
        .args([name, "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_connection_is_tested_stage_by_stage() {
    let kit = Kit::new();
    let order = |root: &str| sallyport_protocol::ConnectionOrder {
        name: "folder".into(),
        settings: json!({"root": root}),
        secrets: Default::default(),
    };
    std::fs::create_dir(kit.path("sub")).unwrap();
    let test = crate::test("file", &order("sub"), &kit.cx.site, &kit.cx.cancel);
    assert!(test.passed(), "{test:?}");
    assert_eq!(
        test.stages.iter().map(|stage| stage.stage.as_str()).collect::<Vec<_>>(),
        ["settings", "folder", "read", "write"]
    );
    let test = crate::test("file", &order("missing"), &kit.cx.site, &kit.cx.cancel);
    assert!(!test.passed() && test.stages.len() == 2 && test.stages[1].detail.contains("missing"), "{test:?}");
    assert!(!crate::test("file", &order("../.."), &kit.cx.site, &kit.cx.cancel).passed());
    kit.write_to("file", Some(&order("sub")), &json!({"path": "x.csv"}), &numbers(1).schema(), vec![], End::Good)
        .unwrap();
    assert_eq!(kit.text("sub/x.csv"), "n\n");
}
