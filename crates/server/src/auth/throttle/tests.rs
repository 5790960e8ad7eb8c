use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

#[test]
fn guessing_is_stopped_for_a_while_at_that_address_only() {
    let clock = Clock::fixed(Timestamp(1));
    let throttle = Throttle::new(clock.clone());
    for _ in 0..PER_ACCOUNT {
        assert!(throttle.reserve("a@example.org", HERE).is_ok());
    }
    assert_eq!(throttle.reserve("A@EXAMPLE.ORG", HERE), Err(WINDOW));
    assert!(throttle.reserve("a@example.org", THERE).is_ok());
    assert!(throttle.reserve("b@example.org", HERE).is_ok());
    clock.advance(WINDOW);
    assert!(throttle.reserve("a@example.org", HERE).is_ok());
}

#[test]
fn an_address_that_tries_many_accounts_is_stopped() {
    let throttle = Throttle::new(Clock::fixed(Timestamp(1)));
    for number in 0..PER_ADDRESS {
        throttle.reserve(&format!("{number}@example.org"), HERE).unwrap();
    }
    assert!(throttle.reserve("new@example.org", HERE).is_err());
    assert!(throttle.reserve("new@example.org", THERE).is_ok());
}

#[test]
fn a_network_of_version_6_is_one_address() {
    let throttle = Throttle::new(Clock::fixed(Timestamp(1)));
    let at = |text: &str| text.parse::<IpAddr>().unwrap();
    for number in 0..PER_ACCOUNT {
        throttle.reserve("a@example.org", at(&format!("2001:db8:1:2::{number:x}"))).unwrap();
    }
    assert!(throttle.reserve("a@example.org", at("2001:db8:1:2:ffff::1")).is_err());
    assert!(throttle.reserve("a@example.org", at("2001:db8:1:3::1")).is_ok());
    // The same host, as a listener of both versions names it.
    for _ in 0..PER_ACCOUNT {
        throttle.reserve("b@example.org", HERE).unwrap();
    }
    assert!(throttle.reserve("b@example.org", at("::ffff:127.0.0.1")).is_err());
}

#[test]
fn the_right_password_clears_the_account_and_costs_nothing() {
    let throttle = Throttle::new(Clock::fixed(Timestamp(1)));
    for _ in 0..2 * PER_ADDRESS {
        throttle.reserve("a@example.org", HERE).unwrap();
        throttle.succeeded("a@example.org", HERE);
    }
    for _ in 0..PER_ACCOUNT {
        throttle.reserve("a@example.org", HERE).unwrap();
    }
    throttle.succeeded("a@example.org", HERE);
    assert!(throttle.reserve("a@example.org", HERE).is_ok());
}

#[test]
fn a_try_without_an_answer_is_given_back() {
    let throttle = Throttle::new(Clock::fixed(Timestamp(1)));
    for _ in 0..2 * PER_ADDRESS {
        throttle.reserve("a@example.org", HERE).unwrap();
        throttle.give_back("a@example.org", HERE);
    }
}

#[test]
fn memory_is_bounded_and_the_newest_counts_stay() {
    let clock = Clock::fixed(Timestamp(1));
    let throttle = Throttle::new(clock.clone());
    for number in 0..2 * KEPT {
        let from = IpAddr::V4(std::net::Ipv4Addr::from_bits(u32::try_from(number).unwrap()));
        throttle.reserve("a@example.org", from).unwrap();
        clock.advance(Duration::from_millis(1));
    }
    for _ in 0..PER_ACCOUNT {
        throttle.reserve("kept@example.org", HERE).unwrap();
    }
    clock.advance(Duration::from_millis(1));
    for number in 0..KEPT / 4 {
        let from = IpAddr::V4(std::net::Ipv4Addr::from_bits(u32::try_from(number).unwrap()));
        throttle.reserve("b@example.org", from).unwrap();
    }
    assert!(throttle.counts().len() <= KEPT + 2);
    assert!(throttle.reserve("kept@example.org", HERE).is_err());
}
