//! Versions that do not work: the old one goes on, or comes back.

use anyhow::{Result, ensure};
use sallyport_e2e::{Mischief, System};

use super::{kept, process, stage, update, versions};
use crate::system;

/// An agent on 9.0.1, and 9.0.2 with some mischief, which must not stay.
fn fails(mischief: &Mischief<'_>, restarts: bool, words: &[&str]) -> Result<()> {
    system(|system| {
        let (publisher, agent) = stage(system)?;
        publisher.release("9.0.1", 1, &Mischief::default())?;
        kept(system, "client", "9.0.1")?;
        let before = process(system, "client")?;
        publisher.release("9.0.2", 2, mischief)?;
        let mut said = vec!["idle", "9.0.2 failed here and is not tried again"];
        said.extend(words);
        update(system, "client", &said)?;
        update(system, "client", &["\"9.0.1\""])?;
        system.online("client")?;
        ensure!((process(system, "client")? != before) == restarts, "restarted or not, wrongly");
        retried_and_mended(system, &publisher)?;
        ensure!(!versions(&agent).iter().any(|name| name.starts_with("9.0.2")), "{:?}", versions(&agent));
        Ok(())
    })
}

/// A person may have it tried again, with the same end; another archive is another version.
fn retried_and_mended(system: &System, publisher: &sallyport_e2e::Publisher) -> Result<()> {
    system.cli()?.good(&["releases", "retry", "client"])?;
    publisher.release("9.0.3", 3, &Mischief::default())?;
    kept(system, "client", "9.0.3")
}

#[test]
fn one_that_crashes_in_its_rehearsal_never_runs() -> Result<()> {
    let mischief = Mischief { rehearsal: "echo out of luck >&2; exit 3", ..Mischief::default() };
    fails(&mischief, false, &["the rehearsal ended with exit code 3: out of luck"])
}

#[test]
fn one_that_hangs_in_its_rehearsal_never_runs() -> Result<()> {
    fails(&Mischief { rehearsal: "sleep 300", ..Mischief::default() }, false, &["did not end within"])
}

#[test]
fn one_that_crashes_at_its_start_is_taken_back() -> Result<()> {
    let mischief = Mischief { start: "echo out of luck >&2; exit 3", ..Mischief::default() };
    fails(&mischief, true, &["ended by itself 2 times", "exit code 3", "out of luck"])
}

#[test]
fn one_that_works_and_then_crashes_is_taken_back() -> Result<()> {
    // It comes online, and is killed before it has been seen for long enough.
    let mischief = Mischief { start: "(sleep 0.7; kill -ABRT $$) &", ..Mischief::default() };
    fails(&mischief, true, &["ended by itself 2 times", "signal 6"])
}

#[test]
fn one_whose_predecessor_is_gone_falls_back_to_the_download() -> Result<()> {
    system(|system| {
        let (publisher, mut agent) = stage(system)?;
        publisher.release("9.0.1", 1, &Mischief::default())?;
        kept(system, "client", "9.0.1")?;
        system.cli()?.good(&["releases", "rollout", "--confirm-seconds", "600"])?;
        // It waits for a word before it crashes, for good.
        let word = agent.folder().join("crash");
        let start = format!("while test ! -e {}; do sleep 0.1; done; exit 3", word.display());
        publisher.release("9.0.2", 2, &Mischief { start: &start, ..Mischief::default() })?;
        update(system, "client", &["confirming", "9.0.2"])?;
        for name in versions(&agent).iter().filter(|name| name.starts_with("9.0.1")) {
            std::fs::remove_dir_all(agent.folder().join("versions").join(name))?;
        }
        std::fs::write(&word, "")?;
        update(system, "client", &["9.0.2 failed here"])?;
        system.online("client")?;
        ensure!(agent.agent_process().is_some(), "it is not the program of the download that runs");
        // A power cut in the middle of it all changes nothing about that.
        agent.stop()?;
        agent.start()?;
        system.online("client")?;
        ensure!(agent.agent_process().is_some(), "it is not the program of the download that runs");
        Ok(())
    })
}
