//! What this machine's agent may touch: `policy.toml` beside the agent, owned by the site.
//!
//! Invariant: the agent's side has the last word. Nothing that comes from the server changes a policy; it is looked at
//! on the agent, with the address that is dialled afterwards, and a file that cannot be read allows nothing.

mod document;
mod file;
mod rule;
mod size;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

pub use document::{Error, Permission, new_text};
pub use file::PolicyFile;
pub use rule::{ParseRuleError, Rule};
pub use size::{ParseSizeError, Size};

/// What a site allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For hosts that no rule names.
    pub default: Permission,
    /// Whether people may open tunnels through the agent.
    pub tunnels: bool,
    /// Whether rows go to and come from others only sealed end to end.
    pub sealed: bool,
    /// Hosts, networks and ports that may be dialled.
    pub allow: Vec<Rule>,
    /// Those that may not, whatever `allow` says.
    pub deny: Vec<Rule>,
    /// The connectors that may be used; all of them where absent.
    pub connectors: Option<Vec<String>>,
    /// The registered programs that may be run; all of them where absent.
    pub programs: Option<Vec<String>>,
    /// The folders that may be touched; where absent, those that connections name.
    pub folders: Option<Vec<PathBuf>>,
    /// What connections and tunnels may move in a day (UTC), both ways together; without a limit where absent.
    pub data_per_day: Option<Size>,
}

/// Something that the site does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the site's policy does not allow {what}: rule `{rule}` of policy.toml")]
pub struct Refused {
    /// What was wanted.
    pub what: String,
    /// The rule as it stands in the file, or the name of a built-in one.
    pub rule: String,
    /// What the site's administrator can do.
    pub advice: String,
}

impl Policy {
    /// Allows everything.
    pub fn permissive() -> Self {
        Self {
            default: Permission::Allow,
            tunnels: true,
            sealed: false,
            allow: vec![Rule::anywhere()],
            deny: Vec::new(),
            connectors: None,
            programs: None,
            folders: None,
            data_per_day: None,
        }
    }

    /// Allows nothing: for a file that cannot be read.
    pub(crate) fn closed() -> Self {
        Self {
            default: Permission::Deny,
            tunnels: false,
            sealed: true,
            allow: Vec::new(),
            deny: vec![Rule::anywhere()],
            connectors: Some(Vec::new()),
            programs: Some(Vec::new()),
            folders: Some(Vec::new()),
            data_per_day: Some(Size(0)),
        }
    }

    /// Whether nothing is refused.
    pub fn is_permissive(&self) -> bool {
        *self == Self::permissive()
    }

    /// Whether `host`, which was resolved to `address`, may be dialled there. The caller dials this very address.
    pub fn may_dial(&self, host: &str, address: SocketAddr) -> Result<(), Refused> {
        let (ip, port) = (address.ip().to_canonical(), address.port());
        let refused = |rule: String| {
            let named = host.parse::<IpAddr>().is_ok();
            let what = if named { address.to_string() } else { format!("`{host}` at {address}") };
            let target = if named || is_special(ip).is_some() { address.to_string() } else { format!("{host}:{port}") };
            let advice = format!(
                "if it should be reached, the site's administrator runs `sallyport-wrapper policy allow {target}` in the \
                 agent's folder"
            );
            Err(Refused { what, rule, advice })
        };
        if let Some(rule) = self.deny.iter().find(|rule| rule.covers(host, ip, port)) {
            return refused(format!("deny {rule}"));
        }
        // A name is no reason to reach the machine itself or its neighbours' services: whoever owns the name says where
        // it leads.
        if let Some(special) = is_special(ip) {
            let named = self.allow.iter().any(|rule| rule.covers_address(ip, port));
            return if named { Ok(()) } else { refused(format!("built-in: {special}")) };
        }
        if self.default == Permission::Allow || self.allow.iter().any(|rule| rule.covers(host, ip, port)) {
            Ok(())
        } else {
            refused("default = \"deny\"".to_owned())
        }
    }

