use super::*;

fn secrets() -> Secrets {
    Secrets::from_key(&Secrets::new_key().unwrap()).unwrap()
}

#[test]
fn what_is_sealed_opens_for_its_connection_and_no_other() {
    let secrets = secrets();
    let id = ConnectionId::new();
    let plain = BTreeMap::from([("password".to_owned(), Secret::new("geheim"))]);
    let sealed = secrets.seal(id, &plain).unwrap();
    assert!(!sealed.windows(6).any(|window| window == b"geheim"));
    assert_eq!(secrets.open(id, &sealed).unwrap(), plain);
    assert!(secrets.open(ConnectionId::new(), &sealed).is_err());
    let mut changed = sealed.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(secrets.open(id, &changed).is_err());
    assert!(secrets.open(id, &sealed[..10]).is_err());
    assert_ne!(secrets.seal(id, &plain).unwrap(), sealed, "the same again looks different");
}

#[test]
fn hashes_differ_by_purpose_and_key() {
    let (one, two) = (secrets(), secrets());
    let token = Secrets::token("sp_").unwrap();
    assert_eq!(one.hash(Purpose::Bearer, &token), one.hash(Purpose::Bearer, &token));
    assert_ne!(one.hash(Purpose::Bearer, &token), one.hash(Purpose::Agent, &token));
    assert_ne!(one.hash(Purpose::Bearer, &token), two.hash(Purpose::Bearer, &token));
}

#[test]
fn a_damaged_key_is_refused() {
    for text in ["", "short", "not base64 at all, is it?"] {
        assert!(Secrets::from_key(text).is_err(), "{text:?}");
    }
}
