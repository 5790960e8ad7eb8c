//! Releases and rollouts.

use sallyport_domain::rollout::{Product, Rollout, Versions};
use sallyport_protocol::{UpdateReport, UpdateStep};

use super::{NOW, bench};
use crate::{Error, Release};

fn release(sha256: &str, version: &str, sequence: u64) -> Release {
    Release {
        sha256: sha256.into(),
        product: "sallyport-agent".into(),
        platform: "linux-x86_64".into(),
        version: version.into(),
        sequence,
        size: 7,
        signed: "{}".into(),
        published_by: "somebody".into(),
        published_at: NOW,
        stored_at: None,
        withdrawn_at: None,
    }
}

#[tokio::test]
async fn a_release_is_offered_from_its_archive_to_its_withdrawal() {
    let bench = bench().await;
    let store = &bench.store;
    let offered = async || {
        let all = store.releases_for("sallyport-agent", "linux-x86_64").await.unwrap();
        all.into_iter().map(|release| release.version).collect::<Vec<_>>()
    };
    store.publish_release(release("a", "1.0.0", 1)).await.unwrap();
    assert!(offered().await.is_empty());
    store.release_stored("a", Some(NOW)).await.unwrap();
    store.publish_release(release("b", "1.1.0", 2)).await.unwrap();
    store.release_stored("b", Some(NOW)).await.unwrap();
    assert_eq!(offered().await, ["1.1.0", "1.0.0"]);
    assert!(store.releases_for("sallyport-agent", "windows-x86_64").await.unwrap().is_empty());
    // Each product has sequences of its own.
    let wrapper = Release { product: "sallyport-wrapper".into(), ..release("w", "1.1.0", 2) };
    store.publish_release(wrapper).await.unwrap();
    store.release_stored("w", Some(NOW)).await.unwrap();
    assert_eq!(offered().await, ["1.1.0", "1.0.0"]);
    assert_eq!(store.releases_for("sallyport-wrapper", "linux-x86_64").await.unwrap().len(), 1);
    store.withdraw_release("b", NOW).await.unwrap();
    assert_eq!(offered().await, ["1.0.0"]);
    assert_eq!(store.releases().await.unwrap().len(), 3);
    // Signed again with a higher sequence, the old archive is the newest release.
    store.publish_release(release("a", "1.0.0", 3)).await.unwrap();
    assert_eq!(store.release_of("a").await.unwrap().sequence, 3);
    assert_eq!(offered().await, ["1.0.0"]);
    let taken = store.publish_release(release("c", "1.2.0", 3)).await;
    assert!(matches!(taken, Err(Error::Taken { .. })), "{taken:?}");
    assert!(matches!(store.withdraw_release("x", NOW).await, Err(Error::NotFound)));
}

#[tokio::test]
async fn rollouts_and_reports_are_kept() {
    let bench = bench().await;
    let (store, environment) = (&bench.store, bench.environment);
    let agent = bench.agent("one").await;
    assert_eq!(store.rollout(environment).await.unwrap(), Rollout::default());
    let wrapper = Versions { pin: None, minimum: Some("0.2.0".into()) };
    let rollout =
        Rollout { wrapper, percent: 5, windows: vec!["sat 01:00-05:00".parse().unwrap()], ..Rollout::default() };
    store.set_rollout(environment, rollout.clone(), NOW).await.unwrap();
    let pinned = Versions { pin: Some("1.0.0".into()), minimum: None };
    store.set_agent_versions(environment, agent, pinned.clone(), NOW).await.unwrap();
    assert_eq!(store.rollout(environment).await.unwrap(), rollout);
    assert_eq!(store.agent_versions(environment, agent).await.unwrap(), pinned);
    let report =
        UpdateReport { at: NOW, step: UpdateStep::Confirming, text: "it runs".into(), ..UpdateReport::default() };
    let own = UpdateReport { text: "the wrapper runs".into(), ..report.clone() };
    store.note_update(agent, Product::Agent, report.clone()).await.unwrap();
    store.note_update(agent, Product::Wrapper, own.clone()).await.unwrap();
    let kept = store.agent_anywhere(agent).await.unwrap();
    assert_eq!((kept.update, kept.wrapper_update), (Some(report), Some(own)));
}
