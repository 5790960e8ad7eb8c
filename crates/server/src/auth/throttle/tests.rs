use super::*;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

#[test]
fn guessing_is_stopped_for_a_while_at_that_address_only() {
    let clock = Clock::fixed(Timestamp(1));
    let throttle = Throttle::new(clock.clone());
    for _ in 0..PER_ACCOUNT {
        assert!(throttle.check("a@example.org", HERE).is_ok());
        throttle.failed("a@example.org", HERE);
    }
    assert_eq!(throttle.check("A@EXAMPLE.ORG", HERE), Err(WINDOW));
    assert!(throttle.check("a@example.org", THERE).is_ok());
    assert!(throttle.check("b@example.org", HERE).is_ok());
    clock.advance(WINDOW);
    assert!(throttle.check("a@example.org", HERE).is_ok());
}

#[test]
fn an_address_that_tries_many_accounts_is_stopped() {
    let throttle = Throttle::new(Clock::fixed(Timestamp(1)));
    for number in 0..PER_ADDRESS {
        throttle.failed(&format!("{number}@example.org"), HERE);
    }
    assert!(throttle.check("new@example.org", HERE).is_err());
    assert!(throttle.check("new@example.org", THERE).is_ok());
}

#[test]
fn the_right_password_clears_the_account() {
    let throttle = Throttle::new(Clock::fixed(Timestamp(1)));
    for _ in 0..PER_ACCOUNT {
        throttle.failed("a@example.org", HERE);
    }
    throttle.succeeded("a@example.org", HERE);
    assert!(throttle.check("a@example.org", HERE).is_ok());
}

#[test]
fn memory_is_bounded() {
    let throttle = Throttle::new(Clock::fixed(Timestamp(1)));
    for number in 0..2 * KEPT {
        throttle.failed(&format!("{number}@example.org"), HERE);
    }
    assert!(throttle.counts.lock().unwrap().len() <= KEPT + 2);
}
