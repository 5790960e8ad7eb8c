//! Times by example, then against a second implementation that knows nothing but minutes.

mod naive;

use std::time::Duration;

use proptest::prelude::*;
use sallyport_protocol::Timestamp;

use super::*;
use crate::task::Missed;

fn cron(text: &str, zone_name: &str) -> Schedule {
    Schedule::Cron { cron: text.parse().unwrap(), zone: zone(zone_name).unwrap() }
}

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
}

fn shown(at: Timestamp, zone_name: &str) -> String {
    let moment = jiff::Timestamp::from_microsecond(at.0).unwrap();
    moment.to_zoned(zone(zone_name).unwrap()).strftime("%m-%d %H:%M:%S %z").to_string()
}

/// The times after a moment, as they look in the zone.
fn times(text: &str, zone_name: &str, from: &str, count: usize) -> Vec<String> {
    let schedule = cron(text, zone_name);
    schedule.upcoming(at(from)).take(count).map(|at| shown(at, zone_name)).collect()
}

#[test]
fn fields_mean_what_they_say() {
    let utc = |text| times(text, "UTC", "2026-02-27T22:30:00Z", 3);
    assert_eq!(utc("0 2 * * *"), ["02-28 02:00:00 +0000", "03-01 02:00:00 +0000", "03-02 02:00:00 +0000"]);
    assert_eq!(utc("*/20 23 * * *"), ["02-27 23:00:00 +0000", "02-27 23:20:00 +0000", "02-27 23:40:00 +0000"]);
    assert_eq!(utc("5/25 * * * *"), ["02-27 22:55:00 +0000", "02-27 23:05:00 +0000", "02-27 23:30:00 +0000"]);
    assert_eq!(utc("15,45 30 22 * * *"), ["02-27 22:30:15 +0000", "02-27 22:30:45 +0000", "02-28 22:30:15 +0000"]);
    assert_eq!(utc("0 0 L * *"), ["02-28 00:00:00 +0000", "03-31 00:00:00 +0000", "04-30 00:00:00 +0000"]);
    assert_eq!(utc("0 0 * * FRI-sun"), ["02-28 00:00:00 +0000", "03-01 00:00:00 +0000", "03-06 00:00:00 +0000"]);
    assert_eq!(utc("0 0 * jul,aug 7"), ["07-05 00:00:00 +0000", "07-12 00:00:00 +0000", "07-19 00:00:00 +0000"]);
    // Both kinds of day narrowed down: either will do. With a star in one, both must fit.
    assert_eq!(utc("0 0 13 * mon"), ["03-02 00:00:00 +0000", "03-09 00:00:00 +0000", "03-13 00:00:00 +0000"]);
    assert_eq!(utc("0 0 */2 * mon"), ["03-09 00:00:00 +0000", "03-23 00:00:00 +0000", "04-13 00:00:00 +0000"]);
    assert_eq!(utc("0 0 29 2 *"), ["02-29 00:00:00 +0000"; 3]);
}

#[test]
fn mistakes_are_named_with_their_place() {
    let wrong = |text: &str| text.parse::<Cron>().unwrap_err().to_string();
    insta::assert_snapshot!(
        ["", "* * * *", "* * * * * * *", "60 2 * * *", "0 2  * 13 *", "0 2 * * mon,fry", "0 2 32 * *", "0 22-6 * * *",
         "*/0 * * * *", "0 1,,3 * * *", "0 +2 * * *", "1 99 * * * *", "0 2 ? * *", "5-/2 * * * *"]
            .map(wrong).join("\n"),
        @r"
        0 fields were given: five are expected (minute, hour, day of month, month, day of week), or six with the second first
        4 fields were given: five are expected (minute, hour, day of month, month, day of week), or six with the second first
        7 fields were given: five are expected (minute, hour, day of month, month, day of week), or six with the second first
        minute `60`, at character 1: a number from 0 to 59 is expected
        month `13`, at character 8: a number from 1 to 12, or jan to dec is expected
        day of week `fry`, at character 13: a number from 0 to 7, or sun to sat is expected
        day of month `32`, at character 5: a number from 1 to 31, or L for the last day is expected
        hour `22-6`, at character 3: the range runs backwards; write two ranges with a comma between them
        minute `*/0`, at character 1: after `/` a whole number from 1 to 59 is expected
        hour ``, at character 5: a number from 0 to 23 is expected
        hour `+2`, at character 3: a number from 0 to 23 is expected
        minute `99`, at character 3: a number from 0 to 59 is expected
        day of month `?`, at character 5: a number from 1 to 31, or L for the last day is expected
        minute `5-/2`, at character 1: a number from 0 to 59 is expected
        "
    );
}

