use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

fn releases() -> Vec<Release> {
    let release =
        |version: &str, sequence| Release { sha256: format!("hash-{version}"), version: version.into(), sequence };
    vec![release("1.0.0", 1), release("1.2.0", 3), release("1.1.0", 2)]
}

fn running(version: &str) -> Running {
    Running { sha256: Some(format!("hash-{version}")), version: Some(version.into()), below_minimum: false }
}

#[track_caller]
fn check(running: &Running, rollout: &Rollout, expected: Result<&str, &str>) {
    let decided = decide(agent(7), running, rollout, &releases(), at("2026-11-28T12:00:00Z"));
    match (decided, expected) {
        (Decision::Offer { sha256, .. }, Ok(expected)) => assert_eq!(sha256, format!("hash-{expected}")),
        (Decision::Nothing { reason }, Err(expected)) => assert!(reason.contains(expected), "{reason}"),
        (decided, expected) => panic!("{decided:?} instead of {expected:?}"),
    }
}

fn agent(number: u128) -> AgentId {
    // As ids are made: the time first, alike for all.
    AgentId::from_uuid(uuid::Uuid::from_u128((0x019a_0000_0000_7000_8000 << 48) | number))
}

#[test]
fn the_newest_is_offered_and_pins_go_before_it() {
    let open = Rollout::default();
    check(&running("1.0.0"), &open, Ok("1.2.0"));
    check(&running("1.2.0"), &open, Ok("1.2.0"));
    check(&Running { version: Some("1.2.0".into()), ..Running::default() }, &open, Err("as it was downloaded"));
    let pinned = |version: &str| Rollout {
        percent: 0,
        versions: Versions { pin: Some(version.into()), minimum: None },
        ..Rollout::default()
    };
    check(&running("1.2.0"), &pinned("1.1.0"), Ok("1.1.0"));
    check(&running("1.2.0"), &pinned("3.0.0"), Err("pinned to 3.0.0"));
    let own = Versions { pin: Some("1.0.0".into()), minimum: None };
    let environment = Versions { pin: Some("1.1.0".into()), minimum: Some("0.9.0".into()) };
    let both = Versions { pin: Some("1.0.0".into()), minimum: Some("0.9.0".into()) };
    assert_eq!(own.or(&environment), both);
}

#[test]
fn rings_and_windows_hold_back_and_the_minimum_does_not_wait() {
    let closed = Rollout { percent: 0, ..Rollout::default() };
    check(&running("1.0.0"), &closed, Err("rolled out to 0 %"));
    check(&running("1.2.0"), &closed, Ok("1.2.0"));
    let night = Rollout { windows: vec!["01:00-05:00".parse().unwrap()], ..Rollout::default() };
    check(&running("1.0.0"), &night, Err("maintenance window: 01:00-05:00 UTC"));
    let old = Running { below_minimum: true, ..running("1.0.0") };
    let shut = Rollout { percent: 0, ..night };
    check(&old, &shut, Ok("1.2.0"));
    check(&running("1.0.0"), &shut, Err("rolled out to 0 %"));
    check(&running("1.0.0"), &shut.at_once(), Ok("1.2.0"));
}

#[test]
fn a_percentage_is_that_share_of_the_agents_and_grows_without_swapping() {
    let all: Vec<u8> = (0..10_000).map(|number| ring(agent(number))).collect();
    for percent in [0, 1, 10, 50, 99, 100] {
        let share = all.iter().filter(|ring| **ring < percent).count();
        let expected = usize::from(percent) * 100;
        assert!(share.abs_diff(expected) <= 150, "{percent} %: {share}");
    }
}

#[test]
fn windows_know_days_midnight_and_zones() {
    let open = |window: &str, now: &str| window.parse::<Window>().unwrap().is_open(at(now));
    // 2026-11-28 is a Saturday.
    for (window, now, expected) in [
        ("01:00-05:00", "2026-11-28T01:00:00Z", true),
        ("01:00-05:00", "2026-11-28T05:00:00Z", false),
        ("sat 22:00-04:00", "2026-11-28T23:00:00Z", true),
        ("sat 22:00-04:00", "2026-11-29T03:59:00Z", true),
        ("sat 22:00-04:00", "2026-11-28T03:00:00Z", false),
        ("sat,sun 00:00-24:00", "2026-11-29T12:00:00Z", true),
        ("mon 00:00-24:00", "2026-11-28T12:00:00Z", false),
        ("01:00-02:00 Europe/Berlin", "2026-11-28T00:30:00Z", true),
        ("01:00-02:00 Europe/Berlin", "2026-11-28T01:30:00Z", false),
    ] {
        assert_eq!(open(window, now), expected, "{window} at {now}");
    }
    for text in ["sat,sun 01:00-05:00 Europe/Berlin", "22:00-04:00 UTC"] {
        assert_eq!(text.parse::<Window>().unwrap().to_string(), text);
    }
    for wrong in ["", "01:00", "1-2", "25:00-26:00", "01:00-01:00", "day 01:00-02:00", "01:00-02:00 Nowhere/X"] {
        assert!(wrong.parse::<Window>().is_err(), "{wrong}");
    }
}
