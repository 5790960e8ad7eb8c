use proptest::prelude::*;

use super::{keys, manifest, signed, trust};
use crate::{
    Installed, ManifestError, PrivateKey, PublicKey, Refused, Signature, Signed, Trust, TrustError, Version, verify,
};

const NOW: i64 = 1_000;

fn here() -> Installed {
    Installed {
        product: crate::AGENT.to_owned(),
        platform: "linux-x86_64".to_owned(),
        wrapper: "0.1.0".parse().unwrap(),
        sequence: 10,
        floor: "0.9.0".parse().unwrap(),
        os: Some("6.1.0-18-amd64".to_owned()),
        glibc: Some("2.36".to_owned()),
    }
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

#[test]
fn a_signed_release_is_taken() {
    let keys = keys(1);
    let signed = Signed::parse(&signed(&manifest(), &[&keys[0]]).to_text()).unwrap();
    assert_eq!(verify(&signed, &trust(1, &keys), NOW, &here()), Ok(manifest()));
    assert_eq!(manifest().folder(), format!("1.4.0-{}", &manifest().sha256.to_string()[..12]));
}

#[test]
fn two_of_three_are_two_different_keys() {
    let keys = keys(3);
    let trust = trust(2, &keys);
    let judge = |signed: &Signed| verify(signed, &trust, NOW, &here());
    let lacking = |signers| Err(Refused::Signatures { signers, needed: 2 });
    assert!(judge(&signed(&manifest(), &[&keys[0], &keys[2]])).is_ok());
    assert_eq!(judge(&signed(&manifest(), &[])), lacking(0));
    // A thief with one key signs as often as he likes, and under the names of the others.
    let mut stolen = signed(&manifest(), &[&keys[1]]);
    let signature = stolen.signatures[0].clone();
    stolen.signatures.push(signature.clone());
    for key in &keys {
        stolen.signatures.push(Signature { key: key.public().id(), ..signature.clone() });
    }
    assert_eq!(judge(&stolen), lacking(1));
    let stranger = PrivateKey::generate().unwrap().0;
    assert_eq!(judge(&signed(&manifest(), &[&keys[0], &stranger])), lacking(1));
}

#[test]
fn every_changed_byte_breaks_the_signature() {
    let keys = keys(1);
    let trust = trust(1, &keys);
    let good = signed(&manifest(), &[&keys[0]]);
    for at in 0..good.manifest.len() {
        let mut bytes = good.manifest.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(manifest) = String::from_utf8(bytes) else { continue };
        let bad = Signed { manifest, signatures: good.signatures.clone() };
        assert_eq!(verify(&bad, &trust, NOW, &here()), Err(Refused::Signatures { signers: 0, needed: 1 }), "{at}");
    }
}

#[test]
fn each_refusal_has_its_reason() {
    let keys = keys(1);
    let trust = trust(1, &keys);
    let judge = |change: &dyn Fn(&mut crate::Manifest), installed: &Installed| {
        let mut manifest = manifest();
        change(&mut manifest);
        verify(&signed(&manifest, &[&keys[0]]), &trust, NOW, installed).unwrap_err()
    };
    let check = |change: &dyn Fn(&mut crate::Manifest), expected: Refused| assert_eq!(judge(change, &here()), expected);
    let (theirs, ours) = (crate::WRAPPER.to_owned(), crate::AGENT.to_owned());
    check(&|m| m.product = crate::WRAPPER.into(), Refused::Product { theirs, ours });
    let (windows, ours) = ("windows-x86_64".to_owned(), "linux-x86_64".to_owned());
    check(&|m| m.platform = "windows-x86_64".into(), Refused::Platform { theirs: windows, ours });
    check(&|m| m.expires = NOW, Refused::Expired);
    check(&|m| m.sequence = 9, Refused::Replayed { theirs: 9, seen: 10 });
    check(
        &|m| m.version = version("0.8.0"),
        ManifestError::BelowOwnFloor { version: version("0.8.0"), floor: version("1.0.0") }.into(),
    );
    let below = |m: &mut crate::Manifest| {
        m.security_floor = Version::default();
        m.version = version("0.8.0");
    };
    check(&below, Refused::BelowFloor { version: version("0.8.0"), floor: version("0.9.0") });
    let wrapper = Refused::Wrapper { needed: version("0.2.0"), ours: version("0.1.0") };
    check(&|m| m.minimum_wrapper = version("0.2.0"), wrapper);
    let os = Refused::Os { needed: "6.10".into(), ours: "6.1.0-18-amd64".into() };
    check(&|m| m.minimum_os = Some("6.10".into()), os);
    check(&|m| m.minimum_glibc = Some("2.38".into()), Refused::Glibc { needed: "2.38".into(), ours: "2.36".into() });
    check(&|m| m.product = "x".into(), ManifestError::Product("x".into()).into());
    check(&|m| m.size = 0, ManifestError::Size(0).into());
    check(&|m| m.size = u64::MAX, ManifestError::Size(u64::MAX).into());
    let least = ManifestError::Least { field: "minimum_glibc", value: "new".into() };
    check(&|m| m.minimum_glibc = Some("new".into()), least.into());
    // What cannot be told is no reason to refuse: the rehearsal will show it.
    let unknown = Installed { os: None, glibc: None, ..here() };
    assert!(verify(&signed(&manifest(), &[&keys[0]]), &trust, NOW, &unknown).is_ok());
}

#[test]
fn sets_of_keys_make_sense() {
    let keys: Vec<PublicKey> = keys(2).iter().map(PrivateKey::public).collect();
    assert_eq!(Trust::new(1, vec![]), Err(TrustError::Count(0)));
    assert_eq!(Trust::new(0, keys.clone()), Err(TrustError::Threshold { threshold: 0, keys: 2 }));
    assert_eq!(Trust::new(3, keys.clone()), Err(TrustError::Threshold { threshold: 3, keys: 2 }));
    let twice = vec![keys[0], keys[0]];
    assert_eq!(Trust::new(1, twice), Err(TrustError::Twice(keys[0].id().to_string())));
    let trust = Trust::new(2, keys).unwrap();
    assert_eq!(Trust::parse(&trust.to_text()), Ok(trust));
    assert!(matches!(Trust::parse("{}"), Err(TrustError::Malformed(_))));
}

#[test]
fn a_private_key_is_read_again_and_never_shown() {
    let (key, text) = PrivateKey::generate().unwrap();
    let again = PrivateKey::from_text(&text).unwrap();
    assert_eq!(key.public(), again.public());
    let secret = text.trim().rsplit(':').next().unwrap();
    assert!(!format!("{key:?}").contains(secret));
    assert_eq!(key.public().to_string().parse(), Ok(key.public()));
    assert!(PrivateKey::from_text("sallyport-release-key:AAAA").is_err());
}

#[test]
fn versions_are_ordered() {
    let ordered =
        ["0.9.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0", "1.0.1", "1.10.0"];
    for pair in ordered.windows(2) {
        assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        assert_eq!(version(pair[0]).to_string(), pair[0]);
    }
    for wrong in
        ["", "1", "1.0", "1.0.0.0", "01.0.0", "1.0.0-", "1.0.0-a..b", "v1.0.0", "1.0.0+b", "1.0.0-01", "-1.0.0"]
    {
        assert!(wrong.parse::<Version>().is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn nothing_that_was_not_signed_is_taken(text in ".{0,400}", key in "[0-9a-f]{0,16}", signature in ".{0,100}") {
        let keys = keys(1);
        let id = serde_json::from_value(serde_json::json!(key)).unwrap();
        let hostile = Signed { manifest: text, signatures: vec![Signature { key: id, signature }] };
        let judged = verify(&hostile, &trust(1, &keys), NOW, &here());
        prop_assert!(judged.is_err());
        // What a thief of a key signs is still only what a manifest may say.
        let mut signed = hostile;
        signed.sign(&keys[0]);
        let read = verify(&signed, &trust(1, &keys), NOW, &here());
        prop_assert!(read.is_err());
    }

    #[test]
    fn files_that_are_no_signed_manifest_are_refused(text in "\\PC{0,200}") {
        prop_assert!(Signed::parse(&text).is_err());
    }
}
