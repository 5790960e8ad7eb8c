use super::*;

fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
    given.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

#[test]
fn a_token_is_shown_or_is_a_password() {
    let check = |value: &str, expected: Option<(&str, bool)>| {
        let found = token(&headers(&[("authorization", value)]));
        let found = found.as_ref().map(|(secret, remembered)| (secret.expose(), *remembered));
        assert_eq!(found, expected, "{value}");
    };
    check("Bearer api_1", Some(("api_1", false)));
    check("bearer  api_1 ", Some(("api_1", false)));
    // `anyone:api_1`, and `:a:b`.
    check("Basic YW55b25lOmFwaV8x", Some(("api_1", true)));
    check("Basic OmE6Yg==", Some(("a:b", true)));
    check("Basic !", None);
    check("Digest x", None);
    assert!(token(&headers(&[("cookie", "sallyport_login=login_1")])).is_none());
}

#[test]
fn a_remembered_password_is_no_use_to_other_pages() {
    let check = |given: &[(&'static str, &str)], good: bool| {
        assert_eq!(asked_here(&headers(given)).is_ok(), good, "{given:?}");
    };
    check(&[("sec-fetch-site", "none")], true);
    check(&[("sec-fetch-site", "same-origin")], true);
    check(&[("sec-fetch-site", "same-site")], false);
    check(&[("sec-fetch-site", "cross-site")], false);
    check(&[("host", "sallyport.example")], true);
    check(&[("host", "sallyport.example"), ("origin", "https://sallyport.example")], true);
    check(&[("host", "sallyport.example"), ("origin", "https://evil.example")], false);
    check(&[("host", "sallyport.example"), ("origin", "null")], false);
    check(&[("origin", "https://evil.example")], false);
}

#[test]
fn names_lose_their_escapes() {
    assert_eq!(decoded("client%20db").as_deref(), Some("client db"));
    assert_eq!(decoded("b%C3%BCro").as_deref(), Some("b\u{fc}ro"));
    for wrong in ["%", "%2", "%zz", "%ff"] {
        assert_eq!(decoded(wrong), None, "{wrong}");
    }
}
