//! Access tokens of Microsoft Entra ID, one for each audience, which the provider gets as hashicorp/azurerm does. No error and no log
//! quotes a body that holds tokens.
//!
//! Sources: Microsoft identity platform, "OAuth 2.0 client credentials flow", "Certificate credentials", "Workload identity federation";
//! Azure Instance Metadata Service; hashicorp/azurerm, "Authenticating to Azure".

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::errors::AzureError;
use super::{Audience, AzureCredential, AzureSettings};
use crate::network::{Failure, Http, NoBody, body, is_same};
use crate::vocabulary::why_unread;

/// How long before its end the provider stops using a token: a request takes time, and clocks differ.
const MARGIN: Duration = Duration::from_secs(60);
/// How often the client asks for a token, and the first pause between two tries.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(300);
/// How long an assertion counts, in seconds.
const ASSERTION_LIFE: i64 = 600;
/// The time limit of a program that gives out a token.
const PROGRAM: Duration = Duration::from_secs(60);
/// The address of the metadata service of a machine on Azure.
const METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
/// The audience for which a GitHub job asks.
const EXCHANGE: &str = "api://AzureADTokenExchange";

/// The tokens of one configuration.
pub(super) struct Tokens {
    http: Http,
    settings: AzureSettings,
    current: Mutex<BTreeMap<Audience, (SecretString, Instant)>>,
}

struct Fetched {
    token: SecretString,
    life: Duration,
}

#[derive(Deserialize)]
struct Answer {
    access_token: SecretString,
    /// Seconds, as a number or as text.
    #[serde(default, deserialize_with = "crate::network::seconds")]
    expires_in: Option<u64>,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: String,
    nbf: i64,
    exp: i64,
}

fn credentials_error(reason: impl Into<String>) -> AzureError {
    AzureError::Credentials(reason.into())
}

fn no_body(why: NoBody) -> AzureError {
    AzureError::Unreachable(why.plain())
}

fn unreachable(error: Failure) -> AzureError {
    AzureError::Unreachable(crate::network::plain(&error))
}

fn safe(text: &str) -> Result<url::Url, AzureError> {
    crate::network::safe(text).map_err(credentials_error)
}

fn read_file(path: &Path) -> Result<SecretString, AzureError> {
    doors::files::read_to_string(path)
        .map(|text| SecretString::from(text.trim().to_owned()))
        .map_err(|error| {
            credentials_error(format!(
                "{} cannot be read: {}",
                path.display(),
                why_unread(&error)
            ))
        })
}

impl Tokens {
    pub(super) fn new(http: Http, settings: AzureSettings) -> Self {
        Self {
            http,
            settings,
            current: Mutex::default(),
        }
    }

    /// A token that lives for a while. The first request that needs one fetches it while the others wait. `refused`: a token that Azure did
    /// not accept, which the provider does not use again.
    pub(super) async fn token(
        &self,
        audience: Audience,
        refused: Option<SecretString>,
    ) -> Result<SecretString, AzureError> {
        let mut current = self.current.lock().await;
        if let Some((token, until)) = current.get(&audience)
            && *until > Instant::now()
            && !is_same(token, refused.as_ref())
        {
            return Ok(token.clone());
        }
        let fetched = self.fetched(audience).await?;
        let until = Instant::now() + fetched.life.saturating_sub(MARGIN);
        current.insert(audience, (fetched.token.clone(), until));
        Ok(fetched.token)
    }

    /// A new token; the client tries again while the service that gives tokens is busy or away.
    async fn fetched(&self, audience: Audience) -> Result<Fetched, AzureError> {
        let mut wait = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.fetch(audience).await {
                Err(AzureError::Unreachable(_) | AzureError::Other { .. }) => {}
                outcome => return outcome,
            }
            tokio::time::sleep(wait.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
            wait *= 2;
        }
        self.fetch(audience).await
    }

