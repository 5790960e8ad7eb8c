use super::*;

const HEADER: &str = "l_orderkey,l_partkey,...\n";

fn digest(text: &str, piece: usize) -> Result<Digest> {
    let mut lines = Lines::default();
    for piece in text.as_bytes().chunks(piece) {
        lines.write_all(piece)?;
    }
    lines.finish()
}

#[test]
fn the_spelling_does_not_count_and_the_values_do() -> Result<()> {
    let one = "1,15,7,1,17.00,21168.23,0.04,0.02,N,O,1996-03-13,1996-02-12,1996-03-22,DELIVER IN PERSON,TRUCK,\"a, \"\"b\"\" c\"\n";
    let other = "1,15,7,1,17,21168.230000,0.04,0.02,\"N\",\"O\",1996-03-13 00:00:00,1996-02-12,1996-03-22,\"DELIVER IN PERSON        \",\"TRUCK     \",\"a, \"\"b\"\" c\"";
    let wanted = digest(&format!("{HEADER}{one}"), 1000)?;
    assert_eq!(wanted.rows, 1);
    for piece in [1, 7, 1000] {
        assert_eq!(digest(&format!("{HEADER}{other}"), piece)?, wanted);
    }
    for (from, to) in [("21168.23", "21168.24"), ("1996-02-12", "1996-02-13"), (" c\"\n", " d\"\n"), ("N,O", "O,N")] {
        assert_ne!(digest(&format!("{HEADER}{}", one.replace(from, to)), 1000)?, wanted, "{from}");
    }
    assert!(digest(&format!("{HEADER}1,2,3\n"), 1000).is_err());
    Ok(())
}
