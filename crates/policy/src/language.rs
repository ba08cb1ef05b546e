//! The few words of the policy language that everything else is built of.

/// Every action of AWS KMS. Source: AWS service authorization reference, "Actions defined by AWS Key Management Service".
pub const KMS_ACTIONS: &[&str] = &[
    "CancelKeyDeletion",
    "ConnectCustomKeyStore",
    "CreateAlias",
    "CreateCustomKeyStore",
    "CreateGrant",
    "CreateKey",
    "Decrypt",
    "DeleteAlias",
    "DeleteCustomKeyStore",
    "DeleteImportedKeyMaterial",
    "DeriveSharedSecret",
    "DescribeCustomKeyStores",
    "DescribeKey",
    "DisableKey",
    "DisableKeyRotation",
    "DisconnectCustomKeyStore",
    "EnableKey",
    "EnableKeyRotation",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "GenerateRandom",
    "GetKeyLastUsage",
    "GetKeyPolicy",
    "GetKeyRotationStatus",
    "GetParametersForImport",
    "GetPublicKey",
    "ImportKeyMaterial",
    "ListAliases",
    "ListGrants",
    "ListKeyPolicies",
    "ListKeyRotations",
    "ListKeys",
    "ListResourceTags",
    "ListRetirableGrants",
    "PutKeyPolicy",
    "ReEncryptFrom",
    "ReEncryptTo",
    "ReplicateKey",
    "RetireGrant",
    "RevokeGrant",
    "RotateKeyOnDemand",
    "ScheduleKeyDeletion",
    "Sign",
    "SynchronizeMultiRegionKey",
    "TagResource",
    "UntagResource",
    "UpdateAlias",
    "UpdateCustomKeyStore",
    "UpdateKeyDescription",
    "UpdatePrimaryRegion",
    "Verify",
    "VerifyMac",
];

/// Text that is not an action of AWS KMS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an action of AWS KMS{hint}")]
pub struct ActionError {
    text: String,
    hint: String,
}

/// An action of AWS KMS in AWS's own spelling, from text in any case: `kms:Decrypt`.
///
/// # Errors
/// When AWS KMS has no such action.
pub fn kms_action(text: &str) -> Result<String, ActionError> {
    let own = text
        .split_once(':')
        .filter(|(service, _)| service.eq_ignore_ascii_case("kms"))
        .map(|(_, action)| action);
    let known = own.and_then(|own| {
        KMS_ACTIONS
            .iter()
            .find(|action| action.eq_ignore_ascii_case(own))
    });
    known.map(|action| format!("kms:{action}")).ok_or_else(|| {
        let near = nearest(own.unwrap_or(text), KMS_ACTIONS);
        let hint = near.map_or_else(
            || "; an action reads `kms:Decrypt`".to_owned(),
            |near| format!("; did you mean `kms:{near}`?"),
        );
        ActionError {
            text: text.to_owned(),
            hint,
        }
    })
}

/// The one of `names` that a person may have meant by `text`: at most a third of it is otherwise.
pub fn nearest<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    let wanted = text.to_ascii_lowercase();
    let distance = |name: &str| edits(&wanted, &name.to_ascii_lowercase());
    // Of two that are as near, the one of which it is the beginning.
    let begins = |name: &str| name.to_ascii_lowercase().starts_with(&wanted);
    let best = names
        .iter()
        .map(|name| (distance(name), *name))
        .min_by_key(|(distance, name)| (*distance, !begins(name)))?;
    (best.0 <= (text.chars().count() / 3).max(1)).then_some(best.1)
}

/// How many letters you must add, remove, replace or swap to make one text of the other.
fn edits(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    // The last three rows of the table; a swap looks two rows back.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let at =
                |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let mut least = (at(&last, j + 1) + 1)
                .min(at(&row, j) + 1)
                .min(at(&last, j) + usize::from(l != r));
            let swapped =
                i > 0 && j > 0 && left.get(i - 1) == Some(r) && right.get(j - 1) == Some(l);
            if swapped {
                least = least.min(at(&before, j - 1) + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

/// The version of the policy language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `2008-10-17`, also when none is given: without policy variables.
    V2008,
    /// `2012-10-17`, which knows policy variables.
    V2012,
}

/// What a statement does with the requests that it applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Allows them.
    Allow,
    /// Denies them, whatever else allows them.
    Deny,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: the action in a policy, and the answer.
    #[test]
    fn an_action_is_known_in_any_case_and_a_typo_is_pointed_out() {
        let rows = [
            ("kms:Decrypt", "kms:Decrypt"),
            ("KMS:generatedatakey", "kms:GenerateDataKey"),
            (
                "kms:Decrpyt",
                "`kms:Decrpyt` is not an action of AWS KMS; did you mean `kms:Decrypt`?",
            ),
            (
                "Decrypt",
                "`Decrypt` is not an action of AWS KMS; did you mean `kms:Decrypt`?",
            ),
            (
                "kms:*",
                "`kms:*` is not an action of AWS KMS; an action reads `kms:Decrypt`",
            ),
            (
                "s3:GetObject",
                "`s3:GetObject` is not an action of AWS KMS; an action reads `kms:Decrypt`",
            ),
            (
                "kms:ReEncrypt",
                "`kms:ReEncrypt` is not an action of AWS KMS; did you mean `kms:ReEncryptTo`?",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(
                kms_action(text).unwrap_or_else(|error| error.to_string()),
                expected
            );
        }
    }

    #[test]
    fn the_distance_counts_a_swap_as_one() {
        for (left, right, distance) in [
            ("", "", 0),
            ("a", "", 1),
            ("reach", "reech", 1),
            ("decrypt", "decrpyt", 1),
            ("abc", "xyz", 3),
        ] {
            assert_eq!(edits(left, right), distance, "{left} {right}");
        }
    }
}
