//! Which version a wrapper's agent and the wrapper itself are to be: looked up, decided by the domain, and said when it
//! has changed.

use std::time::Duration;

use sallyport_domain::rollout::{self, Decision, Product, Running};
use sallyport_protocol::{AgentId, ReleaseOffer, ReleaseSignature, ServerToWrapper, UpdateReport};
use sallyport_release::{AGENT, Signed, Version, WRAPPER};
use sallyport_store::{Agent, Error, Release};

use super::Handle;
use super::handle::NotReachable;

/// Maintenance windows open and close by themselves.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(30);

/// What is said to a wrapper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    release: Option<ReleaseOffer>,
    /// Of the release's archive.
    sha256: Option<String>,
    pub(super) reason: String,
}

impl Offer {
    /// Whether it is another release than the one that is active.
    pub(super) fn is_news_for(&self, report: &UpdateReport) -> bool {
        self.release.is_some() && self.sha256 != report.active
    }

    /// As it is said.
    pub(super) fn of(self, product: Product) -> ServerToWrapper {
        let Self { release, reason, .. } = self;
        match product {
            Product::Agent => ServerToWrapper::Offer { release, reason },
            Product::Wrapper => ServerToWrapper::OfferWrapper { release, reason },
        }
    }
}

/// What a wrapper said last.
pub(super) fn report_of(agent: &Agent, product: Product) -> Option<&UpdateReport> {
    match product {
        Product::Agent => agent.update.as_ref(),
        Product::Wrapper => agent.wrapper_update.as_ref(),
    }
}

/// What is to run where a wrapper says this; `at_once` where somebody does not want to wait for it.
pub(super) async fn offer(
    gateway: &Handle,
    agent: AgentId,
    product: Product,
    report: &UpdateReport,
    at_once: bool,
) -> Result<Offer, Error> {
    let (store, now) = (&gateway.parts().store, gateway.parts().clock.now());
    let agent = store.agent_anywhere(agent).await?;
    let mut rules = store.rollout(agent.environment).await?;
    if at_once {
        rules = rules.at_once();
    }
    let (name, own) = match product {
        Product::Agent => {
            rules.versions = store.agent_versions(agent.environment, agent.id).await?.or(&rules.versions);
            (AGENT, agent.presence.and_then(|presence| presence.agent_version))
        }
        Product::Wrapper => {
            rules.versions = rules.wrapper.clone();
            (WRAPPER, agent.wrapper_presence.and_then(|presence| presence.wrapper_version))
        }
    };
    let releases = store.releases_for(name, &report.platform).await?;
    let version = report.active_version.clone().or(own);
    let running = Running {
        sha256: report.active.clone(),
        below_minimum: is_below(version.as_deref(), rules.versions.minimum.as_deref()),
        version,
    };
    let known: Vec<rollout::Release> = releases.iter().map(facts).collect();
    Ok(match rollout::decide(agent.id, &running, &rules, &known, now) {
        Decision::Nothing { reason } => Offer { release: None, sha256: None, reason },
        Decision::Offer { sha256, reason } => {
            let release = releases.iter().find(|release| release.sha256 == sha256);
            let release = release.and_then(|release| signed(release, (rules.confirm_seconds, rules.drain_seconds)));
            Offer { release, sha256: Some(sha256), reason }
        }
    })
}

fn facts(release: &Release) -> rollout::Release {
    rollout::Release { sha256: release.sha256.clone(), version: release.version.clone(), sequence: release.sequence }
}

/// What is not known is not below anything.
fn is_below(version: Option<&str>, minimum: Option<&str>) -> bool {
    let read = |text: Option<&str>| text?.parse::<Version>().ok();
    read(version).zip(read(minimum)).is_some_and(|(version, minimum)| version < minimum)
}

fn signed(release: &Release, (confirm_seconds, drain_seconds): (u32, u32)) -> Option<ReleaseOffer> {
    let signed = Signed::parse(&release.signed).ok()?;
    let signatures = signed
        .signatures
        .into_iter()
        .map(|signature| ReleaseSignature { key: signature.key.to_string(), signature: signature.signature })
        .collect();
    Some(ReleaseOffer { manifest: signed.manifest, signatures, confirm_seconds, drain_seconds })
}

impl Handle {
    /// Releases or rollouts have changed: every wrapper is told what that means for it.
    pub(crate) fn offers_changed(&self) {
        self.shared().offers.send_replace(());
    }

    /// Has a wrapper try a failed version again.
    pub(crate) fn retry_update(&self, agent: AgentId, who: &str) -> Result<(), NotReachable> {
        let wrapper = self.shared().wrappers.get(agent).ok_or(NotReachable)?;
        wrapper.link.send(ServerToWrapper::RetryUpdate { reason: format!("asked for by {who}") });
        Ok(())
    }
}
