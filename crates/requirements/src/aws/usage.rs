//! Who uses a key on AWS, the requests that they make, and the statements that grant them.

use serde_json::json;

use super::purpose::Purpose;
use kms_policy::{Caller, Context, Request};
use vocabulary::aws::{KeyArn, RoleArn};
use vocabulary::{AccountId, Deployment, KeyUse, UseCase};

/// The tag that every call of Databricks carries: the account for which it is made.
pub const ACCOUNT_TAG: &str = "aws:PrincipalTag/DatabricksAccountId";

/// The context keys that say to which AWS organization a caller, or the resource on whose behalf a service calls, belongs.
pub const ORGANIZATION_KEYS: [&str; 4] = [
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
];

/// Who uses the key for a purpose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum User {
    /// Databricks itself, on behalf of one or more Databricks accounts.
    Databricks(Deployment),
    /// The role with which Databricks launches clusters in the customer's account.
    CrossAccountRole(RoleArn),
    /// The role of a storage credential, with which Unity Catalog reads and writes tables in the customer's buckets.
    StorageCredential(RoleArn),
}

impl User {
    /// The role of the customer's, if it is one.
    pub fn role(&self) -> Option<&RoleArn> {
        match self {
            Self::Databricks(_) => None,
            Self::CrossAccountRole(role) | Self::StorageCredential(role) => Some(role),
        }
    }

    /// What texts call it.
    pub fn in_words(&self) -> &'static str {
        match self {
            Self::Databricks(_) => "Databricks",
            Self::CrossAccountRole(_) => "the cross-account role",
            Self::StorageCredential(_) => "the role of the storage credential",
        }
    }

    /// The principal as a key policy names it.
    pub fn principal(&self) -> String {
        match self {
            Self::Databricks(deployment) => deployment.principal(),
            Self::CrossAccountRole(role) | Self::StorageCredential(role) => role.to_string(),
        }
    }

    fn caller(&self) -> Caller {
        match self {
            Self::Databricks(deployment) => Caller::SomeoneIn {
                partition: deployment.partition().name().to_owned(),
                account: deployment.account().to_owned(),
            },
            Self::CrossAccountRole(role) | Self::StorageCredential(role) => {
                Caller::parse(&role.to_string()).unwrap_or_else(|_| Caller::SomeoneIn {
                    partition: role.partition().name().to_owned(),
                    account: role.account().to_owned(),
                })
            }
        }
    }
}

/// The request that `user` makes on `key` for `action`, with what is known of its context; the rest is not known.
///
/// `account` is the Databricks account on whose behalf Databricks calls; the cross-account role carries no such tag.
pub fn request(user: &User, action: &str, key: &KeyArn, account: &AccountId) -> Request {
    let caller = user.caller();
    let mut context = Context::open()
        .with("aws:RequestedRegion", key.region())
        .with("aws:SecureTransport", "true")
        .with("aws:ResourceAccount", key.account())
        .with("aws:PrincipalIsAWSService", "false")
        .with("kms:BypassPolicyLockoutSafetyCheck", "false");
    if let Some(account) = caller.account() {
        context = context
            .with("kms:CallerAccount", account)
            .with("aws:PrincipalAccount", account);
    }
    match user {
        User::Databricks(_) => {
            context = context.with(ACCOUNT_TAG, account.as_str());
            // Databricks' AWS account is in no organization of a customer.
            context = ORGANIZATION_KEYS
                .iter()
                .fold(context, |context, key| context.with_foreign(key));
        }
        User::CrossAccountRole(role) => {
            context = context.with("aws:PrincipalArn", role.to_string()).with(
                "kms:ViaService",
                format!("ec2.{}.{}", key.region(), key.partition().dns_suffix()),
            );
        }
        // S3 calls KMS on behalf of the principal that reads or writes an object.
        User::StorageCredential(role) => {
            context = context.with("aws:PrincipalArn", role.to_string()).with(
                "kms:ViaService",
                format!("s3.{}.{}", key.region(), key.partition().dns_suffix()),
            );
        }
    }
    // KMS has this key for all three operations on grants; Databricks' are for AWS services.
    if matches!(
        action,
        "kms:CreateGrant" | "kms:ListGrants" | "kms:RevokeGrant"
    ) {
        context = context.with("kms:GrantIsForAWSResource", "true");
    }
    Request {
        caller,
        action: action.to_owned(),
        resource: key.to_string(),
        context,
    }
}

