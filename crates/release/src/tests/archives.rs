use std::io::{Cursor, Write};

use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::archive::{ArchiveError, ENTRIES_MAX, check, unpack};

const PROGRAM: &str = "sallyport-agent";

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

/// An archive with the program and these files. Names are patched in afterwards where the writer would mend them.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [(PROGRAM, &b"program"[..])].iter().chain(files) {
        zip.start_file(*name, options()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// An archive with one more file, whose name is this, byte for byte.
fn named(name: &[u8]) -> Vec<u8> {
    let placeholder: String = "x".repeat(name.len());
    let mut bytes = archive(&[(&placeholder, b"content")]);
    let starts: Vec<usize> =
        (0..bytes.len() - name.len()).filter(|at| &bytes[*at..*at + name.len()] == placeholder.as_bytes()).collect();
    assert_eq!(starts.len(), 2, "once before the file, once in the directory");
    for start in starts {
        bytes[start..start + name.len()].copy_from_slice(name);
    }
    bytes
}

#[track_caller]
fn refused(bytes: Vec<u8>) -> ArchiveError {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    let error = unpack(Cursor::new(bytes), PROGRAM, &inside).unwrap_err();
    assert_eq!(std::fs::read_dir(&inside).unwrap().count(), 0, "nothing was written");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was written beside it");
    error
}

#[test]
fn plain_files_and_folders_are_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = archive(&[("lib/one.txt", b"1"), ("lib/deep/two", b"22")]);
    assert_eq!(check(Cursor::new(&bytes), PROGRAM).unwrap(), 10);
    unpack(Cursor::new(&bytes), PROGRAM, folder.path()).unwrap();
    assert_eq!(std::fs::read(folder.path().join("lib/deep/two")).unwrap(), b"22");
    assert_eq!(std::fs::read(folder.path().join(PROGRAM)).unwrap(), b"program");
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    let names: [&[u8]; 20] = [
        b"../evil",
        b"lib/../../evil",
        b"/etc/evil",
        b"//evil",
        b"lib//evil",
        b"./evil",
        b"..",
        b"lib/..",
        b"..\\evil",
        b"C:\\evil",
        b"C:evil",
        b"evil\0name",
        b"evil\nname",
        b"NUL",
        b"lib/com1.txt",
        b"evil.",
        b"evil ",
        b"\xff\xfe",
        b"a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q",
        b"SALLYPORT-AGENT",
    ];
    for name in names {
        let error = refused(named(name));
        assert!(matches!(error, ArchiveError::Name { .. }), "{}: {error}", String::from_utf8_lossy(name));
    }
}

#[test]
fn links_and_devices_are_refused() {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(PROGRAM, options()).unwrap();
    zip.add_symlink("link", "/etc/passwd", options()).unwrap();
    assert!(matches!(refused(zip.finish().unwrap().into_inner()), ArchiveError::NotPlain(name) if name == "link"));

    // The program itself as a link, or as a pipe: the mode stands in the upper half of the directory's attributes.
    for kind in [0o120_777_u32, 0o010_644, 0o020_644, 0o060_644, 0o140_644] {
        let mut bytes = archive(&[]);
        let directory = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        bytes[directory + 5] = 3;
        bytes[directory + 38..directory + 42].copy_from_slice(&(kind << 16).to_le_bytes());
        assert!(matches!(refused(bytes), ArchiveError::NotPlain(_)), "{kind:o}");
    }
}

#[test]
fn what_is_too_much_or_too_little_is_refused() {
    let many: Vec<String> = (0..ENTRIES_MAX).map(|number| format!("file-{number}")).collect();
    let files: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b""[..])).collect();
    assert!(matches!(refused(archive(&files)), ArchiveError::TooMany(_)));
    let mut empty = ZipWriter::new(Cursor::new(Vec::new()));
    empty.start_file("other", options()).unwrap();
    assert!(matches!(refused(empty.finish().unwrap().into_inner()), ArchiveError::NoProgram(_)));
    // The program must be a file, and lie at the top.
    let mut folder = ZipWriter::new(Cursor::new(Vec::new()));
    folder.add_directory(PROGRAM, options()).unwrap();
    assert!(matches!(refused(folder.finish().unwrap().into_inner()), ArchiveError::NoProgram(_)));
    assert!(matches!(refused(b"no zip".to_vec()), ArchiveError::Zip(_)));

    // A directory that claims four gigabytes.
    let mut bytes = archive(&[]);
    let directory = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    bytes[directory + 24..directory + 28].copy_from_slice(&0xFFFF_FFF0_u32.to_le_bytes());
    assert!(matches!(refused(bytes), ArchiveError::TooLarge | ArchiveError::Zip(_)));
}

proptest! {
    #[test]
    fn damaged_archives_never_write_outside(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = archive(&[("lib/one.txt", b"1")]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        let _ = unpack(Cursor::new(bytes), PROGRAM, &inside);
        prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
