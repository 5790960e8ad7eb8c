//! An agent's health: what its doctor finds, what is left of a crash, what the platform says of a silent agent.

mod crashes;
mod doctor;
mod page;

use std::collections::BTreeMap;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use sallyport_e2e::Installed;
use serde_json::Value;

/// A command of an installation's wrapper, as its user runs it.
fn wrapper(agent: &Installed, arguments: &[&str]) -> Command {
    under(agent, &[], arguments)
}

/// The same below another program, such as `faketime +1y`.
fn under(agent: &Installed, before: &[&str], arguments: &[&str]) -> Command {
    let program = agent.folder().join("sallyport-wrapper");
    let mut command = match before.split_first() {
        Some((first, rest)) => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
        None => Command::new(program),
    };
    command.args(arguments).current_dir(agent.folder());
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "DISPLAY"] {
        command.env_remove(name);
    }
    command
}

/// What a check said.
#[derive(Debug)]
struct Finding {
    verdict: String,
    text: String,
}

/// The doctor's findings, by check, and its exit code.
struct Findings {
    code: Option<i32>,
    by_check: BTreeMap<String, Finding>,
}

impl Findings {
    fn of(agent: &Installed) -> Result<Self> {
        Self::from(&mut wrapper(agent, &["doctor", "--json"]))
    }

    fn from(command: &mut Command) -> Result<Self> {
        let Output { status, stdout, stderr } = command.output()?;
        let examination: Value = serde_json::from_slice(&stdout)
            .with_context(|| format!("the doctor said: {}", String::from_utf8_lossy(&stderr)))?;
        Ok(Self { code: status.code(), by_check: by_check(&examination) })
    }

    /// Whether a check says this.
    fn must(&self, check: &str, verdict: &str, words: &str) -> Result<()> {
        let finding = self.by_check.get(check).with_context(|| format!("no check `{check}`"))?;
        let right = finding.verdict == verdict && finding.text.contains(words);
        ensure!(right, "`{check}` is not {verdict} with `{words}`: {finding:?} of {:#?}", self.by_check);
        let failed = self.by_check.values().any(|finding| finding.verdict == "failed");
        ensure!(self.code == Some(i32::from(failed)), "exit code {:?}", self.code);
        Ok(())
    }
}

fn by_check(examination: &Value) -> BTreeMap<String, Finding> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = examination["findings"].as_array().into_iter().flatten().map(|finding| {
        let said = format!("{} {}", text(&finding["seen"]), text(&finding["advice"]));
        (text(&finding["check"]), Finding { verdict: text(&finding["verdict"]), text: said })
    });
    findings.collect()
}