/// The same request, made by `user` itself: not through an AWS service, and for none.
pub fn direct(user: &User, action: &str, key: &KeyArn, account: &AccountId) -> Request {
    let mut call = request(user, action, key, account);
    call.context
        .set("kms:GrantIsForAWSResource", vec!["false".to_owned()]);
    call.context.set_absent("kms:ViaService");
    call
}

/// What Databricks shall use a key for. Made by [`Usage::of`] and its `with_` methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The deployment whose account calls.
    pub deployment: Deployment,
    /// The Databricks accounts on whose behalf it calls.
    pub accounts: Vec<AccountId>,
    /// The data that the key shall encrypt.
    pub use_cases: Vec<KeyUse>,
    /// Whether the policy needs the storage grants of older documentation.
    pub grants: bool,
    /// The role whose cluster volumes the key encrypts.
    pub cross_account_role: Option<RoleArn>,
    /// The roles of storage credentials that read and write tables in buckets under the key.
    pub table_roles: Vec<RoleArn>,
}

/// A statement that grants what one purpose needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantingStatement {
    /// The feature of Databricks that needs it.
    pub purpose: Purpose,
    /// The principal that the statement allows.
    pub user: User,
    /// The statement, as JSON text.
    pub statement: String,
}

impl Usage {
    /// What a deployment of Databricks does with a key for some use cases, on behalf of one or more Databricks accounts.
    pub fn of(
        deployment: Deployment,
        accounts: impl IntoIterator<Item = AccountId>,
        use_cases: impl IntoIterator<Item = impl Into<KeyUse>>,
    ) -> Self {
        Self {
            deployment,
            accounts: accounts.into_iter().collect(),
            use_cases: use_cases.into_iter().map(Into::into).collect(),
            grants: false,
            cross_account_role: None,
            table_roles: Vec::new(),
        }
    }

    /// The same, with the storage grants of older documentation.
    #[must_use]
    pub fn with_grants(self, grants: bool) -> Self {
        Self { grants, ..self }
    }

    /// The same, for all data of a workspace: what a workspace does with a key does not depend on what a policy was written for.
    #[must_use]
    pub fn for_every_use_case(mut self) -> Self {
        for case in UseCase::ACCOUNT.map(KeyUse::from) {
            if !self.use_cases.contains(&case) {
                self.use_cases.push(case);
            }
        }
        self
    }

    /// The same, with the cluster volumes of the role that launches clusters.
    #[must_use]
    pub fn with_cross_account_role(self, role: Option<RoleArn>) -> Self {
        Self {
            cross_account_role: role,
            ..self
        }
    }

    /// The same, with the tables that the roles of storage credentials read and write.
    #[must_use]
    pub fn with_table_roles(self, roles: impl IntoIterator<Item = RoleArn>) -> Self {
        let mut table_roles: Vec<RoleArn> = roles.into_iter().collect();
        table_roles.sort();
        table_roles.dedup();
        Self {
            table_roles,
            ..self
        }
    }

    /// The roles of the customer's that need the key, each once.
    pub fn roles(&self) -> Vec<RoleArn> {
        let all = self.purposes();
        let mut roles: Vec<RoleArn> = all
            .iter()
            .filter_map(|(_, user)| user.role().cloned())
            .collect();
        roles.sort();
        roles.dedup();
        roles
    }

    /// Whether the key shall encrypt these data.
    pub fn is_for(&self, case: impl Into<KeyUse>) -> bool {
        self.use_cases.contains(&case.into())
    }

    /// The purposes that follow from the use cases, and who needs each.
    pub fn purposes(&self) -> Vec<(Purpose, User)> {
        let databricks = || User::Databricks(self.deployment);
        let mut purposes = Vec::new();
        if self.is_for(UseCase::ManagedServices) {
            purposes.push((Purpose::ManagedServices, databricks()));
        }
        if self.is_for(UseCase::Storage) {
            purposes.push((Purpose::Storage, databricks()));
            if self.grants {
                purposes.push((Purpose::StorageGrants, databricks()));
            }
            if let Some(role) = &self.cross_account_role {
                purposes.push((
                    Purpose::ClusterVolumes,
                    User::CrossAccountRole(role.clone()),
                ));
            }
        }
        if self.is_for(KeyUse::UnityCatalog) {
            let roles = self.table_roles.iter().cloned();
            purposes.extend(roles.map(|role| (Purpose::Tables, User::StorageCredential(role))));
        }
        purposes
    }

