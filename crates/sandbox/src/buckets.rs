//! The buckets and storage accounts in which tables lie, and what key each has by default.
//!
//! Sources: the Amazon S3 API Reference ("GetBucketEncryption", "HeadBucket", "Error responses"; since January 2023 a bucket without a
//! configuration shows `AES256`), the discovery document of Cloud Storage (storage v1), and the REST API of Microsoft.Storage
//! (`properties.encryption`, with its key properties in lower case).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use crate::http::{Answer, Request};
use crate::{REGION, Shared, azure, gcp};

/// A bucket of S3, with its default encryption.
#[derive(Clone, Debug)]
pub struct S3Bucket {
    /// The AWS region of the bucket.
    pub region: String,
    /// `AES256`, `aws:kms` or `aws:kms:dsse`; none shows that there is no configuration, as old services do.
    pub algorithm: Option<String>,
    /// The key: an ARN, an ID or an alias, as it was set. None with `aws:kms` is the key `aws/s3`.
    pub kms_key: Option<String>,
}

/// The buckets of tables, on each cloud.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    /// Those of S3 by name.
    pub s3: BTreeMap<String, S3Bucket>,
    /// Those of Cloud Storage by name, as the API shows them.
    pub google: BTreeMap<String, Json>,
    /// Storage accounts by name, as Resource Manager shows them.
    pub azure: BTreeMap<String, Json>,
    /// The names of those that the caller may not read, of any cloud.
    pub denied: BTreeSet<String>,
}

impl Buckets {
    /// The bucket of tables and that of a workspace, on AWS.
    pub(crate) fn new() -> Self {
        let mut buckets = Self::default();
        for name in ["acme-tables", "acme-workspace-bucket"] {
            buckets.s3.insert(name.to_owned(), S3Bucket::new());
        }
        buckets
    }

    /// Changes a bucket or a storage account, or makes one, as `/_sandbox/buckets/{cloud}/{name}` does.
    ///
    /// # Errors
    /// What is wrong with the changes; then nothing was changed.
    pub fn change(&mut self, cloud: &str, name: &str, changes: &Json) -> Result<(), String> {
        let changes = changes.as_object().ok_or("expected an object")?;
        patch(self, cloud, name, changes)
    }

    pub(crate) fn add_google(&mut self) {
        let made = google_bucket("acme-tables");
        self.google.insert("acme-tables".to_owned(), made);
    }

    pub(crate) fn add_azure(&mut self) {
        let made = storage_account("acmetables");
        self.azure.insert("acmetables".to_owned(), made);
    }
}

impl S3Bucket {
    fn new() -> Self {
        Self {
            region: REGION.to_owned(),
            algorithm: Some("AES256".to_owned()),
            kms_key: None,
        }
    }
}

fn google_bucket(name: &str) -> Json {
    json!({
        "kind": "storage#bucket",
        "id": name,
        "name": name,
        "projectNumber": gcp::PROJECT_NUMBER,
        "location": gcp::REGION.to_uppercase(),
        "locationType": "region",
        "storageClass": "STANDARD",
    })
}

fn storage_account(name: &str) -> Json {
    json!({
        "id": azure::resource("Microsoft.Storage/storageAccounts", name),
        "name": name,
        "type": "Microsoft.Storage/storageAccounts",
        "location": azure::REGION,
        "kind": "StorageV2",
        "sku": { "name": "Standard_ZRS", "tier": "Standard" },
        "properties": {
            "isHnsEnabled": true,
            "provisioningState": "Succeeded",
            "primaryEndpoints": {
                "blob": format!("https://{name}.blob.core.windows.net/"),
                "dfs": format!("https://{name}.dfs.core.windows.net/"),
            },
            "encryption": { "keySource": "Microsoft.Storage" },
        },
    })
}

/// Whether a request is signed for S3.
pub(crate) fn is_s3(request: &Request) -> bool {
    request.header("authorization").contains("/s3/aws4_request")
}

