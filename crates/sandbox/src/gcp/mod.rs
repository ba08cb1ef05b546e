//! Google Cloud: what is used of Cloud KMS, IAM, IAM credentials, STS, Resource Manager and Cloud Storage, over REST.
//!
//! Sources: the discovery documents of cloudkms v1, cloudresourcemanager v3, iam v1 and v2, iamcredentials v1, sts v1 and storage v1
//! (paths, fields); the documentation of Cloud KMS and IAM (states, refusals, etags); public issues of terraform-provider-google for
//! the texts of refusals.

mod kms;
mod policies;
mod tokens;
mod trial;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value as Json, json};

pub use self::trial::try_key;
use crate::faults::Effect;
use crate::http::{Answer, Request, decoded};
use crate::{Shared, buckets};

/// The project of the Google workspace that the sandbox has.
pub const PROJECT: &str = "acme-lakehouse";
/// The number of that project, which service agents have in their email.
pub const PROJECT_NUMBER: &str = "123456789012";
/// The folder above it.
pub const FOLDER: &str = "folders/456";
/// The organization above that.
pub const ORGANIZATION: &str = "organizations/789";
/// The region of the Google workspace.
pub const REGION: &str = "us-east4";
/// The Google workspace.
pub const WORKSPACE: u64 = 3_456_789_012_345_678;
/// An access token that is accepted as it is; the identity behind it may administer the keys.
pub const TOKEN: &str = "sandbox-google-access-token";

/// A version of a key.
#[derive(Clone, Debug)]
pub struct Version {
    /// `ENABLED`, `DISABLED`, `DESTROY_SCHEDULED`, `DESTROYED`.
    pub state: String,
    /// When it was made.
    pub create_time: String,
    /// When it will be destroyed, while that is scheduled.
    pub destroy_time: Option<String>,
}

/// A key of Cloud KMS, with its versions.
#[derive(Clone, Debug)]
pub struct CryptoKey {
    /// What the API shows, but for the versions.
    pub fields: serde_json::Map<String, Json>,
    /// The versions: the first one has the number 1.
    pub versions: Vec<Version>,
    /// The number of the primary version; 0 for none.
    pub primary: usize,
}

/// An allow policy. Its etag changes with every write.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Bindings, and the other fields that a client has set.
    pub fields: serde_json::Map<String, Json>,
    /// How often it was written.
    pub generation: u64,
}

/// What there is of Google Cloud.
#[derive(Clone, Debug, Default)]
pub struct Google {
    /// Key rings by name.
    pub rings: BTreeSet<String>,
    /// Keys by name.
    pub keys: BTreeMap<String, CryptoKey>,
    /// Allow policies by the name of their resource.
    pub policies: BTreeMap<String, Policy>,
    /// Projects by id: number and parent.
    pub projects: BTreeMap<String, (String, Option<String>)>,
    /// Folders by name: parent.
    pub folders: BTreeMap<String, String>,
    /// Custom roles by name: what they contain.
    pub roles: BTreeMap<String, Vec<String>>,
    /// Deny policies by the resource that they are attached to.
    pub deny_policies: BTreeMap<String, Vec<Json>>,
    /// The service accounts that exist; only these may stand in a policy.
    pub service_accounts: BTreeSet<String>,
    /// Permissions that the sandbox denies to every caller.
    pub denied: BTreeSet<String>,
    /// What the account shows as the service account of a new key configuration, in place of the right one.
    pub shown_service_account: Option<String>,
    /// The resources whose policies no caller may read.
    pub unreadable: BTreeSet<String>,
    /// Whether the organization lets only its own members into policies.
    pub is_domain_restricted: bool,
    /// How many resources a key protects, by its name, as Cloud KMS Inventory lists them: `ProtectedResourcesSummary`.
    pub protected: BTreeMap<String, Json>,
    /// APIs that are not enabled.
    pub disabled_apis: BTreeSet<String>,
}

