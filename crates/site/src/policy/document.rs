//! The text of `policy.toml`: read into a [`Policy`], and written from one.

use std::path::PathBuf;

use serde::Deserialize;

use super::{ParseRuleError, ParseSizeError, Policy, Rule};

/// What stands above the rules of a file that was written here.
const HEAD: &str = "\
# What the Sallyport agent of this folder may touch. The site owns this file: the server cannot change it.
# The agent follows a change within a second. `sallyport-wrapper policy list|check|allow|deny` reads and edits it.
#
# allow, deny: host names, *.names, addresses, networks (10.1.0.0/16) or *, with :port or :first-last where only
# some ports are meant. deny wins. Loopback, link-local and metadata addresses need a rule with the address itself.
";

/// What happens with a host that no rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// It may be dialled.
    Allow,
    /// It may not.
    Deny,
}

/// The file is no policy.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not TOML, or has a field that is not known.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// A rule cannot be read.
    #[error(transparent)]
    Rule(#[from] ParseRuleError),
    /// An amount of data cannot be read.
    #[error("data_per_day: {0}")]
    Size(#[from] ParseSizeError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    default: Permission,
    #[serde(default = "yes")]
    tunnels: bool,
    #[serde(default)]
    sealed: bool,
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    deny: Vec<String>,
    #[serde(default)]
    connectors: Option<Vec<String>>,
    #[serde(default)]
    programs: Option<Vec<String>>,
    #[serde(default)]
    folders: Option<Vec<PathBuf>>,
    #[serde(default)]
    data_per_day: Option<String>,
}

fn yes() -> bool {
    true
}

impl Policy {
    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let document: Document = toml::from_str(text)?;
        let rules = |texts: Vec<String>| texts.iter().map(|text| text.parse()).collect::<Result<Vec<Rule>, _>>();
        Ok(Self {
            default: document.default,
            tunnels: document.tunnels,
            sealed: document.sealed,
            allow: rules(document.allow)?,
            deny: rules(document.deny)?,
            connectors: document.connectors,
            programs: document.programs,
            folders: document.folders,
            data_per_day: document.data_per_day.map(|text| text.parse()).transpose()?,
        })
    }

    /// The text of a file.
    pub fn to_text(&self) -> String {
        let default = if self.default == Permission::Allow { "allow" } else { "deny" };
        let mut text = format!("{HEAD}default = \"{default}\"\ntunnels = {}\n", self.tunnels);
        text.push_str(match self.sealed {
            true => "sealed = true\n",
            false => "# sealed = true  # rows to and from other agents only sealed end to end\n",
        });
        text.push_str(&list("allow", self.allow.iter().map(Rule::to_string)));
        text.push_str(&list("deny", self.deny.iter().map(Rule::to_string)));
        for (name, names) in [("connectors", &self.connectors), ("programs", &self.programs)] {
            match names {
                Some(names) => text.push_str(&list(name, names.iter().cloned())),
                None => text.push_str(&format!("# {name} = []  # absent: all\n")),
            }
        }
        match &self.folders {
            Some(folders) => {
                text.push_str(&list("folders", folders.iter().map(|folder| folder.display().to_string())));
            }
            None => text.push_str("# folders = []  # beside the agent's own `files`; absent: those of connections\n"),
        }
        match self.data_per_day {
            Some(size) => text.push_str(&format!("data_per_day = \"{size}\"\n")),
            None => text.push_str("# data_per_day = \"10 GB\"  # absent: without a limit\n"),
        }
        text
    }
}

/// A JSON text is a TOML text too.
fn list(name: &str, items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.map(|item| format!("    {},\n", serde_json::Value::String(item))).collect();
    if items.is_empty() { format!("{name} = []\n") } else { format!("{name} = [\n{}]\n", items.concat()) }
}

/// The file of a new installation: everything, or only what the site adds.
pub fn new_text(permissive: bool) -> String {
    let strict = Policy { default: Permission::Deny, allow: Vec::new(), ..Policy::permissive() };
    if permissive { Policy::permissive().to_text() } else { strict.to_text() }
}
