//! What a change of a key policy means for those who use the key: who gains and who loses which permission.

use super::aws::{Purpose, Usage, User, request};
use crate::policy::{Document, Verdict, evaluate};
use crate::vocabulary::KeyArn;

/// What changes for one user and one purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionChange {
    /// Who.
    pub user: User,
    /// For what.
    pub purpose: Purpose,
    /// Actions that were not certainly allowed before, and are now.
    pub gained: Vec<&'static str>,
    /// Actions that were allowed before, and are not certainly allowed now.
    pub lost: Vec<&'static str>,
}

impl PermissionChange {
    /// In words: `Databricks loses kms:Decrypt for managed services`.
    pub fn in_words(&self) -> Vec<String> {
        let who = match &self.user {
            User::Databricks(_) => "Databricks".to_owned(),
            User::CrossAccountRole(role) => role.to_string(),
        };
        let rows = [("loses", &self.lost), ("gains", &self.gained)];
        let told = rows.into_iter().filter(|(_, actions)| !actions.is_empty());
        told.map(|(verb, actions)| format!("{who} {verb} {} for {}", actions.join(", "), self.purpose.in_words())).collect()
    }
}

/// What changes from `before` to `after` for everybody who uses `key` as `usage` says. An action counts as allowed when it is
/// for every account of the usage.
pub fn effects(before: &Document, after: &Document, key: &KeyArn, usage: &Usage) -> Vec<PermissionChange> {
    let allowed = |policy: &Document, user: &User, action: &str| {
        usage.accounts.iter().all(|account| evaluate(policy, &request(user, action, key, account)).verdict == Verdict::Allowed)
    };
    let changes = usage.purposes().into_iter().map(|(purpose, user)| {
        let (mut gained, mut lost) = (Vec::new(), Vec::new());
        for (action, _) in purpose.needed_actions() {
            match (allowed(before, &user, action), allowed(after, &user, action)) {
                (true, false) => lost.push(*action),
                (false, true) => gained.push(*action),
                _ => {}
            }
        }
        PermissionChange { user, purpose, gained, lost }
    });
    changes.filter(|change| !change.gained.is_empty() || !change.lost.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requirements::aws::Deployment;
    use crate::requirements::ownership::document_of;
    use crate::vocabulary::UseCase;

    #[test]
    fn what_a_policy_change_means_is_told_in_permissions() -> Result<(), Box<dyn std::error::Error>> {
        let usage = Usage {
            deployment: Deployment::Commercial,
            accounts: vec!["2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11".parse()?],
            use_cases: UseCase::ALL.to_vec(),
            grants: false,
            cross_account_role: Some("arn:aws:iam::123456789012:role/dbx".parse()?),
        };
        let key: KeyArn = "arn:aws:kms:eu-central-1:999999999999:key/1234abcd-12ab-34cd-56ef-1234567890ab".parse()?;
        let statements: Vec<String> = usage.grants().into_iter().map(|grant| grant.statement).collect();
        let words = |before: &[String], after: &[String]| -> Result<Vec<String>, crate::policy::PolicyError> {
            let changes = effects(&document_of(before)?, &document_of(after)?, &key, &usage);
            Ok(changes.iter().flat_map(PermissionChange::in_words).collect())
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
        assert!(words(only_first, &statements)?.iter().any(|line| line.starts_with("Databricks gains kms:ReEncryptFrom")));
        Ok(())
    }
}
