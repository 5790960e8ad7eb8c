//! `sallyport status`.

use serde_json::json;

use super::{Context, login, runs};
use crate::error::Result;
use crate::output::{self, Format};
use crate::say;

/// How many of the latest runs are shown.
const LATEST: usize = 5;

pub(super) fn run(context: &Context) -> Result<()> {
    let client = context.client()?;
    let me = client.get("/api/v1/me")?.body;
    let licence = client.get("/api/v1/licence")?.body;
    let agents = client.list("/api/v1/agents", &[])?;
    let (latest, _) = client.page("/api/v1/runs", &[], LATEST, None)?;
    if context.format != Format::Table {
        let all = json!({"server": client.address(), "me": me, "licence": licence, "agents": agents, "runs": latest});
        return context.format.structured(&all);
    }
    let active: Vec<_> = agents.iter().filter(|agent| super::agents::is_active(agent)).collect();
    let online = active.iter().filter(|agent| super::agents::is_online(agent)).count();
    let mut counts = format!("{online} online, {} offline", active.len() - online);
    if active.len() < agents.len() {
        counts.push_str(&format!(", {} deactivated", agents.len() - active.len()));
    }
    let rows = vec![
        row("Server", client.address().to_owned()),
        row("User", login::who(&me)),
        row("Licence", super::licence::in_words(&licence)),
        row("Agents", counts),
    ];
    say::text(&output::table(None, rows));
    say::line("");
    context.format.list(&latest, runs::COLUMNS, "No runs yet.")
}

fn row(title: &str, value: String) -> Vec<String> {
    vec![say::paint(say::Tone::Dim, title), value]
}
