use super::*;

fn digest(rows: &[&[&str]]) -> Digest {
    let mut digest = Digest::default();
    for row in rows {
        digest.add(row.iter().map(|field| field.as_bytes()));
    }
    digest
}

#[test]
fn the_order_of_rows_does_not_matter_but_everything_else_does() {
    let base = digest(&[&["1", "a"], &["2", "b"]]);
    assert_eq!(base, digest(&[&["2", "b"], &["1", "a"]]));
    assert_ne!(base, digest(&[&["1", "a"], &["1", "a"]]));
    assert_ne!(base, digest(&[&["1a", ""], &["2", "b"]]));
    assert_ne!(base, digest(&[&["1", "b"], &["2", "a"]]));
}

#[test]
fn a_generated_database_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("client.sqlite");
    super::super::sqlite(&path, 0.001).unwrap();
    let all = of_sqlite(&path, "select * from orders").unwrap();
    assert_eq!(all.rows, 1500);
    let fewer = of_sqlite(&path, "select * from orders where o_orderkey > 1").unwrap();
    assert_eq!(fewer.rows, 1499);
    assert_ne!(all.checksum, fewer.checksum);
}
