use super::*;

#[test]
fn a_path_of_one_machine_is_named_with_its_line() {
    let text = format!("fine\nsee {}alice/notes\n", concat!("/ho", "me/"));
    let found = breaches("docs/a.md", &text);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("docs/a.md:2: "), "{found:?}");
}

#[test]
fn ordinary_text_passes() {
    assert_eq!(breaches("docs/a.md", "unzip it anywhere, such as `~/agents`\n"), [""; 0]);
}
