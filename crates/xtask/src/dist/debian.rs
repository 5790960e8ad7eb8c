//! The Debian package of server and command line.

use std::path::Path;
use std::process::Command;

use super::pack::{Stage, make, write};
use super::{Built, LINUX, VERSION, server_programs};
use crate::config::Config;
use crate::process;

const UNIT: &str = include_str!("debian/sallyport.service");
const SETTINGS: &str = include_str!("debian/sallyport.toml");
const USERS: &str = include_str!("debian/sysusers.conf");
const POSTINST: &str = include_str!("debian/postinst");
const PRERM: &str = include_str!("debian/prerm");
const POSTRM: &str = include_str!("debian/postrm");

/// Where the programs are, and what the server hands out.
const PROGRAMS: &str = "usr/lib/sallyport";

/// Makes it; gives its name.
pub(super) fn package(config: &Config, stage: &Stage, built: &[Built]) -> Result<String, String> {
    let root = stage.folder("debian")?;
    server_programs(built, &root.join(PROGRAMS))?;
    link("../lib/sallyport/sallyport", &root.join("usr/bin/sallyport"))?;
    write(&root.join("usr/lib/systemd/system/sallyport.service"), UNIT)?;
    write(&root.join("usr/lib/sysusers.d/sallyport.conf"), USERS)?;
    write(&root.join("etc/sallyport/sallyport.toml"), SETTINGS)?;
    let licence = std::fs::read_to_string(config.root.join("LICENSE")).map_err(|error| format!("LICENSE: {error}"))?;
    write(&root.join("usr/share/doc/sallyport/copyright"), &licence)?;
    completions(built, &root)?;

    write(&root.join("DEBIAN/conffiles"), "/etc/sallyport/sallyport.toml\n")?;
    for (name, script) in [("postinst", POSTINST), ("prerm", PRERM), ("postrm", POSTRM)] {
        let path = root.join("DEBIAN").join(name);
        write(&path, script)?;
        executable(&path)?;
    }
    let size =
        process::output(Command::new("du").args(["--summarize", "--apparent-size", "--block-size=1K"]).arg(&root))?;
    write(&root.join("DEBIAN/control"), &control(size.split_whitespace().next().unwrap_or("0")))?;
    let archive = format!("sallyport_{VERSION}_amd64.deb");
    stage.deb("debian", &archive).map(|()| archive)
}

/// What `dpkg` wants to know; the size is in KiB.
fn control(size: &str) -> String {
    format!(
        "\
Package: sallyport
Version: {VERSION}
Architecture: amd64
Maintainer: The Sallyport developers
Installed-Size: {size}
Depends: libc6 (>= {glibc}), systemd
Recommends: ca-certificates
Section: net
Priority: optional
Description: hybrid data integration: server and command line
 Moves data between databases and files behind firewalls, through agents that
 only connect outwards. This package has the server, the operator's command
 and the agents that people download from it.
",
        glibc = super::linux::GLIBC
    )
}

/// What the shell completes, as the program itself says it.
fn completions(built: &[Built], root: &Path) -> Result<(), String> {
    let Some(linux) = built.iter().find(|built| built.platform == LINUX) else { return Ok(()) };
    let text = process::output(Command::new(linux.program("sallyport")).args(["completions", "bash"]))?;
    write(&root.join("usr/share/bash-completion/completions/sallyport"), &text)
}

fn link(target: &str, path: &Path) -> Result<(), String> {
    path.parent().map_or(Ok(()), make)?;
    process::run(Command::new("ln").args(["-s", target]).arg(path))
}

fn executable(path: &Path) -> Result<(), String> {
    process::run(Command::new("chmod").arg("755").arg(path))
}
