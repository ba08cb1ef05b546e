//! What Databricks needs of a key of Cloud KMS, as data: which accounts must be able to encrypt and decrypt with it.
//!
//! Sources: the Databricks documentation of customer-managed keys on Google Cloud; Google Cloud documentation, "Service agents" and
//! "Customer-managed encryption keys" of Compute Engine and Cloud Storage; IAM roles reference (Cloud KMS).

use vocabulary::gcp::{ProjectNumber, ServiceAccount};
use vocabulary::{KeyUse, UseCase};

/// What the right to encrypt is called.
pub const USE_TO_ENCRYPT: &str = "cloudkms.cryptoKeyVersions.useToEncrypt";
/// What the right to decrypt is called.
pub const USE_TO_DECRYPT: &str = "cloudkms.cryptoKeyVersions.useToDecrypt";
/// The role with both.
pub const ENCRYPTER_DECRYPTER: &str = "roles/cloudkms.cryptoKeyEncrypterDecrypter";

/// The rights of the roles that have them; other predefined roles of Cloud KMS have neither. Source: IAM roles reference.
const ROLES: &[(&str, bool, bool)] = &[
    (ENCRYPTER_DECRYPTER, true, true),
    ("roles/cloudkms.cryptoKeyEncrypter", true, false),
    ("roles/cloudkms.cryptoKeyDecrypter", false, true),
    ("roles/cloudkms.admin", false, false),
    ("roles/cloudkms.viewer", false, false),
    ("roles/cloudkms.publicKeyViewer", false, false),
    ("roles/cloudkms.importer", false, false),
    ("roles/cloudkms.signer", false, false),
    ("roles/cloudkms.verifier", false, false),
    ("roles/cloudkms.signerVerifier", false, false),
    ("roles/viewer", false, false),
    ("roles/browser", false, false),
];

/// What a role lets do with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// Encrypt with the key: new data needs that.
    pub encrypt: bool,
    /// Decrypt with the key: existing data needs that.
    pub decrypt: bool,
}

/// What a predefined role lets do; `None` for a role that this table does not know, such as a custom role.
pub fn rights_of(role: &str) -> Option<Rights> {
    ROLES
        .iter()
        .find(|(name, _, _)| *name == role)
        .map(|(_, encrypt, decrypt)| Rights {
            encrypt: *encrypt,
            decrypt: *decrypt,
        })
}

/// A service account that needs the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grantee {
    /// The email of the service account.
    pub account: ServiceAccount,
    /// For what, in words.
    pub what_for: &'static str,
    /// What happens without it.
    pub without_it: &'static str,
    /// The use case for which it needs the key.
    pub use_case: KeyUse,
}

/// Whether a member of an IAM policy is a service account that a workspace needs: a service agent of Google, or one of Databricks'
/// projects. Sources: Google Cloud documentation, "Service agents"; databricks/terraform-provider-databricks (`prod-gcp-…`).
pub fn is_needed(member: &str) -> bool {
    agent_of(member).is_some() || is_of_databricks(member)
}

/// Whether a member is a service account of Databricks, as far as its name says it.
pub fn is_of_databricks(member: &str) -> bool {
    member.starts_with("serviceAccount:")
        && member.ends_with(".iam.gserviceaccount.com")
        && (member.contains("@prod-gcp-") || member.contains("databricks"))
}

/// The number of the project whose service agent of Compute Engine or Cloud Storage a member is.
pub fn agent_of(member: &str) -> Option<ProjectNumber> {
    let rest = member.strip_prefix("serviceAccount:service-")?;
    let (number, domain) = rest.split_once('@')?;
    let is_agent = [
        "compute-system.iam.gserviceaccount.com",
        "gs-project-accounts.iam.gserviceaccount.com",
    ]
    .contains(&domain);
    number.parse().ok().filter(|_| is_agent)
}

/// What Databricks shall use a key of Cloud KMS for, and as which accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The data that the key shall encrypt.
    pub use_cases: Vec<UseCase>,
    /// The service accounts with which Databricks itself uses the key.
    pub databricks: Vec<ServiceAccount>,
    /// The project of the workspace, whose service agents encrypt disks and buckets.
    pub workspace_project: Option<ProjectNumber>,
    /// The projects of buckets with tables of Unity Catalog, whose Cloud Storage service agents encrypt them.
    pub table_projects: Vec<ProjectNumber>,
    /// Why the provider does not know an account that needs the key as well, in words.
    pub not_known: Option<String>,
}

