//! Access tokens, as Application Default Credentials and the environment of hashicorp/google have them. Bodies that hold tokens are
//! never quoted, in no error and no log.
//!
//! Sources: Google Cloud documentation, "How Application Default Credentials works", "Authenticate workloads"; AIP-4110 to AIP-4117;
//! hashicorp/google, "Provider configuration reference".

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::GcpSettings;
use super::errors::GcpError;
use crate::network::{Failure, Http, NoBody, body, is_same, retry_after};
use crate::vocabulary::why_unread;

/// What the token may be used for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
/// How long an assertion is good; Google takes an hour at most.
const ASSERTION_LIFE: i64 = 3600;
/// How long before its end the provider stops using a token: a request takes time, and clocks differ.
const MARGIN: Duration = Duration::from_secs(60);
/// The first pause between two tries; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(300);
/// How often the client asks for a token that Google does not give for a reason of the moment.
const TRIES: u32 = 7;
/// How often a host is tried that cannot be reached at all.
const TRIES_UNREACHABLE: u32 = 4;
/// The longest pause that the client makes when the service asks for one.
const LONGEST_ASKED: Duration = Duration::from_secs(30);
/// How long the tasks that waited for the same token get the error of the one that asked, without asking once more themselves.
const REMEMBERED: Duration = Duration::from_secs(5);
/// How deep credentials may be wrapped in others.
const DEEPEST: u32 = 3;

/// The tokens of one configuration.
pub(super) struct Tokens {
    http: Http,
    settings: GcpSettings,
    current: Mutex<Option<(SecretString, Instant)>>,
    /// When the last request for a token failed for a reason of the moment, and with which error.
    failed: Mutex<Option<(Instant, GcpError)>>,
}

/// A token and how long it lives.
struct Fetched {
    token: SecretString,
    life: Duration,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Credentials {
    ServiceAccount(ServiceAccountKey),
    AuthorizedUser {
        client_id: String,
        client_secret: SecretString,
        refresh_token: SecretString,
        #[serde(default = "google_token_uri")]
        token_uri: String,
    },
    ImpersonatedServiceAccount {
        service_account_impersonation_url: String,
        source_credentials: Box<Credentials>,
        #[serde(default)]
        delegates: Vec<String>,
    },
    ExternalAccount(Box<ExternalAccount>),
}

impl Credentials {
    /// Whose they are, where they say it: the login of a person does not.
    fn email(&self) -> Option<String> {
        let of_url = |url: &str| {
            let email = impersonated(url);
            email.contains('@').then(|| email.to_owned())
        };
        match self {
            Self::ServiceAccount(key) => Some(key.client_email.clone()),
            Self::AuthorizedUser { .. } => None,
            Self::ImpersonatedServiceAccount {
                service_account_impersonation_url,
                ..
            } => of_url(service_account_impersonation_url),
            Self::ExternalAccount(account) => account
                .service_account_impersonation_url
                .as_deref()
                .and_then(of_url),
        }
    }
}

/// Where the metadata server of the machine is.
fn metadata_host() -> String {
    doors::environment::variable("GCE_METADATA_HOST")
        .filter(|host| !host.is_empty())
        .unwrap_or_else(|| "metadata.google.internal".to_owned())
}

fn google_token_uri() -> String {
    "https://oauth2.googleapis.com/token".to_owned()
}

#[derive(Deserialize)]
struct ServiceAccountKey {
    client_email: String,
    private_key: SecretString,
    private_key_id: Option<String>,
    #[serde(default = "google_token_uri")]
    token_uri: String,
}

#[derive(Deserialize)]
struct ExternalAccount {
    audience: String,
    subject_token_type: String,
    token_url: String,
    service_account_impersonation_url: Option<String>,
    credential_source: CredentialSource,
}

#[derive(Deserialize)]
struct CredentialSource {
    file: Option<PathBuf>,
    url: Option<String>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    executable: Option<Executable>,
    #[serde(default)]
    format: SubjectFormat,
}

#[derive(Deserialize)]
struct Executable {
    command: String,
}

#[derive(Default, Deserialize)]
struct SubjectFormat {
    subject_token_field_name: Option<String>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'a str,
    aud: &'a str,
    iat: i64,
    exp: i64,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: SecretString,
    #[serde(default)]
    expires_in: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ImpersonatedAnswer {
    access_token: SecretString,
}

fn credentials_error(reason: impl Into<String>) -> GcpError {
    GcpError::Credentials(reason.into())
}

impl Tokens {
    pub(super) fn new(http: Http, settings: GcpSettings) -> Self {
        Self {
            http,
            settings,
            current: Mutex::new(None),
            failed: Mutex::new(None),
        }
    }

