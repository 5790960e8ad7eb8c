//! Manifests, signatures and archives, honest and hostile.

mod archives;
mod manifests;

use crate::{Digest, Manifest, PrivateKey, Signed, Trust};

fn manifest() -> Manifest {
    Manifest {
        product: crate::AGENT.to_owned(),
        platform: "linux-x86_64".to_owned(),
        version: "1.4.0".parse().unwrap(),
        sha256: Digest::of(b"archive"),
        size: 7,
        sequence: 10,
        expires: 2_000,
        security_floor: "1.0.0".parse().unwrap(),
        minimum_wrapper: "0.1.0".parse().unwrap(),
        minimum_os: Some("4.18".to_owned()),
        minimum_glibc: Some("2.17".to_owned()),
    }
}

fn keys(count: usize) -> Vec<PrivateKey> {
    (0..count).map(|_| PrivateKey::generate().unwrap().0).collect()
}

fn trust(threshold: usize, keys: &[PrivateKey]) -> Trust {
    Trust::new(threshold, keys.iter().map(PrivateKey::public).collect()).unwrap()
}

fn signed(manifest: &Manifest, keys: &[&PrivateKey]) -> Signed {
    let mut signed = Signed::unsigned(manifest);
    keys.iter().for_each(|key| signed.sign(key));
    signed
}
