//! The `gcp` block: names and environment of hashicorp/google.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{check_services, text};
use crate::clouds::gcp::GcpSettings;
use crate::vocabulary::gcp::ServiceAccount;
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::{Attribute, Problem};
use tfplugin::types::Type;
use tfplugin::value::Value;

/// The `gcp` block of the provider.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct GcpBlock {
    pub credentials: Attr<String>,
    pub access_token: Attr<String>,
    pub impersonate_service_account: Attr<String>,
    pub impersonate_service_account_delegates: Attr<Vec<Attr<String>>>,
    pub universe_domain: Attr<String>,
    pub endpoints: Attr<BTreeMap<String, Attr<String>>>,
}

/// The services whose addresses `gcp.endpoints` can set.
const SERVICES: [&str; 6] = [
    "cloudkms",
    "iam",
    "iamcredentials",
    "kmsinventory",
    "resourcemanager",
    "storage",
];

fn check_endpoints(value: &Value) -> Result<(), Problem> {
    check_services("gcp", &SERVICES, value)
}

/// The attributes of the block.
pub(super) fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::string("credentials").sensitive().describe(
            "JSON credentials, or the path of their file: a service account key, or the configuration of a workload identity federation. \
             Default: environment variables `GOOGLE_CREDENTIALS`, `GOOGLE_CLOUD_KEYFILE_JSON`, `GCLOUD_KEYFILE_JSON`, then Application \
             Default Credentials.",
        ),
        Attribute::string("access_token").sensitive().describe(
            "OAuth access token; the provider cannot renew it. Default: environment variable `GOOGLE_OAUTH_ACCESS_TOKEN`, which comes before \
             `GOOGLE_CREDENTIALS`. `credentials` in this block comes before both.",
        ),
        Attribute::string("impersonate_service_account")
            .format::<ServiceAccount>("Invalid service account")
            .describe(
                "Service account to impersonate for every call to Google Cloud. Default: environment variable \
                 `GOOGLE_IMPERSONATE_SERVICE_ACCOUNT`.",
            ),
        Attribute::of(
            "impersonate_service_account_delegates",
            Type::list(Type::String),
        )
        .no_null_elements()
        .describe("The chain of service accounts from the caller to the one that is impersonated."),
        Attribute::string("universe_domain").describe(
            "Domain of the Google Cloud APIs. Default: environment variable `GOOGLE_UNIVERSE_DOMAIN`, then `googleapis.com`.",
        ),
        Attribute::of("endpoints", Type::map(Type::String)).check(check_endpoints).describe(
            "Addresses of Google Cloud services by name (`cloudkms`, `iam`, `iamcredentials`, `kmsinventory`, `resourcemanager`, `storage`), \
             for tests against local services. Default: environment variables such as `GOOGLE_KMS_CUSTOM_ENDPOINT`, as hashicorp/google has them.",
        ),
    ]
}

impl GcpBlock {
    /// Checks the configuration without a call: everything that is wrong with it.
    pub(super) fn validate(&self) -> Diagnostics {
        let mut found = Diagnostics::new();
        if self.credentials.known().is_some() && self.access_token.known().is_some() {
            found.push(
                Diagnostic::error(
                    "gcp.credentials and gcp.access_token exclude each other",
                    "The provider block names two identities of Google Cloud, and it is not clear which one is meant. Remove \
                     `access_token`, or remove `credentials`.",
                )
                .on("gcp.access_token"),
            );
        }
        let delegates = self.impersonate_service_account_delegates.known();
        if delegates.is_some_and(|list| !list.is_empty())
            && self.impersonate_service_account.is_null()
        {
            found.push(
                Diagnostic::error(
                    "gcp.impersonate_service_account_delegates needs gcp.impersonate_service_account",
                    "Delegates are the chain to the service account that is impersonated. Set `impersonate_service_account` as well, or \
                     remove the delegates.",
                )
                .on("gcp.impersonate_service_account_delegates"),
            );
        }
        found
    }

    /// Whether the block names an identity. It does not count what the environment names: the client reads that itself.
    pub(super) fn names_identity(&self) -> bool {
        [
            &self.credentials,
            &self.access_token,
            &self.impersonate_service_account,
        ]
        .into_iter()
        .any(|attribute| text(attribute).is_some_and(|value| !value.is_empty()))
    }

