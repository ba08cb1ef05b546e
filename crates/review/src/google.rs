//! Keys of Google Cloud KMS in a plan.

use super::shape::Shape;
use vocabulary::Key;
use vocabulary::gcp::CryptoKeyName;

/// The name of a key.
pub(super) const KEY: Shape = Shape::Form(
    |text| text.parse::<CryptoKeyName>().is_ok(),
    "the name of a Cloud KMS key",
);

/// The whole IAM policy of a key.
pub(super) const POLICY: Shape = Shape::Form(
    |text| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok(),
    "an IAM policy",
);

/// The key of this name, if it is one.
pub(super) fn key(name: &str) -> Option<Key> {
    name.parse::<CryptoKeyName>().ok().map(Key::from)
}

/// The whole name of a key that hashicorp/google names in short: `project/location/ring/key`. Source: hashicorp/google,
/// google_kms_crypto_key_iam, "Import".
pub(super) fn whole(name: &str) -> Option<String> {
    let parts: Vec<&str> = name.split('/').collect();
    let [project, location, ring, key] = parts.as_slice() else {
        return None;
    };
    let name = format!("projects/{project}/locations/{location}/keyRings/{ring}/cryptoKeys/{key}");
    name.parse::<CryptoKeyName>()
        .ok()
        .map(|key| key.to_string())
}
