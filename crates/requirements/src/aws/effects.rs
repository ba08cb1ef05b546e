//! What a change of a key policy means for those who use the key: who gains and who loses which permission.

use super::purpose::Purpose;
use super::usage::{Usage, User, request};
use kms_policy::{Document, Verdict, evaluate};
use vocabulary::aws::KeyArn;

/// What changes for one user and one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionChange {
    /// The principal that gains or loses.
    pub user: User,
    /// The feature of Databricks that is concerned.
    pub purpose: Purpose,
    /// Actions that were not certainly allowed before, and are now.
    pub gained: Vec<&'static str>,
    /// Actions that were allowed before, and are not certainly allowed now.
    pub lost: Vec<&'static str>,
    /// Actions that the policy itself allowed before, and now leaves to the IAM policies of the user's account.
    pub left_to_iam: Vec<&'static str>,
}

impl PermissionChange {
    /// In words: `Databricks loses kms:Decrypt for managed services`.
    pub fn in_words(&self) -> Vec<String> {
        let who = match &self.user {
            User::Databricks(_) => "Databricks".to_owned(),
            User::CrossAccountRole(role) | User::StorageCredential(role) => role.to_string(),
        };
        let rows = [
            ("loses", &self.lost, ""),
            (
                "keeps",
                &self.left_to_iam,
                " only if its IAM policies allow it, because no statement names it anymore",
            ),
            ("gains", &self.gained, ""),
        ];
        let shown = rows
            .into_iter()
            .filter(|(_, actions, _)| !actions.is_empty());
        shown
            .map(|(verb, actions, how)| {
                format!(
                    "{who} {verb} {} for {}{how}",
                    actions.join(", "),
                    self.purpose.in_words()
                )
            })
            .collect()
    }

    /// Everything that a user needs for a purpose is lost.
    pub fn all_lost(purpose: Purpose, user: User) -> Self {
        let actions = purpose.needed_actions().iter();
        Self {
            user,
            purpose,
            gained: Vec::new(),
            lost: actions.map(|(action, _)| *action).collect(),
            left_to_iam: Vec::new(),
        }
    }

    /// What is taken away, without what is gained; `None` when that is nothing.
    pub fn loss(self) -> Option<Self> {
        (!self.lost.is_empty() || !self.left_to_iam.is_empty()).then(|| Self {
            gained: Vec::new(),
            ..self
        })
    }

    /// What is gained, without what is taken away; `None` when that is nothing.
    pub fn gain(self) -> Option<Self> {
        (!self.gained.is_empty()).then(|| Self {
            lost: Vec::new(),
            left_to_iam: Vec::new(),
            ..self
        })
    }
}

/// What a policy does for an action, the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grants {
    /// It does not certainly allow it.
    Nothing,
    /// It leaves it to the IAM policies of the user's account.
    ByIam,
    /// It allows it by itself.
    ByPolicy,
}

/// What changes from `before` to `after` for everybody who uses `key` as `usage` says. An action counts as allowed when it is
/// for every account of the usage.
pub fn effects(
    before: &Document,
    after: &Document,
    key: &KeyArn,
    usage: &Usage,
) -> Vec<PermissionChange> {
    let grant = |policy: &Document, user: &User, action: &str| {
        let each = usage.accounts.iter().map(|account| {
            let decision = evaluate(policy, &request(user, action, key, account));
            match decision.verdict {
                // For Databricks, which is in another account, delegation is what the documentation asks for.
                Verdict::Allowed if decision.delegated && user.role().is_some() => Grants::ByIam,
                Verdict::Allowed => Grants::ByPolicy,
                _ => Grants::Nothing,
            }
        });
        each.min().unwrap_or(Grants::Nothing)
    };
    let changes = usage.purposes().into_iter().map(|(purpose, user)| {
        let (mut gained, mut lost, mut left_to_iam) = (Vec::new(), Vec::new(), Vec::new());
        for (action, _) in purpose.needed_actions() {
            match (grant(before, &user, action), grant(after, &user, action)) {
                (Grants::ByPolicy | Grants::ByIam, Grants::Nothing) => lost.push(*action),
                (Grants::ByPolicy, Grants::ByIam) => left_to_iam.push(*action),
                (Grants::Nothing, Grants::ByPolicy | Grants::ByIam) => gained.push(*action),
                _ => {}
            }
        }
        PermissionChange {
            user,
            purpose,
            gained,
            lost,
            left_to_iam,
        }
    });
    changes
        .filter(|change| {
            !change.gained.is_empty() || !change.lost.is_empty() || !change.left_to_iam.is_empty()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::document_of;
    use vocabulary::Deployment;
    use vocabulary::UseCase;

    #[test]
    fn what_a_policy_change_means_is_told_in_permissions() -> Result<(), Box<dyn std::error::Error>>
    {
        let usage = Usage::of(
            Deployment::Commercial,
            ["2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11".parse()?],
            UseCase::ACCOUNT,
        )
        .with_cross_account_role(Some("arn:aws:iam::123456789012:role/dbx".parse()?));
        let key: KeyArn =
            "arn:aws:kms:eu-central-1:999999999999:key/1234abcd-12ab-34cd-56ef-1234567890ab"
                .parse()?;
        let statements: Vec<String> = usage
            .grants()
            .into_iter()
            .map(|grant| grant.statement)
            .collect();
        let words =
            |before: &[String], after: &[String]| -> Result<Vec<String>, kms_policy::PolicyError> {
                let changes = effects(&document_of(before)?, &document_of(after)?, &key, &usage);
                Ok(changes
                    .iter()
                    .flat_map(PermissionChange::in_words)
                    .collect())
            };
        // The storage statement covers what managed services need, so nothing is lost by giving up theirs.
        let without_first = statements.get(1..).unwrap_or_default();
        assert_eq!(words(&statements, without_first)?, Vec::<String>::new());
        let only_first = statements.get(..1).unwrap_or_default();
        let lost = words(&statements, only_first)?;
        assert_eq!(lost.len(), 2, "{lost:?}");
        assert!(
            lost.iter().any(|line| line
                == "arn:aws:iam::123456789012:role/dbx loses kms:Decrypt, kms:GenerateDataKey, \
            kms:GenerateDataKeyWithoutPlaintext, kms:CreateGrant, kms:DescribeKey for cluster volumes (EBS)"),
            "{lost:?}"
        );
        // With the statement that AWS puts there by default, the role is not shut out, but nothing proves that it is let in.
        let administration = crate::aws::administration_statement("aws", "123456789012");
        let key: KeyArn =
            "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
                .parse()?;
        let with: Vec<String> = [&[administration.clone()][..], &statements].concat();
        let without: Vec<String> = with
            .iter()
            .filter(|statement| !statement.contains("EBS"))
            .cloned()
            .collect();
        let changes = effects(&document_of(&with)?, &document_of(&without)?, &key, &usage);
        let lines: Vec<String> = changes
            .into_iter()
            .filter_map(PermissionChange::loss)
            .flat_map(|one| one.in_words())
            .collect();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines
                .iter()
                .any(|line| line.contains("keeps kms:Decrypt") && line.contains("only if its IAM")),
            "{lines:?}"
        );
        assert!(
            words(only_first, &statements)?
                .iter()
                .any(|line| line.starts_with("Databricks gains kms:ReEncryptFrom"))
        );
        Ok(())
    }
}