    /// The addresses among those of `host` that may be dialled; an error where there is none.
    pub fn dialable(&self, host: &str, addresses: &[SocketAddr]) -> Result<Vec<SocketAddr>, Refused> {
        let mut refused = None;
        let mut left = Vec::new();
        for address in addresses {
            match self.may_dial(host, *address) {
                Ok(()) => left.push(*address),
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        match refused {
            Some(why) if left.is_empty() => Err(why),
            _ => Ok(left),
        }
    }

    /// Whether people may open tunnels.
    pub fn may_tunnel(&self) -> Result<(), Refused> {
        if self.tunnels {
            return Ok(());
        }
        Err(Refused {
            what: "tunnels".to_owned(),
            rule: "tunnels = false".to_owned(),
            advice: "the site's administrator can set `tunnels = true` in policy.toml".to_owned(),
        })
    }

    /// Whether rows may go `way` ("to step `x`") without a seal.
    pub fn may_go_unsealed(&self, way: &str) -> Result<(), Refused> {
        let advice = "both agents must be remote ones of versions that seal; if they are, the server left the seal out, \
                      which it has no reason to; or the site's administrator takes the rule out of policy.toml";
        self.unsealed(format!("rows {way} that are not sealed end to end"), advice)
    }

    /// Whether one agent's step may use what another agent reaches: the server between them passes on what it can read.
    pub fn may_go_through(&self) -> Result<(), Refused> {
        let advice = "run the step on the agent that reaches the connection: leave the step's `agent` out; or the \
                      site's administrator takes the rule out of policy.toml";
        self.unsealed("a connection through another agent, which is not sealed end to end".to_owned(), advice)
    }

    fn unsealed(&self, what: String, advice: &str) -> Result<(), Refused> {
        if !self.sealed {
            return Ok(());
        }
        Err(Refused { what, rule: "sealed = true".to_owned(), advice: advice.to_owned() })
    }

    /// Whether more data may be moved on a day on which `moved` bytes were.
    pub fn may_move(&self, moved: u64) -> Result<(), Refused> {
        match self.data_per_day {
            Some(most) if moved >= most.0 => Err(Refused {
                what: format!("more data today: {moved} bytes were moved since midnight UTC"),
                rule: format!("data_per_day = \"{most}\""),
                advice: "it goes on tomorrow, or the site's administrator raises `data_per_day` in policy.toml"
                    .to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Whether a connector may be used.
    pub fn may_use(&self, connector: &str) -> Result<(), Refused> {
        listed(self.connectors.as_deref(), connector, "connector", "connectors")
    }

    /// Whether a registered program may be run.
    pub fn may_run(&self, program: &str) -> Result<(), Refused> {
        listed(self.programs.as_deref(), program, "program", "programs")
    }

    /// Whether a path, free of links and dots, may be touched; `always` is the agent's own folder of files.
    pub fn may_touch(&self, path: &Path, always: &Path) -> Result<(), Refused> {
        let Some(folders) = &self.folders else { return Ok(()) };
        if path.starts_with(always) || folders.iter().any(|folder| path.starts_with(folder)) {
            return Ok(());
        }
        Err(Refused {
            what: format!("the path `{}`", path.display()),
            rule: "folders".to_owned(),
            advice: "the site's administrator can add its folder to `folders` in policy.toml".to_owned(),
        })
    }
}

fn listed(list: Option<&[String]>, name: &str, noun: &str, field: &str) -> Result<(), Refused> {
    match list {
        Some(list) if !list.iter().any(|known| known == name) => Err(Refused {
            what: format!("{noun} `{name}`"),
            rule: field.to_owned(),
            advice: format!("the site's administrator can add it to `{field}` in policy.toml"),
        }),
        _ => Ok(()),
    }
}

/// Addresses that belong to the machine itself, to its link, or to a cloud's metadata: whoever reaches them speaks as
/// the machine. Only a rule that holds the address allows them.
fn is_special(ip: IpAddr) -> Option<&'static str> {
    /// Metadata services outside of the link-local network.
    const METADATA: [&str; 2] = ["fd00:ec2::254", "100.100.100.200"];
    if METADATA.iter().any(|known| known.parse() == Ok(ip)) {
        return Some("metadata address");
    }
    if ip.is_loopback() {
        return Some("loopback");
    }
    if ip.is_unspecified() || ip.is_multicast() {
        return Some("unspecified or multicast address");
    }
    match ip {
        IpAddr::V4(ip) if ip.is_link_local() => Some("link-local or metadata address"),
        IpAddr::V4(ip) if ip.is_broadcast() || ip.octets()[0] == 0 => Some("unspecified or multicast address"),
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Some("link-local or metadata address"),
        _ => None,
    }
}
