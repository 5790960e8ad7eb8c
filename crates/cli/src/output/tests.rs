use serde_json::json;

use super::*;

#[test]
fn numbers_are_readable() {
    assert_eq!(count(7), "7");
    assert_eq!(count(6_001_215), "6 001 215");
    assert_eq!(bytes(999), "999 B");
    assert_eq!(bytes(1_400_000_000), "1.4 GB");
}

#[test]
fn a_path_reaches_into_an_item() {
    let item = json!({"presence": {"os": "Debian"}, "active": true, "none": null});
    assert_eq!(text(&item, "presence.os"), "Debian");
    assert_eq!(text(&item, "active"), "yes");
    assert_eq!(text(&item, "none"), "");
    assert_eq!(text(&item, "presence.missing"), "");
}

#[test]
fn a_table_is_aligned_and_has_no_trailing_blanks() {
    let rows = vec![vec!["client-server".into(), "online".into()], vec!["pc".into(), String::new()]];
    assert_eq!(table(Some(vec!["NAME", "STATUS"]), rows), "NAME           STATUS\nclient-server  online\npc\n");
}

#[test]
fn times_lose_their_fraction() {
    let item = json!({"at": "2026-11-22T20:48:01.123456Z"});
    assert_eq!(time(&item, "at"), "2026-11-22 20:48:01");
}
