use sallyport_protocol::{Timestamp, UpdateStep};

use super::*;

const OLD: &str = "1.0.0";
const NEW: &str = "1.1.0";

fn target(version: &str) -> Target {
    Target {
        folder: format!("{version}-folder"),
        version: version.parse().unwrap(),
        hash: Digest::of(version.as_bytes()),
        size: 7,
        sequence: 5,
        floor: "0.5.0".parse().unwrap(),
        confirm_seconds: 10,
        drain: Duration::from_secs(100),
    }
}

fn installed(version: &str) -> Installed {
    let Target { folder, version, hash, .. } = target(version);
    Installed { folder, version, hash }
}

/// A machine, its clock, and a world in which everything succeeds unless a test says otherwise.
struct World {
    machine: Machine,
    now: Moment,
    /// What the disk holds.
    disk: Record,
    disk_is_full: bool,
    restarts: u32,
    fetches: u32,
    cleaned: bool,
}

impl World {
    fn new(record: Record) -> Self {
        Self::with(record, None)
    }

    fn with(record: Record, veto: Option<&'static str>) -> Self {
        let machine = Machine::new(record.clone(), veto);
        let now = Moment { at: Timestamp(0), up: Duration::ZERO };
        Self { machine, now, disk: record, disk_is_full: false, restarts: 0, fetches: 0, cleaned: false }
    }

    /// A wrapper whose agent runs as process 1 and is seen.
    fn online() -> Self {
        let mut world = Self::new(Record { active: Some(installed(OLD)), ..Record::default() });
        world.on(Event::AgentRuns { process_id: 1 });
        world.seen(1, 1000, 0);
        world
    }

    fn on(&mut self, event: Event) -> Vec<Effect> {
        let mut all = Vec::new();
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            for effect in self.machine.on(event, self.now, 0.5) {
                match &effect {
                    Effect::Save if self.disk_is_full => events.push(Event::Saved(Err("disk full".into()))),
                    Effect::Save => {
                        self.disk = self.machine.record().clone();
                        events.push(Event::Saved(Ok(())));
                    }
                    Effect::Restart(_) => self.restarts += 1,
                    Effect::Fetch(_) => self.fetches += 1,
                    Effect::CleanUp => self.cleaned = true,
                    _ => {}
                }
                all.push(effect);
            }
        }
        all
    }

    fn seen(&mut self, process_id: u32, online: u64, runs: u32) {
        self.on(Event::Seen { process_id: Some(process_id), online: Duration::from_secs(online), runs });
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now.plus(Duration::from_secs(seconds));
        self.on(Event::Tick);
    }

    /// Up to the switch: the new version is asked for.
    fn up_to_switch(&mut self) {
        self.on(Event::Wanted(Wanted::Release(target(NEW))));
        self.on(Event::Fetched(Ok(())));
        self.on(Event::Rehearsed(Ok(())));
        self.seen(1, 1000, 0);
    }

    /// The agent restarts into the active version.
    fn restarted(&mut self, process_id: u32) {
        self.on(Event::AgentEnded { expected: true, how: "exit code 0".into() });
        self.on(Event::AgentRuns { process_id });
    }

    fn crashed(&mut self) {
        self.on(Event::AgentEnded { expected: false, how: "exit code 1".into() });
    }

    #[track_caller]
    fn runs(&self, version: &str) {
        assert_eq!(self.machine.record().active, Some(installed(version)));
    }

    #[track_caller]
    fn says(&self, step: UpdateStep, words: &str) {
        let (at, text) = self.machine.describe();
        assert_eq!(at, step, "{text}");
        assert!(text.contains(words), "{text}");
    }
}

#[test]
fn a_version_is_fetched_rehearsed_switched_to_and_kept_once_it_was_seen() {
    let mut world = World::online();
    world.on(Event::Wanted(Wanted::Release(target(NEW))));
    world.says(UpdateStep::Fetching, NEW);
    world.on(Event::Fetched(Ok(())));
    world.says(UpdateStep::Rehearsing, NEW);
    assert_eq!(world.disk.sequence, 5, "from here on nothing older is accepted");
    world.on(Event::Rehearsed(Ok(())));
    world.seen(1, 1000, 2);
    world.says(UpdateStep::Draining, "2 runs");
    world.runs(OLD);
    world.seen(1, 1000, 0);
    world.runs(NEW);
    assert_eq!((world.restarts, world.disk.active.clone()), (1, Some(installed(NEW))));
    // The old process is still seen for a moment: that says nothing about the new one.
    world.seen(1, 1000, 0);
    world.says(UpdateStep::Confirming, NEW);
    world.restarted(2);
    world.seen(2, 9, 0);
    world.says(UpdateStep::Confirming, NEW);
    world.seen(2, 10, 0);
    world.says(UpdateStep::Idle, "seen it work");
    assert!(world.disk.trial.is_none() && world.cleaned);
    assert!(world.machine.keeps(&installed(OLD).folder) && world.machine.keeps(&installed(NEW).folder));
    assert!(!world.machine.keeps("0.9.0-folder"));
    assert_eq!(world.fetches, 1);
}

