//! `sallyport` as an operator uses it.

use anyhow::{Result, ensure};
use sallyport_e2e::{Cli, Folder, Profile, System, tpch};
use serde_json::{Value, json};

use crate::system;

/// Runs a command that ends with this exit code; gives both its outputs.
fn ends(cli: &Cli, code: i32, arguments: &[&str]) -> Result<String> {
    let output = cli.run(arguments, "")?;
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.code() == Some(code), "`{}` ended with {}: {text}", arguments.join(" "), output.status);
    Ok(text)
}

fn write(system: &System, name: &str, text: &str) -> Result<()> {
    Ok(std::fs::write(system.folder.path().join(name), text)?)
}

const TASK: &str = "\
task: copy
steps:
  - name: read
    connector: file
    agent: client
    with: { path: in.csv }
  - name: write
    connector: file
    agent: client
    input: read
    with: { path: out.csv }
";

#[test]
fn an_operators_day() -> Result<()> {
    system(|system| {
        let cli = system.cli()?;
        ensure!(cli.good(&["status"])?.contains("admin@example.com"));
        cli.good(&["agents", "create", "client", "--download", "."])?;
        let zip = std::fs::read(system.folder.path().join("Sallyport.Agent.client.zip"))?;
        let mut agent = sallyport_e2e::Installed::unzip("client", &zip, &system.folder.path().join("client"))?;
        agent.start()?;
        cli.good(&["agents", "wait", "client"])?;
        ensure!(cli.good(&["agents", "list"])?.contains("online"));
        let shown: Value = serde_json::from_str(&cli.good(&["agents", "show", "client", "-o", "json"])?)?;
        ensure!(shown["name"] == "client", "{shown:#}");

        std::fs::create_dir_all(agent.file(""))?;
        std::fs::write(agent.file("in.csv"), "a,b\n1,x\n2,y\n")?;
        write(system, "task.yaml", TASK)?;
        let dry = cli.good(&["tasks", "apply", "-f", "task.yaml", "--dry-run"])?;
        ensure!(dry.contains("+task: copy"), "{dry}");
        ends(&cli, 3, &["tasks", "show", "copy"])?;
        cli.good(&["tasks", "apply", "-f", "task.yaml"])?;
        write(system, "task.yaml", &TASK.replace("out.csv", "other.csv"))?;
        let dry = cli.good(&["tasks", "apply", "-f", "task.yaml", "--dry-run"])?;
        ensure!(dry.contains("out.csv") && dry.contains("other.csv"), "{dry}");
        cli.good(&["tasks", "apply", "-f", "task.yaml"])?;

        let run = cli.good(&["runs", "start", "copy", "--wait"])?;
        ensure!(run.contains("succeeded"), "{run}");
        ensure!(std::fs::read_to_string(agent.file("other.csv"))? == "a,b\n1,x\n2,y\n");
        let list: Value = serde_json::from_str(&cli.good(&["runs", "list", "-o", "json"])?)?;
        let id = list[0]["id"].as_str().unwrap_or_default().to_owned();
        ensure!(!cli.good(&["logs", "--run", &id, "-f"])?.is_empty(), "the run has no log");
        ensure!(!cli.good(&["logs", "--agent", "client"])?.is_empty(), "the agent has no log");
        cli.good(&["tasks", "delete", "copy"])?;
        cli.good(&["logout"])?;
        ends(&cli, 5, &["status"])?;
        Ok(())
    })
}

#[test]
fn exit_codes_and_messages_tell_scripts_and_people_what_is_wrong() -> Result<()> {
    system(|system| {
        let cli = system.cli()?;
        ends(&cli, 2, &["agents", "frobnicate"])?;
        ends(&cli, 3, &["agents", "show", "nobody"])?;
        cli.good(&["agents", "create", "client"])?;
        ends(&cli, 4, &["agents", "create", "client"])?;
        write(
            system,
            "task.yaml",
            &TASK.replace("agent: client", "agent: clint").replace("path: out.csv", "pth: out.csv"),
        )?;
        let text = ends(&cli, 1, &["tasks", "apply", "-f", "task.yaml"])?;
        for word in ["clint", "client", "pth"] {
            ensure!(text.contains(word), "`{word}` is not named: {text}");
        }
        write(system, "task.yaml", &TASK.replace("agent: client", "agent: client\n    deadline: 1s"))?;
        cli.good(&["tasks", "apply", "-f", "task.yaml"])?;
        ends(&cli, 6, &["runs", "start", "copy", "--wait"])?;
        Ok(())
    })
}

