use super::*;

#[test]
fn quoted_fields_are_understood() {
    let mut records = Vec::new();
    of_csv_text("a,\"b, \"\"c\"\"\n d\"\r\ne,\n", &mut |record| records.push(record.to_vec()));
    assert_eq!(records, [vec!["a".to_owned(), "b, \"c\"\n d".to_owned()], vec!["e".to_owned(), String::new()]]);
}