#[test]
fn a_version_that_crashes_is_taken_back_and_not_tried_again() {
    let mut world = World::online();
    world.up_to_switch();
    world.restarted(2);
    world.crashed();
    world.runs(NEW);
    world.on(Event::AgentRuns { process_id: 3 });
    world.crashed();
    world.runs(OLD);
    assert_eq!(world.restarts, 2);
    assert_eq!(world.disk.active, Some(installed(OLD)));
    world.says(UpdateStep::Idle, "failed here");
    world.on(Event::Wanted(Wanted::Release(target(NEW))));
    world.wait(100_000);
    assert_eq!(world.fetches, 1);
    // Another archive is another version, whatever its number; and a person may insist.
    let mended = Target { hash: Digest::of(b"mended"), ..target(NEW) };
    world.on(Event::Wanted(Wanted::Release(mended)));
    assert_eq!(world.fetches, 2);
    world.on(Event::Fetched(Err(Trouble::Version("no program".into()))));
    world.on(Event::Wanted(Wanted::Release(target(NEW))));
    assert_eq!(world.fetches, 2);
    world.on(Event::Retry);
    assert_eq!(world.fetches, 3);
}

#[test]
fn a_rehearsal_that_fails_leaves_the_old_version_alone() {
    let mut world = World::online();
    world.on(Event::Wanted(Wanted::Release(target(NEW))));
    world.on(Event::Fetched(Ok(())));
    world.on(Event::Rehearsed(Err(Trouble::Version("exit code 1".into()))));
    world.runs(OLD);
    assert_eq!(world.restarts, 0);
    world.says(UpdateStep::Idle, "exit code 1");
    assert!(world.disk.failed(&target(NEW).hash).is_some());
}

#[test]
fn what_passes_is_tried_again_and_blames_nobody() {
    let mut world = World::online();
    world.on(Event::Wanted(Wanted::Release(target(NEW))));
    world.on(Event::Fetched(Err(Trouble::Passing("disk full".into()))));
    world.says(UpdateStep::Idle, "disk full");
    world.wait(1);
    assert_eq!(world.fetches, 1);
    world.wait(5);
    assert_eq!(world.fetches, 2);
    world.on(Event::Fetched(Ok(())));
    world.on(Event::Rehearsed(Err(Trouble::Passing("no network".into()))));
    world.says(UpdateStep::Idle, "no network");
    assert!(world.disk.quarantine.is_empty());
    world.wait(60);
    assert_eq!(world.fetches, 3);
}

#[test]
fn a_network_that_is_down_is_no_reason_to_roll_back() {
    let mut world = World::online();
    world.up_to_switch();
    world.restarted(2);
    world.on(Event::Offline);
    for _ in 0..10 {
        world.wait(10 * 24 * 3600);
        world.on(Event::Offline);
    }
    world.runs(NEW);
    world.seen(2, 10, 0);
    world.says(UpdateStep::Idle, "seen it work");
}

#[test]
fn a_version_that_the_server_misses_while_it_hears_the_wrapper_is_taken_back() {
    let missed = |world: &mut World, seconds: u64| {
        for _ in 0..seconds / 10 {
            world.wait(10);
            world.on(Event::Seen { process_id: None, online: Duration::ZERO, runs: 0 });
        }
    };
    let mut world = World::online();
    world.up_to_switch();
    world.restarted(2);
    missed(&mut world, 250);
    // Time without a connection does not count.
    world.on(Event::Offline);
    world.wait(3600);
    missed(&mut world, 250);
    world.runs(NEW);
    missed(&mut world, 100);
    world.runs(OLD);

    // One whose predecessor was not seen either may be kept out by the licence.
    let mut world = World::new(Record { active: Some(installed(OLD)), ..Record::default() });
    world.on(Event::AgentRuns { process_id: 1 });
    world.up_to_switch();
    world.runs(NEW);
    world.restarted(2);
    let mut other = world;
    other.machine.record.trial.as_mut().unwrap().was_online = false;
    missed(&mut other, 10_000);
    other.runs(NEW);
}

#[test]
fn runs_are_waited_for_and_not_for_ever() {
    let mut world = World::online();
    world.on(Event::Wanted(Wanted::Release(target(NEW))));
    world.on(Event::Fetched(Ok(())));
    world.on(Event::Rehearsed(Ok(())));
    for _ in 0..9 {
        world.wait(10);
        world.seen(1, 1000, 1);
        world.runs(OLD);
    }
    world.wait(20);
    world.runs(NEW);
    // A withdrawal while it waits ends it.
    let mut world = World::online();
    world.on(Event::Wanted(Wanted::Release(target(NEW))));
    world.on(Event::Fetched(Ok(())));
    world.on(Event::Rehearsed(Ok(())));
    world.on(Event::Wanted(Wanted::Nothing("withdrawn".into())));
    world.seen(1, 1000, 0);
    world.wait(1000);
    world.runs(OLD);
    world.says(UpdateStep::Idle, "withdrawn");
}