    async fn fetch(&self, audience: Audience) -> Result<Fetched, AzureError> {
        // The audience is that of the cloud, whatever the endpoints.
        let resource = self.settings.cloud.address(audience);
        match &self.settings.credential {
            AzureCredential::ClientSecret(secret) => {
                self.by_client(resource, &[("client_secret", secret.expose_secret())])
                    .await
            }
            AzureCredential::ClientCertificate {
                certificate,
                private_key,
            } => {
                let assertion = self.assertion(certificate, private_key)?;
                self.by_assertion(resource, &assertion).await
            }
            AzureCredential::OidcToken(token) => self.by_assertion(resource, token).await,
            AzureCredential::OidcTokenFile(file) => {
                // Read each time: another program writes the file, and renews the token in it.
                self.by_assertion(resource, &read_file(file)?).await
            }
            AzureCredential::OidcRequest {
                url,
                token,
                service_connection,
            } => {
                let subject = self
                    .requested(url, token, service_connection.as_deref())
                    .await?;
                self.by_assertion(resource, &subject).await
            }
            AzureCredential::ManagedIdentity { endpoint } => {
                self.by_metadata(resource, endpoint.as_deref()).await
            }
            AzureCredential::Cli => self.by_cli(resource).await,
            AzureCredential::Unusable(why) => Err(credentials_error(why.clone())),
        }
    }

    fn client(&self) -> Result<&str, AzureError> {
        self.settings
            .client
            .as_deref()
            .ok_or_else(|| credentials_error("no `client_id` is configured (ARM_CLIENT_ID)"))
    }

    fn token_url(&self) -> Result<String, AzureError> {
        let tenant = self
            .settings
            .tenant
            .as_deref()
            .ok_or_else(|| credentials_error("no `tenant_id` is configured (ARM_TENANT_ID)"))?;
        let login = self
            .settings
            .login
            .as_deref()
            .unwrap_or_else(|| self.settings.cloud.login());
        Ok(format!(
            "{}/{tenant}/oauth2/v2.0/token",
            login.trim_end_matches('/')
        ))
    }

    async fn by_client(
        &self,
        resource: &str,
        proof: &[(&str, &str)],
    ) -> Result<Fetched, AzureError> {
        let scope = format!("{resource}/.default");
        let mut form = vec![
            ("grant_type", "client_credentials"),
            ("client_id", self.client()?),
            ("scope", scope.as_str()),
        ];
        form.extend_from_slice(proof);
        let request = self.http.post(safe(&self.token_url()?)?).form(&form);
        answered(self.http.send(request).await.map_err(unreachable)?).await
    }

    async fn by_assertion(
        &self,
        resource: &str,
        assertion: &SecretString,
    ) -> Result<Fetched, AzureError> {
        let proof = [
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
            ("client_assertion", assertion.expose_secret()),
        ];
        self.by_client(resource, &proof).await
    }