    /// A token that is good for a while; fetched when it is first needed, by one request while the others wait. `refused`: one that Google
    /// Cloud did not accept, which is not given out again.
    pub(super) async fn token(
        &self,
        refused: Option<SecretString>,
    ) -> Result<SecretString, GcpError> {
        let mut current = self.current.lock().await;
        if let Some((token, until)) = current.as_ref()
            && *until > Instant::now()
            && !is_same(token, refused.as_ref())
        {
            return Ok(token.clone());
        }
        let mut failed = self.failed.lock().await;
        if let Some((_, error)) = failed.as_ref().filter(|(at, _)| at.elapsed() < REMEMBERED) {
            return Err(error.clone());
        }
        let fetched = self.fetch().await;
        *failed = match &fetched {
            Err(error @ (GcpError::Unreachable(_) | GcpError::Other { .. })) => {
                Some((Instant::now(), error.clone()))
            }
            _ => None,
        };
        let fetched = fetched?;
        let until = Instant::now() + fetched.life.saturating_sub(MARGIN);
        *current = Some((fetched.token.clone(), until));
        Ok(fetched.token)
    }

    /// A new token, of the configured identity or of the account that it impersonates for every call.
    async fn fetch(&self) -> Result<Fetched, GcpError> {
        let own = self.own().await?;
        let Some(email) = &self.settings.impersonate_service_account else {
            return Ok(own);
        };
        let base = self.settings.endpoint_iamcredentials();
        let url = format!("{base}projects/-/serviceAccounts/{email}:generateAccessToken");
        self.impersonate(&own.token, &url, &self.settings.delegates)
            .await
    }

    /// Asks until there is an answer that is not of the moment. Asking twice does no harm: each answer is a token of its own.
    async fn ask(
        &self,
        request: impl Fn() -> reqwest::RequestBuilder,
    ) -> Result<(u16, String), GcpError> {
        self.ask_anybody(request, false).await
    }

    /// The same. `may_be_nobody`: whether the host may not exist; the error then says so, instead of blaming the network.
    async fn ask_anybody(
        &self,
        request: impl Fn() -> reqwest::RequestBuilder,
        may_be_nobody: bool,
    ) -> Result<(u16, String), GcpError> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        let mut is_somebody = !may_be_nobody;
        loop {
            let (mut asked, mut tries) = (None, TRIES);
            let outcome = match self.http.send(request()).await {
                Ok(answer) => {
                    is_somebody = true;
                    let status = answer.status().as_u16();
                    asked = retry_after(answer.headers(), LONGEST_ASKED);
                    match body(answer).await {
                        Ok(text) if !matches!(status, 408 | 429 | 500..=599) => {
                            return Ok((status, text));
                        }
                        Ok(text) => Err(GcpError::of(status, &text)),
                        Err(NoBody::TooLong) => return Err(no_body(NoBody::TooLong)),
                        Err(broken) => Err(no_body(broken)),
                    }
                }
                Err(error) => {
                    if !is_somebody || error.is_unreachable() {
                        tries = TRIES_UNREACHABLE;
                    }
                    Err(match is_somebody {
                        true => unreachable(error),
                        false => GcpError::NoIdentity,
                    })
                }
            };
            if attempt >= tries {
                return outcome;
            }
            attempt += 1;
            tracing::debug!(attempt, "no Google token yet");
            let own = pause.mul_f64(0.75 + 0.5 * fastrand::f64());
            tokio::time::sleep(asked.map_or(own, |asked| own.max(asked))).await;
            pause *= 2;
        }
    }