impl Usage {
    /// Who needs the key for these use cases and is not named, with the attribute that names it; `None` where everybody is.
    pub fn unnamed(&self) -> Option<String> {
        let mut unnamed = Vec::new();
        if !self.use_cases.is_empty() && self.databricks.is_empty() {
            unnamed
                .push("no service account of Databricks is named (`databricks_service_accounts`)");
        }
        if self.use_cases.contains(&UseCase::Storage) && self.workspace_project.is_none() {
            unnamed.push("the project of the workspace is not named (`workspace_project_number`)");
        }
        let is_nobody = unnamed.is_empty() && self.grantees().is_empty();
        match is_nobody {
            true => Some("none is named".to_owned()),
            false => (!unnamed.is_empty()).then(|| unnamed.join("; ")),
        }
    }

    /// Everybody who needs the key.
    pub fn grantees(&self) -> Vec<Grantee> {
        let own_use = match self.use_cases.as_slice() {
            [UseCase::Storage] => UseCase::Storage,
            _ => UseCase::ManagedServices,
        };
        let mut all: Vec<Grantee> = self
            .databricks
            .iter()
            .map(|account| Grantee {
                account: account.clone(),
                what_for: "Databricks' own use of the key",
                without_it: "Databricks cannot read or write the data of the workspace",
                use_case: own_use.into(),
            })
            .collect();
        if let Some(number) = &self.workspace_project
            && self.use_cases.contains(&UseCase::Storage)
        {
            all.push(Grantee {
                account: ServiceAccount::compute_agent(number),
                what_for: "the persistent disks of classic compute",
                without_it: "clusters do not start",
                use_case: UseCase::Storage.into(),
            });
            all.push(Grantee {
                account: ServiceAccount::storage_agent(number),
                what_for: "the workspace buckets",
                without_it: "the workspace cannot write to its buckets",
                use_case: UseCase::Storage.into(),
            });
        }
        // Source: Cloud Storage documentation, "Customer-managed encryption keys": the service agent of the project of the bucket uses the key,
        // for every reader and writer.
        all.extend(self.table_projects.iter().map(|number| Grantee {
            account: ServiceAccount::storage_agent(number),
            what_for: "the buckets of tables in its project",
            without_it: "nobody can read or write tables in these buckets",
            use_case: KeyUse::UnityCatalog,
        }));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_needs_the_agents_of_the_workspace() -> Result<(), Box<dyn std::error::Error>> {
        let mut usage = Usage {
            use_cases: vec![UseCase::ManagedServices],
            databricks: vec!["db-1@prod-gcp-us-east4.iam.gserviceaccount.com".parse()?],
            workspace_project: Some("123456789012".parse()?),
            ..Usage::default()
        };
        assert_eq!(usage.grantees().len(), 1);
        usage.use_cases = UseCase::ACCOUNT.to_vec();
        let members: Vec<String> = usage
            .grantees()
            .iter()
            .map(|one| one.account.to_string())
            .collect();
        assert_eq!(
            members,
            [
                "db-1@prod-gcp-us-east4.iam.gserviceaccount.com",
                "service-123456789012@compute-system.iam.gserviceaccount.com",
                "service-123456789012@gs-project-accounts.iam.gserviceaccount.com"
            ]
        );
        assert_eq!(usage.unnamed(), None);
        let unnamed = |usage: &Usage| usage.unnamed().unwrap_or_default();
        usage.databricks.clear();
        assert!(unnamed(&usage).contains("`databricks_service_accounts`"));
        usage.workspace_project = None;
        assert!(unnamed(&usage).contains("`workspace_project_number`"));
        usage.use_cases = vec![UseCase::ManagedServices];
        assert!(!unnamed(&usage).contains("`workspace_project_number`"));
        let tables = Usage {
            table_projects: vec!["210987654321".parse()?],
            ..Usage::default()
        };
        assert_eq!(tables.unnamed(), None);
        assert_eq!(Usage::default().unnamed().as_deref(), Some("none is named"));
        let tables = tables.grantees();
        let all: Vec<(String, KeyUse)> = tables
            .iter()
            .map(|one| (one.account.to_string(), one.use_case))
            .collect();
        assert_eq!(
            all,
            [(
                "service-210987654321@gs-project-accounts.iam.gserviceaccount.com".to_owned(),
                KeyUse::UnityCatalog
            )]
        );
        assert_eq!(
            rights_of("roles/cloudkms.admin").map(|rights| rights.decrypt),
            Some(false)
        );
        assert_eq!(rights_of("projects/p/roles/custom"), None);
        Ok(())
    }
}
