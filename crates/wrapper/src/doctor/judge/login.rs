//! Whether the server lets this agent in.

use sallyport_protocol::{Finding, RefusalCode, Versions};

use super::{failed, ok, skipped, warning};
use crate::doctor::facts::{Facts, Login, Network};

pub(super) fn credentials(facts: &Facts, network: &Network) -> Finding {
    const CHECK: &str = "credentials";
    match &network.login {
        None => skipped(CHECK, "there is no trusted connection"),
        Some(Login::Unasked) => skipped(CHECK, "the server is too old to be asked"),
        Some(Login::Broken(reason)) => failed(CHECK, reason.clone(), "try again; the server's log says more"),
        Some(Login::Good(checkup)) if checkup.online && facts.agent.is_none() => warning(
            CHECK,
            format!("the server knows agent `{}`, and sees it online, but none runs from this folder", checkup.name),
            "a copy of this folder may run elsewhere; give each copy an agent of its own",
        ),
        Some(Login::Good(checkup)) => ok(CHECK, format!("the server knows agent `{}`", checkup.name)),
        Some(Login::Refused(refusal)) => {
            let what = match refusal.code {
                RefusalCode::UnknownAgent => "unknown user name",
                RefusalCode::WrongCredentials => "wrong password",
                RefusalCode::RevokedCredentials => "revoked password",
                RefusalCode::ExpiredCredentials => "expired password",
                RefusalCode::OtherEnvironment => "credentials of another environment",
                RefusalCode::Deactivated => "the agent is deactivated",
                RefusalCode::Unavailable => return warning(CHECK, refusal.message.clone(), "try again in a minute"),
                _ => "refused",
            };
            let advice = match refusal.code {
                RefusalCode::Deactivated => "reactivate it on the platform",
                RefusalCode::Other => "see what answers at ServerAddress",
                _ => "download the agent again, or copy appsettings.json from a new download",
            };
            failed(CHECK, format!("{what}: {}", refusal.message), advice)
        }
    }
}

pub(super) fn licence(network: &Network) -> Finding {
    const CHECK: &str = "licence";
    let Some(Login::Good(checkup)) = &network.login else { return skipped(CHECK, "the server did not know the agent") };
    let Some(most) = checkup.agents_max else {
        return ok(CHECK, format!("no limit; other agents online: {}", checkup.agents_online));
    };
    let seen = format!("other agents online: {}; the licence lets {most} in", checkup.agents_online);
    if !checkup.online && checkup.agents_online >= most {
        return failed(CHECK, format!("full: {seen}"), "stop another agent, or enlarge the licence");
    }
    ok(CHECK, seen)
}

pub(super) fn version(network: &Network) -> Finding {
    const CHECK: &str = "version";
    let Some(Login::Good(checkup)) = &network.login else { return skipped(CHECK, "the server did not know the agent") };
    let ours = Versions::ours(&[]);
    match ours.agree(&checkup.versions) {
        Some(protocol) => {
            ok(CHECK, format!("wrapper {} and the server speak protocol {protocol}", env!("CARGO_PKG_VERSION")))
        }
        None => failed(
            CHECK,
            format!(
                "wrapper {} speaks protocol {} to {}, the server {} to {}",
                env!("CARGO_PKG_VERSION"),
                ours.min,
                ours.max,
                checkup.versions.min,
                checkup.versions.max
            ),
            "download the agent again, or update the server, whichever is older",
        ),
    }
}
