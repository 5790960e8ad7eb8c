//! A private PostgreSQL for one test: initialised once per target folder, copied and started on a free loopback port,
//! stopped and removed when dropped.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use sallyport_protocol::{ConnectionOrder, Secret};
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long the server may take to start.
const START_TRIES: u32 = 300;
const START_PAUSE: Duration = Duration::from_millis(100);

/// How often another port is tried.
const PORT_TRIES: u32 = 5;

pub(crate) struct Server {
    folder: TempDir,
    process: Child,
    pub(crate) port: u16,
    pub(crate) ca: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let programs = programs();
        let template = template(&programs);
        let folder = tempfile::Builder::new().prefix("sallyport-pg-").tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        run(Command::new("cp").arg("-a").arg(&template).arg(&data));
        let ca = certificates(&data);
        fs::write(data.join("pg_hba.conf"), ACCESS).expect("pg_hba.conf");
        // Not by its arguments, over which nothing goes: a test may switch it off.
        fs::write(data.join("postgresql.auto.conf"), "ssl = on\n").expect("postgresql.auto.conf");
        give_away(folder.path());
        let (process, port) = spawn(&programs, folder.path());
        let mut server = Self { folder, process, port, ca };
        let mut tries = 1;
        while !server.answers() {
            assert!(tries < PORT_TRIES, "PostgreSQL finds no port");
            tries += 1;
            // Somebody else has taken the port since it was free.
            (server.process, server.port) = spawn(&programs, server.folder.path());
        }
        server.sql(ROLES);
        server
    }

    /// Waits until it answers; `false` if it ended early.
    fn answers(&mut self) -> bool {
        for _ in 0..START_TRIES {
            if self.psql("select 1").is_ok() {
                return true;
            }
            if self.process.try_wait().expect("its state").is_some() {
                return false;
            }
            sleep(START_PAUSE);
        }
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        panic!("PostgreSQL did not start:\n{log}");
    }

    /// Runs SQL by psql as the superuser; one line a row, `|` between values, `NULL` as ∅.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.psql(sql).unwrap_or_else(|why| panic!("{sql}\n{why}"))
    }

    fn psql(&self, sql: &str) -> Result<String, String> {
        let output = Command::new(programs().join("psql"))
            .args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-P", "null=∅", "-U", "postgres", "-d", "postgres"])
            .arg("-h")
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string(), "-c", sql])
            .env("PGTZ", "UTC")
            .output()
            .expect("psql runs");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// Waits until a query gives `expected`.
    pub(crate) fn wait_for(&self, sql: &str, expected: &str) {
        let mut seen = String::new();
        for _ in 0..START_TRIES {
            seen = self.sql(sql);
            if seen == expected {
                return;
            }
            sleep(START_PAUSE);
        }
        panic!("{sql}: expected {expected}, got {seen}");
    }

    pub(crate) fn settings(&self) -> Value {
        json!({"host": "localhost", "port": self.port, "database": "postgres", "user": "worker"})
    }

    /// The connection that tests use, with some settings changed.
    pub(crate) fn connection(&self, changes: Value) -> ConnectionOrder {
        let mut settings = self.settings();
        for (name, value) in changes.as_object().expect("an object") {
            settings[name] = value.clone();
        }
        ConnectionOrder {
            name: "target".into(),
            settings,
            secrets: [("password".to_owned(), Secret::new("right"))].into(),
        }
    }

    /// Ends the server at once, as a crash would.
    pub(crate) fn crash(&mut self) {
        // SIGQUIT ends its children with it; a killed server leaves them to notice.
        let _ = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.crash();
        // Its children see that it is gone and end by themselves; wait until the port says so.
        for _ in 0..50 {
            if TcpStream::connect(("localhost", self.port)).is_err() {
                break;
            }
            sleep(START_PAUSE);
        }
    }
}

/// Starts the server whose data lies in the folder on a port that is free right now.
fn spawn(programs: &Path, folder: &Path) -> (Child, u16) {
    let port = free_port();
    let mut command = as_user(&programs.join("postgres"));
    command.arg("-D").arg(folder.join("data")).arg("-k").arg(folder).args(["-p", &port.to_string()]);
    for setting in ["listen_addresses=localhost", "fsync=off", "max_connections=30", "logging_collector=off"] {
        command.args(["-c", setting]);
    }
    let log = fs::File::create(folder.join("log")).expect("the log");
    (command.stdout(Stdio::null()).stderr(log).spawn().expect("postgres starts"), port)
}

const ACCESS: &str = "\
local all all trust
hostnossl all tls_only all reject
host all md5_user all md5
host all clear_user all password
host all trusted all trust
host all all all scram-sha-256
";

const ROLES: &str = "\
create role worker login superuser password 'right';
create role plain login password 'right';
create role tls_only login password 'right';
create role trusted login;
set password_encryption = md5; create role md5_user login password 'right'; reset password_encryption;
create role clear_user login password 'right';
";

fn programs() -> PathBuf {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|bin| bin.join("postgres").exists())
        .collect();
    found.sort();
    found.pop().expect("no PostgreSQL server below /usr/lib/postgresql: install the package `postgresql`")
}

/// An initialised data folder that every server starts as a copy of.
fn template(programs: &Path) -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let version = programs.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or("some");
    let ready = home.join(format!("postgres-{version}"));
    if ready.exists() {
        return ready;
    }
    // Tests start at the same time: each makes its own, and one of them gives its the name.
    let made = tempfile::Builder::new().prefix("sallyport-initdb-").tempdir().expect("a temporary folder");
    give_away(made.path());
    let data = made.path().join("data");
    let mut init = as_user(&programs.join("initdb"));
    init.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "--username=postgres", "-D"]).arg(&data);
    run(&mut init);
    let copy = home.join(format!("postgres-{version}-{}", std::process::id()));
    run(Command::new("cp").arg("-a").arg(&data).arg(&copy));
    if fs::rename(&copy, &ready).is_err() {
        let _ = fs::remove_dir_all(&copy);
    }
    ready
}

/// PostgreSQL does not run as root.
fn as_user(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL", "--"]).arg(program);
    command
}

fn give_away(folder: &Path) {
    if is_root() {
        run(Command::new("chown").arg("-R").arg("postgres:postgres").arg(folder));
    }
}

fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| status.lines().any(|line| line.starts_with("Uid:\t0\t")))
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|why| panic!("{command:?}: {why}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// A certificate for `localhost` and its authority, whose text it gives.
fn certificates(data: &Path) -> String {
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).expect("a certificate");
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .expect("parameters")
        .signed_by(&key, &issuer)
        .expect("a certificate");
    fs::write(data.join("server.crt"), certificate.pem()).expect("server.crt");
    let path = data.join("server.key");
    fs::write(&path, key.serialize_pem()).expect("server.key");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its mode");
    ca_certificate.pem()
}
