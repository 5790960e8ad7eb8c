use super::*;

#[test]
fn the_nearest_times_of_all_triggers_come_first_each_in_its_zone() {
    let triggers = [
        json!({"name": "nightly", "definition": {"zone": "Europe/Prague"},
               "next": ["2026-10-24T00:30:00.000000Z", "2026-10-25T00:30:00.000000Z", "2026-10-26T01:30:00.000000Z"]}),
        json!({"name": "often", "definition": {"every": "1d"}, "next": ["2026-10-24T12:00:00Z", "2026-10-25T12:00:00Z"]}),
        json!({"name": "hook", "definition": {"webhook": {}}, "next": []}),
    ];
    let lines: Vec<String> = firings(&triggers, 4)
        .iter()
        .map(|one| format!("{} {} {}", text(one, "local"), text(one, "zone"), text(one, "trigger")))
        .collect();
    assert_eq!(
        lines,
        [
            "Sat 2026-10-24 02:30:00 +02:00 Europe/Prague nightly",
            "Sat 2026-10-24 12:00:00 +00:00 UTC often",
            "Sun 2026-10-25 02:30:00 +02:00 Europe/Prague nightly",
            "Sun 2026-10-25 12:00:00 +00:00 UTC often",
        ]
    );
}
