//! `keys`: the agent's own key, and those of other agents that it has met.

use sallyport_site::keys::{Peers, shown};
use sallyport_site::{Layout, log};

use crate::{app, console};

/// What to do with the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    List,
    Forget(String),
}

impl Word {
    /// From the words after `keys`.
    pub(crate) fn parse(words: &[String]) -> Result<Self, String> {
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["list"] => Ok(Self::List),
            ["forget", agent] => Ok(Self::Forget(agent.to_owned())),
            _ => Err("keys takes `list` or `forget AGENT`".to_owned()),
        }
    }
}

/// Does it; gives the exit code.
pub(crate) fn run(layout: &Layout, word: &Word) -> u8 {
    let peers = Peers::at(&layout.peers());
    let done = match word {
        Word::List => list(layout, &peers),
        Word::Forget(agent) => match peers.forget(agent) {
            Ok(0) => Err(format!("no key of an agent `{agent}` is known here; `keys list` shows those that are")),
            Ok(_) => Ok(format!("The key of {agent} is forgotten: the next one that it shows is believed.")),
            Err(unfit) => Err(unfit.to_string()),
        },
    };
    match done {
        Ok(text) => {
            console::say(&text);
            app::EXIT_OK
        }
        Err(why) => {
            console::complain(&why);
            app::EXIT_FAILED
        }
    }
}

fn list(layout: &Layout, peers: &Peers) -> Result<String, String> {
    let own = shown(&layout.key()).unwrap_or_else(|| "none yet: it is made when the agent first starts".to_owned());
    let mut text = format!("this agent  {own}");
    for (agent, known) in peers.known().map_err(|unfit| unfit.to_string())? {
        let since = log::time(known.since);
        text.push_str(&format!("\n{}  {}  {agent}, since {since}", known.name, known.fingerprint));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use sallyport_protocol::{AgentId, Timestamp};

    use super::*;

    #[test]
    fn keys_are_listed_and_forgotten() {
        let home = tempfile::tempdir().unwrap();
        let layout = Layout::new(home.path());
        layout.create_folders().unwrap();
        let peers = Peers::at(&layout.peers());
        peers.meet(AgentId::new(), "north", "SHA256:a", Timestamp(0)).unwrap();
        assert!(list(&layout, &peers).unwrap().contains("north  SHA256:a"));
        assert_eq!(run(&layout, &Word::List), app::EXIT_OK);
        assert_eq!(run(&layout, &Word::Forget("south".to_owned())), app::EXIT_FAILED);
        assert_eq!(run(&layout, &Word::Forget("north".to_owned())), app::EXIT_OK);
        assert!(peers.known().unwrap().is_empty());
    }
}
