//! The sandbox that a recording is asked of: it gets the names, keys and policies that the recording begins with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use recording::{Answer, Body, Exchange, Outcome, RawAnswer, Replacer};
use serde_json::{Value as Json, json};

use super::Read as _;
use super::form::Form;
use super::names::Names;
use crate::azure::{self, VAULT};
use crate::buckets;
use crate::gcp::{self, CryptoKey};
use crate::http::{self, Request};
use crate::{
    ACCOUNT_ID, AWS_ACCOUNT, CLIENT_ID, CLIENT_SECRET, Options, REGION, Shared, WORKSPACE, account,
    server, stage, unity,
};

/// How long an update takes here: until a read of the recording shows its end.
const UNTIL_IT_SHOWS: Duration = Duration::from_secs(86_400);
/// How many reads may show something late here.
const TRIES: u32 = 5;

/// The service that a request is signed for.
pub fn service(exchange: &Exchange) -> Option<&'static str> {
    let (_, service) = exchange.headers.get("authorization")?.rsplit_once('/')?;
    [
        ("kms", "KMS"),
        ("iam", "IAM"),
        ("sts", "STS"),
        ("s3", "S3"),
        ("cloudtrail", "CloudTrail"),
    ]
    .into_iter()
    .find(|(name, _)| *name == service)
    .map(|(_, shown)| shown)
}

/// A sandbox in memory, and what the names of a recording are called in it.
pub struct Stage {
    shared: Arc<Shared>,
    names: Names,
    replacer: Replacer,
}

impl Stage {
    /// One for a recording.
    pub fn new(exchanges: &[Exchange]) -> Self {
        let options = Options {
            wait: UNTIL_IT_SHOWS,
            google: is_on_google(exchanges),
            azure: exchanges
                .iter()
                .any(|one| azure::is_azure(&azure_path(one))),
            ..Options::default()
        };
        let shared = Arc::new(Shared {
            world: Mutex::new(stage(&options)),
            options,
            url: "http://sandbox.example".to_owned(),
            azure_url: "https://azure.sandbox.example".to_owned(),
            http: OnceLock::new(),
            tls: None,
        });
        let mut stage = Self {
            shared,
            names: Names::default(),
            replacer: Replacer::remembering(b"the sandbox has nothing to hide"),
        };
        let is_on_google = is_on_google(exchanges);
        // The workspace that gets keys is the one that the sandbox begins with, whichever is read first.
        let (changes, others): (Vec<&Exchange>, Vec<&Exchange>) =
            exchanges.iter().partition(|one| one.method == "PATCH");
        for exchange in changes.into_iter().chain(others) {
            stage.name_the_account(exchange, is_on_google);
        }
        for exchange in exchanges {
            stage.name_aws(exchange);
            stage.name_google(exchange);
            stage.name_azure(exchange);
        }
        stage.make_azure_keys(exchanges);
        stage.make_keys(exchanges);
        stage.set_policies(exchanges);
        stage
    }

    /// `accounts/<account>/workspaces/<workspace>`
    fn name_the_account(&mut self, exchange: &Exchange, is_on_google: bool) {
        let own = match is_on_google {
            true => gcp::WORKSPACE,
            false => WORKSPACE,
        };
        for (before, value) in pairs(&exchange.path) {
            match before {
                "accounts" => self.names.bind(value, ACCOUNT_ID),
                "workspaces" if exchange.path.contains("/accounts/") => {
                    self.names.bind(value, &own.to_string());
                }
                _ => {}
            }
        }
    }

    /// The region of a signature, and `arn:aws:kms:<region>:<account>:key/<key>`.
    fn name_aws(&mut self, exchange: &Exchange) {
        if let Some(signed) = exchange.headers.get("authorization")
            && let Some((_, scope)) = signed.split_once("AWS4-HMAC-SHA256 ")
            && let Some((region, _)) = scope.split_once('/')
        {
            self.names.bind(region, REGION);
        }
        if let Some([region, account, _]) = key_arn(exchange) {
            self.names.bind(&region, REGION);
            self.names.bind(&account, AWS_ACCOUNT);
        }
    }

