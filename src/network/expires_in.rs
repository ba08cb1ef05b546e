//! How long a token lives, as the answers of identity services say it.

use serde::{Deserialize, Deserializer};

/// Seconds, as a number or as text. A text that is not a number of seconds counts as the usual life: the service refuses a token that ends
/// earlier once (401), and the client fetches a new one.
///
/// # Errors
/// When it is neither a number nor text.
pub fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Seconds {
        Number(u64),
        Text(String),
    }
    Ok(match Option::<Seconds>::deserialize(deserializer)? {
        None => None,
        Some(Seconds::Number(number)) => Some(number),
        Some(Seconds::Text(text)) => text.parse().ok(),
    })
}
