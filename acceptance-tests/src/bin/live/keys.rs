//! Keys on the clouds whose keys Terraform does not make here: Google Cloud and Azure, over REST.

use std::path::PathBuf;

use reqwest::{Client, Method};
use serde_json::{Value as Json, json};

use crate::clouds::{Cloud, Place};
use crate::journal::Journal;
use crate::recorded::{Sent, headers};
use crate::stories::Name;

/// What a call needs.
pub struct Keys<'a> {
    cloud: Cloud,
    place: &'a Place,
    journal: &'a Journal,
    http: Client,
    /// Where the key service is, without a slash at the end.
    base: String,
    token: String,
    /// The directory of the recording, in which the provider records its requests.
    recordings: PathBuf,
}

/// A variable that must be set.
fn needed(name: &str) -> Result<String, String> {
    let value = std::env::var(name).unwrap_or_default();
    match value.is_empty() {
        true => Err(format!("Set {name}: the run makes keys with it.")),
        false => Ok(value),
    }
}

fn endpoint(name: &str, usual: &str) -> String {
    let own = std::env::var(name).unwrap_or_default();
    let own = if own.is_empty() {
        usual.to_owned()
    } else {
        own
    };
    own.trim_end_matches('/').to_owned()
}

impl<'a> Keys<'a> {
    /// The key service of a cloud, with a token.
    ///
    /// # Errors
    /// When credentials are missing or not accepted.
    pub async fn new(
        cloud: Cloud,
        place: &'a Place,
        journal: &'a Journal,
        recordings: PathBuf,
    ) -> Result<Self, String> {
        let mut builder = Client::builder();
        if !place.ca_bundle.is_empty() {
            let pem = std::fs::read(&place.ca_bundle).map_err(|error| error.to_string())?;
            let certificates =
                reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| error.to_string())?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|error| error.to_string())?;
        let (base, token) = match cloud {
            Cloud::Azure => {
                let vault = place.vault.rsplit('/').next().unwrap_or_default();
                let token = azure_token(&http).await?;
                // A sandbox has all vaults under one address.
                let base = match std::env::var("DBXCMK_AZURE_KEY_VAULT_ENDPOINT") {
                    Ok(one) if !one.is_empty() => format!("{}/{vault}", one.trim_end_matches('/')),
                    _ => format!("https://{vault}.vault.azure.net"),
                };
                (base, token)
            }
            _ => (
                endpoint(
                    "GOOGLE_KMS_CUSTOM_ENDPOINT",
                    "https://cloudkms.googleapis.com/v1/",
                ),
                needed("GOOGLE_OAUTH_ACCESS_TOKEN")?,
            ),
        };
        Ok(Self {
            cloud,
            place,
            journal,
            http,
            base,
            token,
            recordings,
        })
    }

    async fn call(&self, method: Method, path: &str, body: &Json) -> Result<(u16, Json), String> {
        let request = self
            .http
            .request(method, format!("{}/{path}", self.base))
            .bearer_auth(&self.token)
            .header("content-type", "application/json")
            .body(body.to_string());
        let request = request.build().map_err(|error| error.to_string())?;
        let sent = Sent::new(&request);
        let answer = self.http.execute(request).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let headers = headers(answer.headers());
        let text = answer.text().await.map_err(|error| error.to_string())?;
        sent.record(&self.recordings, status, &headers, &text)?;
        Ok((status, serde_json::from_str(&text).unwrap_or_default()))
    }

    fn own_name(&self, name: Name) -> String {
        format!("{}-{}", self.journal.prefix, name.word())
    }

    /// Makes a key; one that is there already stays.
    ///
    /// # Errors
    /// When the service refuses.
    pub async fn make(&self, name: Name) -> Result<(), String> {
        let own = self.own_name(name);
        let (prefix, deadline) = (&self.journal.prefix, &self.journal.deadline);
        let (path, body) = match self.cloud {
            Cloud::Azure => (
                format!("keys/{own}/create?api-version=7.4"),
                json!({
                    "kty": "RSA", "key_size": 2048,
                    "tags": { "dbxcmk-live": prefix, "dbxcmk-live-deadline": deadline },
                }),
            ),
            _ => (
                format!("{}/cryptoKeys?cryptoKeyId={own}", self.place.key_ring),
                json!({
                    // Who needs access is not known before a key configuration exists, so a missing right would show too late.
                    "purpose": if name == Name::Broken { "ASYMMETRIC_DECRYPT" } else { "ENCRYPT_DECRYPT" },
                    "versionTemplate": {
                        "algorithm": match name {
                            Name::Broken => "RSA_DECRYPT_OAEP_2048_SHA256",
                            _ => "GOOGLE_SYMMETRIC_ENCRYPTION",
                        },
                    },
                    // A label has lower case, digits, hyphens and underscores only.
                    "labels": {
                        "dbxcmk-live": prefix,
                        "dbxcmk-live-deadline": deadline.to_lowercase().replace(':', "-"),
                    },
                }),
            ),
        };
        if self.cloud == Cloud::Azure {
            // Every create of Key Vault adds a version.
            let there = format!("keys/{own}?api-version=7.4");
            let (status, _) = self.call(Method::GET, &there, &Json::Null).await?;
            if status == 200 {
                return Ok(());
            }
        }
        match self.call(Method::POST, &path, &body).await? {
            (200 | 409, _) => Ok(()),
            (status, answer) => Err(format!("the key {own} was not made: {status} {answer}")),
        }
    }

    /// Removes a key: on Google Cloud the destruction of its version is scheduled, on Azure it is deleted and stays for its retention time.
    ///
    /// # Errors
    /// When the service refuses.
    pub async fn remove(&self, name: Name) -> Result<(), String> {
        let own = self.own_name(name);
        let (method, path) = match self.cloud {
            Cloud::Azure => (Method::DELETE, format!("keys/{own}?api-version=7.4")),
            _ => (
                Method::POST,
                format!(
                    "{}/cryptoKeys/{own}/cryptoKeyVersions/1:destroy",
                    self.place.key_ring
                ),
            ),
        };
        match self.call(method, &path, &json!({})).await? {
            (200 | 404, _) => Ok(()),
            // The version is on its way out already.
            (400, answer) if answer.to_string().contains("DESTROY") => Ok(()),
            (status, answer) => Err(format!("the key {own} was not removed: {status} {answer}")),
        }
    }
}

async fn azure_token(http: &Client) -> Result<String, String> {
    let login = endpoint(
        "DBXCMK_AZURE_LOGIN_ENDPOINT",
        "https://login.microsoftonline.com",
    );
    let url = format!("{login}/{}/oauth2/v2.0/token", needed("ARM_TENANT_ID")?);
    let form = [
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", needed("ARM_CLIENT_ID")?),
        ("client_secret", needed("ARM_CLIENT_SECRET")?),
        ("scope", "https://vault.azure.net/.default".to_owned()),
    ];
    let answer = http.post(url).form(&form).send().await;
    let answer = answer.map_err(|error| error.to_string())?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| error.to_string())?;
    let json: Json = serde_json::from_str(&text).unwrap_or_default();
    let token = json.get("access_token").and_then(Json::as_str);
    token
        .map(str::to_owned)
        .ok_or_else(|| format!("Entra ID gives no token for the key vault: {status}"))
}
