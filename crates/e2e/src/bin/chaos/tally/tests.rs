use super::*;

fn tallies(rows: &[(u64, u64)]) -> Tallies {
    let mut tallies = Tallies::new();
    for (run, id) in rows {
        let [code, cents, note] = rows::row(*id);
        add(&mut tallies, &[run.to_string(), id.to_string(), code, cents, note]);
    }
    tallies
}

#[test]
fn rows_that_are_each_there_once_are_right_in_any_order() {
    let tallies = tallies(&[(1, 3), (1, 1), (2, 1), (1, 2)]);
    assert_eq!(tallies[&1].against(1..=3), None);
    assert_eq!(tallies[&2].against(1..=1), None);
    assert_eq!(tallies[&1].rows(), 3);
}

#[test]
fn what_is_wrong_is_named() {
    let missing = tallies(&[(1, 1), (1, 3)])[&1].against(1..=3).unwrap();
    assert_eq!(missing, "2 rows instead of 3, 1 missing (ids [2])");
    let twice = tallies(&[(1, 1), (1, 1), (1, 2)])[&1].against(1..=2).unwrap();
    assert_eq!(twice, "3 rows instead of 2, 1 more than once (ids [1])");
    let foreign = tallies(&[(1, 1), (1, 9)])[&1].against(1..=1).unwrap();
    assert_eq!(foreign, "2 rows instead of 1, 1 not asked for (ids [9])");
}

#[test]
fn a_row_that_differs_from_the_source_is_no_row_of_it() {
    let mut tallies = tallies(&[(1, 1)]);
    add(&mut tallies, &["1".into(), "2".into(), "wrong".into(), "0".into(), String::new()]);
    let wrong = tallies[&1].against(1..=2).unwrap();
    assert!(wrong.contains("1 missing (ids [2])") && wrong.contains("1 different from the source"), "{wrong}");
}

#[test]
fn what_may_be_there_is_there_once_at_most() {
    assert_eq!(tallies(&[(1, 1), (1, 3)])[&1].too_many(), None);
    let twice = tallies(&[(1, 1), (1, 1)])[&1].too_many().unwrap();
    assert_eq!(twice, "2 rows instead of 1, 1 more than once (ids [1])");
}