    /// A token, and how long it lives at least: of the configured identity, or of a service account that it impersonates.
    pub(super) async fn of(
        &self,
        service_account: Option<&str>,
    ) -> Result<(SecretString, Duration), GcpError> {
        let token = self.token(None).await?;
        let Some(email) = service_account else {
            let current = self.current.lock().await;
            let left = current
                .as_ref()
                .map(|(_, until)| until.saturating_duration_since(Instant::now()));
            return Ok((token, left.unwrap_or_default()));
        };
        let base = self.settings.endpoint_iamcredentials();
        let url = format!("{base}projects/-/serviceAccounts/{email}:generateAccessToken");
        let fetched = self.impersonate(&token, &url, &[]).await?;
        Ok((fetched.token, fetched.life))
    }

    /// An ID token of a service account, which the configured identity impersonates.
    pub(super) async fn identity(
        &self,
        service_account: &str,
        audience: &str,
    ) -> Result<(SecretString, Duration), GcpError> {
        #[derive(Deserialize)]
        struct Answer {
            token: SecretString,
        }
        let token = self.token(None).await?;
        let base = self.settings.endpoint_iamcredentials();
        let url = format!("{base}projects/-/serviceAccounts/{service_account}:generateIdToken");
        let body = serde_json::json!({ "audience": audience, "includeEmail": true });
        let text = self.ask_as(&token, &url, &body).await?;
        let answer: Answer = serde_json::from_str(&text)
            .map_err(|_| credentials_error("the answer to the impersonation has no token"))?;
        Ok((answer.token, Duration::from_secs(3600)))
    }

    /// Sends a request for another identity's token.
    async fn ask_as(
        &self,
        source: &SecretString,
        url: &str,
        body: &serde_json::Value,
    ) -> Result<String, GcpError> {
        let address = safe(url)?;
        let request = || {
            self.http
                .post(address.clone())
                .bearer_auth(source.expose_secret())
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                .body(body.to_string())
        };
        let (status, text) = self.ask(request).await?;
        if status != 200 {
            return Err(match GcpError::of(status, &text) {
                expired @ GcpError::NotAccepted(_) => expired,
                refused => GcpError::Impersonation {
                    account: impersonated(url).to_owned(),
                    reason: refused.to_string(),
                },
            });
        }
        Ok(text)
    }

    /// The token of the configured identity itself.
    async fn own(&self) -> Result<Fetched, GcpError> {
        if let Some(token) = &self.settings.access_token {
            return Ok(Fetched {
                token: token.clone(),
                life: Duration::from_secs(3600),
            });
        }
        match self.document()? {
            Some(text) => {
                let credentials: Credentials = serde_json::from_str(text.expose_secret()).map_err(|_| {
                    credentials_error(
                        "the credentials are not JSON of a kind that this version knows (service_account, authorized_user, \
                         impersonated_service_account, external_account)",
                    )
                })?;
                self.by(&credentials, 0).await
            }
            None => self.by_metadata().await,
        }
    }

    /// The email of the identity, as far as the credentials name it.
    pub(super) async fn principal(&self) -> Result<Option<String>, GcpError> {
        if let Some(email) = &self.settings.impersonate_service_account {
            return Ok(Some(email.clone()));
        }
        if self.settings.access_token.is_some() {
            return Ok(None);
        }
        match self.document()? {
            Some(text) => {
                let credentials = serde_json::from_str::<Credentials>(text.expose_secret());
                Ok(credentials.ok().and_then(|one| one.email()))
            }
            None => self.email_by_metadata().await,
        }
    }

