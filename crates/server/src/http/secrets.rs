//! Secrets in documents: they come in and never go out.

use std::collections::BTreeMap;

use sallyport_protocol::Secret;

/// What stands for a secret that is set, in answers; sent back it leaves the secret as it is.
const HIDDEN: &str = "***";

/// Names of secrets that are set, as answers show them.
pub(crate) fn hidden(names: Vec<String>) -> BTreeMap<String, &'static str> {
    names.into_iter().map(|name| (name, HIDDEN)).collect()
}

/// Puts what a document says into the secrets that stand: what it does not name stays, null removes.
pub(crate) fn merge(standing: &mut BTreeMap<String, Secret>, sent: Option<BTreeMap<String, Option<Secret>>>) {
    for (name, secret) in sent.unwrap_or_default() {
        match secret {
            Some(secret) if secret.expose() == HIDDEN => {}
            Some(secret) => {
                standing.insert(name, secret);
            }
            None => {
                standing.remove(&name);
            }
        }
    }
}
