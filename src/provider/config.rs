//! The provider block.

use serde::{Deserialize, Serialize};

use crate::clouds::aws;
use crate::databricks;
use crate::databricks::auth::AccountHost;
use crate::plugin::bridge::Attr;
use crate::plugin::diagnostics::{Diagnostic, Diagnostics};
use crate::plugin::duration::GoDuration;
use crate::plugin::schema::{Attribute, Problem, Schema};
use crate::plugin::value::Value;
use crate::preflight::{Id, Silenced};
use crate::vocabulary::{AccountId, RoleArn};

/// The provider block in types.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct Config {
    pub host: Attr<String>,
    pub account_id: Attr<String>,
    pub client_id: Attr<String>,
    pub client_secret: Attr<String>,
    pub token: Attr<String>,
    pub profile: Attr<String>,
    pub config_file: Attr<String>,
    pub auth_type: Attr<String>,
    pub preflight: Attr<String>,
    pub ignore_findings: IgnoreFindings,
    pub http: Attr<Http>,
    pub aws: Attr<Aws>,
}

/// `ignore_findings`, in the provider and in each resource.
pub type IgnoreFindings = Attr<Vec<Attr<Silenced>>>;

/// The attribute `ignore_findings`.
pub fn ignore_findings(whose: &str) -> Attribute {
    Attribute::string_set("ignore_findings").format::<Silenced>("This finding cannot be ignored").describe(format!(
        "Ids of findings that are not to be shown for {whose}. The id stands in brackets at the end of each message; the guide on findings \
         lists all of them. What makes an attach fail cannot be ignored."
    ))
}

/// The findings that a set of ids silences; what is unknown silences nothing.
pub fn silenced(ignore: &IgnoreFindings) -> Vec<Id> {
    ignore.known().into_iter().flatten().filter_map(|one| one.known().map(|silenced| silenced.0)).collect()
}

/// `http`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct Http {
    pub timeout: Attr<GoDuration>,
    pub retry_timeout: Attr<GoDuration>,
    pub requests_per_second: Attr<u32>,
}

/// `aws`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct Aws {
    pub region: Attr<String>,
    pub profile: Attr<String>,
    pub access_key: Attr<String>,
    pub secret_key: Attr<String>,
    pub token: Attr<String>,
    pub assume_role: Attr<AssumeRole>,
    pub endpoints: Attr<Endpoints>,
}

/// `aws.assume_role`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct AssumeRole {
    pub role_arn: Attr<String>,
    pub session_name: Attr<String>,
    pub external_id: Attr<String>,
    pub duration: Attr<GoDuration>,
}

/// `aws.endpoints`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct Endpoints {
    pub kms: Attr<String>,
    pub sts: Attr<String>,
}

