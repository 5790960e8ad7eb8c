//! A look at the first rows that a step would read.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ConnectionOrder, Failure};

/// What to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PreviewOrder {
    /// The step's name, for errors.
    pub step: String,
    /// The connector's kind.
    pub kind: String,
    /// Address and credentials, where the connector takes a connection.
    #[serde(default)]
    pub connection: Option<ConnectionOrder>,
    /// The step's `with`.
    pub settings: Value,
    /// How many rows to show.
    pub rows: u32,
    /// Who looks, for the site's ledger.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub who: String,
}

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// In the order in which the step gives them.
    pub columns: Vec<PreviewColumn>,
    /// Each with a text for every column, none where there is no value. Long texts are cut and end in `…`.
    pub rows: Vec<Vec<Option<String>>>,
    /// Whether there are more rows than those.
    #[serde(default)]
    pub more: bool,
    /// Columns that were left out because there are too many.
    #[serde(default)]
    pub columns_left: u32,
    /// Why there are no rows, or not those that were asked for.
    #[serde(default)]
    pub failure: Option<Failure>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewColumn {
    /// Its name.
    pub name: String,
    /// Its type, as settings name types: `bigint`, `numeric(10,2)`, `text[]`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Preview {
    /// Nothing but the reason.
    pub fn failed(failure: Failure) -> Self {
        Self { failure: Some(failure), ..Self::default() }
    }
}
