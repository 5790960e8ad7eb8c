use serde_json::json;

use super::*;

#[test]
fn a_diff_shows_what_changes_and_a_little_around_it() {
    let old = json!({"task": "orders", "limit": 1, "steps": [{"name": "read"}]});
    let new = json!({"task": "orders", "limit": 2, "steps": [{"name": "read"}]});
    let text = diff(Some(&old), &new).unwrap();
    assert!(text.contains("- limit: 1\n"), "{text}");
    assert!(text.contains("+ limit: 2\n"), "{text}");
    assert!(text.contains("  task: orders\n"), "{text}");
    assert_eq!(diff(Some(&new), &new).unwrap(), "");
}

#[test]
fn a_file_may_hold_several_documents() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.yaml");
    std::fs::write(&path, "name: a\n---\nname: b\n").unwrap();
    let documents = read(&path).unwrap();
    assert_eq!(
        documents.iter().map(|d| d.value.clone()).collect::<Vec<_>>(),
        [json!({"name": "a"}), json!({"name": "b"})]
    );
    assert!(documents[1].place.ends_with("all.yaml, document 2"));
}

#[test]
fn a_broken_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("broken.yaml");
    std::fs::write(&path, "steps: [\n").unwrap();
    let error = read(&path).map(|_| ()).unwrap_err();
    assert!(error.message.contains("broken.yaml is not valid YAML"), "{}", error.message);
}
