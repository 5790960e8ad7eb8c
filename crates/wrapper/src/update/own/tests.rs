use std::fs;
use std::path::PathBuf;

use sallyport_release::Digest;

use super::*;
use crate::update::record::{Installed, Record, Trial};

const FOLDER: &str = "2.0.0-folder";

/// An installation whose wrapper runs "old" and is to become "new".
struct Home {
    _folder: tempfile::TempDir,
    layout: Layout,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        layout.create_folders().unwrap();
        fs::write(layout.wrapper_program(), "old").unwrap();
        let program = Product::Wrapper.program(&layout, FOLDER);
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::write(program, "new").unwrap();
        Self { _folder: folder, layout }
    }

    fn record(&self) -> Record {
        Book::open(Product::Wrapper.records(&self.layout)).1
    }

    fn write(&self, change: impl FnOnce(&mut Record)) {
        let (mut book, mut record) = Book::open(Product::Wrapper.records(&self.layout));
        change(&mut record);
        book.save(&record).unwrap();
    }

    /// What a switch writes first.
    fn on_trial(&self) {
        let installed =
            Installed { folder: FOLDER.into(), version: "2.0.0".parse().unwrap(), hash: Digest::of(b"archive") };
        let trial = Trial { from: None, crashes: 0, confirm_seconds: 5, was_online: true };
        self.write(|record| (record.active, record.trial) = (Some(installed), Some(trial)));
    }

    fn switched(&self) {
        self.on_trial();
        place::put(&self.layout, &Product::Wrapper.program(&self.layout, FOLDER)).unwrap();
    }

    fn settle(&self) -> Found {
        settle(&self.layout, &Clock::system()).unwrap()
    }

    #[track_caller]
    fn lies(&self, own: &str, former: &str) {
        let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
        assert_eq!(
            (read(self.layout.wrapper_program()), read(self.layout.former_wrapper())),
            (own.into(), former.into())
        );
    }
}

#[test]
fn a_switch_that_was_cut_is_gone_on_with_wherever_that_was() {
    // Before the record, behind it, behind the copy of the old program, behind all.
    let home = Home::new();
    assert_eq!(home.settle(), Found::Right);
    home.lies("old", "");
    home.on_trial();
    assert_eq!(home.settle(), Found::Other);
    home.lies("new", "old");
    assert_eq!(home.settle(), Found::Right);
    let half = Home::new();
    half.on_trial();
    fs::write(half.layout.former_wrapper(), "old").unwrap();
    assert_eq!(half.settle(), Found::Other);
    half.lies("new", "old");
    assert_eq!(half.record().trial.map(|trial| trial.crashes), Some(0));
}

#[test]
fn an_end_in_order_does_not_count_and_two_others_bring_the_old_one_back() {
    let home = Home::new();
    home.switched();
    assert_eq!(ended(&home.layout, "success", "0"), app::EXIT_OK);
    assert_eq!(ended(&home.layout, "exit-code", "3"), app::EXIT_OK);
    home.lies("new", "old");
    assert_eq!(home.settle(), Found::Right);
    assert_eq!(ended(&home.layout, "watchdog", "ABRT"), app::EXIT_OK);
    home.lies("old", "old");
    let record = home.record();
    assert!(record.active.is_none() && record.trial.is_none());
    let failed = record.failed(&Digest::of(b"archive")).unwrap();
    assert_eq!(failed.reason, "it ended by itself 2 times, last: it hung: it gave the service manager no sign of life");
    assert_eq!(home.settle(), Found::Right);
    // Without a trial nobody is to blame.
    assert_eq!(ended(&home.layout, "signal", "KILL"), app::EXIT_OK);
    assert_eq!(home.record(), record);
}

#[test]
fn a_taking_back_that_was_cut_is_gone_on_with() {
    let home = Home::new();
    home.switched();
    // The program is back and the record does not say so yet.
    home.write(|record| record.trial.as_mut().unwrap().crashes = CRASHES_MAX);
    place::bring_back(&home.layout).unwrap();
    assert_eq!(home.settle(), Found::Other);
    home.lies("old", "old");
    assert_eq!(home.record().quarantine.len(), 1);
    assert_eq!(home.settle(), Found::Right);
}

#[test]
fn a_program_that_somebody_has_put_there_counts() {
    let home = Home::new();
    home.switched();
    home.write(|record| record.trial = None);
    assert_eq!(home.settle(), Found::Right);
    assert!(home.record().active.is_some());
    fs::write(home.layout.wrapper_program(), "mine").unwrap();
    assert_eq!(home.settle(), Found::Right);
    home.lies("mine", "old");
    assert!(home.record().active.is_none());
}

#[test]
fn a_place_that_cannot_be_written_leaves_the_old_program_in_it() {
    let home = Home::new();
    home.on_trial();
    fs::remove_file(Product::Wrapper.program(&home.layout, FOLDER)).unwrap();
    assert_eq!(home.settle(), Found::Right);
    home.lies("old", "");
    assert!(home.record().trial.is_none() && home.record().quarantine.is_empty());
}
