//! The lines of a recording.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// The version of the format, which each line has. A reader refuses a line of another one.
pub const FORMAT: u32 = 1;

/// One request, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// [`FORMAT`]
    pub format: u32,
    /// When the request was sent, in milliseconds since 1970.
    pub at: u64,
    /// How long the answer took, in milliseconds.
    pub milliseconds: u64,
    /// `GET`, `POST`, …
    pub method: String,
    /// The host without the port.
    pub host: String,
    /// Without the query.
    pub path: String,
    /// The parameters of the query, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// The headers that say what is asked; never those with credentials.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// What was sent.
    #[serde(default, skip_serializing_if = "Body::is_empty")]
    pub body: Body,
    /// What came back.
    pub outcome: Outcome,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The service answered.
    Answer(Answer),
    /// No answer came; the word says how far the request got.
    Lost(String),
}

/// What a service answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers that say what form the answer has, and when to ask again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// What was answered.
    #[serde(default, skip_serializing_if = "Body::is_empty")]
    pub body: Body,
}

/// A body in the form that it was sent in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// There is none.
    #[default]
    Empty,
    /// JSON. A number that was replaced is a text here, `<number:…>`.
    Json(Json),
    /// The parameters of a form, in order.
    Form(Vec<(String, String)>),
    /// The names and texts of an XML document, in order: `["Error", "Code"]` and the text.
    Xml(Vec<(String, String)>),
    /// Something else, as one placeholder.
    Other(String),
}

impl Body {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}

/// A line that is not an exchange of this format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The number of the line, from 1.
    pub line: usize,
    /// Why.
    pub reason: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for Unreadable {}

/// The exchanges of one file.
///
/// # Errors
/// The first line that is not one: a recording that is half read would say that the rest is in order.
pub fn read(text: &str) -> Result<Vec<Exchange>, Unreadable> {
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| {
            let unreadable = |reason: String| Unreadable {
                line: number + 1,
                reason,
            };
            let exchange: Exchange =
                serde_json::from_str(line).map_err(|error| unreadable(error.to_string()))?;
            match exchange.format {
                FORMAT => Ok(exchange),
                other => Err(unreadable(format!(
                    "its format is {other}, and this program reads {FORMAT}"
                ))),
            }
        })
        .collect()
}