    /// The statements that grant all of it, in the documented wording and order.
    pub fn grants(&self) -> Vec<GrantingStatement> {
        let purposes = self.purposes().into_iter();
        purposes
            .map(|(purpose, user)| GrantingStatement {
                purpose,
                statement: self.statement(purpose, &user),
                user,
            })
            .collect()
    }

    /// The documented statement for one purpose.
    pub fn statement(&self, purpose: Purpose, user: &User) -> String {
        let mut accounts: Vec<&str> = self.accounts.iter().map(AccountId::as_str).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let tag = json!({ ACCOUNT_TAG: accounts });
        let condition = match purpose {
            Purpose::ManagedServices | Purpose::Storage => Some(json!({ "StringEquals": tag })),
            Purpose::StorageGrants => Some(
                json!({ "StringEquals": tag, "Bool": { "kms:GrantIsForAWSResource": "true" } }),
            ),
            Purpose::ClusterVolumes => Some(
                json!({ "ForAnyValue:StringLike": { "kms:ViaService": "ec2.*.amazonaws.com" } }),
            ),
            Purpose::Tables => None,
        };
        let actions = purpose.statement_actions();
        statement_text(
            purpose.sid(),
            &user.principal(),
            actions,
            condition.as_ref(),
        )
    }
}

/// A statement with its elements in the order in which people read them.
pub fn statement_text(
    sid: &str,
    principal: &str,
    actions: &[&str],
    condition: Option<&serde_json::Value>,
) -> String {
    let text = |value: &str| serde_json::Value::from(value).to_string();
    let actions: Vec<String> = actions.iter().map(|action| text(action)).collect();
    let condition = condition.map_or_else(String::new, |condition| {
        format!(",\"Condition\":{condition}")
    });
    format!(
        "{{\"Sid\":{},\"Effect\":\"Allow\",\"Principal\":{{\"AWS\":{}}},\"Action\":[{}],\"Resource\":\"*\"{condition}}}",
        text(sid),
        text(principal),
        actions.join(","),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use kms_policy::{Document, Verdict, evaluate};

    fn usage() -> Result<Usage, Box<dyn std::error::Error>> {
        Ok(Usage::of(
            Deployment::Commercial,
            ["2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11".parse()?],
            [
                KeyUse::from(UseCase::ManagedServices),
                UseCase::Storage.into(),
                KeyUse::UnityCatalog,
            ],
        )
        .with_grants(true)
        .with_cross_account_role(Some("arn:aws:iam::123456789012:role/dbx".parse()?))
        .with_table_roles(["arn:aws:iam::123456789012:role/tables".parse()?]))
    }

    #[test]
    fn the_documented_statements_grant_every_action_that_is_needed()
    -> Result<(), Box<dyn std::error::Error>> {
        let usage = usage()?;
        let key: KeyArn =
            "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
                .parse()?;
        let statements: Vec<String> = usage
            .grants()
            .into_iter()
            .map(|grant| grant.statement)
            .collect();
        let text = format!(
            "{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}",
            statements.join(",")
        );
        let policy = Document::parse(&text).map_err(|error| error.to_string())?;
        for (purpose, user) in usage.purposes() {
            for (action, _) in purpose.needed_actions() {
                for account in &usage.accounts {
                    let decision = evaluate(&policy, &request(&user, action, &key, account));
                    assert_eq!(
                        decision.verdict,
                        Verdict::Allowed,
                        "{action} for {}",
                        purpose.in_words()
                    );
                }
            }
        }
        Ok(())
    }

    #[test]
    fn a_statement_reads_in_the_order_of_the_documentation()
    -> Result<(), Box<dyn std::error::Error>> {
        let usage = usage()?;
        let statement = usage.statement(
            Purpose::ManagedServices,
            &User::Databricks(Deployment::Commercial),
        );
        assert_eq!(
            statement,
            "{\"Sid\":\"Allow Databricks to use KMS key for managed services in the control plane\",\"Effect\":\"Allow\",\
             \"Principal\":{\"AWS\":\"arn:aws:iam::414351767826:root\"},\"Action\":[\"kms:Encrypt\",\"kms:Decrypt\"],\
             \"Resource\":\"*\",\"Condition\":{\"StringEquals\":{\"aws:PrincipalTag/DatabricksAccountId\":\
             [\"2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11\"]}}}"
        );
        Ok(())
    }
}