#[test]
fn a_machine_uses_a_token_from_a_file() -> Result<()> {
    system(|system| {
        let cli = Cli::new(Profile::Dev, &system.folder.path().join("machine"), system.folder.path())?;
        let made = system.api().post("/api/v1/tokens", &json!({"name": "nightly job"}))?;
        let token = made["secret"].as_str().unwrap_or_default();
        let file = system.folder.path().join("token");
        let list = || {
            let mut command = cli.command();
            command.args(["agents", "list"]).env("SALLYPORT_SERVER", system.server.url());
            command.env("SALLYPORT_CA", system.server.ca()).env("SALLYPORT_TOKEN_FILE", &file);
            command.output()
        };
        let missing = list()?;
        ensure!(missing.status.code() == Some(3) && String::from_utf8_lossy(&missing.stderr).contains("token"));
        std::fs::write(&file, format!("{token}\n"))?;
        let listed = list()?;
        ensure!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        ensure!(String::from_utf8_lossy(&listed.stdout).contains("background"));
        std::fs::write(&file, "not-a-token\n")?;
        ensure!(list()?.status.code() == Some(5), "a wrong token was taken");
        Ok(())
    })
}

#[test]
fn a_first_login_by_the_fingerprint_that_the_server_printed() -> Result<()> {
    system(|system| {
        let output = system.server.output();
        let fingerprint = output
            .lines()
            .find_map(|line| line.trim().strip_prefix("fingerprint").map(str::trim))
            .map(str::to_owned)
            .unwrap_or_default();
        let cli = Cli::new(Profile::Dev, &system.folder.path().join("other"), system.folder.path())?;
        let url = system.server.url();
        let (email, password) = sallyport_e2e::Server::administrator();
        let wrong = "00".repeat(32);
        let login = |print: &str| {
            cli.run(&["login", &url, "--email", email, "--password-stdin", "--fingerprint", print], password)
        };
        ensure!(login(&wrong)?.status.code() == Some(5), "another fingerprint was accepted");
        let good = login(&fingerprint)?;
        ensure!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
        ensure!(cli.good(&["agents", "list"])?.contains("background"));
        let file = system.folder.path().join("other/credentials.json");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file)?.permissions());
        ensure!(mode & 0o077 == 0, "others can read the credentials: {mode:o}");
        Ok(())
    })
}

#[test]
fn a_task_runs_in_one_process_without_a_server() -> Result<()> {
    let folder = Folder::new()?;
    let cli = Cli::new(Profile::Dev, &folder.path().join("config"), folder.path())?;
    let database = folder.path().join("client.sqlite");
    tpch::sqlite(&database, 0.001)?;
    std::fs::write(
        folder.path().join("connections.yaml"),
        json!({"name": "db", "kind": "sqlite", "agent": "anywhere", "settings": {"path": database}}).to_string(),
    )?;
    let query = "select o_orderkey, o_orderdate from orders where o_totalprice_cents > 10000000";
    std::fs::write(
        folder.path().join("task.yaml"),
        json!({"task": "local", "steps": [
            {"name": "orders", "connection": "db", "with": {"table": "orders"}},
            {"name": "large", "transform": query, "input": "orders"},
            {"name": "out", "connector": "file", "agent": "elsewhere", "input": "large", "with": {"path": "large.parquet"}},
        ]})
        .to_string(),
    )?;
    let text = cli.good(&["run", "task.yaml", "--connections", "connections.yaml", "--files", "."])?;
    ensure!(text.contains("succeeded"), "{text}");
    let wanted = tpch::of_sqlite(&database, query)?;
    let got = tpch::of_parquet(&folder.path().join("large.parquet"))?;
    ensure!(got == wanted, "the file holds {got}, SQLite says {wanted}");
    Ok(())
}
