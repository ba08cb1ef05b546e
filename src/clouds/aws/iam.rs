//! AWS IAM: the cross-account role, read and never changed.

use aws_config::Region;
use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, EvaluationResult};
use percent_encoding::percent_decode_str;

use super::Aws;
use super::connection::is_on_this_machine;
use super::errors::{AwsError, unreadable};
use crate::preflight::aws::{
    CallToSimulate, NamedPolicy, RoleFacts, RoleKnowledge, Simulated, SimulatedDecision, Simulation,
};
use crate::vocabulary::aws::{KeyArn, Partition, RoleArn};

/// Policies come percent-encoded (RFC 3986). Source: IAM API reference, GetPolicyVersion.
fn decoded(document: &str) -> String {
    percent_decode_str(document)
        .decode_utf8_lossy()
        .into_owned()
}

/// A result of the simulator in our words.
fn simulated(result: &EvaluationResult) -> Simulated {
    Simulated {
        action: result.eval_action_name().to_owned(),
        decision: SimulatedDecision::from(result.eval_decision().as_str()),
        allowed_by_organization: result
            .organizations_decision_detail()
            .map(|detail| detail.allowed_by_organizations()),
    }
}

impl Aws {
    /// IAM has one endpoint a partition.
    async fn iam(&self, partition: Partition) -> aws_sdk_iam::Client {
        let region = partition.usual_region();
        let base = self.connection.base().await;
        let mut config = aws_sdk_iam::config::Builder::from(base).region(Region::new(region));
        let endpoint = self.connection.settings.iam_endpoint.as_deref();
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint);
        }
        if is_on_this_machine(endpoint, "IAM") {
            config = config.http_client(self.connection.direct());
        }
        aws_sdk_iam::Client::from_conf(config.build())
    }

    /// Whether the IAM policies of roles are read.
    pub fn examines_iam(&self) -> bool {
        self.connection.settings.examine_iam
    }

    /// A role and every policy that decides what it may do, read now. What cannot be read says why.
    pub async fn role(&self, role: &RoleArn) -> RoleKnowledge {
        if !self.connection.settings.examine_iam {
            return RoleKnowledge::Off;
        }
        // IAM takes a role's name, and another account may have a role of the same name.
        match self.caller(role.partition().usual_region()).await {
            Ok(caller) if caller.account() == Some(role.account()) => {}
            Ok(caller) => {
                return RoleKnowledge::Elsewhere(caller.account().unwrap_or_default().to_owned());
            }
            Err(error) => return RoleKnowledge::Unreadable(unreadable(&error)),
        }
        match self.read_role(role).await {
            Ok(Some(facts)) => RoleKnowledge::Known(facts),
            Ok(None) => RoleKnowledge::Missing,
            Err(error) => RoleKnowledge::Unreadable(unreadable(&error)),
        }
    }

    /// What AWS's policy simulator says of a role. It decides by the role's IAM policies, its boundary and the service control
    /// policies of the organization; it does not take a key policy for a role. Source: IAM API reference, SimulatePrincipalPolicy.
    pub async fn simulate(
        &self,
        role: &RoleArn,
        key: &KeyArn,
        calls: &[CallToSimulate],
    ) -> Simulation {
        if !self.connection.settings.simulate {
            return Simulation::NotAsked;
        }
        let iam = self.iam(role.partition()).await;
        let mut all = Vec::new();
        for call in calls {
            match self.simulate_one(&iam, role, key, call).await {
                Ok(results) => all.extend(results),
                Err(error) => return Simulation::Unreadable(unreadable(&error)),
            }
        }
        Simulation::Known(all)
    }

    /// What AWS's policy simulator says of the IAM policies of a role or user: `source`, on one resource. A session has the policies of its
    /// role.
    ///
    /// # Errors
    /// When IAM refuses or cannot be reached.
    pub async fn own_rights(
        &self,
        partition: Partition,
        source: &str,
        resource: &str,
        actions: &[&str],
    ) -> Result<Vec<Simulated>, AwsError> {
        let iam = self.iam(partition).await;
        let mut pages = iam
            .simulate_principal_policy()
            .policy_source_arn(source)
            .set_action_names(Some(actions.iter().map(|one| (*one).to_owned()).collect()))
            .resource_arns(resource)
            .into_paginator()
            .items()
            .send();
        let mut all = Vec::new();
        while let Some(result) = pages.next().await {
            all.push(simulated(&result.map_err(|error| {
                self.connection
                    .understand("iam:SimulatePrincipalPolicy", error)
            })?));
        }
        Ok(all)
    }

    /// The whole ARN of a role of the caller's account, by its name.
    ///
    /// # Errors
    /// When IAM refuses or cannot be reached, or has no such role.
    pub async fn role_arn(&self, partition: Partition, name: &str) -> Result<String, AwsError> {
        let iam = self.iam(partition).await;
        let found = iam.get_role().role_name(name).send().await;
        let found = found.map_err(|error| self.connection.understand("iam:GetRole", error))?;
        let arn = found.role().map(|role| role.arn().to_owned());
        arn.ok_or_else(|| AwsError::NotFound(format!("IAM shows no role {name}")))
    }

    async fn simulate_one(
        &self,
        iam: &aws_sdk_iam::Client,
        role: &RoleArn,
        key: &KeyArn,
        call: &CallToSimulate,
    ) -> Result<Vec<Simulated>, AwsError> {
        let entry = |(name, value): &(String, String)| {
            let kind = match value.as_str() {
                "true" | "false" => ContextKeyTypeEnum::Boolean,
                _ => ContextKeyTypeEnum::String,
            };
            ContextEntry::builder()
                .context_key_name(name)
                .context_key_values(value)
                .context_key_type(kind)
                .build()
        };
        let mut pages = iam
            .simulate_principal_policy()
            .policy_source_arn(role.to_string())
            .set_action_names(Some(
                call.actions.iter().map(|one| (*one).to_owned()).collect(),
            ))
            .resource_arns(key.to_string())
            .set_context_entries(Some(call.context.iter().map(entry).collect()))
            .into_paginator()
            .items()
            .send();
        let mut all = Vec::new();
        while let Some(result) = pages.next().await {
            let result = result.map_err(|error| {
                self.connection
                    .understand("iam:SimulatePrincipalPolicy", error)
            })?;
            all.push(simulated(&result));
        }
        Ok(all)
    }

    async fn read_role(&self, role: &RoleArn) -> Result<Option<RoleFacts>, AwsError> {
        let iam = self.iam(role.partition()).await;
        let found = iam.get_role().role_name(role.name()).send().await;
        let found = match found.map_err(|error| self.connection.understand("iam:GetRole", error)) {
            Ok(found) => found,
            Err(AwsError::NotFound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(found) = found.role() else {
            return Ok(None);
        };
        // The name is that of the ARN; the path may be another one.
        if found.arn() != role.to_string() {
            return Ok(None);
        }
        let mut policies = Vec::new();
        let mut attached = iam
            .list_attached_role_policies()
            .role_name(role.name())
            .into_paginator()
            .items()
            .send();
        while let Some(policy) = attached.next().await {
            let policy = policy.map_err(|error| {
                self.connection
                    .understand("iam:ListAttachedRolePolicies", error)
            })?;
            let arn = policy.policy_arn().unwrap_or_default();
            policies.push(self.managed_policy(&iam, arn).await?);
        }
        let mut inline = iam
            .list_role_policies()
            .role_name(role.name())
            .into_paginator()
            .items()
            .send();
        while let Some(name) = inline.next().await {
            let name =
                name.map_err(|error| self.connection.understand("iam:ListRolePolicies", error))?;
            let policy = iam
                .get_role_policy()
                .role_name(role.name())
                .policy_name(&name)
                .send()
                .await
                .map_err(|error| self.connection.understand("iam:GetRolePolicy", error))?;
            policies.push(NamedPolicy {
                name: format!("the inline policy {name}"),
                text: decoded(policy.policy_document()),
            });
        }
        let boundary = found
            .permissions_boundary()
            .and_then(|boundary| boundary.permissions_boundary_arn());
        let boundary = match boundary {
            Some(arn) => Some(self.managed_policy(&iam, arn).await?),
            None => None,
        };
        Ok(Some(RoleFacts {
            trust: decoded(found.assume_role_policy_document().unwrap_or_default()),
            policies,
            boundary,
        }))
    }

    /// A managed policy in the version that counts.
    async fn managed_policy(
        &self,
        iam: &aws_sdk_iam::Client,
        arn: &str,
    ) -> Result<NamedPolicy, AwsError> {
        let policy = iam
            .get_policy()
            .policy_arn(arn)
            .send()
            .await
            .map_err(|error| self.connection.understand("iam:GetPolicy", error))?;
        let version = policy
            .policy()
            .and_then(|policy| policy.default_version_id())
            .unwrap_or_default();
        let version = iam
            .get_policy_version()
            .policy_arn(arn)
            .version_id(version)
            .send()
            .await
            .map_err(|error| self.connection.understand("iam:GetPolicyVersion", error))?;
        let document = version
            .policy_version()
            .and_then(|version| version.document())
            .unwrap_or_default();
        Ok(NamedPolicy {
            name: arn.to_owned(),
            text: decoded(document),
        })
    }
}