    /// `projects/<project>/locations/<location>`
    fn name_google(&mut self, exchange: &Exchange) {
        if !exchange.path.contains("/keyRings") {
            return;
        }
        for (before, value) in pairs(&exchange.path) {
            match before {
                "projects" => self.names.bind(value, gcp::PROJECT),
                "locations" => self.names.bind(value, gcp::REGION),
                _ => {}
            }
        }
    }

    /// `subscriptions/<subscription>/resourceGroups/<group>/…/workspaces/<workspace>`, `<vault>.vault.azure.net/keys/<key>/<version>`
    fn name_azure(&mut self, exchange: &Exchange) {
        let path = azure_path(exchange);
        if !azure::is_azure(&path) {
            return;
        }
        let mut parts = path.split('/').skip(1);
        match (parts.next(), parts.next()) {
            (Some("login"), Some(tenant)) => self.names.bind(tenant, azure::TENANT),
            (Some("vault"), Some(vault)) => self.names.bind(vault, VAULT),
            _ => {}
        }
        for (before, value) in pairs(&path) {
            match before {
                "subscriptions" => self.names.bind(value, azure::SUBSCRIPTION),
                "resourceGroups" | "resourcegroups" => self.names.bind(value, "lakehouse"),
                "workspaces" => self.names.bind(value, "lakehouse-azure"),
                _ => {}
            }
        }
    }

    /// The keys of the vault that the recording does not create itself.
    fn make_azure_keys(&mut self, exchanges: &[Exchange]) {
        let paths: Vec<String> = exchanges.iter().map(azure_path).collect();
        let made: Vec<&str> = paths
            .iter()
            .filter_map(|path| path.strip_suffix("/create")?.rsplit('/').next())
            .collect();
        let named = paths.iter().filter(|path| path.starts_with("/vault/"));
        let named = named.flat_map(|path| pairs(path).filter(|(before, _)| *before == "keys"));
        for (_, key) in named.filter(|(_, key)| !made.contains(key)) {
            let name = self.names.text(key);
            let mut world = self.shared.world();
            let azure = &mut world.now.azure;
            if !azure.keys.contains_key(&(VAULT.to_owned(), name.clone())) {
                azure.add_key(VAULT, &name, azure::VERSION);
            }
        }
    }

    /// The keys that the recording has, and does not create itself.
    fn make_keys(&mut self, exchanges: &[Exchange]) {
        let created: Vec<&Exchange> = exchanges
            .iter()
            .filter(|one| {
                let target = one.headers.get("x-amz-target");
                target.is_some_and(|target| target.ends_with(".CreateKey"))
            })
            .collect();
        for exchange in exchanges {
            let Some([_, _, key]) = key_arn(exchange) else {
                continue;
            };
            let is_created = created.iter().any(|one| match &one.outcome {
                Outcome::Answer(answer) => answer_text(answer).contains(&key),
                Outcome::Lost(_) => false,
            });
            if !is_created {
                self.make_key(&key);
            }
        }
        let made: Vec<&str> = exchanges
            .iter()
            .flat_map(|one| one.query.iter())
            .filter(|(name, _)| name == "cryptoKeyId")
            .map(|(_, value)| value.as_str())
            .collect();
        for exchange in exchanges {
            let is_made = made.iter().any(|key| exchange.path.contains(key));
            self.make_google_key(exchange, is_made);
        }
    }

    fn make_key(&mut self, placeholder: &str) {
        let Some(mark) = super::names::only_mark(placeholder) else {
            return;
        };
        if self.names.has(&mark) {
            return;
        }
        let request = self.aws_request("TrentService.CreateKey", json!({}));
        let made = crate::kms::answer(&self.shared, &request, "CreateKey", None);
        let made: Json = serde_json::from_str(&made.body).unwrap_or_default();
        if let Some(id) = made.pointer("/KeyMetadata/KeyId").and_then(Json::as_str) {
            self.names.bind(placeholder, id);
        }
    }

