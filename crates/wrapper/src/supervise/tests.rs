//! Sessions of a supervisor, with its own clock.

use sallyport_protocol::Timestamp;

use super::*;

struct Session {
    supervisor: Supervisor,
    now: Moment,
    process: u32,
}

impl Session {
    /// A supervisor whose first agent runs.
    fn running() -> Self {
        Self::running_with(false)
    }

    fn running_with(testing: bool) -> Self {
        let now = Moment { at: Timestamp(1_000_000), up: Duration::ZERO };
        let mut session = Self { supervisor: Supervisor::new(now, testing), now, process: 0 };
        assert_eq!(session.tick(0), [Effect::Start]);
        session.start();
        session
    }

    fn on(&mut self, event: Event) -> Vec<Effect> {
        self.supervisor.on(event, self.now, 1.0)
    }

    fn tick(&mut self, seconds: u64) -> Vec<Effect> {
        self.now = self.now.plus(Duration::from_secs(seconds));
        self.on(Event::Tick)
    }

    fn start(&mut self) -> Vec<Effect> {
        self.process += 1;
        let process_id = self.process;
        let effects = self.on(Event::Started { process_id });
        assert_eq!(effects[0], Effect::ReportStart { process_id });
        effects
    }

    /// Ends with a code; gives the report and what else is to be done.
    fn end(&mut self, code: i32) -> (AgentExit, Vec<Effect>) {
        let mut effects = self.on(Event::Ended(Exit { code: Some(code), ..Exit::default() }));
        match effects.remove(0) {
            Effect::ReportExit(report) => (report, effects),
            other => panic!("expected a report, got {other:?}"),
        }
    }

    /// Ends with a code, waits, starts anew; gives the delay in seconds.
    fn fail(&mut self, code: i32) -> u64 {
        let (report, effects) = self.end(code);
        assert_eq!((effects.as_slice(), report.expected), ([].as_slice(), false));
        let seconds = report.next_start_ms / 1000;
        assert_eq!(self.tick(seconds - 1), []);
        assert_eq!(self.tick(1), [Effect::Start]);
        self.start();
        seconds
    }
}

