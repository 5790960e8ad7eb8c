//! The words after `service`.

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Install,
    Uninstall,
    Start,
    Stop,
    Status { json: bool },
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) word: Word,
    /// `--name`.
    pub(crate) name: Option<String>,
    /// `--user`.
    pub(crate) user: Option<String>,
}

impl Word {
    /// Understands the word; an error names it.
    pub(crate) fn parse(word: Option<&str>) -> Result<Self, String> {
        match word {
            Some("install") => Ok(Self::Install),
            Some("uninstall") => Ok(Self::Uninstall),
            Some("start") => Ok(Self::Start),
            Some("stop") => Ok(Self::Stop),
            Some("status") => Ok(Self::Status { json: false }),
            _ => Err("service takes `install`, `uninstall`, `start`, `stop` or `status`".to_owned()),
        }
    }
}