    /// What the clients of Google Cloud need, and whether some of it is not known yet. `variable`: the environment.
    pub(super) fn settings(
        &self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> (GcpSettings, bool) {
        let first = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| variable(name).filter(|value| !value.is_empty()))
        };
        let endpoints = self.endpoints.known();
        let address = |service: &str, names: &[&str]| {
            endpoints
                .and_then(|all| all.get(service))
                .and_then(text)
                .or_else(|| first(names))
        };
        let delegates = self.impersonate_service_account_delegates.known();
        // One identity, named in the block or in the environment: the environment adds none to that of the block.
        let own = |attribute| text(attribute).filter(|value| !value.is_empty());
        let (credentials, access_token) = match (own(&self.credentials), own(&self.access_token)) {
            (None, None) => (
                first(&[
                    "GOOGLE_CREDENTIALS",
                    "GOOGLE_CLOUD_KEYFILE_JSON",
                    "GCLOUD_KEYFILE_JSON",
                ]),
                first(&["GOOGLE_OAUTH_ACCESS_TOKEN"]),
            ),
            named => named,
        };
        let settings = GcpSettings {
            credentials: credentials.map(Into::into),
            access_token: access_token.map(Into::into),
            impersonate_service_account: own(&self.impersonate_service_account)
                .or_else(|| first(&["GOOGLE_IMPERSONATE_SERVICE_ACCOUNT"])),
            delegates: delegates
                .map(|all| all.iter().filter_map(text).collect())
                .unwrap_or_default(),
            universe_domain: text(&self.universe_domain)
                .or_else(|| first(&["GOOGLE_UNIVERSE_DOMAIN"])),
            cloudkms: address("cloudkms", &["GOOGLE_KMS_CUSTOM_ENDPOINT"]),
            kmsinventory: address("kmsinventory", &["GOOGLE_KMS_INVENTORY_CUSTOM_ENDPOINT"]),
            iam: address("iam", &["GOOGLE_IAM_CUSTOM_ENDPOINT"]),
            iamcredentials: address(
                "iamcredentials",
                &["GOOGLE_IAM_CREDENTIALS_CUSTOM_ENDPOINT"],
            ),
            resourcemanager: address(
                "resourcemanager",
                &["GOOGLE_RESOURCE_MANAGER_V3_CUSTOM_ENDPOINT"],
            ),
            storage: address("storage", &["GOOGLE_STORAGE_CUSTOM_ENDPOINT"]),
            certificates: Vec::new(),
        };
        let plain = [
            &self.credentials,
            &self.access_token,
            &self.impersonate_service_account,
            &self.universe_domain,
        ];
        let is_unknown = plain.into_iter().any(Attr::is_unknown)
            || self.endpoints.is_unknown()
            || endpoints.is_some_and(|all| all.values().any(Attr::is_unknown))
            || self.impersonate_service_account_delegates.is_unknown()
            || delegates.is_some_and(|all| all.iter().any(Attr::is_unknown));
        (settings, is_unknown)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn the_environment_is_that_of_hashicorps_provider() {
        let block = GcpBlock {
            impersonate_service_account: Attr::Known("own@p.iam.gserviceaccount.com".to_owned()),
            ..GcpBlock::default()
        };
        let (settings, is_unknown) = block.settings(&|name| match name {
            "GOOGLE_CLOUD_KEYFILE_JSON" => Some("/second".to_owned()),
            "GCLOUD_KEYFILE_JSON" => Some("/third".to_owned()),
            "GOOGLE_CREDENTIALS" => Some(String::new()),
            "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT" => Some("env@p".to_owned()),
            "GOOGLE_KMS_CUSTOM_ENDPOINT" => Some("http://127.0.0.1:1/v1/".to_owned()),
            _ => None,
        });
        assert!(!is_unknown);
        assert_eq!(
            settings
                .credentials
                .as_ref()
                .map(ExposeSecret::expose_secret),
            Some("/second")
        );
        assert_eq!(
            settings.impersonate_service_account.as_deref(),
            Some("own@p.iam.gserviceaccount.com")
        );
        assert_eq!(settings.cloudkms.as_deref(), Some("http://127.0.0.1:1/v1/"));
        // Each row: `credentials`, `access_token` and `impersonate_service_account` of the block, and what counts of each, while the
        // environment has another one for all of them.
        let all = |name: &str| match name {
            "GOOGLE_CREDENTIALS" => Some("/env".to_owned()),
            "GOOGLE_OAUTH_ACCESS_TOKEN" => Some("env-token".to_owned()),
            "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT" => Some("env@p".to_owned()),
            "GOOGLE_UNIVERSE_DOMAIN" => Some("env.example".to_owned()),
            _ => None,
        };
        let environment = [Some("/env"), Some("env-token"), Some("env@p")];
        let rows = [
            ([None, None, None], environment),
            (
                [Some("/own"), None, None],
                [Some("/own"), None, Some("env@p")],
            ),
            (
                [None, Some("own"), None],
                [None, Some("own"), Some("env@p")],
            ),
            (
                [None, None, Some("own@p")],
                [Some("/env"), Some("env-token"), Some("own@p")],
            ),
            ([Some(""), Some(""), Some("")], environment),
        ];
        for (own, expected) in rows {
            let [credentials, access_token, impersonate_service_account] =
                own.map(|one| Attr::from(one.map(str::to_owned)));
            let block = GcpBlock {
                credentials,
                access_token,
                impersonate_service_account,
                universe_domain: Attr::Known("own.example".to_owned()),
                ..GcpBlock::default()
            };
            let settings = block.settings(&all).0;
            let shown = |secret: &Option<secrecy::SecretString>| {
                secret.as_ref().map(|one| one.expose_secret().to_owned())
            };
            let found = [
                shown(&settings.credentials),
                shown(&settings.access_token),
                settings.impersonate_service_account,
            ];
            assert_eq!(found, expected.map(|one| one.map(str::to_owned)), "{own:?}");
            assert_eq!(settings.universe_domain.as_deref(), Some("own.example"));
            let is_named = own.iter().any(|one| one.is_some_and(|one| !one.is_empty()));
            assert_eq!(block.names_identity(), is_named, "{own:?}");
        }
        let unknown = GcpBlock {
            endpoints: Attr::Known([("cloudkms".to_owned(), Attr::Unknown)].into()),
            ..GcpBlock::default()
        };
        assert!(unknown.settings(&|_| None).1);
    }
}
