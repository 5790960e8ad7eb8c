//! What a trigger gives for its task's parameters: values as they are written, and those of a webhook's body.

use serde_json::{Map, Value};

use crate::task::parameter::arguments;
use crate::task::{Problem, Task, Trigger, problem};

impl Trigger {
    /// Whether it wants a webhook's body as JSON.
    pub fn reads_body(&self) -> bool {
        self.webhook.as_ref().is_some_and(|webhook| !webhook.parameters.is_empty())
    }

    /// What a run that it starts is given. What a webhook's body does not have is as it is written, if it is.
    pub fn given(&self, body: Option<&Value>) -> Map<String, Value> {
        let mut given = self.parameters.clone();
        let pointers = self.webhook.iter().flat_map(|webhook| &webhook.parameters);
        for (name, pointer) in pointers {
            if let Some(value) = body.and_then(|body| body.pointer(pointer)).filter(|value| !value.is_null()) {
                given.insert(name.clone(), value.clone());
            }
        }
        given
    }
}

/// What is wrong with it, by the trigger's fields.
pub(super) fn problems(task: &Task, trigger: &Trigger) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut sampled = trigger.parameters.clone();
    for (name, pointer) in trigger.webhook.iter().flat_map(|webhook| &webhook.parameters) {
        let at = format!("/webhook/parameters/{name}");
        if !pointer.is_empty() && !pointer.starts_with('/') {
            let text = format!("`{pointer}` is no JSON pointer; write one such as `/order/id`");
            problems.push(problem(&at, "bad_pointer", text));
        }
        let declared = task.parameters.iter().find(|parameter| parameter.name == *name);
        sampled.entry(name.clone()).or_insert_with(|| declared.map_or(Value::Null, crate::task::Parameter::sample));
    }
    let wrong = arguments(&task.parameters, &sampled).err().unwrap_or_default();
    let fields = trigger.webhook.as_ref().map(|webhook| &webhook.parameters);
    problems.extend(wrong.into_iter().map(|wrong| {
        let name = wrong.path.trim_start_matches("/parameters/").to_owned();
        let of_body =
            fields.is_some_and(|fields| fields.contains_key(&name) && !trigger.parameters.contains_key(&name));
        if of_body { Problem { path: format!("/webhook{}", wrong.path), ..wrong } } else { wrong }
    }));
    problems
}
