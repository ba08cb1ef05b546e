//! The titles of what a review can say: the same for every resource, so that a tool that groups findings has one name for each.

/// Each finding and its title.
pub const TITLES: &[(&str, &str)] = &[
    ("accepted-nothing", "An accepted finding does not occur"),
    ("binding-forgotten", "The keys stay attached to a workspace"),
    ("check-failed", "A check fails"),
    (
        "cross-account-role-changed",
        "The cross-account role of workspaces changes",
    ),
    (
        "cross-account-role-gone",
        "The cross-account role is deleted or replaced",
    ),
    (
        "force-destroy",
        "The guard against taking a workspace's permissions is turned off",
    ),
    (
        "key-configuration-deleted",
        "A key configuration is deleted or replaced",
    ),
    ("key-deleted", "A key is deleted"),
    (
        "key-deletion-window",
        "The deletion of a key is final when its waiting period ends",
    ),
    ("key-disabled", "A key is disabled"),
    (
        "key-policy-reset",
        "The policy of a key goes back to AWS's default",
    ),
    (
        "key-policy-unknown",
        "The policy of a key is not known before the apply",
    ),
    (
        "key-rotation-turned-off",
        "Automatic rotation of a key is turned off",
    ),
    (
        "keys-set-by-peer",
        "Keys of a workspace change, and nothing proves that they can be used",
    ),
    (
        "keys-set-twice",
        "Two resources set the keys of a workspace",
    ),
    (
        "managed-services-key-attached",
        "A workspace gets a managed services key",
    ),
    (
        "managed-services-key-rotated",
        "The managed services key of a workspace is rotated",
    ),
    ("permissions-lost", "Permissions on a key are taken away"),
    ("plan-errored", "The plan is not complete"),
    (
        "policy-written-twice",
        "Two resources write the policy of one key",
    ),
    ("resource-unreadable", "A resource cannot be read"),
    (
        "storage-key-attached",
        "A workspace gets its storage key, permanently",
    ),
    (
        "storage-key-changed",
        "The storage key of a workspace cannot be changed",
    ),
    (
        "unknown-attribute",
        "The configuration has an attribute that does not exist",
    ),
    ("workspace-replaced", "A workspace is deleted or replaced"),
];

/// The title of a finding.
pub fn title(id: &str) -> &'static str {
    TITLES
        .iter()
        .find(|(own, _)| *own == id)
        .map_or("A finding", |(_, title)| title)
}