#[test]
fn a_record_that_cannot_be_written_keeps_the_old_version() {
    let mut world = World::online();
    world.on(Event::Wanted(Wanted::Release(target(NEW))));
    world.on(Event::Fetched(Ok(())));
    world.disk_is_full = true;
    world.on(Event::Rehearsed(Ok(())));
    world.seen(1, 1000, 0);
    world.runs(OLD);
    assert_eq!(world.restarts, 0);
    world.says(UpdateStep::Idle, "disk full");
    world.disk_is_full = false;
    world.wait(60);
    assert_eq!(world.fetches, 2);

    // A roll-back does not wait for the disk: the record follows when it can.
    let mut world = World::online();
    world.up_to_switch();
    world.restarted(2);
    world.disk_is_full = true;
    world.crashed();
    world.crashed();
    world.runs(OLD);
    assert_eq!((world.restarts, world.disk.active.clone()), (2, Some(installed(NEW))));
    world.disk_is_full = false;
    world.wait(6);
    assert_eq!(world.disk.active, Some(installed(OLD)));
}

#[test]
fn the_site_has_the_last_word() {
    let veto = "SuppressUpdate is set in appsettings.json";
    let mut world = World::with(Record::default(), Some(veto));
    world.on(Event::Wanted(Wanted::Release(target(NEW))));
    world.wait(100);
    assert_eq!(world.fetches, 0);
    world.says(UpdateStep::Idle, veto);
    world.on(Event::Wanted(Wanted::Refused("too few signatures".into())));
    world.says(UpdateStep::Idle, "refused: too few");
}

#[test]
fn a_folder_that_is_gone_is_not_started_from() {
    let trial = Trial { from: Some(installed(OLD)), crashes: 0, confirm_seconds: 1, was_online: true };
    let record = Record { active: Some(installed(NEW)), trial: Some(trial), ..Record::default() };
    let mut world = World::new(record.clone());
    world.machine.forget_missing(world.now, &|folder| folder != target(NEW).folder);
    world.wait(1);
    assert_eq!((&world.disk.active, &world.disk.trial), (&Some(installed(OLD)), &None));
    let mut world = World::new(record);
    world.machine.forget_missing(world.now, &|_| false);
    world.wait(1);
    assert_eq!(world.disk.active, None);
}

/// Whatever happens in whatever order, with a power cut at any time: what the disk names was rehearsed or ran before, and
/// something to go back to is kept until the new version was seen.
#[test]
fn power_cuts_leave_something_that_runs() {
    let mut state = 1u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let (mut kept, mut taken_back) = (0, 0);
    for _ in 0..3000 {
        let mut world = World::online();
        let mut rehearsed = false;
        let mut process = 1;
        for _ in 0..40 {
            let fails = random(4) == 0;
            match random(10) {
                0 => drop(world.on(Event::Wanted(Wanted::Release(target(NEW))))),
                1 => drop(world.on(Event::Fetched(Ok(())))),
                2 => {
                    rehearsed |= !fails && matches!(world.machine.stage, Stage::Rehearsing(_));
                    let result = if fails { Err(Trouble::Version("no".into())) } else { Ok(()) };
                    world.on(Event::Rehearsed(result));
                }
                3 => world.seen(process, random(20), random(2) as u32),
                4 => {
                    process += 1;
                    world.restarted(process);
                }
                5 => {
                    world.crashed();
                    process += 1;
                    world.on(Event::AgentRuns { process_id: process });
                }
                6 => world.wait(random(50)),
                7 => world.disk_is_full = fails,
                8 => drop(world.on(Event::Offline)),
                // The power goes, and comes back.
                _ => {
                    let disk = world.disk.clone();
                    let full = world.disk_is_full;
                    world = World { disk_is_full: full, ..World::new(disk) };
                    process += 1;
                    world.on(Event::AgentRuns { process_id: process });
                }
            }
            let record = &world.disk;
            let active = record.active.clone().unwrap();
            if active == installed(NEW) {
                assert!(rehearsed, "switched without a rehearsal");
                assert!(record.keeps(&installed(OLD).folder), "nothing to go back to");
            } else {
                assert!(active == installed(OLD) && record.trial.is_none());
            }
            kept += u32::from(active == installed(NEW) && record.trial.is_none());
            taken_back += u32::from(active == installed(OLD) && !record.quarantine.is_empty());
        }
    }
    assert!(kept > 100 && taken_back > 100, "{kept} {taken_back}");
}

#[test]
fn one_update_waits_for_the_other() {
    let mut world = World::online();
    world.machine.hold(true);
    world.on(Event::Wanted(Wanted::Release(target(NEW))));
    world.says(UpdateStep::Idle, "waits until the update that is under way");
    assert!(!world.machine.is_busy());
    world.machine.hold(false);
    world.on(Event::Tick);
    world.says(UpdateStep::Fetching, NEW);
    // What has begun is not stopped by it.
    world.machine.hold(true);
    world.on(Event::Fetched(Ok(())));
    world.says(UpdateStep::Rehearsing, NEW);
    assert!(world.machine.is_busy());
}
