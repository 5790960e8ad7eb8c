//! A second implementation, for comparison: it looks at every minute, and at the clock on the wall. A local minute fires
//! when the clock shows it, or something later, for the first time.

use std::collections::HashSet;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sallyport_protocol::Timestamp;

/// The times of each text after `from`, up to and with `to`; both are whole minutes.
pub(super) fn times(texts: &[&str], zone: &TimeZone, from: Timestamp, to: Timestamp) -> Vec<Vec<Timestamp>> {
    let texts: Vec<Wanted> = texts.iter().map(|text| wanted(text)).collect();
    let mut fired = vec![Vec::new(); texts.len()];
    let shows = |seconds: i64| zone.to_datetime(jiff::Timestamp::from_second(seconds).unwrap());
    let mut seconds = from.0 / 1_000_000;
    // What was shown before `from` counts: two days are more than any clock was ever set back.
    let mut furthest = (1..=2 * 1440).map(|back| shows(seconds - back * 60)).max().unwrap().max(shows(seconds));
    while seconds < to.0 / 1_000_000 {
        seconds += 60;
        let local = shows(seconds);
        let mut passed = Vec::new();
        while furthest < local {
            furthest = furthest.checked_add(SignedDuration::from_secs(60)).unwrap();
            passed.push(furthest);
        }
        for (text, fired) in texts.iter().zip(&mut fired) {
            if passed.iter().any(|local| text.fits(*local)) {
                fired.push(Timestamp(seconds * 1_000_000));
            }
        }
    }
    fired
}

struct Wanted {
    fields: [HashSet<i64>; 5],
    last_day: bool,
    any_day: bool,
    any_weekday: bool,
}

impl Wanted {
    fn fits(&self, local: DateTime) -> bool {
        let [minutes, hours, days, months, weekdays] = &self.fields;
        let day = days.contains(&local.day().into()) || (self.last_day && local.date() == local.date().last_of_month());
        let weekday = weekdays.contains(&local.weekday().to_sunday_zero_offset().into());
        let on = if self.any_day || self.any_weekday { day && weekday } else { day || weekday };
        on && minutes.contains(&local.minute().into())
            && hours.contains(&local.hour().into())
            && months.contains(&local.month().into())
    }
}

fn wanted(text: &str) -> Wanted {
    let words: Vec<&str> = text.split(' ').collect();
    let limits = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
    let fields = std::array::from_fn(|at| {
        let all = words[at].split(',').flat_map(|item| numbers(item, limits[at]));
        all.map(|number| if at == 4 { number % 7 } else { number }).collect()
    });
    let star = |at: usize| words[at].starts_with('*');
    Wanted { fields, last_day: words[2] == "L", any_day: star(2), any_weekday: star(4) }
}

fn numbers(item: &str, (min, max): (i64, i64)) -> Vec<i64> {
    let number = |text: &str| match text {
        "sun" => 0,
        "mon" => 1,
        "mar" => 3,
        "oct" => 10,
        digits => digits.parse().unwrap(),
    };
    let (range, step) = item.split_once('/').map_or((item, 1), |(range, step)| (range, step.parse().unwrap()));
    let (from, to) = match range.split_once('-') {
        _ if range == "L" => return Vec::new(),
        _ if range == "*" => (min, max),
        Some((from, to)) => (number(from), number(to)),
        None => (number(range), number(range)),
    };
    (from..=to).filter(|number| (number - from) % step == 0).collect()
}