impl Google {
    /// One project below a folder and an organization, with the service agent of Compute Engine.
    pub fn new() -> Self {
        let mut google = Self::default();
        google.projects.insert(
            PROJECT.to_owned(),
            (PROJECT_NUMBER.to_owned(), Some(FOLDER.to_owned())),
        );
        google
            .folders
            .insert(FOLDER.to_owned(), ORGANIZATION.to_owned());
        google.service_accounts.insert(format!(
            "service-{PROJECT_NUMBER}@compute-system.iam.gserviceaccount.com"
        ));
        // Databricks creates one with each workspace. Source: databricks/terraform-provider-databricks, which builds its name.
        google.service_accounts.insert(format!(
            "db-{WORKSPACE}@prod-gcp-{REGION}.iam.gserviceaccount.com"
        ));
        google
    }

    /// The ID of a project that is named by its ID or number.
    pub fn project(&self, named: &str) -> Option<String> {
        self.projects
            .iter()
            .find(|(id, (number, _))| *id == named || number == named)
            .map(|(id, _)| id.clone())
    }
}

/// A refusal as Google writes it.
pub fn refusal(status: u16, code: &str, message: &str) -> Answer {
    refusal_with(status, code, message, json!([]))
}

fn refusal_with(status: u16, code: &str, message: &str, details: Json) -> Answer {
    Answer::json(
        status,
        &json!({ "error": { "code": status, "message": message, "status": code, "details": details } }),
    )
}

fn denied(permission: &str, resource: &str) -> Answer {
    refusal(
        403,
        "PERMISSION_DENIED",
        &format!(
            "Permission '{permission}' denied on resource '{resource}' (or it may not exist)."
        ),
    )
}

fn not_found(resource: &str) -> Answer {
    refusal(404, "NOT_FOUND", &format!("{resource} not found."))
}

/// Whether a path belongs to Google Cloud.
pub fn is_google(path: &str) -> bool {
    ["/v1/", "/v2/", "/v3/", "/storage/v1/", "/computeMetadata/"]
        .iter()
        .any(|start| path.starts_with(start))
}

/// Answers a request to any service of Google Cloud, with the fault that meets it.
pub fn answer(shared: &Shared, request: &Request, effect: Option<&Effect>) -> Answer {
    let path = decoded(&request.path);
    if path.starts_with("/computeMetadata/") {
        return tokens::metadata(shared, request, &path);
    }
    if path == "/v1/token" {
        return tokens::exchange(shared, request);
    }
    if !is_known(shared, request) {
        return refusal(
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.",
        );
    }
    if let Some(rest) = path.strip_prefix("/v1/projects/-/serviceAccounts/") {
        return tokens::impersonate(shared, request, rest);
    }
    if let Some(bucket) = path.strip_prefix("/storage/v1/b/")
        && request.method == "GET"
    {
        return buckets::google(shared, bucket);
    }
    if let Some(rest) = path.strip_prefix("/storage/v1/") {
        return policies::storage(shared, request, rest);
    }
    if let Some(rest) = path.strip_prefix("/v3/") {
        return policies::resource_manager(shared, request, rest);
    }
    if let Some(rest) = path.strip_prefix("/v2/policies/") {
        return policies::deny(shared, request, rest);
    }
    let rest = path.strip_prefix("/v1/").unwrap_or_default();
    if rest.contains("/roles/") {
        return policies::role(shared, rest);
    }
    kms::answer(shared, request, rest, effect)
}

/// Who calls: a token that was given out here, or the one that is accepted as it is.
fn is_known(shared: &Shared, request: &Request) -> bool {
    let token = request
        .header("authorization")
        .strip_prefix("Bearer ")
        .unwrap_or_default();
    token == TOKEN || shared.world().google_tokens.contains(token)
}

/// Whether the caller has a permission, or the refusal.
fn allowed(google: &Google, permission: &str, resource: &str) -> Result<(), Answer> {
    if google.denied.contains(permission) {
        return Err(denied(permission, resource));
    }
    Ok(())
}