    fn aws_request(&self, target: &str, body: Json) -> Request {
        Request {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query: BTreeMap::new(),
            headers: BTreeMap::from([
                ("x-amz-target".to_owned(), target.to_owned()),
                ("authorization".to_owned(), signature(REGION, "kms")),
            ]),
            body: body.to_string().into_bytes(),
        }
    }

    fn make_google_key(&mut self, exchange: &Exchange, is_made: bool) {
        let path = self.names.path(&exchange.path);
        let path = http::decoded(&path);
        let Some(name) = path
            .strip_prefix("/v1/")
            .filter(|name| name.contains("/cryptoKeys/"))
        else {
            return;
        };
        let parts: Vec<&str> = name.split([':', '/']).take(8).collect();
        if parts.len() < 8 {
            return;
        }
        let key = parts.join("/");
        let mut world = self.shared.world();
        let google = &mut world.now.google;
        google.rings.extend(
            key.split_once("/cryptoKeys/")
                .map(|(ring, _)| ring.to_owned()),
        );
        if is_made {
            return;
        }
        google
            .keys
            .entry(key)
            .or_insert_with(|| CryptoKey::new("ENCRYPT_DECRYPT"));
    }

    /// The policies and states that the first reads show, before anything is written.
    fn set_policies(&mut self, exchanges: &[Exchange]) {
        for exchange in exchanges.iter().rev() {
            let Outcome::Answer(answer) = &exchange.outcome else {
                continue;
            };
            let Body::Json(body) = &answer.body else {
                continue;
            };
            let target = exchange.headers.get("x-amz-target").map(String::as_str);
            if target == Some("TrentService.GetKeyPolicy")
                && let Some([_, _, key]) = key_arn(exchange)
                && let Some(policy) = body.get("Policy").and_then(Json::as_str)
            {
                let policy = self.names.text(policy);
                self.change_key(&key, |key| key.policy = policy);
            }
            if target == Some("TrentService.DescribeKey")
                && let Some([_, _, key]) = key_arn(exchange)
                && let Some(state) = body.pointer("/KeyMetadata/KeyState")
            {
                let (state, is_enabled) = (state.clone(), state == "Enabled");
                self.change_key(&key, |key| {
                    key.metadata.insert("KeyState".to_owned(), state);
                    key.metadata
                        .insert("Enabled".to_owned(), Json::from(is_enabled));
                });
            }
        }
    }

    fn change_key(&mut self, placeholder: &str, change: impl FnOnce(&mut crate::world::Key)) {
        let id = self.names.text(placeholder);
        let mut world = self.shared.world();
        if let Some(key) = world.now.keys.get_mut(&(REGION.to_owned(), id)) {
            change(key);
        }
    }

    /// What the sandbox answers to a request; `None` when it has no such service. One that is not answered as in the recording is asked again
    /// after the end of the update that is under way.
    pub async fn ask(&mut self, exchange: &Exchange, recorded: &Answer) -> Option<Answer> {
        let request = self.request(exchange)?;
        self.make_bucket(&request, recorded);
        let wanted = Form::of(recorded);
        let differs = |answer: &Answer| wanted.distance(&Form::of(answer));
        let is_read = exchange.is_read();
        if !is_read {
            self.updates_take(UNTIL_IT_SHOWS);
        }
        let before = self.shared.world().clone();
        let answer = self.once(&request).await;
        let differences = differs(&answer);
        if differences == 0 {
            return Some(answer);
        }
        let after = std::mem::replace(&mut *self.shared.world(), before);
        let took = self.shared.options.wait;
        self.updates_take(Duration::ZERO);
        if !is_read {
            // Not after the request: an update that it begins is on its way.
            azure::carry_on(&self.shared);
            for workspace in self.shared.world().now.workspaces.values_mut() {
                account::finish_update(workspace, Duration::ZERO);
            }
            self.updates_take(UNTIL_IT_SHOWS);
        }
        let tries = if is_read { TRIES } else { 1 };
        for _ in 0..tries {
            let later = self.once(&request).await;
            if differs(&later) < differences {
                return Some(later);
            }
        }
        // The end of an update was not what is missing.
        *self.shared.world() = after;
        self.updates_take(took);
        Some(answer)
    }