#[test]
fn a_local_time_that_is_left_out_fires_at_the_first_moment_after() {
    let prague = |text, count| times(text, "Europe/Prague", "2026-03-28T12:00:00Z", count);
    assert_eq!(prague("30 2 * * *", 2), ["03-29 03:00:00 +0200", "03-30 02:30:00 +0200"]);
    // Several that are left out fire together, once.
    let quarters = prague("*/15 1-3 29 3 *", 9);
    assert_eq!(
        quarters.iter().map(|time| &time[6..11]).collect::<Vec<_>>(),
        ["01:00", "01:15", "01:30", "01:45", "03:00", "03:15", "03:30", "03:45", "01:00"]
    );
    // A day that an island left out.
    let apia = times("0 12 * * *", "Pacific/Apia", "2011-12-29T20:00:00Z", 3);
    assert_eq!(apia, ["12-29 12:00:00 -1000", "12-31 00:00:00 +1400", "12-31 12:00:00 +1400"]);
    // Midnight itself is left out.
    let sao_paulo = times("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00:00Z", 2);
    assert_eq!(sao_paulo, ["11-04 01:00:00 -0200", "11-05 00:00:00 -0200"]);
}

#[test]
fn a_local_time_that_comes_twice_fires_once() {
    let prague = |text, count| times(text, "Europe/Prague", "2026-10-24T12:00:00Z", count);
    assert_eq!(prague("30 2 * * *", 2), ["10-25 02:30:00 +0200", "10-26 02:30:00 +0100"]);
    let halves = times("0,30 * * * *", "Europe/Prague", "2026-10-24T23:50:00Z", 4);
    assert_eq!(
        halves,
        ["10-25 02:00:00 +0200", "10-25 02:30:00 +0200", "10-25 03:00:00 +0100", "10-25 03:30:00 +0100"]
    );
    // Asked in the middle of the second pass.
    let schedule = cron("50 2 * * *", "Europe/Prague");
    let second = at("2026-10-25T01:10:00Z");
    assert_eq!(schedule.latest(second), Some(at("2026-10-25T00:50:00Z")));
    assert_eq!(schedule.after(second), Some(at("2026-10-26T01:50:00Z")));
}

#[test]
fn intervals_lie_on_a_grid() {
    let every = |seconds, from| Schedule::Every { every: Duration::from_secs(seconds), from };
    let quarters = every(900, Timestamp(0));
    assert_eq!(quarters.after(at("2026-01-01T10:07:00Z")), Some(at("2026-01-01T10:15:00Z")));
    assert_eq!(quarters.after(at("2026-01-01T10:15:00Z")), Some(at("2026-01-01T10:30:00Z")));
    assert_eq!(quarters.latest(at("2026-01-01T10:15:00Z")), Some(at("2026-01-01T10:15:00Z")));
    let later = every(3600, at("2026-06-01T00:30:00Z"));
    assert_eq!(later.after(at("2026-01-01T00:00:00Z")), Some(at("2026-06-01T00:30:00Z")));
    assert_eq!(later.latest(at("2026-01-01T00:00:00Z")), None);
    assert_eq!(later.latest(at("2026-06-01T01:29:59Z")), Some(at("2026-06-01T00:30:00Z")));
    let once = Schedule::At(at("2026-06-01T00:30:00Z"));
    assert_eq!(once.upcoming(Timestamp(0)).collect::<Vec<_>>(), [at("2026-06-01T00:30:00Z")]);
    assert_eq!(quarters.after(Timestamp(i64::MAX)), None);
}

