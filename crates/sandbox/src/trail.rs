//! AWS CloudTrail: the events of the last use of keys, each made by Databricks. Source: AWS CloudTrail API Reference, LookupEvents.

use serde_json::{Value as Json, json};

use crate::Shared;
use crate::http::{Answer, Request};

/// The account of Databricks. Source: Databricks documentation of key policies.
const DATABRICKS: &str = "414351767826";

/// Answers one call: the event of the ID that is asked for, as `GetKeyLastUsage` names it.
pub(crate) fn answer(shared: &Shared, request: &Request) -> Answer {
    let asked = request.json();
    let id = asked
        .pointer("/LookupAttributes/0/AttributeValue")
        .and_then(Json::as_str)
        .unwrap_or_default();
    let world = shared.world();
    let found = world.now.last_uses.iter().find(|((_, key), _)| key == id);
    let events: Vec<Json> = found
        .into_iter()
        .map(|(_, (operation, at))| {
            let event = json!({
                "eventSource": "kms.amazonaws.com", "eventName": operation,
                "userIdentity": {
                    "type": "AWSAccount", "principalId": "AROASANDBOX:databricks", "accountId": DATABRICKS,
                },
            });
            json!({
                "EventId": id, "EventName": operation, "EventTime": at, "EventSource": "kms.amazonaws.com",
                "CloudTrailEvent": event.to_string(),
            })
        })
        .collect();
    Answer::json(200, &json!({ "Events": events }))
}
