//! A step's work just before it starts: its expressions have values now, and the settings they give are checked again.

use sallyport_protocol::{Descriptor, Failure, FailureKind};

use super::{PlannedStep, Work};
use crate::task::against;
use crate::template::{Values, settings, sql};

impl PlannedStep {
    /// The step's work with its expressions evaluated. Pure: what they see is in `values`.
    pub fn evaluated(&self, values: &Values, catalog: &[Descriptor]) -> Result<Work, Failure> {
        let name = &self.name;
        match &self.work {
            Work::Transform { sql: query } => {
                let evaluated = sql(query, values);
                let sql = evaluated.map_err(|error| failure("expression", format!("step `{name}`, query: {error}")))?;
                Ok(Work::Transform { sql })
            }
            Work::Task { name: task, parameters, wait } => {
                let evaluated = settings(parameters, None, values);
                let parameters =
                    evaluated.map_err(|error| failure("expression", format!("step `{name}`, parameter {error}")))?;
                Ok(Work::Task { name: task.clone(), parameters, wait: *wait })
            }
            Work::Connector { kind, connection, settings: with } => {
                let descriptor = catalog.iter().find(|descriptor| descriptor.kind == *kind);
                let schema = descriptor.and_then(|descriptor| {
                    if self.inputs.is_empty() {
                        descriptor.read_schema.as_ref()
                    } else {
                        descriptor.write_schema.as_ref()
                    }
                });
                let evaluated = settings(with, schema, values);
                let settings =
                    evaluated.map_err(|error| failure("expression", format!("step `{name}`, setting {error}")))?;
                if settings != *with
                    && let Some(wrong) = schema.and_then(|schema| against(schema, &settings, "").into_iter().next())
                {
                    let field = wrong.path.trim_start_matches('/');
                    let text = format!("step `{name}`, setting `{field}`, with its expressions: {}", wrong.message);
                    return Err(failure("bad_settings", text));
                }
                Ok(Work::Connector { kind: kind.clone(), connection: *connection, settings })
            }
        }
    }
}

fn failure(code: &str, message: String) -> Failure {
    Failure {
        kind: FailureKind::Runtime,
        code: code.to_owned(),
        message,
        advice: Some("correct the step's expressions, or what the run was given".to_owned()),
        transient: false,
    }
}
