use super::*;

#[test]
fn an_address_is_taken_with_or_without_its_scheme() {
    let target = Target::parse("localhost:7443").unwrap();
    assert_eq!(
        (target.address.as_str(), target.host.as_str(), target.port),
        ("https://localhost:7443", "localhost", 7443)
    );
    let target = Target::parse("https://[::1]:8443/").unwrap();
    assert_eq!((target.address.as_str(), target.host.as_str(), target.port), ("https://[::1]:8443", "::1", 8443));
    assert_eq!(Target::parse("https://sallyport.example.com").unwrap().port, 443);
    assert!(Target::parse("ftp://host").is_err());
}

#[test]
fn a_setup_link_is_not_taken_from_the_command_line() {
    for link in ["https://localhost:7443/setup#abc", "localhost:7443/setup?token=abc"] {
        let refused = Target::parse(link).unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
        assert!(!format!("{refused:?}").contains("abc"), "{refused:?}");
        assert!(refused.problems[0].contains("--setup"), "{refused:?}");
    }
}