#[test]
fn times_are_local_or_carry_an_offset() {
    let prague = zone("Europe/Prague").unwrap();
    for text in ["2026-12-01T08:00", "2026-12-01 08:00:00", "2026-12-01T07:00:00Z", "2026-12-01T02:00-05:00"] {
        assert_eq!(moment(text, &prague).unwrap(), at("2026-12-01T07:00:00Z"), "{text}");
    }
    assert!(moment("soon", &prague).is_err());
    let error = zone("Europe/Parg").unwrap_err().to_string();
    assert_eq!(error, "there is no time zone `Europe/Parg`; did you mean `Europe/Prague`?");
}

#[test]
fn down_time_is_made_up_for_as_the_trigger_says() {
    let hours = Schedule::Every { every: Duration::from_secs(3600), from: Timestamp(0) };
    let (due, next) = (at("2026-01-01T01:00:00Z"), Some(at("2026-01-01T05:00:00Z")));
    let fired = |missed, now| {
        let firing = fire(&hours, missed, due, None, at(now));
        (
            firing.start.iter().map(|at| shown(*at, "UTC")[6..8].to_owned()).collect::<Vec<_>>(),
            firing.left_out,
            firing.next,
        )
    };
    let late = "2026-01-01T04:20:00Z";
    assert_eq!(fired(Missed::Once, late), (vec!["04".to_owned()], true, next));
    assert_eq!(fired(Missed::All, late), (["01", "02", "03", "04"].map(str::to_owned).to_vec(), false, next));
    assert_eq!(fired(Missed::Skip, late), (vec![], true, next));
    let barely = "2026-01-01T04:01:00Z";
    assert_eq!(fired(Missed::Skip, barely), (vec!["04".to_owned()], true, next));
    let on_time = "2026-01-01T01:00:00Z";
    for missed in [Missed::Once, Missed::All, Missed::Skip] {
        assert_eq!(fired(missed, on_time), (vec!["01".to_owned()], false, Some(at("2026-01-01T02:00:00Z"))));
    }
}

#[test]
fn all_has_a_bound_and_takes_the_newest() {
    let seconds = Schedule::Every { every: Duration::from_secs(1), from: Timestamp(0) };
    let now = at("2026-01-01T00:00:00Z");
    let firing = fire(&seconds, Missed::All, Timestamp(0), None, now);
    assert_eq!((firing.start.len(), firing.left_out), (ALL_MAX, true));
    assert_eq!(firing.start.last(), Some(&now));
    assert!(firing.start.is_sorted());
}

#[test]
fn a_pause_starts_nothing_and_leaves_nothing_to_make_up_for() {
    let hours = Schedule::Every { every: Duration::from_secs(3600), from: Timestamp(0) };
    let (due, until) = (at("2026-01-01T01:00:00Z"), at("2026-01-01T03:00:00Z"));
    let during = fire(&hours, Missed::All, due, Some(until), at("2026-01-01T01:00:00Z"));
    assert_eq!(during, Firing { start: vec![], left_out: false, next: Some(until) });
    let afterwards = fire(&hours, Missed::All, due, Some(until), at("2026-01-01T04:30:00Z"));
    assert_eq!(afterwards.start, [until, at("2026-01-01T04:00:00Z")]);
    // For good: no next time that could be reached.
    assert_eq!(fire(&hours, Missed::Once, due, Some(Timestamp(i64::MAX)), due).next, None);
}

/// Zones with every kind of change: an hour, half an hour, two hours, at midnight, a whole day, backwards in summer.
const ZONES: [&str; 10] = [
    "Europe/Prague",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Antarctica/Troll",
    "Europe/Dublin",
    "Asia/Kathmandu",
];