fn one_of(name: &'static str, choices: &'static [&'static str]) -> Attribute {
    Attribute::string(name).check(move |value| match value.as_str() {
        Some(text) if !choices.contains(&text) => Err(Problem {
            summary: format!("Invalid value for {name}"),
            detail: format!("`{text}` is not one of: {}.", choices.join(", ")),
        }),
        _ => Ok(()),
    })
}

/// An address with `http://` or `https://`.
fn endpoint(name: &'static str) -> Attribute {
    Attribute::string(name).check(|value: &Value| match value.as_str() {
        Some(text) if url::Url::parse(text).ok().is_none_or(|url| !matches!(url.scheme(), "http" | "https")) => Err(Problem {
            summary: "Invalid endpoint".to_owned(),
            detail: format!("`{text}` is not the address of a service; write for example `http://localhost:4566`."),
        }),
        _ => Ok(()),
    })
}

/// The schema of the provider block.
pub fn schema() -> Schema {
    let assume_role = vec![
        Attribute::string("role_arn").required().format::<RoleArn>("Invalid role ARN").describe("ARN of the role to assume."),
        Attribute::string("session_name").describe("Name of the session. Default: `terraform-provider-dbxcmk`."),
        Attribute::string("external_id").describe("External id that the trust policy of the role asks for."),
        Attribute::duration("duration").describe("How long the session lasts, as `1h`. Default: `15m`."),
    ];
    let endpoints = vec![
        endpoint("kms").describe("Address of KMS, for example of LocalStack: `http://localhost:4566`."),
        endpoint("sts").describe("Address of STS, for example of LocalStack: `http://localhost:4566`."),
    ];
    let aws = vec![
        Attribute::string("region").describe(
            "Region for calls that have none of their own (STS). KMS is always called in the region of the key. Default: as the AWS \
             tools find it.",
        ),
        Attribute::string("profile").describe("Profile of the shared AWS configuration."),
        Attribute::string("access_key").describe("Access key id. Better left to the environment, a profile or a role."),
        Attribute::string("secret_key").sensitive().describe("Secret of the access key."),
        Attribute::string("token").sensitive().describe("Session token of a temporary access key."),
        Attribute::object("assume_role", assume_role).describe("Role to assume for every call to AWS."),
        Attribute::object("endpoints", endpoints).describe("Addresses of AWS services, for tests against local ones."),
    ];
    Schema::new(
        "Puts customer-managed keys (CMK) under Databricks workspaces, safely: plan and apply prove from the key's state and policy \
         that Databricks will be able to use the key before it is attached.",
        vec![
            Attribute::string("host")
                .format::<HostText>("Invalid account host")
                .describe(
                    "Address of the Databricks account: `https://accounts.cloud.databricks.com`, or a government one. Default: \
                     environment variable `DATABRICKS_HOST`, then the profile.",
                ),
            Attribute::string("account_id").format::<AccountId>("Invalid Databricks account id").describe(
                "Id of the Databricks account. Default: environment variable `DATABRICKS_ACCOUNT_ID`, then the profile.",
            ),
            Attribute::string("client_id").describe(
                "Application id of a service principal (OAuth machine-to-machine). It has to be an account admin. Default: \
                 environment variable `DATABRICKS_CLIENT_ID`, then the profile.",
            ),
            Attribute::string("client_secret").sensitive().describe(
                "OAuth secret of the service principal. Default: environment variable `DATABRICKS_CLIENT_SECRET`, then the profile.",
            ),
            Attribute::string("token").sensitive().describe(
                "Token that is sent as it is. Default: environment variable `DATABRICKS_TOKEN`, then the profile.",
            ),
            Attribute::string("profile").describe(
                "Profile of the Databricks configuration file. Default: environment variable `DATABRICKS_CONFIG_PROFILE`, then the \
                 file's own default.",
            ),
            Attribute::string("config_file").describe(
                "Databricks configuration file. Default: environment variable `DATABRICKS_CONFIG_FILE`, then `~/.databrickscfg`.",
            ),
            one_of("auth_type", &["oauth-m2m", "pat"]).describe(
                "Which credential to use when several are configured: `oauth-m2m` or `pat`. Default: environment variable \
                 `DATABRICKS_AUTH_TYPE`.",
            ),
            one_of("preflight", &["enforce", "warn"]).describe(
                "What a finding of severity error does: `enforce` stops the plan or apply, `warn` shows it and goes on. Default: \
                 `enforce`.",
            ),
            ignore_findings("every resource"),
            Attribute::object(
                "http",
                vec![
                    Attribute::duration("timeout").describe("How long one request to the account API may take. Default: `60s`."),
                    Attribute::duration("retry_timeout")
                        .describe("How long a call to the account API may go on trying. Default: `5m`."),
                    Attribute::number("requests_per_second")
                        .check(|value| match value {
                            Value::Number(number) if !number.as_i64().is_some_and(|rate| (1..=1000).contains(&rate)) => Err(Problem {
                                summary: "Invalid number of requests".to_owned(),
                                detail: format!("`{number}` is not a whole number from 1 to 1000."),
                            }),
                            _ => Ok(()),
                        })
                        .describe("How many requests may be sent to the account API in a second. Default: `15`."),
                ],
            )
            .describe("How the account API is called."),
            Attribute::object("aws", aws)
                .describe("How AWS is called. Without it, the default credential chain of the AWS tools is used."),
        ],
    )
}

/// The address of an account host, for the offline check.
struct HostText;

impl std::str::FromStr for HostText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        use databricks::AuthError;
        AccountHost::parse(text).map(|_| Self).map_err(|error| match error {
            AuthError::WorkspaceHost(_) => format!(
                "{error}. Keys are managed in the account: use `https://accounts.cloud.databricks.com`, or the account host of your \
                 deployment"
            ),
            AuthError::Insecure(_) => format!("{error}. Use `https://`"),
            other => format!("{other}; write for example `https://accounts.cloud.databricks.com`"),
        })
    }
}

