//! Where a command connects, and with which identity. It reads from the environment and the profiles
//! what the user does not give.

#![allow(
    rustdoc::bare_urls,
    reason = "these comments are the help of a command line"
)]

use crate::provider::{Connection, Endpoints};
use crate::vocabulary::azure::PrincipalId;

/// The flags of every command that calls services.
#[derive(Debug, clap::Args)]
pub struct ConnectionArguments {
    /// Databricks account host [default: DATABRICKS_HOST, then the profile].
    #[arg(long)]
    host: Option<String>,
    /// ID of the Databricks account [default: DATABRICKS_ACCOUNT_ID, then the profile].
    #[arg(long)]
    account_id: Option<String>,
    /// Profile of the Databricks configuration file.
    #[arg(long)]
    databricks_profile: Option<String>,
    /// AWS region, for a key that is named by its ID or alias.
    #[arg(long)]
    region: Option<String>,
    /// Profile of the AWS configuration.
    #[arg(long)]
    aws_profile: Option<String>,
    /// ARN of a role to assume.
    #[arg(long)]
    assume_role: Option<String>,
    /// File of certificates (PEM) to trust in addition to those of the system.
    #[arg(long)]
    ca_bundle: Option<String>,
    /// Google service account to impersonate.
    #[arg(long)]
    impersonate_service_account: Option<String>,
    /// Address of AWS KMS.
    #[arg(long, value_name = "URL")]
    endpoint_kms: Option<String>,
    /// Address of AWS STS.
    #[arg(long, value_name = "URL")]
    endpoint_sts: Option<String>,
    /// Address of AWS IAM.
    #[arg(long, value_name = "URL")]
    endpoint_iam: Option<String>,
    /// Address of Amazon S3 [default: AWS_ENDPOINT_URL_S3].
    #[arg(long, value_name = "URL")]
    endpoint_s3: Option<String>,
    /// Address of AWS CloudTrail [default: AWS_ENDPOINT_URL_CLOUDTRAIL].
    #[arg(long, value_name = "URL")]
    endpoint_cloudtrail: Option<String>,
    /// Address of Google Cloud KMS [default: GOOGLE_KMS_CUSTOM_ENDPOINT].
    #[arg(long, value_name = "URL")]
    endpoint_cloudkms: Option<String>,
    /// Address of Google Cloud KMS Inventory [default: GOOGLE_KMS_INVENTORY_CUSTOM_ENDPOINT].
    #[arg(long, value_name = "URL")]
    endpoint_kmsinventory: Option<String>,
    /// Address of Google's Resource Manager [default: GOOGLE_RESOURCE_MANAGER_V3_CUSTOM_ENDPOINT].
    #[arg(long, value_name = "URL")]
    endpoint_resourcemanager: Option<String>,
    /// Address of Google's IAM credentials [default: GOOGLE_IAM_CREDENTIALS_CUSTOM_ENDPOINT].
    #[arg(long, value_name = "URL")]
    endpoint_iamcredentials: Option<String>,
    /// Tenant of Microsoft Entra ID [default: ARM_TENANT_ID].
    #[arg(long)]
    tenant_id: Option<String>,
    /// Subscription of the workspaces, beside those that you see [default: ARM_SUBSCRIPTION_ID].
    #[arg(long)]
    subscription_id: Option<String>,
    /// Azure cloud: public, usgovernment or china [default: ARM_ENVIRONMENT, then public].
    #[arg(long, value_parser = ["public", "usgovernment", "china"])]
    azure_environment: Option<String>,
    /// Object ID of the application AzureDatabricks [default: looked up in Microsoft Graph].
    #[arg(long, value_name = "ID")]
    databricks_principal_id: Option<PrincipalId>,
    /// Address of Azure Resource Manager [default: DBXCMK_AZURE_RESOURCE_MANAGER_ENDPOINT].
    #[arg(long, value_name = "URL")]
    endpoint_resource_manager: Option<String>,
    /// Address at which Microsoft Entra ID gives out tokens [default: DBXCMK_AZURE_LOGIN_ENDPOINT].
    #[arg(long, value_name = "URL")]
    endpoint_login: Option<String>,
    /// Address of Microsoft Graph [default: DBXCMK_AZURE_GRAPH_ENDPOINT].
    #[arg(long, value_name = "URL")]
    endpoint_graph: Option<String>,
    /// Address of Azure Key Vault: a request for https://NAME.vault.azure.net/PATH goes to URL/NAME/PATH [default: DBXCMK_AZURE_KEY_VAULT_ENDPOINT].
    #[arg(long, value_name = "URL")]
    endpoint_key_vault: Option<String>,
    /// Address of Databricks workspaces: a request for https://HOST/PATH goes to URL/HOST/PATH [default: DBXCMK_WORKSPACE_ENDPOINT].
    #[arg(long, value_name = "URL")]
    endpoint_workspace: Option<String>,
}

