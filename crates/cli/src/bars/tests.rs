use super::*;

fn line(state: &str, rows: u64, bytes: u64) -> StepLine {
    let counts = StepCounts { rows_out: rows, bytes, ..StepCounts::default() };
    StepLine { name: "orders".into(), state: state.into(), counts }
}

#[test]
fn a_step_that_has_moved_nothing_shows_its_state_alone() {
    assert_eq!(message(&line("waiting_for_agent", 0, 0), Duration::from_secs(3)), "waiting for agent");
}

#[test]
fn a_running_step_shows_rows_bytes_and_rates() {
    let text = message(&line("running", 6_000_000, 1_200_000_000), Duration::from_secs(4));
    assert!(text.contains("6 000 000 rows"), "{text}");
    assert!(text.contains("1.2 GB"), "{text}");
    assert!(text.contains("1 500 000 rows/s"), "{text}");
    assert!(text.contains("300.0 MB/s"), "{text}");
}