#[test]
fn failures_are_restarted_for_ever_with_doubling_delays() {
    let mut session = Session::running();
    let delays: Vec<u64> = (0..11).map(|_| session.fail(1)).collect();
    assert_eq!(delays, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    assert_eq!(session.supervisor.restarts(), 11);
}

#[test]
fn a_minute_of_life_starts_the_delays_anew() {
    let mut session = Session::running();
    session.fail(1);
    session.fail(1);
    session.tick(59);
    assert_eq!(session.fail(1), 4);
    session.tick(60);
    assert_eq!(session.fail(1), 1);
}

#[test]
fn an_agent_that_asks_for_it_is_restarted_at_once_but_cannot_spin() {
    let mut session = Session::running();
    session.tick(1);
    let (report, effects) = session.end(EXIT_RESTART);
    assert!(report.expected && report.next_start_ms == 0);
    assert_eq!(effects, [Effect::Start]);
    session.start();
    let (report, effects) = session.end(EXIT_RESTART);
    assert_eq!((report.next_start_ms, effects), (1000, vec![]));
}

#[test]
fn bad_settings_wait_long_and_a_restart_cuts_it_short() {
    let mut session = Session::running();
    let (report, effects) = session.end(i32::from(EXIT_BAD_CONFIGURATION));
    assert_eq!((report.next_start_ms, effects), (300_000, vec![]));
    assert_eq!(session.on(Event::RestartAsked), [Effect::Start]);
}

#[test]
fn an_exit_with_zero_that_nobody_asked_for_is_a_failure() {
    assert_eq!(Session::running().fail(0), 1);
}

#[test]
fn a_stop_asks_then_kills_then_finishes() {
    let mut session = Session::running();
    assert_eq!(session.on(Event::StopAsked), [Effect::AskToEnd]);
    assert_eq!(session.on(Event::StopAsked), []);
    assert_eq!(session.tick(14), []);
    assert_eq!(session.tick(1), [Effect::Kill]);
    assert_eq!(session.tick(1), []);
    let (report, effects) = session.end(0);
    assert!(report.expected);
    assert_eq!(effects, [Effect::Finish(0)]);
    assert_eq!(session.on(Event::RestartAsked), []);
    assert_eq!(session.supervisor.state(), &State::Finished);
}

#[test]
fn a_restart_that_was_asked_for_starts_at_once() {
    let mut session = Session::running();
    assert_eq!(session.on(Event::RestartAsked), [Effect::AskToEnd]);
    let (report, effects) = session.end(0);
    assert!(report.expected);
    assert_eq!(effects, [Effect::Start]);
    session.start();
    assert_eq!(session.fail(1), 1);
}

#[test]
fn to_stop_weighs_more_than_to_restart_in_any_order() {
    for events in [[Event::StopAsked, Event::RestartAsked], [Event::RestartAsked, Event::StopAsked]] {
        let mut session = Session::running();
        let effects: Vec<Effect> = events.into_iter().flat_map(|event| session.on(event)).collect();
        assert_eq!(effects, [Effect::AskToEnd]);
        assert_eq!(session.end(0).1, [Effect::Finish(0)]);
    }
}

#[test]
fn a_stop_while_nothing_runs_finishes_at_once() {
    let mut session = Session::running();
    session.end(1);
    assert_eq!(session.on(Event::StopAsked), [Effect::Finish(0)]);
}

#[test]
fn a_stop_while_starting_ends_what_was_started() {
    let mut session = Session::running();
    session.end(1);
    session.tick(1);
    assert_eq!(session.on(Event::StopAsked), []);
    assert_eq!(session.start()[1..], [Effect::AskToEnd]);
    assert_eq!(session.end(0).1, [Effect::Finish(0)]);

    let mut session = Session::running();
    session.end(1);
    session.tick(1);
    session.on(Event::StopAsked);
    let effects = session.on(Event::StartFailed { reason: "no such file".to_owned() });
    assert_eq!(effects[1..], [Effect::Finish(0)]);
}

#[test]
fn a_stop_does_not_wait_for_a_download() {
    let mut session = Session::running();
    session.end(1);
    assert_eq!(session.tick(1), [Effect::Start]);
    assert_eq!(session.on(Event::StopAsked), []);
    assert_eq!(session.tick(2), []);
    assert_eq!(session.on(Event::StopAsked), []);
    assert_eq!(session.tick(1), [Effect::Finish(0)]);
    assert_eq!(session.on(Event::Started { process_id: 9 }), []);
}

#[test]
fn a_clock_that_is_set_back_stretches_no_wait() {
    let mut session = Session::running();
    assert_eq!(session.end(1).0.next_start_ms, 1000);
    session.now.at = Timestamp(0);
    assert_eq!(session.tick(1), [Effect::Start]);
    session.start();
    session.on(Event::StopAsked);
    session.now.at = Timestamp(-3_600_000_000);
    assert_eq!(session.tick(15), [Effect::Kill]);
}

#[test]
fn what_cannot_be_started_is_reported_and_tried_again() {
    let mut session = Session::running();
    session.end(1);
    session.tick(1);
    let effects = session.on(Event::StartFailed { reason: "no such file".to_owned() });
    let [Effect::ReportExit(report)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((report.stderr.as_slice(), report.next_start_ms), (["no such file".to_owned()].as_slice(), 2000));
}

#[test]
fn a_trial_ends_at_the_first_bad_settings_or_refusal() {
    let mut session = Session::running_with(true);
    assert_eq!(session.end(i32::from(EXIT_BAD_CONFIGURATION)).1, [Effect::Finish(78)]);
    let mut session = Session::running_with(true);
    assert_eq!(session.on(Event::TrialFailed), [Effect::AskToEnd]);
    assert_eq!(session.end(0).1, [Effect::Finish(78)]);
}

#[test]
fn however_events_interleave_a_stop_finishes_and_stays_finished() {
    // Every sequence of four events out of six, then a stop and the end of whatever runs.
    let all = [
        Event::Tick,
        Event::RestartAsked,
        Event::StopAsked,
        Event::TrialFailed,
        Event::Ended(Exit::default()),
        Event::StartFailed { reason: String::new() },
    ];
    for number in 0..all.len().pow(4) {
        let mut session = Session::running();
        let mut rest = number;
        for _ in 0..4 {
            let event = all[rest % all.len()].clone();
            rest /= all.len();
            // Only what was started can fail to start.
            if !matches!(event, Event::StartFailed { .. })
                || matches!(session.supervisor.state(), State::Starting { .. })
            {
                session.on(event);
            }
        }
        session.on(Event::StopAsked);
        session.on(Event::StartFailed { reason: String::new() });
        session.on(Event::Ended(Exit::default()));
        assert_eq!(session.supervisor.state(), &State::Finished, "sequence {number}");
        assert_eq!(session.tick(1000), []);
    }
}

/// Ticks every second until something other than a question is to be done; gives the seconds and what.
fn silence(session: &mut Session, most: u64) -> Option<(u64, Vec<Effect>)> {
    (1..=most).find_map(|second| {
        let effects = session.tick(1);
        (!matches!(effects.as_slice(), [] | [Effect::AskForBeat])).then_some((second, effects))
    })
}

#[test]
fn another_version_of_the_wrapper_takes_over_once_the_agent_has_ended() {
    let mut session = Session::running();
    assert_eq!(session.on(Event::HandOverAsked), [Effect::AskToEnd]);
    let effects = session.on(Event::Ended(Exit { code: Some(0), ..Exit::default() }));
    let [Effect::ReportExit(report), Effect::Finish(code)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((report.expected, *code), (true, EXIT_HAND_OVER));
    // Who wants everything to end gets that.
    let mut stopped = Session::running();
    stopped.on(Event::StopAsked);
    stopped.on(Event::HandOverAsked);
    let effects = stopped.on(Event::Ended(Exit { code: Some(0), ..Exit::default() }));
    assert_eq!(effects.last(), Some(&Effect::Finish(0)));
}

#[test]
fn an_agent_that_stops_to_answer_is_killed_within_half_a_minute_and_started_again() {
    let mut session = Session::running();
    for _ in 0..100 {
        session.tick(1);
        session.on(Event::Beat);
    }
    let (seconds, effects) = silence(&mut session, 30).unwrap();
    assert!((20..=25).contains(&seconds), "{seconds}");
    assert_eq!(effects, [Effect::ReportHang { process_id: 1 }, Effect::Kill]);
    let effects = session.on(Event::Ended(Exit { signal: Some(9), ..Exit::default() }));
    let [Effect::ReportExit(report)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((report.cause, report.expected, report.next_start_ms), (Some(ExitCause::Hang), false, 1000));
    assert_eq!(session.tick(1), [Effect::Start]);
    session.start();
    session.on(Event::Beat);
    assert_eq!(session.end(1).0.cause, None);
}

#[test]
fn an_agent_from_before_the_question_is_left_alone_and_not_asked_for_ever() {
    let mut session = Session::running();
    let asked = (0..86_400).filter(|_| session.tick(1) == [Effect::AskForBeat]).count();
    assert!(asked < 100, "{asked}");
}

#[test]
fn a_wrapper_that_was_itself_stopped_blames_nobody() {
    let mut session = Session::running();
    session.on(Event::Beat);
    assert_eq!(session.tick(1), [Effect::AskForBeat]);
    assert_eq!(session.tick(3600), [Effect::AskForBeat]);
    session.on(Event::Beat);
    assert_eq!(session.tick(3600), [Effect::AskForBeat]);
}
