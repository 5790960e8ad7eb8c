//! The rules about licences, agents and the queue, told by example.

use std::collections::BTreeMap;

use sallyport_domain::agent::{Kind, Refused, Use, check_name, may_deactivate};
use sallyport_domain::licence::{Tier, admit};
use sallyport_domain::queue::{Queued, startable};
use sallyport_protocol::{AgentId, RefusalCode, RunId, TaskId, Timestamp};

#[test]
fn a_tier_lets_as_many_in_as_it_says() {
    for (tier, max) in [("trial", Some(1)), ("Standard", Some(3)), ("premium", None), ("ENTERPRISE", None)] {
        let tier: Tier = tier.parse().unwrap();
        assert_eq!(tier.agents_max(), max);
        assert_eq!(admit(max.unwrap_or(9_999), tier.agents_max()).is_err(), max.is_some());
        assert!(max.is_none_or(|max| admit(max - 1, Some(max)).is_ok()));
    }
    let refusal = admit(3, Some(3)).unwrap_err();
    assert_eq!(refusal.code, RefusalCode::LicenceFull);
    assert_eq!(refusal.message, "Max parallel agents 3 reached.");
    assert!("gold".parse::<Tier>().is_err());
}

#[test]
fn names_that_a_file_system_would_stumble_over_are_refused() {
    for name in ["client-server", "Training agent", "Büro 3", "a.b"] {
        assert_eq!(check_name(name), Ok(()), "{name}");
    }
    let long = "x".repeat(65);
    for name in ["", " a", "a ", "a/b", r"a\b", "a:b", "..", ".a", "a.", "a\nb", "Background", "a?", &long] {
        assert!(matches!(check_name(name), Err(Refused::Name(_))), "{name}");
    }
}

#[test]
fn agents_in_use_online_or_of_the_platform_stay_active() {
    let (agent, other) = (AgentId::new(), AgentId::new());
    let used = |agent| Use { task: "orders".to_owned(), step: "read".to_owned(), agent };
    let may = |kind, online, uses: &[Use]| may_deactivate(agent, "pc", kind, online, uses);
    assert_eq!(may(Kind::Remote, false, &[used(other)]), Ok(()));
    assert!(matches!(may(Kind::Remote, true, &[]), Err(Refused::Online(_))));
    assert!(matches!(may(Kind::Background, false, &[]), Err(Refused::Background(_))));
    let refused = may(Kind::Remote, false, &[used(other), used(agent)]).unwrap_err().to_string();
    assert!(refused.contains("`read`") && refused.contains("`orders`"), "{refused}");
}

#[test]
fn the_queue_goes_by_priority_then_age_within_each_tasks_limit() {
    let (busy, free) = (TaskId::new(), TaskId::new());
    let queued = |task, priority, at| Queued { run: RunId::new(), task, limit: 2, priority, queued_at: Timestamp(at) };
    let all = [queued(free, 0, 5), queued(free, 0, 1), queued(free, 0, 2), queued(busy, 9, 9), queued(busy, 9, 8)];
    let start = startable(all.to_vec(), BTreeMap::from([(busy, 1)]));
    assert_eq!(start, [all[4].run, all[1].run, all[2].run]);
}
