//! A Databricks account API, an AWS KMS and a Google Cloud KMS on the loopback, with the refusals and waits that the real ones have.
//!
//! One port serves everything: the paths of the account API, KMS (AWS JSON 1.1) and STS (query protocol) on `/`, and
//! `/_sandbox/…` to look inside and to set the stage. Like the real service, the sandbox tries a key as Databricks would
//! before it keeps an attach, by rules of its own: it shares no code with the provider that is tried against it. Every request is recorded; faults are injected by rule.

#![warn(clippy::disallowed_methods)]
#![cfg_attr(test, allow(clippy::too_many_lines, reason = "tables of cases"))]

pub mod account;
pub mod azure;
pub mod buckets;
#[allow(
    clippy::disallowed_methods,
    reason = "a KMS that is not its own is asked over the network"
)]
pub mod client;
pub mod compare;
mod control;
pub mod data;
pub mod faults;
pub mod gcp;
pub mod http;
pub mod iam;
pub mod identities;
mod kms;
pub mod needs;
pub mod policy;
mod server;
mod sts;
#[cfg(test)]
mod tests;
mod tls;
mod trail;
mod trial;
pub mod unity;
pub mod world;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::faults::Fault;
use crate::world::{Record, World};

/// The Databricks account that the sandbox serves.
pub const ACCOUNT_ID: &str = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11";
/// The service principal that is an account admin.
pub const CLIENT_ID: &str = "5c9d5a0e-6d0c-4f0a-8f63-2f6f2f6f0001";
/// The OAuth secret of that service principal.
pub const CLIENT_SECRET: &str = "dose-sandbox-client-secret";
/// The AWS account that owns the keys of the sandbox's own KMS.
pub const AWS_ACCOUNT: &str = "123456789012";
/// The region of the workspaces that the sandbox begins with.
pub const REGION: &str = "eu-central-1";
/// The workspace that the sandbox begins with, in a customer-managed VPC.
pub const WORKSPACE: u64 = 1_234_567_890_123_456;
/// Another one, in a VPC that Databricks manages.
pub const MANAGED_VPC_WORKSPACE: u64 = 2_345_678_901_234_567;
/// The cross-account role of both.
pub const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/databricks-cross-account";

/// How a test wants the sandbox.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port, or 0 for any.
    pub port: u16,
    /// How long what takes Databricks twenty minutes takes here.
    pub wait: Duration,
    /// How long a data key stays in Databricks' cache.
    pub cache: Duration,
    /// Where KMS is, when it is not the sandbox's own.
    pub kms_endpoint: Option<String>,
    /// Whether there is a workspace on Google Cloud, too.
    pub google: bool,
    /// Whether there is a workspace on Azure, too, at an address of its own that speaks TLS.
    pub azure: bool,
    /// Whether it speaks TLS, with a certificate of an authority that no client knows.
    pub tls: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            wait: Duration::from_millis(400),
            cache: Duration::from_secs(2),
            kms_endpoint: None,
            google: false,
            azure: false,
            tls: false,
        }
    }
}

/// Everything that requests share.
#[derive(Debug)]
pub struct Shared {
    world: Mutex<World>,
    options: Options,
    /// Where it is: `http://127.0.0.1:…`.
    url: String,
    /// Where Azure is: `https://127.0.0.1:…`; empty where it is not.
    azure_url: String,
    http: OnceLock<reqwest::Client>,
    tls: Option<tls::Authority>,
}

/// The stage as the options want it.
fn stage(options: &Options) -> World {
    let mut world = World::new();
    if options.google {
        world.add_google();
    }
    if options.azure {
        world.add_azure();
    }
    world
}

