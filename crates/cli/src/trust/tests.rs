use super::*;

#[test]
fn fingerprints_are_compared_without_case_and_separators() {
    let plain = "ab".repeat(32);
    let colons = vec!["AB"; 32].join(":");
    assert!(same_fingerprint(&plain, &colons));
    assert!(same_fingerprint(&format!("sha256:{plain}"), &colons));
    assert!(!same_fingerprint(&"ac".repeat(32), &colons));
    assert!(!same_fingerprint("", ""), "nothing is not a fingerprint");
}

#[test]
fn a_file_without_a_certificate_is_said_to_hold_none() {
    let error = roots(Some("hello")).map(|_| ()).unwrap_err();
    assert_eq!(error.message, "the CA file holds no certificate");
}