/// Offline checks across attributes.
pub fn validate(config: &Config) -> Diagnostics {
    let mut found = Diagnostics::new();
    if let Attr::Known(aws) = &config.aws {
        let half = |present: &Attr<String>, missing: &Attr<String>| present.known().is_some() && missing.is_null();
        let pairs = [
            ("access_key", &aws.access_key, "secret_key", &aws.secret_key),
            ("secret_key", &aws.secret_key, "access_key", &aws.access_key),
            ("token", &aws.token, "access_key", &aws.access_key),
        ];
        for (present, value, missing, other) in pairs {
            if half(value, other) {
                let summary = format!("aws.{present} needs aws.{missing}");
                let detail = format!(
                    "An AWS access key consists of `access_key` and `secret_key` (and `token`, if it is a temporary one). Set \
                     `{missing}` as well, or remove `{present}` and let the AWS default credential chain find the credentials."
                );
                found.push(Diagnostic::error(summary, detail).on(&format!("aws.{present}")));
            }
        }
    }
    found
}

fn text(attribute: &Attr<String>) -> Option<String> {
    attribute.known().cloned()
}

impl Config {
    /// What the account client needs, and which of it is not known yet.
    pub fn databricks(&self) -> (databricks::Settings, Vec<&'static str>) {
        let settings = databricks::Settings {
            host: text(&self.host),
            account_id: text(&self.account_id),
            client_id: text(&self.client_id),
            client_secret: text(&self.client_secret).map(Into::into),
            token: text(&self.token).map(Into::into),
            profile: text(&self.profile),
            config_file: text(&self.config_file),
            auth_type: text(&self.auth_type),
        };
        let all = [
            ("host", &self.host),
            ("account_id", &self.account_id),
            ("client_id", &self.client_id),
            ("client_secret", &self.client_secret),
            ("token", &self.token),
            ("profile", &self.profile),
            ("config_file", &self.config_file),
            ("auth_type", &self.auth_type),
        ];
        (settings, all.into_iter().filter(|(_, value)| value.is_unknown()).map(|(name, _)| name).collect())
    }

    /// How the account API is called.
    pub fn behaviour(&self, terraform_version: &str) -> databricks::transport::Behaviour {
        let mut behaviour = databricks::transport::Behaviour::default();
        if let Attr::Known(http) = &self.http {
            if let Attr::Known(timeout) = &http.timeout {
                behaviour.timeout = timeout.length();
            }
            if let Attr::Known(timeout) = &http.retry_timeout {
                behaviour.retry_timeout = timeout.length();
            }
            if let Attr::Known(rate) = &http.requests_per_second {
                behaviour.requests_per_second = *rate;
            }
        }
        let version: String = terraform_version.chars().filter(|c| c.is_ascii_alphanumeric() || ".-+".contains(*c)).collect();
        if !version.is_empty() {
            behaviour.user_agent.push_str(&format!(" terraform/{version}"));
        }
        behaviour.user_agent.push_str(&format!(" os/{}", std::env::consts::OS));
        behaviour
    }

    /// What the AWS clients need, and whether some of it is not known yet.
    pub fn aws(&self) -> (aws::Settings, bool) {
        let Attr::Known(block) = &self.aws else { return (aws::Settings::default(), self.aws.is_unknown()) };
        let mut settings = aws::Settings {
            region: text(&block.region),
            profile: text(&block.profile),
            access_key: text(&block.access_key),
            secret_key: text(&block.secret_key).map(Into::into),
            token: text(&block.token).map(Into::into),
            ..aws::Settings::default()
        };
        let mut unknown = [&block.region, &block.profile, &block.access_key, &block.secret_key, &block.token]
            .into_iter()
            .any(|value| value.is_unknown());
        unknown |= block.assume_role.is_unknown() || block.endpoints.is_unknown();
        if let Attr::Known(role) = &block.assume_role {
            unknown |= role.role_arn.is_unknown() || role.external_id.is_unknown() || role.session_name.is_unknown();
            settings.assume_role = text(&role.role_arn).map(|role_arn| aws::AssumeRole {
                role_arn,
                session_name: text(&role.session_name),
                external_id: text(&role.external_id),
                duration: role.duration.known().map(GoDuration::length),
            });
        }
        if let Attr::Known(endpoints) = &block.endpoints {
            unknown |= endpoints.kms.is_unknown() || endpoints.sts.is_unknown();
            settings.kms_endpoint = text(&endpoints.kms);
            settings.sts_endpoint = text(&endpoints.sts);
        }
        (settings, unknown)
    }

    /// Whether findings stop an apply.
    pub fn enforces(&self) -> bool {
        self.preflight.known().map(String::as_str) != Some("warn")
    }
}