impl Shared {
    /// The client for a KMS that is not the sandbox's own.
    fn http(&self) -> &reqwest::Client {
        let direct = || reqwest::Client::builder().no_proxy().build();
        self.http
            .get_or_init(|| direct().unwrap_or_else(|_| reqwest::Client::new()))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same services without a port: the owner calls them in memory, on the clock of the caller.
#[cfg(feature = "simulation")]
#[derive(Clone, Debug)]
pub struct Services(Arc<Shared>);

#[cfg(feature = "simulation")]
impl Services {
    /// Services that are at these addresses, as far as they name their own. Nothing runs by itself: an update is over when a client reads
    /// after its time.
    pub fn new(options: Options, url: &str, azure_url: &str) -> Self {
        Self(Arc::new(Shared {
            world: Mutex::new(stage(&options)),
            options,
            url: url.to_owned(),
            azure_url: azure_url.to_owned(),
            http: OnceLock::new(),
            tls: None,
        }))
    }

    /// Gives a request to the service that it is for, and waits for the answer.
    pub async fn ask(&self, request: http::Request) -> http::Answer {
        server::answer(&self.0, &request, None).await
    }

    /// The same with an effect of the service's own, as [`faults::Effect::Revert`].
    pub async fn ask_with(&self, request: http::Request, effect: &faults::Effect) -> http::Answer {
        server::answer(&self.0, &request, Some(effect.clone())).await
    }

    /// Lets a request meet an effect, and keeps a record of it as over a port; `None`: the connection breaks. Of [`faults::Effect::Truncate`],
    /// the half that does not come is left to who asks.
    pub async fn meet(
        &self,
        request: &http::Request,
        effect: Option<faults::Effect>,
    ) -> Option<http::Answer> {
        server::recorded(&self.0, request, effect).await.ok()
    }

    /// Reads or changes what the services have.
    pub fn with<T>(&self, f: impl FnOnce(&mut World) -> T) -> T {
        f(&mut self.0.world())
    }

    /// What works in a workspace now: see [`data`].
    pub async fn data_of(&self, workspace: u64) -> Option<serde_json::Value> {
        data::of_workspace(&self.0, workspace).await
    }
}

/// A running sandbox; it ends when it is dropped.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Sandbox {
    /// Starts one on a thread of its own.
    ///
    /// # Errors
    /// When there is no port to listen on.
    pub fn start(options: Options) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", options.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let has_authority = options.tls || options.azure;
        let tls = has_authority.then(tls::Authority::new).transpose()?;
        let azure_listener = match options.azure {
            true => {
                let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
                listener.set_nonblocking(true)?;
                Some(listener)
            }
            false => None,
        };
        let azure_url = match &azure_listener {
            Some(listener) => format!("https://{}", listener.local_addr()?),
            None => String::new(),
        };
        let scheme = if options.tls { "https" } else { "http" };
        let shared = Arc::new(Shared {
            world: Mutex::new(stage(&options)),
            options,
            url: format!("{scheme}://{address}"),
            azure_url,
            http: OnceLock::new(),
            tls,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    _ = server::serve(listener, Arc::clone(&served), served.options.tls) => {}
                    _ = server::serve_if_any(azure_listener, Arc::clone(&served)) => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self {
            shared,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens: `http://127.0.0.1:…`.
    pub fn url(&self) -> String {
        self.shared.url.clone()
    }

    /// Where Azure is: `https://127.0.0.1:…`.
    pub fn azure_url(&self) -> String {
        self.shared.azure_url.clone()
    }

    /// The certificate (PEM) of the authority that no client knows.
    pub fn authority(&self) -> &str {
        self.shared
            .tls
            .as_ref()
            .map(|tls| tls.certificate.as_str())
            .unwrap_or_default()
    }

    /// Waits until a request has come that has all these words; `false` when none comes within five minutes, which are seconds on a
    /// machine with nothing else to do.
    pub fn has_been_asked(&self, words: &str) -> bool {
        self.comes_to_be(|world| world.arrived.iter().any(|one| faults::fits(words, one)))
    }

    /// The same, until one has been carried out or refused.
    pub fn has_answered(&self, words: &str) -> bool {
        self.comes_to_be(|world| {
            world
                .record
                .iter()
                .any(|one| faults::fits(words, &one.operation))
        })
    }

    fn comes_to_be(&self, so: impl Fn(&World) -> bool) -> bool {
        (0..30_000).any(|_| {
            let found = self.with(|world| so(world));
            if !found {
                std::thread::sleep(Duration::from_millis(10));
            }
            found
        })
    }

    /// Reads or changes what the services have.
    pub fn with<T>(&self, f: impl FnOnce(&mut World) -> T) -> T {
        f(&mut self.shared.world())
    }

    /// From now on, requests that fit meet this fault.
    pub fn inject(&self, fault: Fault) {
        self.with(|world| world.faults.push(fault));
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Record> {
        self.with(|world| world.record.clone())
    }

    /// What a command needs to work against this sandbox.
    pub fn environment(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut all = vec![
            pair("DATABRICKS_HOST", &self.url()),
            pair("DATABRICKS_ACCOUNT_ID", ACCOUNT_ID),
            pair("DATABRICKS_CLIENT_ID", CLIENT_ID),
            pair("DATABRICKS_CLIENT_SECRET", CLIENT_SECRET),
            pair("DBXCMK_WORKSPACE_ENDPOINT", &self.url()),
            pair("AWS_ACCESS_KEY_ID", "AKIASANDBOXSANDBOX00"),
            pair("AWS_SECRET_ACCESS_KEY", "sandbox-secret-access-key"),
            pair("AWS_REGION", REGION),
            pair("AWS_EC2_METADATA_DISABLED", "true"),
            // What runs on this machine is not asked for through a company's proxy.
            pair("NO_PROXY", "127.0.0.1,localhost"),
        ];
        let kms = self
            .shared
            .options
            .kms_endpoint
            .clone()
            .unwrap_or_else(|| self.url());
        if self.shared.options.google {
            let url = self.url();
            all.push(pair("GOOGLE_OAUTH_ACCESS_TOKEN", gcp::TOKEN));
            all.push(pair("DATABRICKS_AUTH_TYPE", "oauth-m2m-gcp"));
            for (name, version) in [
                ("GOOGLE_KMS_CUSTOM_ENDPOINT", "v1/"),
                ("GOOGLE_KMS_INVENTORY_CUSTOM_ENDPOINT", "v1/"),
                ("GOOGLE_RESOURCE_MANAGER_V3_CUSTOM_ENDPOINT", "v3/"),
                ("GOOGLE_IAM_CUSTOM_ENDPOINT", "v1/"),
                ("GOOGLE_IAM_CREDENTIALS_CUSTOM_ENDPOINT", "v1/"),
                ("GOOGLE_STORAGE_CUSTOM_ENDPOINT", "storage/v1/"),
            ] {
                all.push(pair(name, &format!("{url}/{version}")));
            }
        }
        if self.shared.options.azure {
            all.push(pair("ARM_TENANT_ID", azure::TENANT));
            let url = self.azure_url();
            for (service, path) in [
                ("RESOURCE_MANAGER", "arm"),
                ("LOGIN", "login"),
                ("GRAPH", "graph"),
                ("KEY_VAULT", "vault"),
            ] {
                let name = format!("DBXCMK_AZURE_{service}_ENDPOINT");
                all.push(pair(&name, &format!("{url}/{path}")));
            }
            all.push(pair("ARM_SUBSCRIPTION_ID", azure::SUBSCRIPTION));
            all.push(pair("ARM_CLIENT_ID", azure::CLIENT));
            all.push(pair("ARM_CLIENT_SECRET", azure::SECRET));
            all.push(pair("SANDBOX_AZURE_URL", &self.azure_url()));
        }
        all.push(pair("AWS_ENDPOINT_URL_S3", &self.url()));
        for service in ["KMS", "STS", "IAM"] {
            all.push((format!("AWS_ENDPOINT_URL_{service}"), kms.clone()));
        }
        // The buckets of tables are here, whichever service has the keys.
        all.push(pair("AWS_ENDPOINT_URL_CLOUDTRAIL", &self.url()));
        all
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
