use super::*;

#[test]
fn options_say_what_is_built_and_bad_ones_are_named() {
    let both = || Options { linux: true, windows: true, profile: "release".to_owned(), programs: None, out: None };
    assert_eq!(Options::parse(&[]), Ok(both()));
    let one = Options { linux: false, profile: "dev".to_owned(), ..both() };
    assert_eq!(Options::parse(&["--target", "windows", "--profile", "dev"]), Ok(one));
    let other = Options { windows: false, programs: Some("bin".into()), out: Some("here".into()), ..both() };
    assert_eq!(Options::parse(&["--target", "linux", "--programs", "bin", "--out", "here"]), Ok(other));
    for (words, named) in [
        (&["--target", "beos"][..], "linux or windows"),
        (&["--target"], "linux or windows"),
        (&["--profile"], "profiles"),
        (&["--out"], "--out takes a folder"),
        (&["--fast"], "`--fast`"),
        (&["--target", "linux", "--target", "windows"], "both"),
    ] {
        let error = Options::parse(words).unwrap_err();
        assert!(error.contains(named), "{words:?}: {error}");
    }
}