/// Answers a request to S3, in the path style.
pub(crate) fn s3(shared: &Shared, request: &Request) -> Answer {
    let path = request.path.trim_start_matches('/');
    let name = path.trim_end_matches('/');
    let world = shared.world();
    let buckets = &world.now.buckets;
    let is_head = request.method == "HEAD";
    let refused = |status: u16, code: &str, message: &str| {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message><BucketName>{name}\
             </BucketName></Error>"
        );
        // A HEAD has no body, so the caller does not learn why.
        let body = if is_head { String::new() } else { body };
        Answer::xml(status, body)
    };
    let Some(bucket) = buckets.s3.get(name) else {
        return refused(404, "NoSuchBucket", "The specified bucket does not exist");
    };
    let region = ("x-amz-bucket-region".to_owned(), bucket.region.clone());
    let scope = format!("/{}/s3/aws4_request", bucket.region);
    let with_region = |mut answer: Answer| {
        answer.headers.push(region);
        answer
    };
    if !request.header("authorization").contains(&scope) {
        let message = "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future \
             requests to this endpoint.";
        return with_region(refused(301, "PermanentRedirect", message));
    }
    if buckets.denied.contains(name) {
        return with_region(refused(403, "AccessDenied", "Access Denied"));
    }
    match (
        request.method.as_str(),
        request.query.contains_key("encryption"),
    ) {
        ("HEAD", _) => with_region(Answer::xml(200, String::new())),
        ("GET", true) => match &bucket.algorithm {
            Some(algorithm) => Answer::xml(200, encryption(algorithm, bucket.kms_key.as_deref())),
            None => refused(
                404,
                "ServerSideEncryptionConfigurationNotFoundError",
                "The server side encryption configuration was not found",
            ),
        },
        _ => refused(501, "NotImplemented", "The sandbox has no such operation"),
    }
}

fn encryption(algorithm: &str, key: Option<&str>) -> String {
    let key = key.map(|key| format!("<KMSMasterKeyID>{key}</KMSMasterKeyID>"));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ServerSideEncryptionConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>{algorithm}</SSEAlgorithm>{}</ApplyServerSideEncryptionByDefault>\
         <BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>",
        key.unwrap_or_default()
    )
}

/// Answers `GET /storage/v1/b/{bucket}`.
pub(crate) fn google(shared: &Shared, name: &str) -> Answer {
    let world = shared.world();
    let refused = |status: u16, reason: &str, message: &str| {
        let error = json!({ "message": message, "domain": "global", "reason": reason });
        Answer::json(
            status,
            &json!({ "error": { "code": status, "message": message, "errors": [error] } }),
        )
    };
    let buckets = &world.now.buckets;
    if buckets.denied.contains(name) {
        let message = "The caller does not have storage.buckets.get access to the Google Cloud Storage bucket. Permission \
             'storage.buckets.get' denied on resource (or it may not exist).";
        return refused(403, "forbidden", message);
    }
    match buckets.google.get(name) {
        Some(found) => Answer::json(200, found),
        None => refused(404, "notFound", "The specified bucket does not exist."),
    }
}

/// Answers Resource Manager's requests about storage accounts: one, or all of a subscription.
pub(crate) fn azure(shared: &Shared, path: &str) -> Answer {
    let lower = path.to_ascii_lowercase();
    let world = shared.world();
    let buckets = &world.now.buckets;
    let seen = || {
        let all = buckets.azure.iter();
        all.filter(|(name, _)| !buckets.denied.contains(*name))
    };
    let of_subscription = format!(
        "/subscriptions/{}/providers/microsoft.storage/storageaccounts",
        azure::SUBSCRIPTION
    );
    if lower == of_subscription {
        // The answer has only what the caller may read, and silently leaves out the rest.
        let all: Vec<Json> = seen().map(|(_, one)| one.clone()).collect();
        return Answer::json(200, &json!({ "value": all }));
    }
    let is_meant = |one: &Json| {
        let id = one.get("id").and_then(Json::as_str).unwrap_or_default();
        id.eq_ignore_ascii_case(path)
    };
    let found = buckets.azure.iter().find(|(_, one)| is_meant(one));
    match found {
        Some((name, _)) if buckets.denied.contains(name) => azure::refusal(
            403,
            "AuthorizationFailed",
            &format!(
                "The client does not have authorization to perform action 'Microsoft.Storage/storageAccounts/read' over scope '{path}' or \
                 the scope is invalid. If access was recently granted, please refresh your credentials."
            ),
        ),
        Some((_, one)) => Answer::json(200, one),
        None => azure::refusal(
            404,
            "ResourceNotFound",
            &format!("The Resource '{path}' was not found."),
        ),
    }
}

