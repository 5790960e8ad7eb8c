//! What a task says about a program.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use sallyport_protocol::{ConnectionOrder, Secret};

use crate::settings::{connection, invalid, with};
use crate::{Error, Program, Site};

/// Settings of a `program` connection.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Program")]
pub(super) struct Connection {
    /// The name under which the site's administrator registered the program on the agent.
    pub(super) program: String,
    /// Settings that the program gets; the step's own are added and win.
    #[serde(default)]
    pub(super) settings: Map<String, Value>,
}

/// The `with` of a step.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Run a program")]
pub(super) struct Step {
    /// The name under which the site's administrator registered the program on the agent; default: the connection's.
    #[serde(default)]
    pub(super) program: Option<String>,
    /// Settings that the program gets.
    #[serde(default)]
    pub(super) settings: Map<String, Value>,
}

/// What a program is started with.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) program: String,
    pub(super) settings: Map<String, Value>,
    pub(super) secrets: BTreeMap<String, Secret>,
}

impl Call {
    pub(super) fn of(order: Option<&ConnectionOrder>, settings: &Value, doing: &str) -> Result<Self, Error> {
        let step: Step = with(settings, doing)?;
        let Some(order) = order else {
            let program =
                step.program.ok_or_else(|| invalid("program", "name the program, or a connection that does"))?;
            return Ok(Self { program, settings: step.settings, secrets: BTreeMap::new() });
        };
        let base: Connection = connection(order)?;
        if step.program.as_ref().is_some_and(|program| *program != base.program) {
            // A connection's secrets are meant for its own program.
            return Err(invalid(
                "program",
                format!("the connection `{}` is of the program `{}`", order.name, base.program),
            ));
        }
        let mut settings = base.settings;
        settings.extend(step.settings);
        Ok(Self { program: base.program, settings, secrets: order.secrets.clone() })
    }

    /// The registered program.
    pub(super) fn registered<'a>(&self, site: &'a Site) -> Result<&'a Program, Error> {
        site.policy.now().may_run(&self.program).map_err(|refused| Error::not_allowed(&refused))?;
        site.programs.get(&self.program).ok_or_else(|| {
            let known = site.programs.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let known =
                if known.is_empty() { "none is registered".to_owned() } else { format!("registered are: {known}") };
            let why = format!("program `{}` is not registered on this agent; {known}", self.program);
            Error::permanent(sallyport_protocol::FailureKind::Connector, "program_not_registered", why).advise(
                "the site's administrator adds it to `programs.json` in the agent's folder and restarts the agent",
            )
        })
    }
}
