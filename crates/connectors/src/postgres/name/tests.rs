use super::*;

fn check(text: &str, expected: Option<(Option<&str>, &str)>) {
    let expected = expected.map(|(schema, table)| TableName { schema: schema.map(Into::into), table: table.into() });
    assert_eq!(TableName::parse(text).ok(), expected, "{text}");
}

#[test]
fn table_names_split_at_the_dot_outside_of_quotes() {
    check("orders", Some((None, "orders")));
    check("sales.Orders", Some((Some("sales"), "Orders")));
    check("\"a.b\".\"c\"\"d\"", Some((Some("a.b"), "c\"d")));
    check("", None);
    check("a.", None);
    check("a.b.c", None);
    check("\"a", None);
}

#[test]
fn names_and_values_cannot_leave_their_quotes() {
    assert_eq!(TableName::parse("s.a\"b").map(|name| name.sql()).ok(), None);
    assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
    assert_eq!(literal("it's"), "'it''s'");
    assert_eq!(bare_query("select 1 ; \n;"), "select 1");
}
