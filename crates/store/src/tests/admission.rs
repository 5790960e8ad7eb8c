//! Who comes in, and with what.

use sallyport_domain::licence::Tier;
use sallyport_protocol::{Refusal, RefusalCode};

use super::{NOW, bench, knock};
use crate::{Admission, AgentEdit, AgentFilter, CredentialState, Error, ListRequest, SessionKind};

fn code(admission: &Admission) -> &'static str {
    match admission {
        Admission::Admitted { .. } => "admitted",
        Admission::Duplicate { .. } => "duplicate",
        Admission::Refused { refusal } if refusal.code == RefusalCode::LicenceFull => "full",
        Admission::Refused { .. } => "refused",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_place_goes_to_one_of_many_that_come_at_once() {
    let bench = bench().await;
    bench.tier(Tier::Standard).await;
    let mut knocks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let agent = bench.agent(&format!("agent {number}")).await;
        let store = bench.store.clone();
        knocks.spawn(async move { store.admit(SessionKind::Agent, knock(agent)).await.unwrap() });
    }
    let answers: Vec<_> = knocks.join_all().await.iter().map(code).collect();
    assert_eq!(answers.iter().filter(|answer| **answer == "admitted").count(), 3);
    assert_eq!(answers.iter().filter(|answer| **answer == "full").count(), 17);
    assert_eq!(bench.store.licence_in_use(bench.company.id).await.unwrap(), 3);
    let refused = bench.store.refusals(bench.company.id, Some(RefusalCode::LicenceFull)).await.unwrap();
    assert_eq!(refused.len(), 17);
    assert!(refused[0].message.contains("Max parallel agents 3 reached"));
}

#[tokio::test]
async fn an_agent_that_comes_again_takes_its_own_place_and_fences_the_old_one() {
    let bench = bench().await;
    let agent = bench.agent("one").await;
    let knock = knock(agent);
    let Admission::Admitted { epoch: older, .. } = bench.store.admit(SessionKind::Agent, knock.clone()).await.unwrap()
    else {
        panic!("the first is let in")
    };
    let Admission::Admitted { epoch: newer, agent: facts } =
        bench.store.admit(SessionKind::Agent, knock).await.unwrap()
    else {
        panic!("the trial's only place is its own")
    };
    assert!(newer > older);
    assert_eq!(facts.connected_since, Some(NOW));
    assert_eq!(facts.last_update_at, Some(NOW));
    assert!(!bench.store.release(SessionKind::Agent, agent, older, NOW).await.unwrap(), "the old one is fenced");
    assert_eq!(bench.store.licence_in_use(bench.company.id).await.unwrap(), 1);
    assert!(bench.store.release(SessionKind::Agent, agent, newer, NOW).await.unwrap());
    assert_eq!(bench.store.licence_in_use(bench.company.id).await.unwrap(), 0);
}

#[tokio::test]
async fn another_process_of_the_same_identity_is_a_duplicate_until_the_first_is_found_dead() {
    let bench = bench().await;
    let agent = bench.agent("one").await;
    let (first, mut second) = (knock(agent), knock(agent));
    bench.store.admit(SessionKind::Agent, first.clone()).await.unwrap();
    let Admission::Duplicate { standing } = bench.store.admit(SessionKind::Agent, second.clone()).await.unwrap() else {
        panic!("a copy is told apart")
    };
    assert_eq!(standing.instance, first.instance);
    second.replace = true;
    assert_eq!(code(&bench.store.admit(SessionKind::Agent, second).await.unwrap()), "admitted");
}

#[tokio::test]
async fn wrappers_and_the_background_agent_take_no_place() {
    let bench = bench().await;
    let store = &bench.store;
    let background = store.agent(bench.environment, "background").await.unwrap();
    assert_eq!(code(&store.admit(SessionKind::Agent, knock(background.id)).await.unwrap()), "admitted");
    let (one, two) = (bench.agent("one").await, bench.agent("two").await);
    assert_eq!(code(&store.admit(SessionKind::Wrapper, knock(two)).await.unwrap()), "admitted");
    assert_eq!(code(&store.admit(SessionKind::Agent, knock(one)).await.unwrap()), "admitted");
    assert_eq!(code(&store.admit(SessionKind::Agent, knock(two)).await.unwrap()), "full");
    store.clear_sessions("one").await.unwrap();
    assert_eq!(code(&store.admit(SessionKind::Agent, knock(two)).await.unwrap()), "admitted");
}

#[tokio::test]
async fn a_deactivated_agent_stays_out() {
    let bench = bench().await;
    let agent = bench.agent("one").await;
    let edit = AgentEdit { active: Some(false), ..AgentEdit::default() };
    bench.store.edit_agent(bench.environment, agent, (None, NOW), edit, |_| Ok::<(), Error>(())).await.unwrap();
    let Admission::Refused { refusal: Refusal { code, .. } } =
        bench.store.admit(SessionKind::Agent, knock(agent)).await.unwrap()
    else {
        panic!("it stays out")
    };
    assert_eq!(code, RefusalCode::Deactivated);
}

