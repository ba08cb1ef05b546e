//! Faults by rule: which request meets which mishap, and how often.

use serde::{Deserialize, Serialize};

use crate::http::Request;

/// A mishap and the requests that meet it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fault {
    /// Words of the operation: `PATCH`, `/customer-managed-keys`, `KMS PutKeyPolicy`. Every word must occur.
    pub operation: String,
    /// Words of an operation that must come first: until then the fault does not strike.
    #[serde(default)]
    pub after: Option<String>,
    /// How many fitting requests pass unharmed first.
    #[serde(default)]
    pub skip: u32,
    /// How many requests meet it; 1 when not given.
    #[serde(default = "once")]
    pub times: u32,
    /// What happens to them.
    #[serde(flatten)]
    pub effect: Effect,
}

fn once() -> u32 {
    1
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// It is refused with this status.
    Status {
        /// The HTTP status of the refusal.
        status: u16,
        /// The body of the refusal; empty for none.
        #[serde(default)]
        body: String,
        /// Its content type; JSON when not given.
        #[serde(default)]
        content_type: Option<String>,
        /// `Retry-After`: a number of seconds, or a date.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// It is carried out, and the answer is thrown away for this status.
    StatusAfter {
        /// The HTTP status that the client gets.
        status: u16,
    },
    /// It is carried out after this time.
    Delay {
        /// How long the service waits before it begins.
        milliseconds: u64,
    },
    /// It is carried out at once, and answered after this time.
    DelayAfter {
        /// How long the answer waits.
        milliseconds: u64,
    },
    /// The connection breaks before it is carried out.
    DropBefore,
    /// The connection breaks after it was carried out.
    DropAfter,
    /// It is carried out; the connection breaks in the middle of the answer's body.
    Truncate,
    /// The service carries it out; the answer is not JSON.
    Garble,
    /// It is carried out; the answer has only these fields of what it is to have.
    Part {
        /// Names of fields of the answer.
        fields: Vec<String>,
    },
    /// It is carried out; a field of the answer has another value.
    Field {
        /// The field, as a JSON pointer: `/customer_managed_key_id`.
        field: String,
        /// The value that the client gets there.
        value: serde_json::Value,
    },
    /// A read shows what was true before the last write.
    StaleRead,
    /// A workspace update is accepted and silently undone.
    Revert,
    /// A workspace update is accepted, shows as done, and is silently undone after this time.
    RevertAfter {
        /// Milliseconds from the end of the update.
        milliseconds: u64,
    },
    /// A workspace update is accepted and never comes to an end.
    Hang,
}

impl Effect {
    /// A refusal with an empty body.
    pub fn status(status: u16) -> Self {
        Self::Status {
            status,
            body: String::new(),
            content_type: None,
            retry_after: None,
        }
    }

    /// A refusal of an AWS service.
    pub fn aws(kind: &str, message: &str) -> Self {
        let answer = crate::http::Answer::aws_refusal(kind, message);
        let content_type = Some("application/x-amz-json-1.1".to_owned());
        Self::Status {
            status: answer.status,
            body: answer.body,
            content_type,
            retry_after: None,
        }
    }
}

impl Fault {
    /// A fault that hits the next fitting request.
    pub fn new(operation: &str, effect: Effect) -> Self {
        Self {
            operation: operation.to_owned(),
            after: None,
            skip: 0,
            times: 1,
            effect,
        }
    }

    /// The same fault, so many times.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// The same fault, once a request of this kind has come.
    #[must_use]
    pub fn after(mut self, operation: &str) -> Self {
        self.after = Some(operation.to_owned());
        self
    }
}

/// Whether all of these words are in an operation, in any order.
pub fn fits(words: &str, operation: &str) -> bool {
    words
        .split_whitespace()
        .all(|word| operation.contains(word))
}

/// The effect that a request meets; used-up faults go away.
pub fn meet(faults: &mut Vec<Fault>, request: &Request) -> Option<Effect> {
    let operation = request.operation();
    let is_next = |fault: &Fault| fault.after.is_none() && fits(&fault.operation, &operation);
    let position = faults.iter().position(is_next);
    for fault in &mut *faults {
        fault.after = fault.after.take().filter(|first| !fits(first, &operation));
    }
    let position = position?;
    let fault = faults.get_mut(position)?;
    if fault.skip > 0 {
        fault.skip -= 1;
        return None;
    }
    fault.times = fault.times.saturating_sub(1);
    let effect = fault.effect.clone();
    if fault.times == 0 {
        faults.remove(position);
    }
    Some(effect)
}
