use std::time::Duration;

use super::*;
use crate::config::Flags;

const DAY: Duration = Duration::from_secs(86_400);

fn shown(own: &Own) -> Vec<CertificateDer<'static>> {
    own.current.0.read().unwrap().cert.clone()
}

#[test]
fn the_own_certificate_is_renewed_before_it_ends_without_a_new_start() {
    let folder = tempfile::tempdir().unwrap();
    let flags = Flags { data_dir: Some(folder.path().to_owned()), ..Flags::default() };
    let config = Config::load(&flags).unwrap();
    let start = Timestamp(1_700_000_000_000_000);
    let identity = prepare(&config, &folder.path().join("tls"), start).unwrap();
    let own = identity.own.unwrap();
    let first = shown(&own);
    own.renew(start.plus(DAY * 300)).unwrap();
    assert_eq!(shown(&own), first, "it is good for long");
    own.renew(start.plus(DAY * 340)).unwrap();
    let second = shown(&own);
    assert_ne!(second[0], first[0]);
    assert_eq!(second[1], first[1], "the CA stays, so that agents trust it");
    own.renew(start.plus(DAY * 341)).unwrap();
    assert_eq!(shown(&own), second);
}
