//! What the server offers, judged by the publisher's keys and never by the server's word.

use std::fs;
use std::io;
use std::time::Duration;

use sallyport_protocol::{ReleaseOffer, Timestamp};
use sallyport_release::{Installed, Signature, Signed, Trust, verify};
use sallyport_site::Layout;

use super::machine::{Target, Wanted};

/// The keys that this build carries: none, unless its publisher has put them there. Those of the site go before.
const BUILT_IN: &str = include_str!("../../publisher.json");

/// The least time that a new version is watched.
const CONFIRM_SECONDS_MIN: u32 = 1;

/// The publisher's keys: the site's file, or those of this build; `None` where there are none.
pub(crate) fn trust(layout: &Layout) -> Result<Option<Trust>, String> {
    let path = layout.trust();
    match fs::read_to_string(&path) {
        Ok(text) => Trust::parse(&text).map(Some).map_err(|error| format!("{}: {error}", path.display())),
        // A build without keys holds an empty set, which is none.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Trust::parse(BUILT_IN).ok()),
        Err(error) => Err(format!("reading {}: {error}", path.display())),
    }
}

/// What to make of an offer. Nothing but a good signature makes a target of it.
pub(super) fn judge(
    release: Option<ReleaseOffer>,
    reason: String,
    trust: Result<Option<Trust>, String>,
    now: Timestamp,
    here: &Installed,
) -> Wanted {
    let Some(offer) = release else { return Wanted::Nothing(reason) };
    let trust = match trust {
        Ok(Some(trust)) => trust,
        Ok(None) => {
            let reason = "this installation has no publisher's keys; put trust.json into its folder";
            return Wanted::Refused(reason.to_owned());
        }
        Err(reason) => return Wanted::Refused(reason),
    };
    let signed = match signed(&offer) {
        Ok(signed) => signed,
        Err(error) => return Wanted::Refused(error),
    };
    match verify(&signed, &trust, now.0.div_euclid(1_000_000), here) {
        Err(refused) => Wanted::Refused(refused.to_string()),
        Ok(manifest) => Wanted::Release(Target {
            folder: manifest.folder(),
            version: manifest.version,
            hash: manifest.sha256,
            size: manifest.size,
            sequence: manifest.sequence,
            floor: manifest.security_floor,
            confirm_seconds: offer.confirm_seconds.max(CONFIRM_SECONDS_MIN),
            drain: Duration::from_secs(offer.drain_seconds.into()),
        }),
    }
}

fn signed(offer: &ReleaseOffer) -> Result<Signed, String> {
    let signatures = offer
        .signatures
        .iter()
        .map(|signature| {
            let key = serde_json::from_value(serde_json::Value::String(signature.key.clone()));
            key.map(|key| Signature { key, signature: signature.signature.clone() }).map_err(|error| error.to_string())
        })
        .collect::<Result<_, _>>()?;
    Ok(Signed { manifest: offer.manifest.clone(), signatures })
}
