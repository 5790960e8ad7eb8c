use super::*;
use crate::error::{Error, Exit};

#[test]
fn a_server_that_is_away_is_waited_for_but_not_for_ever() {
    let clock = Clock::fixed(Timestamp(1));
    let mut patience = Patience::new(clock.clone());
    let away = || Err::<(), _>(Error::failed("cannot reach it").passing());
    assert!(patience.bear(away()).unwrap().is_none());
    clock.advance(AWAY_MAX - Duration::from_secs(1));
    assert!(patience.bear(away()).unwrap().is_none());
    assert!(patience.bear(Ok(())).unwrap().is_some(), "it was back");
    clock.advance(AWAY_MAX);
    assert!(patience.bear(away()).is_err());
}

#[test]
fn what_a_repetition_does_not_mend_is_an_error_at_once() {
    let mut patience = Patience::new(Clock::fixed(Timestamp(1)));
    for exit in [Exit::NotFound, Exit::NotAllowed, Exit::Failed] {
        assert_eq!(patience.bear(Err::<(), _>(Error::new(exit, "no"))).unwrap_err().exit, exit);
    }
}
