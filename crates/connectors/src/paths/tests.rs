use super::*;

fn root() -> (tempfile::TempDir, Root) {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::new(folder.path()).unwrap();
    (folder, root)
}

#[test]
fn names_that_mean_other_things_somewhere_are_refused() {
    let (_folder, root) = root();
    for path in [
        "",
        "/etc/passwd",
        "\\etc",
        "..",
        "../x",
        "a/../../x",
        "a\\..\\x",
        "C:\\x",
        "c:x",
        "//host/share/x",
        "\\\\host\\share\\x",
        "\\\\?\\C:\\x",
        "CON",
        "con.txt",
        "a/NUL",
        "nul .csv",
        "COM1",
        "lpt9.log",
        "COM¹.x",
        "x.",
        "x ",
        "a./b",
        "a:b",
        "x.csv:stream",
        "a\0b",
        "a\nb",
        "a*b",
        "out/",
        "CONIN$",
    ] {
        let text = root.place(path).unwrap_err().to_string();
        assert!(text.contains(&format!("`{path}`")), "{path:?}: {text}");
        assert!(text.contains(&*root.path().to_string_lossy()), "{path:?}: {text}");
        assert!(root.open(path).is_err(), "{path:?}");
    }
}

#[test]
fn plain_names_are_taken_and_folders_made() {
    let (_folder, root) = root();
    for path in ["x.csv", "a/b/c.csv", "a\\d\\e.csv", "./f/./g", ".hidden", "COM10", "console", "日本/ö.csv", "a/b..c"]
    {
        let place = root.place(path).unwrap();
        drop(place.folder.create_file(&place.name).unwrap());
        assert!(root.open(path).is_ok(), "{path}");
    }
    assert!(root.path().join("a/d/e.csv").is_file());
}

#[cfg(unix)]
#[test]
fn links_may_not_lead_out() {
    use std::os::unix::fs::symlink;
    let (_folder, root) = root();
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret"), "x").unwrap();
    std::fs::create_dir(root.path().join("in")).unwrap();
    std::fs::write(root.path().join("in/file"), "x").unwrap();
    symlink(outside.path(), root.path().join("out")).unwrap();
    symlink(outside.path().join("secret"), root.path().join("leak")).unwrap();
    symlink("in", root.path().join("alias")).unwrap();
    for path in ["out/secret", "leak"] {
        let text = root.open(path).unwrap_err().to_string();
        assert!(text.contains("by a link"), "{text}");
    }
    assert!(root.place("out/new").is_err());
    assert!(root.place("out/new/deep").is_err());
    assert!(root.open("alias/file").is_ok());
    assert!(root.place("alias/new").is_ok());
}

#[cfg(unix)]
#[test]
fn a_link_swapped_in_after_the_check_is_not_followed() {
    let (_folder, root) = root();
    std::fs::create_dir(root.path().join("sub")).unwrap();
    std::fs::write(root.path().join("sub/file"), "x").unwrap();
    let found = root.find(&["sub".into(), "file".into()], "sub/file").unwrap();
    std::fs::rename(root.path().join("sub"), root.path().join("moved")).unwrap();
    std::os::unix::fs::symlink(root.path().join("moved"), root.path().join("sub")).unwrap();
    assert!(root.open_found(&found).is_err());
}

#[test]
fn a_root_that_is_missing_is_named() {
    let text = Root::new(Path::new("/no/such/folder")).unwrap_err().to_string();
    assert!(text.contains("/no/such/folder"), "{text}");
}