    async fn email_by_metadata(&self) -> Result<Option<String>, GcpError> {
        let url = format!(
            "http://{}/computeMetadata/v1/instance/service-accounts/default/email",
            metadata_host()
        );
        let request = || {
            self.http
                .get(&url)
                .header("Metadata-Flavor", "Google")
                .timeout(Duration::from_secs(3))
        };
        let (status, text) = self.ask_anybody(request, true).await?;
        let email = text.trim();
        Ok((status == 200 && email.contains('@')).then(|| email.to_owned()))
    }

    /// The credentials as JSON: what is configured, else Application Default Credentials; `None` for the metadata server.
    fn document(&self) -> Result<Option<SecretString>, GcpError> {
        if let Some(given) = &self.settings.credentials {
            let text = given.expose_secret();
            if text.trim_start().starts_with('{') {
                return Ok(Some(given.clone()));
            }
            return read_file(Path::new(text)).map(Some);
        }
        let variable = doors::environment::path;
        if let Some(path) = variable("GOOGLE_APPLICATION_CREDENTIALS") {
            return read_file(Path::new(&path)).map(Some);
        }
        let home = variable("CLOUDSDK_CONFIG")
            .or_else(|| variable("HOME").map(|home| home.join(".config/gcloud")));
        let file = home.map(|home| home.join("application_default_credentials.json"));
        match file.filter(|file| file.exists()) {
            Some(file) => read_file(&file).map(Some),
            None => Ok(None),
        }
    }

    async fn by(&self, credentials: &Credentials, depth: u32) -> Result<Fetched, GcpError> {
        if depth > DEEPEST {
            return Err(credentials_error("the credentials are wrapped too deep"));
        }
        match credentials {
            Credentials::ServiceAccount(key) => self.by_key(key).await,
            Credentials::AuthorizedUser {
                client_id,
                client_secret,
                refresh_token,
                token_uri,
            } => {
                let form = [
                    ("grant_type", "refresh_token"),
                    ("client_id", client_id),
                    ("client_secret", client_secret.expose_secret()),
                    ("refresh_token", refresh_token.expose_secret()),
                ];
                self.ask_form(token_uri, &form).await
            }
            Credentials::ImpersonatedServiceAccount {
                service_account_impersonation_url,
                source_credentials,
                delegates,
            } => {
                let source = Box::pin(self.by(source_credentials, depth + 1)).await?;
                self.impersonate(&source.token, service_account_impersonation_url, delegates)
                    .await
            }
            Credentials::ExternalAccount(account) => self.by_external(account).await,
        }
    }