    /// Effect: a bucket that the recording shows is there.
    fn make_bucket(&self, request: &Request, recorded: &Answer) {
        if buckets::is_s3(request) && recorded.status < 400 {
            let name = request.path.trim_matches('/');
            let buckets = &mut self.shared.world().now.buckets;
            if !buckets.s3.contains_key(name) {
                // One of our own making: nothing can be wrong with it.
                let _ = buckets.change("aws", name, &json!({}));
            }
        }
    }

    /// Effect: updates that are under way end when they have taken so long.
    fn updates_take(&mut self, wait: Duration) {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.options.wait = wait;
        }
    }

    async fn once(&self, request: &Request) -> Answer {
        let answer = server::answer(&self.shared, request, None).await;
        self.replacer.answer(&RawAnswer {
            status: answer.status,
            headers: &answer.headers,
            body: answer.body.as_bytes(),
        })
    }

    /// Whether the sandbox knows nothing of what a request names, as other workspaces of a real account.
    pub fn lacks(&self, exchange: &Exchange, recorded: &Answer, answer: &Answer) -> bool {
        let is_refused = matches!(answer.status, 401 | 403 | 404) && recorded.status < 400;
        is_refused && self.names.has_unknown(&[&exchange.host, &exchange.path])
    }

    /// Effect: what the recording and the sandbox call by two names is known from now on.
    pub fn learn(&mut self, recorded: &Answer, answer: &Answer) {
        self.names.learn(recorded, answer, &self.replacer);
    }

    /// A request as the sandbox takes it.
    fn request(&self, exchange: &Exchange) -> Option<Request> {
        let path = self.names.path(&azure_path(exchange));
        let query = exchange.query.iter();
        let mut headers = BTreeMap::new();
        headers.insert(
            "x-databricks-gcp-sa-access-token".to_owned(),
            gcp::TOKEN.to_owned(),
        );
        headers.insert("host".to_owned(), self.names.text(&exchange.host));
        for name in ["x-amz-target", "content-type"] {
            let value = exchange.headers.get(name);
            headers.extend(value.map(|value| (name.to_owned(), self.names.text(value))));
        }
        let mut request = Request {
            method: exchange.method.clone(),
            path,
            query: query
                .map(|(name, value)| (self.names.text(name), self.names.text(value)))
                .collect(),
            headers,
            body: self.body(&exchange.body)?,
        };
        let credential = self.credential(exchange, &request);
        let credential = credential.map(|value| ("authorization".to_owned(), value));
        request.headers.extend(credential);
        Some(request)
    }

    fn body(&self, body: &Body) -> Option<Vec<u8>> {
        match body {
            Body::Empty => Some(Vec::new()),
            Body::Json(json) => Some(self.names.json(json).to_string().into_bytes()),
            Body::Form(fields) => {
                let pairs: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| {
                        let value = match name.as_str() {
                            "client_id" => azure::CLIENT.to_owned(),
                            "client_secret" => azure::SECRET.to_owned(),
                            _ => self.names.text(value),
                        };
                        let value = value
                            .replace('%', "%25")
                            .replace('&', "%26")
                            .replace('+', "%2B");
                        format!("{}={value}", self.names.text(name))
                    })
                    .collect();
                Some(pairs.join("&").into_bytes())
            }
            Body::Xml(_) | Body::Other(_) => None,
        }
    }

    /// Who asks, in the way in which the recording asked.
    fn credential(&self, exchange: &Exchange, request: &Request) -> Option<String> {
        let path = request.path.as_str();
        let kind = exchange.headers.get("authorization")?;
        if let Some((region, service)) = kind
            .strip_prefix("AWS4-HMAC-SHA256 ")
            .and_then(|scope| scope.split_once('/'))
        {
            return Some(signature(&self.names.text(region), service));
        }
        let workspace = unity::host(request);
        let token = match kind.as_str() {
            "Basic" => {
                let pair = STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
                return Some(format!("Basic {pair}"));
            }
            _ if workspace.is_some() => {
                let host = workspace.unwrap_or_default();
                let token = format!("token for {host}");
                let mut world = self.shared.world();
                world.workspace_tokens.insert(token.clone(), host);
                token
            }
            _ if azure::is_azure(path) => self.azure_token(path),
            _ if gcp::is_google(path) => gcp::TOKEN.to_owned(),
            _ => account::TOKEN.to_owned(),
        };
        Some(format!("Bearer {token}"))
    }

    /// A token for the service of Azure that a path leads to.
    fn azure_token(&self, path: &str) -> String {
        let audience = match path {
            _ if path.starts_with("/graph/") => "https://graph.microsoft.com",
            _ if path.starts_with("/vault/") && path.contains(azure::HSM) => {
                "https://managedhsm.azure.net"
            }
            _ if path.starts_with("/vault/") => "https://vault.azure.net",
            _ => "https://management.azure.com",
        };
        let mut world = self.shared.world();
        let tokens = &mut world.now.azure.tokens;
        let token = format!("token for {audience}");
        tokens.insert(token.clone(), audience.to_owned());
        token
    }
}