    /// The application says with its certificate who it is. Source: Microsoft identity platform, "Certificate credentials": `x5t#S256`.
    fn assertion(
        &self,
        certificate: &[u8],
        private_key: &SecretString,
    ) -> Result<SecretString, AzureError> {
        let signer =
            jsonwebtoken::EncodingKey::from_rsa_pem(private_key.expose_secret().as_bytes())
                .map_err(|_| {
                    credentials_error("the private key of the certificate cannot be read")
                })?;
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
        let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate);
        header.x5t_s256 = Some(URL_SAFE_NO_PAD.encode(thumbprint));
        let now = doors::clock::now().unix_timestamp();
        let url = self.token_url()?;
        let client = self.client()?;
        let claims = Claims {
            aud: &url,
            iss: client,
            sub: client,
            jti: format!("{:032x}", fastrand::u128(..)),
            nbf: now,
            exp: now + ASSERTION_LIFE,
        };
        jsonwebtoken::encode(&header, &claims, &signer)
            .map(SecretString::from)
            .map_err(|_| credentials_error("the private key of the certificate does not sign"))
    }

    /// The token that the CI system gives out: GitHub by GET, Azure DevOps by POST for a service connection.
    async fn requested(
        &self,
        address: &str,
        token: &SecretString,
        service_connection: Option<&str>,
    ) -> Result<SecretString, AzureError> {
        #[derive(Deserialize)]
        struct Given {
            #[serde(alias = "oidcToken")]
            value: SecretString,
        }
        let mut url = safe(address)?;
        let request = match service_connection {
            None => {
                url.query_pairs_mut().append_pair("audience", EXCHANGE);
                self.http.get(url)
            }
            Some(id) => {
                url.query_pairs_mut()
                    .append_pair("api-version", "7.1")
                    .append_pair("serviceConnectionId", id);
                self.http
                    .post(url)
                    .header(reqwest::header::CONTENT_LENGTH, 0)
            }
        };
        let request = request.bearer_auth(token.expose_secret());
        let answer = self.http.send(request).await.map_err(unreachable)?;
        let status = answer.status().as_u16();
        let text = body(answer).await.map_err(no_body)?;
        serde_json::from_str::<Given>(&text)
            .map(|given| given.value)
            .map_err(|_| {
                credentials_error(format!("the CI system gives no OIDC token (HTTP {status})"))
            })
    }

    async fn by_metadata(
        &self,
        resource: &str,
        endpoint: Option<&str>,
    ) -> Result<Fetched, AzureError> {
        let variable =
            |name: &str| doors::environment::variable(name).filter(|value| !value.is_empty());
        // App Service and its relatives have a service of their own.
        let own = variable("IDENTITY_ENDPOINT").zip(variable("IDENTITY_HEADER"));
        let (address, version) = match (endpoint, &own) {
            (Some(endpoint), _) => (endpoint, "2018-02-01"),
            (None, Some((address, _))) => (address.as_str(), "2019-08-01"),
            (None, None) => (METADATA, "2018-02-01"),
        };
        let mut query = vec![("api-version", version), ("resource", resource)];
        query.extend(self.settings.client.as_deref().map(|id| ("client_id", id)));
        let mut request = self
            .http
            .get(address)
            .query(&query)
            .timeout(Duration::from_secs(10));
        request = match (&own, endpoint) {
            (Some((_, header)), None) => request.header("X-IDENTITY-HEADER", header),
            _ => request.header("Metadata", "true"),
        };
        let Ok(answer) = self.http.send(request).await else {
            return Err(credentials_error(
                "`use_msi` is set, and this machine has no metadata service of Azure",
            ));
        };
        answered(answer).await
    }

    /// A token of the account that is logged in on the Azure command line. Source: Azure CLI, `az
    /// account get-access-token`.
    async fn by_cli(&self, resource: &str) -> Result<Fetched, AzureError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Given {
            access_token: SecretString,
        }
        let mut command = tokio::process::Command::new("az");
        command
            .args(["account", "get-access-token", "--output", "json", "--scope"])
            .arg(format!("{resource}/.default"))
            .kill_on_drop(true);
        if let Some(tenant) = &self.settings.tenant {
            command.args(["--tenant", tenant]);
        }
        let output = tokio::time::timeout(PROGRAM, command.output())
            .await
            .map_err(|_| credentials_error("the Azure command line did not end within a minute"))?
            .map_err(|error| {
                credentials_error(format!(
                    "no credential is configured, and the Azure command line (az) cannot be run: {error}"
                ))
            })?;
        if !output.status.success() {
            return Err(credentials_error(
                "the Azure command line is not logged in; run `az login`",
            ));
        }
        let given: Given = serde_json::from_slice(&output.stdout)
            .map_err(|_| credentials_error("the Azure command line gave no token"))?;
        Ok(Fetched {
            token: given.access_token,
            // It renews by itself; asking again is cheap.
            life: Duration::from_secs(300),
        })
    }
}

async fn answered(answer: reqwest::Response) -> Result<Fetched, AzureError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Refusal {
        error: String,
        error_description: String,
    }
    let status = answer.status().as_u16();
    let text = body(answer).await.map_err(no_body)?;
    if status == 429 || status >= 500 {
        return Err(AzureError::Other {
            status,
            message: "Microsoft Entra ID gives no token".to_owned(),
        });
    }
    if status != 200 {
        // The body of a refusal has no token; its first line helps.
        let refusal: Refusal = serde_json::from_str(&text).unwrap_or_default();
        let first = refusal
            .error_description
            .lines()
            .next()
            .filter(|line| !line.is_empty())
            .unwrap_or(&refusal.error);
        return Err(credentials_error(format!(
            "Microsoft Entra ID gives no token (HTTP {status}): {first}"
        )));
    }
    let answer: Answer =
        serde_json::from_str(&text).map_err(|_| credentials_error("the answer has no token"))?;
    Ok(Fetched {
        token: answer.access_token,
        life: Duration::from_secs(answer.expires_in.unwrap_or(3600)),
    })
}
