use serde_json::json;

use super::*;

#[test]
fn a_diff_is_shown_without_its_header() {
    let diff = "--- task\n+++ task\n@@ -1,2 +1,2 @@\n task: orders\n-limit: 1\n+limit: 2\n";
    assert_eq!(paint_diff(diff), "@@ -1,2 +1,2 @@\n task: orders\n-limit: 1\n+limit: 2\n");
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
    assert_eq!(documents[1].text.trim(), "name: b");
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

#[test]
fn a_document_alone_keeps_its_comments() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.yaml");
    std::fs::write(&path, "# why\nname: a\n").unwrap();
    assert_eq!(read(&path).unwrap()[0].text, "# why\nname: a\n");
}

#[test]
fn an_error_in_a_file_with_secrets_shows_none_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("connection.yaml");
    std::fs::write(&path, "name: a\nsecrets:\n  password: tops3cret\n  key: [\n").unwrap();
    let error = read(&path).map(|_| ()).unwrap_err();
    assert!(error.message.contains("line"), "{}", error.message);
    assert!(!format!("{error:?}").contains("tops3cret"), "{error:?}");
}
