//! Keys of AWS KMS in a plan.

use super::shape::Shape;
use crate::vocabulary::Key;
use crate::vocabulary::aws::KeyArn;

/// The ARN of a key.
pub(super) const KEY: Shape = Shape::Key(
    |text| text.parse::<KeyArn>().is_ok(),
    "the ARN of a KMS key",
);

/// The key of this name, if it is one.
pub(super) fn key(name: &str) -> Option<Key> {
    name.parse::<KeyArn>().ok().map(Key::from)
}

/// Whether a text is the id of a key, which some attributes take in the place of its ARN.
pub(super) fn is_id_of(text: &str, key: &Key) -> bool {
    key.as_str()
        .strip_suffix(text)
        .is_some_and(|rest| rest.ends_with(":key/"))
}