    async fn by_key(&self, key: &ServiceAccountKey) -> Result<Fetched, GcpError> {
        let signer =
            jsonwebtoken::EncodingKey::from_rsa_pem(key.private_key.expose_secret().as_bytes())
                .map_err(|_| {
                    credentials_error("the private key of the service account cannot be read")
                })?;
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
        header.kid = key.private_key_id.clone();
        let now = doors::clock::now().unix_timestamp();
        let claims = Claims {
            iss: &key.client_email,
            scope: SCOPE,
            aud: &key.token_uri,
            iat: now,
            exp: now + ASSERTION_LIFE,
        };
        let assertion = jsonwebtoken::encode(&header, &claims, &signer).map_err(|_| {
            credentials_error("the private key of the service account does not sign")
        })?;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion.as_str()),
        ];
        self.ask_form(&key.token_uri, &form).await
    }

    async fn by_external(&self, account: &ExternalAccount) -> Result<Fetched, GcpError> {
        let subject = self.subject_token(&account.credential_source).await?;
        let form = [
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            (
                "requested_token_type",
                "urn:ietf:params:oauth:token-type:access_token",
            ),
            ("audience", &account.audience),
            ("scope", SCOPE),
            ("subject_token_type", &account.subject_token_type),
            ("subject_token", subject.expose_secret()),
        ];
        let fetched = self.ask_form(&account.token_url, &form).await?;
        match &account.service_account_impersonation_url {
            Some(url) => self.impersonate(&fetched.token, url, &[]).await,
            None => Ok(fetched),
        }
    }

    /// The token that the other identity provider gave out.
    async fn subject_token(&self, source: &CredentialSource) -> Result<SecretString, GcpError> {
        let text = if let Some(file) = &source.file {
            read_file(file)?
        } else if let Some(url) = &source.url {
            let mut request = self.http.get(safe(url)?);
            for (name, value) in &source.headers {
                request = request.header(name, value);
            }
            let again = || request.try_clone().unwrap_or_else(|| self.http.get(url));
            SecretString::from(self.ask(again).await?.1)
        } else if let Some(executable) = &source.executable {
            return run(&executable.command).await;
        } else {
            return Err(credentials_error(
                "the credential_source of the external account is neither a file nor an address nor an executable",
            ));
        };
        match &source.format.subject_token_field_name {
            None => Ok(SecretString::from(text.expose_secret().trim().to_owned())),
            Some(field) => {
                let json: serde_json::Value = serde_json::from_str(text.expose_secret())
                    .map_err(|_| credentials_error("the subject token is not JSON"))?;
                json.get(field)
                    .and_then(serde_json::Value::as_str)
                    .map(SecretString::from)
                    .ok_or_else(|| {
                        credentials_error(format!("the subject token has no field {field}"))
                    })
            }
        }
    }

    async fn by_metadata(&self) -> Result<Fetched, GcpError> {
        self.by_metadata_of(&metadata_host()).await
    }

    async fn by_metadata_of(&self, host: &str) -> Result<Fetched, GcpError> {
        let url =
            format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
        let request = || {
            self.http
                .get(&url)
                .header("Metadata-Flavor", "Google")
                .timeout(Duration::from_secs(3))
        };
        // A machine on which nothing answers, not even the later tries, is not a machine of Google Cloud.
        let (status, text) = self.ask_anybody(request, true).await?;
        answered(status, &text)
    }

    async fn impersonate(
        &self,
        source: &SecretString,
        url: &str,
        delegates: &[String],
    ) -> Result<Fetched, GcpError> {
        let named = |email: &String| match email.contains('/') {
            true => email.clone(),
            false => format!("projects/-/serviceAccounts/{email}"),
        };
        let delegates: Vec<String> = delegates.iter().map(named).collect();
        let body =
            serde_json::json!({ "scope": [SCOPE], "lifetime": "3600s", "delegates": delegates });
        let text = self.ask_as(source, url, &body).await?;
        let answer: ImpersonatedAnswer = serde_json::from_str(&text)
            .map_err(|_| credentials_error("the answer to the impersonation has no token"))?;
        Ok(Fetched {
            token: answer.access_token,
            life: Duration::from_secs(3600),
        })
    }

    async fn ask_form(&self, url: &str, form: &[(&str, &str)]) -> Result<Fetched, GcpError> {
        let address = safe(url)?;
        let request = || self.http.post(address.clone()).form(form);
        let (status, text) = self.ask(request).await?;
        answered(status, &text)
    }
}

/// The service account that an address impersonates.
fn impersonated(url: &str) -> &str {
    let rest = url
        .rsplit_once("/serviceAccounts/")
        .map_or(url, |(_, rest)| rest);
    rest.split_once(':').map_or(rest, |(account, _)| account)
}

