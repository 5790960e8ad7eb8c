//! What `./x dist` packs, as its user gets it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sallyport_e2e::{Api, Folder, Machine, Profile, binary, dist, free_port, until};

/// The packages of this workspace's programs; only the server's and command line's own one is in them, because size
/// takes time.
fn packages(folder: &Folder) -> Result<PathBuf> {
    let programs = folder.join("programs/sallyport")?.with_file_name("");
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(programs.join("sallyport")).arg(binary(Profile::Dev, "sallyport")?);
    ensure!(strip.status().context("running strip")?.success());
    for program in ["sallyport-agent", "sallyport-wrapper"] {
        std::fs::write(programs.join(program), "not this time")?;
    }
    let out = folder.path().join("out");
    dist("linux", &programs, &out)?;
    let sums = Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&out).output()?;
    ensure!(sums.status.success(), "{sums:?}");
    Ok(out)
}

fn named(folder: &Path, end: &str) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut found = entries.filter(|path| path.to_string_lossy().ends_with(end));
    found.next().with_context(|| format!("no {end} in {}", folder.display()))
}

#[test]
fn the_debian_package_brings_a_server_of_few_rights_and_keeps_its_data() -> Result<()> {
    let folder = Folder::new()?;
    let out = packages(&folder)?;
    let list = Command::new("tar").arg("tzf").arg(named(&out, "-linux-x86_64.tar.gz")?).output()?;
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    for file in ["/sallyport\n", "/sallyport-agent\n", "/sallyport-wrapper\n", "/LICENSE\n"] {
        ensure!(list.contains(file), "{file} is not in {list}");
    }

    let machine = Machine::boot(&folder.join("machine")?)?;
    let inside = "/opt/sallyport.deb";
    std::fs::create_dir_all(machine.path("/opt"))?;
    std::fs::copy(named(&out, ".deb")?, machine.path(inside))?;
    let said = machine.run("dpkg", &["--install", inside])?;
    ensure!(said.contains("public_url"), "it does not say what to do next: {said}");
    let (port, settings) = (free_port()?, "/etc/sallyport/sallyport.toml");
    let mut text = std::fs::read_to_string(machine.path(settings))?;
    text.push_str(&format!("listen = \"127.0.0.1:{port}\"\npublic_url = \"https://localhost:{port}\"\n"));
    std::fs::write(machine.path(settings), text)?;
    machine.run("systemctl", &["enable", "--now", "sallyport"])?;
    let ca = "/var/lib/sallyport/tls/ca.pem";
    let url = format!("https://localhost:{port}");
    until("the server to be ready", || {
        ensure!(machine.run("systemctl", &["show", "--value", "--property", "NRestarts", "sallyport"])?.trim() == "0");
        if !machine.path(ca).is_file() {
            return Ok(false);
        }
        let api = Api::new(&url, &machine.path(ca))?;
        Ok(api.send("GET", "/readyz", None, &[]).is_ok_and(|reply| reply.status == 200))
    })?;
    let of = |property: &str| machine.run("systemctl", &["show", "--value", "--property", property, "sallyport"]);
    ensure!(of("User")?.trim() == "sallyport");
    ensure!(of("ProtectSystem")?.trim() == "strict");
    let verified = machine.try_run("systemd-analyze", &["verify", "sallyport.service"])?;
    let words = String::from_utf8_lossy(&verified.stderr).into_owned();
    ensure!(!words.contains("sallyport"), "the unit is not as systemd wants it: {words}");
    // On the server's machine, as its user.
    let own =
        ["--reuid", "sallyport", "--regid", "sallyport", "--clear-groups", "sallyport", "licence", "set", "standard"];
    machine.run("setpriv", &[&own[..], &["--data-dir", "/var/lib/sallyport"]].concat())?;

    machine.run("dpkg", &["--install", inside])?;
    ensure!(of("ActiveState")?.trim() == "active", "an upgrade leaves it stopped");
    machine.run("dpkg", &["--remove", "sallyport"])?;
    ensure!(!machine.try_run("systemctl", &["is-active", "sallyport"])?.status.success(), "it still runs");
    ensure!(!machine.path("/usr/bin/sallyport").exists() && machine.path(settings).is_file());
    let said = machine.run("dpkg", &["--purge", "sallyport"])?;
    ensure!(said.contains("/var/lib/sallyport"), "it does not say what it kept: {said}");
    ensure!(machine.path(ca).is_file() && !machine.path(settings).exists());
    Ok(())
}
