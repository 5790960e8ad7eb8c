//! Releases that must not be installed: the server may be as hostile as it likes.

use anyhow::{Result, ensure};
use sallyport_e2e::{Mischief, Publisher};

use super::{kept, quickly, stage, update, versions};
use crate::system;

#[test]
fn one_stolen_key_of_three_installs_nothing() -> Result<()> {
    system(|system| {
        let publisher = Publisher::new(system, 3, 2)?;
        quickly(system)?;
        let agent = system.agent("client")?;
        let archive = publisher.archive("9.0.1", &Mischief::default())?;
        publisher.sign(&archive, "9.0.1", &[1], &["--sequence", "1"])?;
        let refused = publisher.publish(&archive).unwrap_err().to_string();
        ensure!(refused.contains("1 of the 2 signatures"), "{refused}");
        // Whoever has the server too makes it accept the one key; the installation does not.
        publisher.set_keys(&[1], 1)?;
        publisher.publish(&archive)?;
        update(system, "client", &["idle", "1 of the 2 signatures that are needed are good"])?;
        ensure!(versions(&agent).is_empty(), "something was downloaded: {:?}", versions(&agent));

        // A second publisher adds a signature, and it is installed.
        publisher.set_keys(&[0, 1, 2], 2)?;
        let cli = system.cli()?;
        let path = archive.display().to_string();
        cli.good(&["releases", "sign", &path, "--add", "--key", &publisher.key(2)])?;
        publisher.publish(&archive)?;
        kept(system, "client", "9.0.1")
    })
}

#[test]
fn a_manifest_from_before_is_not_installed_again() -> Result<()> {
    system(|system| {
        let (publisher, agent) = stage(system)?;
        publisher.release("9.0.2", 20, &Mischief::default())?;
        kept(system, "client", "9.0.2")?;
        // The older release is what the server offers now.
        let old = publisher.release("9.0.1", 10, &Mischief::default())?;
        system.cli()?.good(&["releases", "withdraw", "9.0.2"])?;
        update(system, "client", &["sequence 10 is older than 20", "9.0.2"])?;
        ensure!(versions(&agent).len() == 1, "{:?}", versions(&agent));
        // Signed again with a higher sequence it is a decision of the publisher.
        publisher.sign(&old, "9.0.1", &[0], &["--sequence", "30"])?;
        publisher.publish(&old)?;
        kept(system, "client", "9.0.1")?;
        // With a security floor above it, it is not.
        let floor = publisher.archive("9.0.3", &Mischief::default())?;
        publisher.sign(&floor, "9.0.3", &[0], &["--sequence", "40", "--security-floor", "9.0.2"])?;
        publisher.publish(&floor)?;
        kept(system, "client", "9.0.3")?;
        publisher.sign(&old, "9.0.1", &[0], &["--sequence", "50"])?;
        publisher.publish(&old)?;
        update(system, "client", &["9.0.1 is below the security floor 9.0.2", "9.0.3"]).map(|_| ())
    })
}

#[test]
fn what_this_machine_cannot_run_is_refused_before_the_download() -> Result<()> {
    system(|system| {
        let (publisher, agent) = stage(system)?;
        for (sequence, option, value, words) in [
            ("1", "--minimum-glibc", "2.99", "needs glibc 2.99"),
            ("2", "--minimum-os", "99.0", "needs version 99.0 of the operating system"),
            ("3", "--minimum-wrapper", "99.0.0", "needs wrapper 99.0.0"),
        ] {
            let archive = publisher.archive("9.0.1", &Mischief { start: words, ..Mischief::default() })?;
            publisher.sign(&archive, "9.0.1", &[0], &["--sequence", sequence, option, value])?;
            publisher.publish(&archive)?;
            update(system, "client", &["idle", words])?;
        }
        ensure!(versions(&agent).is_empty(), "something was downloaded: {:?}", versions(&agent));
        Ok(())
    })
}

#[test]
fn with_keys_nothing_is_taken_on_the_server_s_word() -> Result<()> {
    system(|system| {
        let (publisher, mut agent) = stage(system)?;
        agent.stop()?;
        system.offline("client")?;
        let program = agent.folder().join("Agent/sallyport-agent");
        std::fs::remove_file(&program)?;
        agent.start()?;
        update(system, "client", &["there is no release"])?;
        ensure!(!system.is_online("client")? && !program.exists(), "an unsigned program was fetched");
        publisher.release("9.0.1", 1, &Mischief::default())?;
        kept(system, "client", "9.0.1")?;
        ensure!(!program.exists(), "an unsigned program was fetched");
        Ok(())
    })
}