fn signature(region: &str, service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIASANDBOXSANDBOX00/20260101/{region}/{service}/aws4_request, \
         SignedHeaders=host, Signature=0"
    )
}

fn is_on_google(exchanges: &[Exchange]) -> bool {
    exchanges.iter().any(|one| one.path.contains("/keyRings"))
}

/// Each segment of a path with the one before it. What follows a colon, as `:getIamPolicy`, is not of the name.
fn pairs(path: &str) -> impl Iterator<Item = (&str, &str)> {
    let segments = path.split('/');
    let names = path
        .split('/')
        .skip(1)
        .map(|value| match value.split_once(">:") {
            // `<word:…>:getIamPolicy`: the placeholder has a colon, too.
            Some((name, _)) => value.get(..=name.len()).unwrap_or(value),
            None => value,
        });
    segments.zip(names)
}

/// A path on Azure as the sandbox has it, which serves all hosts of Azure under one.
fn azure_path(exchange: &Exchange) -> String {
    let path = &exchange.path;
    let host = exchange.host.as_str();
    match host {
        "management.azure.com" => format!("/arm{path}"),
        "login.microsoftonline.com" => format!("/login{path}"),
        "graph.microsoft.com" => format!("/graph{path}"),
        _ => match host
            .strip_suffix(".vault.azure.net")
            .or_else(|| host.strip_suffix(".managedhsm.azure.net"))
        {
            Some(name) => format!("/vault/{name}{path}"),
            None => path.clone(),
        },
    }
}

/// The placeholders of region, account and key, where a request to KMS names a key by its ARN.
fn key_arn(exchange: &Exchange) -> Option<[String; 3]> {
    let Body::Json(body) = &exchange.body else {
        return None;
    };
    let named = body.get("KeyId")?.as_str()?;
    let rest = named.strip_prefix("arn:aws:kms:")?;
    let (places, key) = rest.split_once(":key/")?;
    let (region, account) = places.split_once(">:")?;
    Some([format!("{region}>"), account.to_owned(), key.to_owned()])
}

fn answer_text(answer: &Answer) -> String {
    match &answer.body {
        Body::Json(json) => json.to_string(),
        _ => String::new(),
    }
}
