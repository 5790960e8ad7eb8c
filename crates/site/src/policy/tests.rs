use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use sallyport_protocol::Clock;

use super::*;

fn policy(text: &str) -> Policy {
    Policy::parse(text).unwrap()
}

/// The rule that refuses, or nothing.
fn check(policy: &Policy, host: &str, address: &str) -> Option<String> {
    policy.may_dial(host, address.parse::<SocketAddr>().unwrap()).err().map(|refused| refused.rule)
}

#[test]
fn rules_are_read_and_said_again() {
    for text in
        ["*", "db.site", "*.site:443", "10.1.0.0/16:5432-5440", "10.0.0.9", "[::1]:80", "fd00::/8", "localhost:5432"]
    {
        assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
    }
    for text in ["", "a b", "10.0.0.0/33", "db:0", "db:70000", "db:9-1", "db:", "[::1", "*site", "http://db"] {
        assert!(text.parse::<Rule>().is_err(), "{text}");
    }
}

#[test]
fn deny_wins_and_the_default_comes_last() {
    let strict = policy("default = \"deny\"\nallow = [\"DB.site:5432\", \"10.1.0.0/16\"]\ndeny = [\"10.1.9.0/24\"]");
    assert_eq!(check(&strict, "db.site.", "192.0.2.1:5432"), None);
    assert_eq!(check(&strict, "db.site", "192.0.2.1:5433").unwrap(), "default = \"deny\"");
    assert_eq!(check(&strict, "x", "10.1.2.3:1"), None);
    assert_eq!(check(&strict, "x", "10.1.9.3:1").unwrap(), "deny 10.1.9.0/24");
    assert_eq!(check(&strict, "db.site", "10.1.9.3:5432").unwrap(), "deny 10.1.9.0/24");
    assert_eq!(check(&strict, "x", "[::ffff:10.1.9.3]:1").unwrap(), "deny 10.1.9.0/24", "mapped into IPv6");
}

#[test]
fn a_name_does_not_lead_to_the_machine_itself() {
    let policy = policy("default = \"allow\"\nallow = [\"*.site\", \"127.0.0.1:5432\", \"169.254.0.0/16:80\"]");
    assert_eq!(check(&policy, "evil.site", "127.0.0.1:22").unwrap(), "built-in: loopback");
    assert_eq!(check(&policy, "evil.site", "127.0.0.1:5432"), None, "the address itself is allowed");
    assert_eq!(check(&policy, "x", "169.254.169.254:80"), None);
    assert!(check(&policy, "x", "169.254.169.254:8080").unwrap().contains("metadata"));
    for address in ["[::1]:5432", "0.0.0.0:5432", "[fe80::1]:80", "[fd00:ec2::254]:80", "100.100.100.200:80"] {
        assert!(check(&policy, "evil.site", address).unwrap().starts_with("built-in"), "{address}");
    }
    assert_eq!(check(&policy, "somewhere.else", "192.0.2.1:1"), None);
    assert_eq!(check(&Policy::permissive(), "localhost", "127.0.0.1:1"), None);
}

#[test]
fn of_several_addresses_the_allowed_ones_are_left() {
    let policy = policy("default = \"deny\"\nallow = [\"10.0.0.0/8\"]");
    let addresses: Vec<SocketAddr> = ["127.0.0.1:5", "10.0.0.1:5"].iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(policy.dialable("db", &addresses).unwrap(), addresses[1..]);
    let refused = policy.dialable("db", &addresses[..1]).unwrap_err();
    assert!(refused.to_string().contains("built-in: loopback"), "{refused}");
    assert!(refused.advice.contains("policy allow 127.0.0.1:5"), "{}", refused.advice);
}

#[test]
fn connectors_programs_folders_and_tunnels() {
    let some = policy("default = \"deny\"\ntunnels = false\nconnectors = [\"file\"]\nfolders = [\"/srv/in\"]");
    assert!(some.may_tunnel().is_err());
    assert!(some.may_use("file").is_ok() && some.may_use("postgres").is_err());
    assert!(some.may_run("anything").is_ok());
    let own = Path::new("/agent/files");
    assert!(some.may_touch(Path::new("/srv/in/a.csv"), own).is_ok());
    assert!(some.may_touch(Path::new("/agent/files/a.csv"), own).is_ok());
    assert!(some.may_touch(Path::new("/srv/inside"), own).is_err());
}

#[test]
fn rows_may_have_to_be_sealed() {
    assert!(policy("default = \"allow\"").may_go_unsealed("to step `write`").is_ok());
    let refused = policy("default = \"allow\"\nsealed = true").may_go_unsealed("to step `write`").unwrap_err();
    assert_eq!(refused.rule, "sealed = true");
    assert!(refused.to_string().contains("rows to step `write` that are not sealed"), "{refused}");
}

#[test]
fn a_day_has_its_measure() {
    let some = policy("default = \"allow\"\ndata_per_day = \"10 GB\"");
    assert!(some.may_move(9_999_999_999).is_ok());
    let refused = some.may_move(10_000_000_000).unwrap_err();
    assert_eq!(refused.rule, "data_per_day = \"10 GB\"");
    for (text, bytes) in [("0", 0), ("512 kb", 512_000), ("3GiB", 3 << 30), ("7 B", 7)] {
        let size: Size = text.parse().unwrap();
        assert_eq!((size.0, size.to_string().parse()), (bytes, Ok(size)), "{text}");
    }
    for wrong in ["", "GB", "-1 GB", "1.5 GB", "10 ZB", "99999999999 TB"] {
        assert!(wrong.parse::<Size>().is_err(), "{wrong}");
    }
}

#[test]
fn a_document_is_read_as_it_was_written_and_mistakes_are_refused() {
    let written = Policy {
        allow: vec!["10.0.0.0/8:5432".parse().unwrap(), "[::1]:80".parse().unwrap()],
        deny: vec!["*.bad".parse().unwrap()],
        connectors: Some(vec!["we\"ird".to_owned()]),
        folders: Some(vec!["C:\\data".into()]),
        data_per_day: Some("3 MiB".parse().unwrap()),
        ..Policy::closed()
    };
    for one in [written, Policy::permissive(), Policy::closed(), policy(&new_text(false))] {
        assert_eq!(policy(&one.to_text()), one);
    }
    assert!(policy(&new_text(true)).is_permissive() && !policy(&new_text(false)).is_permissive());
    assert!(Policy::parse("default = \"deny\"\nalow = []").unwrap_err().to_string().contains("alow"));
    assert!(Policy::parse("allow = []").is_err(), "the default must be said");
    assert!(Policy::parse("default = \"deny\"\nallow = [\"a b\"]").unwrap_err().to_string().contains("a b"));
}

#[test]
fn the_file_is_followed_and_a_broken_one_allows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    let clock = Clock::fixed(sallyport_protocol::Timestamp(1_000_000_000));
    let file = PolicyFile::open(&path, clock.clone());
    assert_eq!((file.now().is_permissive(), file.word()), (true, "none"));
    std::fs::write(&path, new_text(false)).unwrap();
    assert!(file.now().is_permissive(), "not looked at again within a moment");
    clock.advance(Duration::from_secs(1));
    assert_eq!((file.now().is_permissive(), file.word()), (false, "restricted"));
    std::fs::write(&path, "nonsense").unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(*file.now(), Policy::closed());
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!(*file.now(), Policy::closed(), "a folder is no policy");
}
