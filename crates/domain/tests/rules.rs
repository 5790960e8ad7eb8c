//! The rules about licences and agents, told by example.

use sallyport_domain::agent::{Kind, Refused, Use, check_name, may_deactivate};
use sallyport_domain::licence::{Tier, admit};
use sallyport_protocol::{AgentId, RefusalCode};

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
