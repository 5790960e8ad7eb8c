//! `policy`: shows, checks and edits what the agent of this folder may reach. The agent follows the file by itself.

use std::fs;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use sallyport_site::Layout;
use sallyport_site::durable::{self, Readers};
use sallyport_site::policy::{Permission, Policy, Rule};

use crate::{app, console};

/// What to do with the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    List,
    Check(String),
    Allow(String),
    Deny(String),
}

impl Word {
    /// From the words after `policy`.
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["list"] => Ok(Self::List),
            ["check", target] => Ok(Self::Check(target.to_owned())),
            ["allow", rule] => Ok(Self::Allow(rule.to_owned())),
            ["deny", rule] => Ok(Self::Deny(rule.to_owned())),
            _ => Err("policy takes `list`, `check HOST:PORT`, `allow RULE` or `deny RULE`".to_owned()),
        }
    }
}

/// Does it; gives the exit code.
pub(crate) fn run(layout: &Layout, word: &Word) -> u8 {
    match act(layout, word) {
        Ok(code) => code,
        Err(why) => {
            console::complain(&why);
            app::EXIT_FAILED
        }
    }
}

fn act(layout: &Layout, word: &Word) -> Result<u8, String> {
    let path = layout.policy();
    let standing = match fs::read_to_string(&path) {
        Ok(text) => Some(Policy::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(format!("reading {}: {error}", path.display())),
    };
    let edited = match word {
        Word::List => {
            console::say(&described(standing.as_ref()));
            return Ok(app::EXIT_OK);
        }
        Word::Check(target) => return check(&standing.unwrap_or_else(Policy::permissive), target),
        Word::Allow(text) => allow(standing, rule(text)?),
        Word::Deny(text) => deny(standing, rule(text)?),
    };
    durable::replace(&path, edited.to_text().as_bytes(), Readers::Anyone).map_err(|error| error.to_string())?;
    console::say(&described(Some(&edited)));
    Ok(app::EXIT_OK)
}

fn rule(text: &str) -> Result<Rule, String> {
    text.parse().map_err(|error: sallyport_site::policy::ParseRuleError| error.to_string())
}

/// A folder without a policy gets one that allows this and nothing else; everywhere is every permission there is.
fn allow(standing: Option<Policy>, rule: Rule) -> Policy {
    if rule == Rule::anywhere() {
        let kept = standing.unwrap_or_else(Policy::permissive);
        return Policy {
            default: Permission::Allow,
            tunnels: true,
            sealed: false,
            allow: vec![rule],
            deny: Vec::new(),
            ..kept
        };
    }
    let mut policy =
        standing.unwrap_or_else(|| Policy { default: Permission::Deny, allow: Vec::new(), ..Policy::permissive() });
    policy.deny.retain(|denied| *denied != rule);
    if !policy.allow.contains(&rule) {
        policy.allow.push(rule);
    }
    policy
}

/// A folder without a policy gets one that allows all the rest; denying everywhere leaves what is allowed by name.
fn deny(standing: Option<Policy>, rule: Rule) -> Policy {
    let mut policy = standing.unwrap_or_else(Policy::permissive);
    policy.allow.retain(|allowed| *allowed != rule);
    if rule == Rule::anywhere() {
        policy.default = Permission::Deny;
    } else if !policy.deny.contains(&rule) {
        policy.deny.push(rule);
    }
    policy
}

fn check(policy: &Policy, target: &str) -> Result<u8, String> {
    let wrong = || format!("`{target}` is no HOST:PORT");
    let (host, port) = target.rsplit_once(':').ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let found =
        (host, port).to_socket_addrs().map_err(|error| format!("the name `{host}` does not resolve: {error}"))?;
    let addresses: Vec<SocketAddr> = found.collect();
    match policy.dialable(host, &addresses) {
        Ok(left) => {
            let left: Vec<String> = left.iter().map(ToString::to_string).collect();
            console::say(&format!("allowed: {host} port {port}, at {}", left.join(", ")));
            Ok(app::EXIT_OK)
        }
        Err(refused) => {
            console::say(&format!("{refused}; {}", refused.advice));
            Ok(app::EXIT_NOT_ALLOWED)
        }
    }
}

fn described(policy: Option<&Policy>) -> String {
    let Some(policy) = policy else {
        return "There is no policy.toml: everything is allowed. `policy allow RULE` makes one that allows nothing else."
            .to_owned();
    };
    if policy.is_permissive() {
        return "Everything is allowed.".to_owned();
    }
    let rules = |rules: &[Rule]| {
        let texts: Vec<String> = rules.iter().map(Rule::to_string).collect();
        if texts.is_empty() { "-".to_owned() } else { texts.join(", ") }
    };
    let names = |names: &Option<Vec<String>>| names.as_ref().map_or_else(|| "all".to_owned(), |names| names.join(", "));
    let folders = policy.folders.as_ref().map_or_else(
        || "those of connections".to_owned(),
        |folders| folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", "),
    );
    let default = if policy.default == Permission::Allow { "allowed" } else { "denied" };
    format!(
        "denied:      {}\nallowed:     {}\nother hosts: {default}\ntunnels:     {}\nrows:        {}\nconnectors:  {}\nprograms:    {}\n\
         folders:     {folders}\ndata a day:  {}",
        rules(&policy.deny),
        rules(&policy.allow),
        if policy.tunnels { "allowed" } else { "denied" },
        if policy.sealed { "to and from others only sealed" } else { "to and from others sealed where both can" },
        names(&policy.connectors),
        names(&policy.programs),
        policy.data_per_day.map_or_else(|| "without a limit".to_owned(), |size| size.to_string()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_made_edited_and_checked() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        let policy = || Policy::parse(&fs::read_to_string(layout.policy()).unwrap()).unwrap();
        let check = |target: &str| run(&layout, &Word::Check(target.to_owned()));
        assert_eq!(check("127.0.0.1:5432"), app::EXIT_OK, "without a file");
        assert_eq!(run(&layout, &Word::Allow("127.0.0.1:5432".to_owned())), app::EXIT_OK);
        assert_eq!((check("127.0.0.1:5432"), check("127.0.0.1:5433")), (app::EXIT_OK, app::EXIT_NOT_ALLOWED));
        assert_eq!(check("192.0.2.1:1"), app::EXIT_NOT_ALLOWED);
        assert_eq!(run(&layout, &Word::Deny("127.0.0.1:5432".to_owned())), app::EXIT_OK);
        assert_eq!((check("127.0.0.1:5432"), policy().allow.len()), (app::EXIT_NOT_ALLOWED, 0));
        assert_eq!(run(&layout, &Word::Allow("*".to_owned())), app::EXIT_OK);
        assert!(policy().is_permissive());
        assert_eq!(run(&layout, &Word::Deny("*".to_owned())), app::EXIT_OK);
        assert_eq!(check("192.0.2.1:1"), app::EXIT_NOT_ALLOWED);
        assert_eq!(run(&layout, &Word::Allow("not a rule".to_owned())), app::EXIT_FAILED);
        fs::write(layout.policy(), "nonsense").unwrap();
        assert_eq!(run(&layout, &Word::Allow("10.0.0.1".to_owned())), app::EXIT_FAILED, "a broken file is left alone");
        assert_eq!(fs::read_to_string(layout.policy()).unwrap(), "nonsense");
    }
}