#[test]
fn whole_years_agree_with_the_naive_one() {
    let texts = ["0 0 * * *", "30 2 * * *", "*/7 1-3 * * *", "59 23 L * *", "15 */5 1,15 * mon", "0 3 * mar,oct sun"];
    for (zone_name, year) in
        [("Europe/Prague", 2026), ("Australia/Lord_Howe", 2025), ("Pacific/Apia", 2011), ("Africa/Casablanca", 2024)]
    {
        let (from, to) = (at(&format!("{year}-01-01T00:00:00Z")), at(&format!("{}-01-01T00:00:00Z", year + 1)));
        let schedules = texts.map(|text| cron(text, zone_name));
        let naive = naive::times(&texts, &zone(zone_name).unwrap(), from, to);
        for ((schedule, naive), text) in schedules.iter().zip(naive).zip(texts) {
            let quick: Vec<_> = schedule.upcoming(from).take_while(|at| *at <= to).collect();
            assert_eq!(quick, naive, "{text} in {zone_name}");
        }
    }
}

fn field(min: u8, max: u8) -> impl Strategy<Value = String> {
    let number = min..=max;
    prop_oneof![
        3 => Just("*".to_owned()),
        2 => number.clone().prop_map(|n| n.to_string()),
        1 => (number.clone(), number.clone()).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
        1 => (2_u8..20).prop_map(move |step| format!("*/{}", step.min(max))),
        1 => (number.clone(), number).prop_map(|(a, b)| format!("{a},{b}")),
    ]
}

fn text() -> impl Strategy<Value = String> {
    (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 7))
        .prop_map(|(minute, hour, day, month, weekday)| format!("{minute} {hour} {day} {month} {weekday}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Around changes of the clock, between 1975 and 2040.
    #[test]
    fn the_naive_one_agrees(text in text(), zone_name in prop::sample::select(&ZONES), year in 1975_i16..2040, pick in 0_usize..4, offset in -1440_i64..1440) {
        let tz = zone(zone_name).unwrap();
        let begin: jiff::Timestamp = format!("{year}-01-01T00:00:00Z").parse().unwrap();
        let change = tz.following(begin).nth(pick).map_or(begin, |transition| transition.timestamp());
        let middle = change.as_second().div_euclid(60) * 60 + offset * 60;
        let (from, to) = (Timestamp((middle - 2 * 86_400) * 1_000_000), Timestamp((middle + 2 * 86_400) * 1_000_000));
        let naive = naive::times(&[&text], &tz, from, to).remove(0);
        let schedule = cron(&text, zone_name);
        let quick: Vec<_> = schedule.upcoming(from).take_while(|at| *at <= to).collect();
        prop_assert_eq!(&quick, &naive);

        // Backwards the same times are met, and the latest at any moment is the one before the next.
        let mut back: Vec<_> = std::iter::successors(schedule.latest(to), |at| schedule.latest(Timestamp(at.0 - 1)))
            .take_while(|at| *at > from).collect();
        back.reverse();
        prop_assert_eq!(back, naive);
    }

    #[test]
    fn no_time_is_fired_twice_or_lost_however_the_server_sleeps(naps in prop::collection::vec(1_i64..400, 1..30)) {
        let minutes = Schedule::Every { every: Duration::from_secs(60), from: Timestamp(0) };
        let (mut now, mut due) = (Timestamp(0), Timestamp(60_000_000));
        let mut started = Vec::new();
        for nap in naps {
            now = now.plus(Duration::from_secs(u64::try_from(nap).unwrap()));
            if now >= due {
                let firing = fire(&minutes, Missed::All, due, None, now);
                started.extend(firing.start);
                due = firing.next.unwrap();
            }
        }
        let expected: Vec<_> = minutes.upcoming(Timestamp(0)).take_while(|at| *at <= now).collect();
        prop_assert_eq!(started, expected);
    }
}