/// A word as a shell takes it: as it is where it has nothing that a shell reads, else in single quotes.
fn shell_word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@=+,%".contains(letter);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

impl ConnectionArguments {
    /// The flags that were given, as a command that is printed repeats them: ` --host HOST --assume-role ARN`. Without them, the printed
    /// command would run with another identity, or in another account. None of them is a secret.
    pub fn repeated(&self) -> String {
        let principal = self.databricks_principal_id.as_ref();
        let principal = principal.map(ToString::to_string);
        let all = [
            ("host", &self.host),
            ("account-id", &self.account_id),
            ("databricks-profile", &self.databricks_profile),
            ("region", &self.region),
            ("aws-profile", &self.aws_profile),
            ("assume-role", &self.assume_role),
            ("ca-bundle", &self.ca_bundle),
            (
                "impersonate-service-account",
                &self.impersonate_service_account,
            ),
            ("endpoint-kms", &self.endpoint_kms),
            ("endpoint-sts", &self.endpoint_sts),
            ("endpoint-iam", &self.endpoint_iam),
            ("endpoint-s3", &self.endpoint_s3),
            ("endpoint-cloudtrail", &self.endpoint_cloudtrail),
            ("endpoint-cloudkms", &self.endpoint_cloudkms),
            ("endpoint-kmsinventory", &self.endpoint_kmsinventory),
            ("endpoint-resourcemanager", &self.endpoint_resourcemanager),
            ("endpoint-iamcredentials", &self.endpoint_iamcredentials),
            ("tenant-id", &self.tenant_id),
            ("subscription-id", &self.subscription_id),
            ("azure-environment", &self.azure_environment),
            ("databricks-principal-id", &principal),
            ("endpoint-resource-manager", &self.endpoint_resource_manager),
            ("endpoint-login", &self.endpoint_login),
            ("endpoint-graph", &self.endpoint_graph),
            ("endpoint-key-vault", &self.endpoint_key_vault),
            ("endpoint-workspace", &self.endpoint_workspace),
        ];
        all.iter()
            .filter_map(|(name, value)| Some((name, value.as_deref()?)))
            .map(|(name, value)| format!(" --{name} {}", shell_word(value)))
            .collect()
    }

    /// The same for those who connect.
    pub fn connection(&self) -> Connection {
        Connection {
            host: self.host.clone(),
            account_id: self.account_id.clone(),
            databricks_profile: self.databricks_profile.clone(),
            region: self.region.clone(),
            aws_profile: self.aws_profile.clone(),
            assume_role: self.assume_role.clone(),
            role_pattern: None,
            aws_tries: None,
            ca_bundle: self.ca_bundle.clone(),
            endpoints: Endpoints {
                kms: self.endpoint_kms.clone(),
                sts: self.endpoint_sts.clone(),
                iam: self.endpoint_iam.clone(),
                s3: self.endpoint_s3.clone(),
                cloudtrail: self.endpoint_cloudtrail.clone(),
                cloudkms: self.endpoint_cloudkms.clone(),
                kmsinventory: self.endpoint_kmsinventory.clone(),
                resourcemanager: self.endpoint_resourcemanager.clone(),
                iamcredentials: self.endpoint_iamcredentials.clone(),
                resource_manager: self.endpoint_resource_manager.clone(),
                login: self.endpoint_login.clone(),
                graph: self.endpoint_graph.clone(),
                key_vault: self.endpoint_key_vault.clone(),
                workspace: self.endpoint_workspace.clone(),
            },
            tenant_id: self.tenant_id.clone(),
            subscription_id: self.subscription_id.clone(),
            azure_environment: self.azure_environment.clone(),
            databricks_principal_id: self.databricks_principal_id.clone(),
            impersonate_service_account: self.impersonate_service_account.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser};

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        connection: ConnectionArguments,
    }

    /// Whatever flag was given comes back, and a shell reads the same words again.
    #[test]
    fn every_flag_is_repeated() {
        for argument in Line::command().get_arguments() {
            let Some(long) = argument.get_long().filter(|long| *long != "help") else {
                continue;
            };
            let value = match long {
                "azure-environment" => "china",
                "databricks-principal-id" => "d15c5000-0000-4000-8000-000000000001",
                _ => "https://one.example.com/a?b=1",
            };
            let line = Line::try_parse_from(["x", &format!("--{long}"), value]);
            let repeated = line.map(|line| line.connection.repeated());
            let word = shell_word(value);
            assert_eq!(
                repeated.map_err(|error| error.to_string()),
                Ok(format!(" --{long} {word}"))
            );
        }
        for (text, word) in [
            ("arn:aws:iam::1:role/r", "arn:aws:iam::1:role/r"),
            ("a b", "'a b'"),
            ("$(x)", "'$(x)'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(text), word);
        }
    }
}