fn answered(status: u16, text: &str) -> Result<Fetched, GcpError> {
    if status != 200 {
        // The body of a refusal has no token; its words help.
        let error: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
        let word = |name: &str| error.get(name).and_then(serde_json::Value::as_str);
        let why = word("error_description")
            .or(word("error"))
            .unwrap_or_default();
        return Err(credentials_error(format!(
            "Google gives no token for these credentials (HTTP {status}): {why}"
        )));
    }
    let answer: TokenAnswer =
        serde_json::from_str(text).map_err(|_| credentials_error("the answer has no token"))?;
    Ok(Fetched {
        token: answer.access_token,
        life: Duration::from_secs(answer.expires_in.unwrap_or(3600)),
    })
}

fn safe(url: &str) -> Result<url::Url, GcpError> {
    crate::network::safe(url).map_err(credentials_error)
}

fn no_body(why: NoBody) -> GcpError {
    GcpError::Unreachable(why.plain())
}

fn unreachable(error: Failure) -> GcpError {
    GcpError::Unreachable(crate::network::plain(&error))
}

fn read_file(path: &Path) -> Result<SecretString, GcpError> {
    doors::files::read_to_string(path)
        .map(SecretString::from)
        .map_err(|error| {
            credentials_error(format!(
                "{} cannot be read: {}",
                path.display(),
                why_unread(&error)
            ))
        })
}

/// The subject token of a program. Source: AIP-4117; nothing is run unless the user allows it.
async fn run(command: &str) -> Result<SecretString, GcpError> {
    #[derive(Deserialize)]
    struct Said {
        success: bool,
        id_token: Option<SecretString>,
        saml_response: Option<SecretString>,
        message: Option<String>,
    }
    if doors::environment::variable("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES").as_deref()
        != Some("1")
    {
        return Err(credentials_error(
            "the external account runs a program, which needs GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1",
        ));
    }
    let mut words = command.split_whitespace();
    let program = words
        .next()
        .ok_or_else(|| credentials_error("the external account names no program"))?;
    let output = tokio::process::Command::new(program)
        .args(words)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(30), output)
        .await
        .map_err(|_| credentials_error(format!("{program} did not end within 30 seconds")))?
        .map_err(|error| credentials_error(format!("{program} cannot be run: {error}")))?;
    let said: Said = serde_json::from_slice(&output.stdout)
        .map_err(|_| credentials_error(format!("{program} did not answer with JSON")))?;
    match (said.success, said.id_token.or(said.saml_response)) {
        (true, Some(token)) => Ok(token),
        _ => Err(credentials_error(format!(
            "{program} gives no token: {}",
            said.message.unwrap_or_default()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Each row: how many connections the metadata server breaks off, whether a token comes all the same, and how many connections it took.
    #[tokio::test]
    async fn a_moment_without_an_answer_is_no_missing_identity() -> std::io::Result<()> {
        let rows = [
            (0, true, 1),
            (1, true, 2),
            (TRIES_UNREACHABLE, false, TRIES_UNREACHABLE),
        ];
        for (broken, has_token, connections) in rows {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let host = listener.local_addr()?.to_string();
            let served = async {
                let mut count = 0;
                loop {
                    let (mut stream, _) = listener.accept().await?;
                    count += 1;
                    if count > broken {
                        let _ = stream.read(&mut [0; 4096]).await?;
                        let body = "{\"access_token\":\"t\",\"expires_in\":60}";
                        let head = format!(
                            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                            body.len()
                        );
                        stream.write_all(format!("{head}{body}").as_bytes()).await?;
                    }
                    drop(stream);
                    if count == connections {
                        return std::io::Result::Ok(());
                    }
                }
            };
            let tokens = Tokens::new(
                crate::network::client(&[]).expect("a client"),
                GcpSettings::default(),
            );
            let (served, fetched) = tokio::join!(served, tokens.by_metadata_of(&host));
            served?;
            match has_token {
                true => assert!(fetched.is_ok(), "{broken}"),
                false => assert!(matches!(fetched, Err(GcpError::NoIdentity)), "{broken}"),
            }
        }
        Ok(())
    }
}
