use super::*;

fn key(step: &str, fence: u64) -> CommitKey {
    CommitKey { key: step.to_owned(), attempt: 1, fence }
}

fn folder() -> (tempfile::TempDir, Root) {
    let folder = tempfile::tempdir().unwrap();
    let root = Root::new(folder.path()).unwrap();
    (folder, root)
}

fn names(folder: &tempfile::TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_nobody_writes_any_more_is_swept() {
    let (folder, root) = folder();
    for name in [".x.csv.0123456789abcdef.7.part", ".x.csv.0123456789abcdef.part", ".x.csv.note.7.part", ".y.csv.part"]
    {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let living = PartFile::create(&root, "x.csv", &key("another run", 1)).unwrap();
    drop(PartFile::create(&root, "x.csv", &key("run/step", 1)).unwrap());
    let kept = names(&folder);
    assert_eq!(kept.len(), 4, "{kept:?}");
    assert!(kept.contains(&living.part) && !kept.contains(&".x.csv.0123456789abcdef.7.part".to_owned()), "{kept:?}");
}

#[test]
fn a_later_attempt_of_the_step_is_left_alone_and_an_earlier_one_is_not() {
    let (folder, root) = folder();
    let second = PartFile::create(&root, "x.csv", &key("run/step", 2)).unwrap();
    let first = PartFile::create(&root, "x.csv", &key("run/step", 1)).unwrap();
    assert_eq!(names(&folder).len(), 2);
    let third = PartFile::create(&root, "x.csv", &key("run/step", 3)).unwrap();
    assert_eq!(names(&folder), std::slice::from_ref(&third.part));
    for superseded in [first, second] {
        assert!(superseded.finish(true).is_err());
    }
    third.finish(true).unwrap();
    assert_eq!(names(&folder), ["x.csv"]);
}
