//! Keys of AWS KMS in a plan.

use super::shape::Shape;
use requirements::aws::statements_of;
use vocabulary::Key;
use vocabulary::aws::{KeyArn, RoleArn};

/// The ARN of a key.
pub(super) const KEY: Shape = Shape::Form(
    |text| text.parse::<KeyArn>().is_ok(),
    "the ARN of a KMS key",
);

/// The ARN of a role.
pub(super) const ROLE: Shape = Shape::Form(
    |text| text.parse::<RoleArn>().is_ok(),
    "the ARN of an IAM role",
);

/// The statements of a key policy.
pub(super) const STATEMENTS: Shape = Shape::Form(
    |text| statements_of(text).is_ok(),
    "a list of policy statements",
);

/// The key of this name, if it is one.
pub(super) fn key(name: &str) -> Option<Key> {
    name.parse::<KeyArn>().ok().map(Key::from)
}

/// Whether a text is the ID of a key, which some attributes accept instead of its ARN.
pub(super) fn is_id_of(text: &str, key: &Key) -> bool {
    matches!(key, Key::Aws(arn) if arn.key_id() == text)
}
