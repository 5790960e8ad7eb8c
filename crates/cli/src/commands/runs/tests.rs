use super::*;

fn failed() -> Value {
    json!({
        "id": "run_1", "task": "orders", "state": "failed",
        "started_at": "2026-11-22T20:00:00Z", "finished_at": "2026-11-22T20:00:02.5Z",
        "failure": "output", "reason": "step csv failed",
        "steps": [
            {"step": "read", "agent": "client-server", "state": "failed", "attempt": 1, "reason": "the agent went away"},
            {"step": "read", "agent": "client-server", "state": "cancelled", "attempt": 2, "reason": "step csv failed",
             "rows_out": 1200, "bytes": 4000},
            {"step": "csv", "agent": "training-pc", "state": "failed", "attempt": 2, "rows_in": 1000,
             "failure": {"message": "the disk is full", "advice": "make room"}},
        ],
    })
}

#[test]
fn a_failed_run_says_why_once() {
    let text = summary(&failed());
    assert!(text.starts_with("run_1  orders  failed  2.5 s\n"), "{text}");
    assert_eq!(text.matches("the disk is full").count(), 1, "{text}");
    assert!(text.contains("csv: the disk is full\n  make room\n"), "{text}");
    assert!(text.contains("read: step csv failed"), "{text}");
    assert!(text.contains("1 200") && !text.contains("went away"), "the newest attempt counts: {text}");
}

#[test]
fn the_exit_code_follows_the_run() {
    let error = outcome(&failed()).unwrap_err();
    assert_eq!((error.exit, error.message.as_str()), (Exit::RunFailed, "the run failed"));
    assert!(outcome(&json!({"state": "succeeded"})).is_ok());
    assert!(outcome(&json!({"state": "no_data"})).is_ok());
    assert_eq!(outcome(&json!({"state": "cancelled"})).unwrap_err().message, "the run was cancelled");
}