/// Changes a bucket, or makes one: `kms_key` (null takes it away), `denied`; on S3 also `region` and `algorithm`.
///
/// # Errors
/// What is wrong with the changes; then nothing was changed.
pub(crate) fn patch(
    buckets: &mut Buckets,
    cloud: &str,
    name: &str,
    changes: &Map<String, Json>,
) -> Result<(), String> {
    let known: &[&str] = match cloud {
        "aws" => &["kms_key", "denied", "region", "algorithm"],
        "gcp" | "azure" => &["kms_key", "denied"],
        _ => return Err("expected aws, gcp or azure in the path".to_owned()),
    };
    if let Some(other) = changes.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("there is no `{other}`"));
    }
    let text = |name: &str| match changes.get(name) {
        None => Ok(None),
        Some(Json::Null) => Ok(Some(None)),
        Some(Json::String(value)) => Ok(Some(Some(value.clone()))),
        Some(_) => Err(format!("expected a text or null in `{name}`")),
    };
    let (key, region, algorithm) = (text("kms_key")?, text("region")?, text("algorithm")?);
    let denied = match changes.get("denied") {
        None => None,
        Some(value) => Some(
            value
                .as_bool()
                .ok_or("expected true or false in `denied`")?,
        ),
    };
    match cloud {
        "aws" => {
            let named = buckets.s3.entry(name.to_owned());
            let bucket = named.or_insert_with(S3Bucket::new);
            if let Some(key) = key {
                let has_key = if key.is_some() { "aws:kms" } else { "AES256" };
                bucket.algorithm = Some(has_key.to_owned());
                bucket.kms_key = key;
            }
            bucket.algorithm = algorithm.unwrap_or(bucket.algorithm.clone());
            bucket.region = region.flatten().unwrap_or(bucket.region.clone());
        }
        "gcp" => {
            let named = buckets.google.entry(name.to_owned());
            let bucket = named.or_insert_with(|| google_bucket(name));
            if let (Some(key), Some(fields)) = (key, bucket.as_object_mut()) {
                fields.remove("encryption");
                let encryption = key.map(|key| json!({ "defaultKmsKeyName": key }));
                fields.extend(encryption.map(|value| ("encryption".to_owned(), value)));
            }
        }
        _ => {
            let found = buckets.azure.get(name).cloned();
            let mut account = found.unwrap_or_else(|| storage_account(name));
            if let Some(key) = key {
                set_key_of_account(&mut account, key.as_deref())?;
            }
            buckets.azure.insert(name.to_owned(), account);
        }
    }
    match denied {
        Some(true) => drop(buckets.denied.insert(name.to_owned())),
        Some(false) => drop(buckets.denied.remove(name)),
        None => {}
    }
    Ok(())
}

/// Gives a storage account a key of a vault, and the identity that uses it; or Microsoft's.
fn set_key_of_account(account: &mut Json, key: Option<&str>) -> Result<(), String> {
    let encryption = match key {
        None => json!({ "keySource": "Microsoft.Storage" }),
        Some(key) => {
            let (vault, rest) = key
                .split_once("/keys/")
                .ok_or("expected the identifier of a key in `kms_key`")?;
            let (name, version) = rest.split_once('/').unwrap_or((rest, ""));
            azure::set(
                account,
                "/identity",
                json!({
                    "type": "SystemAssigned",
                    "principalId": "b0c4e700-0000-4000-8000-000000000001",
                    "tenantId": azure::TENANT,
                }),
            );
            json!({
                "keySource": "Microsoft.Keyvault",
                "keyvaultproperties": { "keyvaulturi": vault, "keyname": name, "keyversion": version },
            })
        }
    };
    azure::set(account, "/properties/encryption", encryption);
    Ok(())
}

/// All buckets, also those that the caller may not read.
pub(crate) fn shown(buckets: &Buckets) -> Json {
    let s3 = buckets.s3.iter().map(|(name, one)| {
        let fields =
            json!({ "region": one.region, "algorithm": one.algorithm, "kms_key": one.kms_key });
        (name.clone(), fields)
    });
    json!({
        "aws": Json::Object(s3.collect()),
        "gcp": buckets.google,
        "azure": buckets.azure,
        "denied": buckets.denied,
    })
}
