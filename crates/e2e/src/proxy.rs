//! A private squid that lets nobody through without a password.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::process::{Process, free_port};
use crate::wait::within;

const PROGRAM: &str = "/usr/sbin/squid";
const AUTHENTICATOR: &str = "/usr/lib/squid/basic_ncsa_auth";
const USER: &str = "site";
const PASSWORD: &str = "open-sesame";
/// The password as `basic_ncsa_auth` keeps it.
const PASSWORD_HASH: &str = "$apr1$sallypor$MQ0BU5qBjQMYRtFojypIV.";

/// An HTTP proxy with Basic authentication.
pub struct Squid {
    process: Process,
    port: u16,
    access: std::path::PathBuf,
}

/// Whether squid is on this machine.
pub fn have_squid() -> bool {
    Path::new(PROGRAM).is_file() && Path::new(AUTHENTICATOR).is_file()
}

impl Squid {
    /// Starts one with its files below `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        if !have_squid() {
            bail!("squid is missing: `./x test` installs it where it may");
        }
        let home = folder.join("squid");
        std::fs::create_dir_all(&home)?;
        // It gives its rights up and must still reach its files.
        std::fs::set_permissions(&home, std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
        let port = free_port()?;
        let (passwords, access) = (home.join("passwords"), home.join("access.log"));
        std::fs::write(&passwords, format!("{USER}:{PASSWORD_HASH}\n"))?;
        let configuration = home.join("squid.conf");
        let text = format!(
            "http_port 127.0.0.1:{port}\n\
             pid_filename none\n\
             cache deny all\n\
             cache_log {cache}\n\
             access_log stdio:{access}\n\
             coredump_dir {home}\n\
             shutdown_lifetime 1 seconds\n\
             auth_param basic program {AUTHENTICATOR} {passwords}\n\
             auth_param basic children 2\n\
             auth_param basic realm the site\n\
             acl known proxy_auth REQUIRED\n\
             http_access allow known\n\
             http_access deny all\n",
            cache = home.join("cache.log").display(),
            access = access.display(),
            home = home.display(),
            passwords = passwords.display(),
        );
        std::fs::write(&configuration, text)?;
        let mut command = Command::new(PROGRAM);
        command.args(["-N", "-f"]).arg(&configuration);
        let process = Process::start("squid", &mut command, &folder.join("squid.log"))?;
        let mut squid = Self { process, port, access };
        within(Duration::from_secs(30), "squid to answer", || {
            if !squid.process.is_running() {
                bail!("squid ended early:\n{}", squid.process.output());
            }
            Ok(std::net::TcpStream::connect(("127.0.0.1", squid.port)).ok().map(|_| ()))
        })?;
        Ok(squid)
    }

    /// Its address as settings want it.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The user it lets through, and the password.
    pub const fn login() -> (&'static str, &'static str) {
        (USER, PASSWORD)
    }

    /// What passed, as squid logs it: one line a tunnel, when it has ended.
    pub fn access_log(&self) -> String {
        std::fs::read_to_string(&self.access).unwrap_or_default()
    }
}