#[tokio::test]
async fn a_rule_that_refuses_undoes_nothing_and_changes_nothing() {
    let bench = bench().await;
    let agent = bench.agent("one").await;
    let edit = AgentEdit { name: Some("other".into()), ..AgentEdit::default() };
    let refused = bench
        .store
        .edit_agent(bench.environment, agent, (Some(1), NOW), edit.clone(), |facts| {
            assert_eq!(facts.agent.name, "one");
            Err(Error::InUse { by: "a rule".into() })
        })
        .await;
    assert!(matches!(refused, Err(Error::InUse { .. })));
    let stale = bench.store.edit_agent(bench.environment, agent, (Some(7), NOW), edit, |_| Ok::<(), Error>(())).await;
    assert!(matches!(stale, Err(Error::Stale { current: 1 })));
    assert_eq!(bench.store.agent(bench.environment, "one").await.unwrap().version, 1);
}

#[tokio::test]
async fn names_are_unique_whatever_their_case() {
    let bench = bench().await;
    bench.agent("Client").await;
    let again = crate::NewAgent {
        name: "client".into(),
        levels: sallyport_protocol::Levels::default(),
        platform: None,
        now: NOW,
    };
    assert!(matches!(
        bench.store.create_agent(bench.environment, again.clone()).await,
        Err(Error::Taken { what: "agent name" })
    ));
    let elsewhere = bench.store.create_environment(bench.company.id, "sandbox", NOW).await.unwrap();
    bench.store.create_agent(elsewhere.id, again).await.unwrap();
}

#[tokio::test]
async fn ids_of_another_environment_are_not_found() {
    let bench = bench().await;
    let agent = bench.agent("one").await;
    let elsewhere = bench.store.create_environment(bench.company.id, "sandbox", NOW).await.unwrap().id;
    assert!(matches!(bench.store.agent(elsewhere, &agent.to_string()).await, Err(Error::NotFound)));
    assert!(matches!(bench.store.agent(elsewhere, "one").await, Err(Error::NotFound)));
    let list = bench.store.agents(elsewhere, AgentFilter::default(), ListRequest::default()).await.unwrap();
    assert_eq!(list.items.iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>(), ["background"]);
    let issued = bench.store.issue_credential(elsewhere, agent, (vec![1], None), false, NOW).await;
    assert!(matches!(issued, Err(Error::NotFound)));
}

#[tokio::test]
async fn credentials_are_told_apart() {
    let bench = bench().await;
    let (store, environment) = (&bench.store, bench.environment);
    let agent = bench.agent("one").await;
    let later = sallyport_protocol::Timestamp(NOW.0 + 10);
    store.issue_credential(environment, agent, (vec![1], Some(later)), false, NOW).await.unwrap();
    let state = async |hash: u8, now| store.credential(vec![hash], now).await.unwrap().map(|found| found.state);
    assert_eq!(state(1, NOW).await, Some(CredentialState::Good));
    assert_eq!(state(1, later).await, Some(CredentialState::Expired));
    assert_eq!(state(9, NOW).await, None);

    // A new download revokes what nobody has used, and leaves what is in use.
    store.issue_credential(environment, agent, (vec![2], None), false, NOW).await.unwrap();
    assert_eq!(state(1, NOW).await, Some(CredentialState::Revoked));
    store.note_credential_use(vec![2], NOW).await.unwrap();
    store.issue_credential(environment, agent, (vec![3], None), false, NOW).await.unwrap();
    assert_eq!((state(2, NOW).await, state(3, NOW).await), (Some(CredentialState::Good), Some(CredentialState::Good)));

    // A rotation revokes them all.
    store.issue_credential(environment, agent, (vec![4], None), true, NOW).await.unwrap();
    assert_eq!(state(2, NOW).await, Some(CredentialState::Revoked));
    assert_eq!(state(3, NOW).await, Some(CredentialState::Revoked));
    assert_eq!(state(4, NOW).await, Some(CredentialState::Good));
}

#[tokio::test]
async fn a_revoked_password_lets_nobody_in_whenever_it_was_shown() {
    let bench = bench().await;
    let store = &bench.store;
    let agent = bench.agent("one").await;
    store.issue_credential(bench.environment, agent, (vec![1], None), false, NOW).await.unwrap();
    let mut knock = knock(agent);
    knock.credential = Some(vec![1]);
    assert_eq!(code(&store.admit(SessionKind::Agent, knock.clone()).await.unwrap()), "admitted");
    store.revoke_credentials(bench.environment, agent, NOW).await.unwrap();
    for kind in [SessionKind::Agent, SessionKind::Wrapper] {
        let Admission::Refused { refusal } = store.admit(kind, knock.clone()).await.unwrap() else {
            panic!("a revoked password was taken")
        };
        assert_eq!(refusal.code, RefusalCode::RevokedCredentials);
    }
}
