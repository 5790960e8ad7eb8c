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
fn a_setup_link_carries_its_token() {
    for link in
        ["https://localhost:7443/setup#abc", "https://localhost:7443/setup?token=abc", "localhost:7443/setup#token=abc"]
    {
        let target = Target::parse(link).unwrap();
        assert_eq!(target.setup.as_deref(), Some("abc"), "{link}");
        assert_eq!(target.address, "https://localhost:7443", "{link}");
    }
    assert!(Target::parse("https://localhost:7443/setup").is_err(), "a link that was cut off is told");
}
