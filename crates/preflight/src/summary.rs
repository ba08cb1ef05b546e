//! What an attach rests on, in a few lines for the reviewer of a plan.
//!
//! The lines say what the provider proves, by which reads, and what it does not examine. They say nothing of what a read showed: a plan and its apply
//! read at different times, and a plan that passed must not promise other lines than its apply writes.

use std::fmt::Write as _;

use requirements::{aws::Purpose, azure, gcp};
use vocabulary::{Key, UseCase};

/// How the proof of one cloud goes.
struct Way {
    /// What the key itself must be, and the call that shows it.
    state: &'static str,
    /// Who may use it, and what shows that.
    access: String,
    /// What no read shows.
    not_examined: String,
}

/// What is proven of a key before a workspace takes it for these use cases, a line each. `examines_iam`: whether the IAM policies of roles are read
/// (AWS).
pub fn proof(key: &Key, cases: &[UseCase], examines_iam: bool) -> String {
    let way = match key {
        Key::Aws(_) => on_aws(cases, examines_iam),
        Key::Gcp(_) => on_google(),
        Key::Azure(_) => on_azure(),
    };
    let mut lines = String::new();
    let names: Vec<&str> = cases.iter().map(|case| case.in_words()).collect();
    let _ = writeln!(lines, "Key: {key}, for {}", names.join(" and "));
    let _ = writeln!(lines, "Required state: {}", way.state);
    let _ = writeln!(lines, "Required access: {}", way.access);
    let _ = writeln!(lines, "When: at plan, and again right before the attach");
    let _ = write!(lines, "Not examined: {}", way.not_examined);
    lines
}

fn on_aws(cases: &[UseCase], examines_iam: bool) -> Way {
    let mut actions: Vec<&str> = Vec::new();
    for purpose in [Purpose::ManagedServices, Purpose::Storage] {
        let is_wanted = cases
            .iter()
            .any(|case| purpose.use_case() == (*case).into());
        for (action, _) in purpose.needed_actions().iter().filter(|_| is_wanted) {
            if !actions.contains(action) {
                actions.push(action);
            }
        }
    }
    let (roles, unread) = match examines_iam {
        true => (
            "; the roles that use the key, also by their own IAM policies",
            "",
        ),
        false => (
            "; the roles that use the key",
            ", the IAM policies of these roles (`examine_iam = false`)",
        ),
    };
    Way {
        state: "enabled, symmetric, for encryption, in the Region of the workspace (kms:DescribeKey)",
        access: format!(
            "Databricks may call {} (key policy, grants){roles}",
            actions.join(", ")
        ),
        not_examined: format!(
            "resource control policies, VPC endpoint policies, the IAM policies of Databricks, service control policies without `aws.simulate`{unread}"
        ),
    }
}

fn on_google() -> Way {
    Way {
        state: "enabled, symmetric, in the region of the workspace, with every version that may hold data (cloudkms.cryptoKeys.get)",
        access: format!(
            "the service accounts of Databricks and of the workspace may use {} and {} (IAM policies of the key and of what is above it, deny \
             policies)",
            gcp::USE_TO_ENCRYPT,
            gcp::USE_TO_DECRYPT
        ),
        not_examined: "organization policies, VPC Service Controls".to_owned(),
    }
}

fn on_azure() -> Way {
    Way {
        state: "enabled, within its dates, of a type and size that Databricks takes, in the tenant of the workspace (vault)",
        access: format!(
            "AzureDatabricks and the identities of the workspace may {} (role assignments or access policies, deny assignments, network rules of \
             the vault)",
            azure::PERMISSIONS.join(", ")
        ),
        not_examined: "Azure Policy, the firewall of the virtual networks".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vocabulary::words::foreign;

    fn keys() -> Result<[Key; 3], Box<dyn std::error::Error>> {
        Ok([
            Key::Aws(
                "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
                    .parse()?,
            ),
            Key::Gcp("projects/p/locations/us-east4/keyRings/r/cryptoKeys/k".parse()?),
            Key::Azure("https://v.vault.azure.net/keys/k".parse()?),
        ])
    }

    #[test]
    fn each_cloud_says_what_is_proven_and_what_is_not() -> Result<(), Box<dyn std::error::Error>> {
        for key in keys()? {
            let said = proof(&key, &[UseCase::ManagedServices, UseCase::Storage], true);
            let starts: Vec<&str> = said
                .lines()
                .filter_map(|line| line.split(':').next())
                .collect();
            assert_eq!(
                starts,
                [
                    "Key",
                    "Required state",
                    "Required access",
                    "When",
                    "Not examined"
                ],
                "{said}"
            );
            assert_eq!(foreign(key.cloud(), &said), Vec::<String>::new(), "{said}");
        }
        Ok(())
    }

    /// What managed services do not need is not said to be proven for them.
    #[test]
    fn the_actions_are_those_of_the_use_cases() -> Result<(), Box<dyn std::error::Error>> {
        let [key, ..] = keys()?;
        let said = proof(&key, &[UseCase::ManagedServices], true);
        assert!(
            said.contains("kms:Encrypt, kms:Decrypt (key policy"),
            "{said}"
        );
        let said = proof(&key, &[UseCase::ManagedServices, UseCase::Storage], true);
        assert!(said.contains("kms:ReEncryptTo"), "{said}");
        assert!(said.contains("also by their own IAM policies"), "{said}");
        let said = proof(&key, &[UseCase::Storage], false);
        assert!(!said.contains("also by their own IAM policies"), "{said}");
        assert!(said.ends_with("(`examine_iam = false`)"), "{said}");
        Ok(())
    }
}
