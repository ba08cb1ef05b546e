//! Keys of Key Vault and Managed HSM in a plan.

use super::shape::Shape;
use vocabulary::Key;
use vocabulary::azure::VaultKeyId;

/// The identifier of a key.
pub(super) const KEY: Shape = Shape::Form(
    |text| text.parse::<VaultKeyId>().is_ok(),
    "the identifier of a key in Key Vault or Managed HSM",
);

/// The key of this identifier, whichever version, if it is one.
pub(super) fn key(identifier: &str) -> Option<Key> {
    let key = identifier.parse::<VaultKeyId>().ok()?;
    Some(key.versionless().into())
}

/// The name by which a report calls a key: its identifier without a version.
pub(super) fn whole(identifier: &str) -> Option<String> {
    key(identifier).map(|key| key.to_string())
}

/// Whether a key is in a vault, by the address of the vault (`https://VAULT.vault.azure.net/`).
pub(super) fn is_in(key: &str, vault_uri: &str) -> bool {
    key.parse::<VaultKeyId>().is_ok_and(|key| {
        key.vault_uri()
            .trim_end_matches('/')
            .eq_ignore_ascii_case(vault_uri.trim_end_matches('/'))
    })
}

/// Whether `after` is the key of `before` without its version, or the same: Azure keeps the version that a workspace uses when an identifier
/// without a version is set.
pub(super) fn no_longer_pins(before: &str, after: &str) -> bool {
    let parsed = |text: &str| text.parse::<VaultKeyId>().ok();
    match (parsed(before), parsed(after)) {
        (Some(before), Some(after)) => before == after || before.versionless() == after,
        _ => false,
    }
}
