//! A plugin's life: from the handshake line to the exit.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server as Transport;

use super::handshake::{Address, Environment, HandshakeError, line};
#[cfg(feature = "logging")]
use super::logging;
use super::proto::go_plugin::grpc_broker_server::GrpcBrokerServer;
use super::proto::go_plugin::grpc_controller_server::GrpcControllerServer;
use super::proto::go_plugin::grpc_stdio_server::GrpcStdioServer;
use super::proto::tfplugin6::provider_server::ProviderServer;
use super::provider::Provider;
use super::server::Server;
use super::services::{Broker, Controller, Stdio};
use super::tls::{MutualTls, TlsError};
use super::transport::{ListenError, Listener};

/// The largest message either way, as go-plugin has it.
const LARGEST_MESSAGE: usize = 256 << 20;
/// How long Terraform may take to connect before the plugin believes that it is gone.
const FIRST_CONNECTION: Duration = Duration::from_secs(60);
/// How often the provider checks whether its parent still lives, while no client has connected.
const PARENT_CHECK: Duration = Duration::from_millis(500);
/// How long open calls may take to end once the host has asked to end or has gone. go-plugin kills after two seconds.
const LAST_WORDS: Duration = Duration::from_millis(1500);
/// How long operations may take to reach a safe point when Terraform has died in the middle of them.
const ORPHANED: Duration = Duration::from_secs(20);

/// Why the plugin could not be served.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    /// Started in a way that Terraform does not.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    /// Nowhere to listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No runtime, or standard output is closed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The server ended by itself.
    #[error("the server ended: {0}")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves a provider to the Terraform that started this process, on a runtime of its own with one thread: what blocks that thread, as a call of
/// `std::fs` does for a moment, holds up every other call. [`within`] serves on any other runtime. `by_hand` is what a person reads who
/// started it themselves.
///
/// ```no_run
/// # use tfplugin::prelude::*;
/// # #[derive(Model)]
/// # struct Config {}
/// # struct Hello;
/// # impl Provider for Hello {
/// #     type Client = ();
/// #     type Config = Config;
/// #     fn name(&self) -> Name { "hello".into() }
/// #     fn schema(&self) -> Schema { Config::schema() }
/// #     async fn configure(&self, _: Config, _: Run) -> Result<((), Diagnostics), Unfinished> {
/// #         Ok(((), Diagnostics::new()))
/// #     }
/// # }
/// fn main() -> std::process::ExitCode {
///     serve::plugin(Hello, "Terraform starts this program.")
/// }
/// ```
#[doc(alias = "providerserver")]
pub fn plugin(provider: impl Provider, by_hand: &str) -> ExitCode {
    on_one_thread(provider.name(), within(provider, by_hand))
}

/// Serves a provider to a debugger: prints what to set for Terraform, and runs until it is interrupted. `source` is the address of the provider:
/// `registry.terraform.io/example/hello`.
pub fn debug(provider: impl Provider, source: &str) -> ExitCode {
    on_one_thread(provider.name(), debug_within(provider, source))
}

/// The same as [`plugin`] on the caller's runtime, which must have time and I/O enabled: `#[tokio::main]` does.
pub async fn within(provider: impl Provider, by_hand: &str) -> ExitCode {
    let own = provider.name();
    let environment = match Environment::read(|name| std::env::var_os(name)) {
        Ok(environment) => environment,
        Err(HandshakeError::NoCookie) => {
            let _ = writeln!(std::io::stderr(), "{by_hand}");
            return ExitCode::FAILURE;
        }
        Err(error) => return failed(&own, &error.into()),
    };
    #[cfg(feature = "logging")]
    logging::start(logging::level(|name| std::env::var(name).ok()), &own);
    match serve(provider, &environment).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&own, &error),
    }
}

/// The same as [`debug`] on the runtime that it is called in.
pub async fn debug_within(provider: impl Provider, source: &str) -> ExitCode {
    let own = provider.name();
    #[cfg(feature = "logging")]
    logging::start(logging::level(|name| std::env::var(name).ok()), &own);
    match reattachable(provider, source).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&own, &error),
    }
}

fn on_one_thread(own: crate::schema::Name, serving: impl Future<Output = ExitCode>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(serving),
        Err(error) => failed(&own, &error.into()),
    }
}

fn failed(own: &str, error: &ServeError) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "terraform-provider-{own}: {error}");
    ExitCode::FAILURE
}

#[allow(
    clippy::print_stdout,
    reason = "the handshake line is the one thing that belongs on standard output"
)]
fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

async fn serve(provider: impl Provider, environment: &Environment) -> Result<(), ServeError> {
    // Ctrl-C reaches the whole process group; Terraform then calls StopProvider. Installing a handler is what keeps the
    // signal from ending the process.
    #[cfg(unix)]
    let _interrupts = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    #[cfg(not(unix))]
    tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });

    // This comes before Terraform learns that we are here: afterwards, Terraform may be dead already.
    let parent = parent_process();
    let tls = environment
        .client_certificate
        .as_deref()
        .map(MutualTls::new)
        .transpose()?;
    let listener = Listener::bind(environment).await?;
    let certificate = tls.as_ref().map(|tls| tls.certificate.as_slice());
    say(&line(
        listener.address(),
        certificate,
        environment.asks_for_multiplexing,
    ))?;

    let (incoming, open) = listener.incoming(tls.map(|tls| tls.config));
    let (stop, end) = (CancellationToken::new(), CancellationToken::new());
    let gone = alone(open, parent);
    let server = Server::new(provider, stop.clone());
    let operations = server.operations();
    let router = router(server, &end, true).await;
    let serving = router.serve_with_incoming_shutdown(incoming, end.clone().cancelled_owned());
    tokio::pin!(serving, gone);
    tokio::select! {
        result = &mut serving => return Ok(result?),
        () = end.cancelled() => {}
        () = &mut gone => {
            // Terraform died: what is in flight gets the time to reach a safe point, so that nothing is cut in half.
            tracing::info!("Terraform is gone; ending");
            stop.cancel();
            end.cancel();
            operations.close();
            let _ = tokio::time::timeout(ORPHANED, operations.wait()).await;
        }
    }
    let _ = tokio::time::timeout(LAST_WORDS, serving).await;
    Ok(())
}

/// The names under which Terraform and OpenTofu find the provider: a source with Terraform's registry in its name has OpenTofu's in OpenTofu.
fn names(source: &str) -> Vec<String> {
    let at = |host: &str, rest: &str| format!("{host}/{rest}");
    match source.strip_prefix("registry.terraform.io/") {
        Some(rest) => vec![source.to_owned(), at("registry.opentofu.org", rest)],
        None => vec![source.to_owned()],
    }
}

async fn reattachable(provider: impl Provider, source: &str) -> Result<(), ServeError> {
    let listener = Listener::bind(&Environment::default()).await?;
    let address = match listener.address() {
        Address::Unix(path) => path.display().to_string(),
        Address::Tcp(address) => address.to_string(),
    };
    let how = serde_json::json!({
        "Protocol": "grpc",
        "ProtocolVersion": super::handshake::PROTOCOL,
        "Pid": std::process::id(),
        "Test": true,
        "Addr": {"Network": listener.address().network(), "String": address},
    });
    let reattach: serde_json::Map<String, serde_json::Value> = names(source)
        .into_iter()
        .map(|name| (name, how.clone()))
        .collect();
    let reattach = serde_json::Value::Object(reattach);
    say(&format!(
        "The provider runs until you press Ctrl-C. In another terminal, set this and run Terraform as usual:\n\n    export \
         TF_REATTACH_PROVIDERS='{reattach}'\n"
    ))?;
    let (incoming, _open) = listener.incoming(None);
    let end = CancellationToken::new();
    let router = router(Server::new(provider, CancellationToken::new()), &end, false).await;
    let serving = router.serve_with_incoming_shutdown(incoming, async {
        interrupted().await;
        end.cancel();
    });
    tokio::pin!(serving);
    tokio::select! {
        result = &mut serving => return Ok(result?),
        () = end.cancelled() => {}
    }
    let _ = tokio::time::timeout(LAST_WORDS, serving).await;
    Ok(())
}

async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

async fn router<P: Provider>(
    server: Server<P>,
    end: &CancellationToken,
    may_be_ended: bool,
) -> tonic::transport::server::Router {
    let (health_reporter, health) = tonic_health::server::health_reporter();
    health_reporter
        .set_service_status("plugin", tonic_health::ServingStatus::Serving)
        .await;
    let provider = ProviderServer::new(server)
        .max_decoding_message_size(LARGEST_MESSAGE)
        .max_encoding_message_size(LARGEST_MESSAGE);
    Transport::builder()
        .add_service(provider)
        .add_service(health)
        .add_service(GrpcControllerServer::new(Controller {
            end: may_be_ended.then(|| end.clone()),
        }))
        .add_service(GrpcStdioServer::new(Stdio { end: end.clone() }))
        .add_service(GrpcBrokerServer::new(Broker { end: end.clone() }))
}

/// Ends when the last connection is gone, when none ever comes, or when the parent process has died.
async fn alone(mut open: watch::Receiver<usize>, parent: Option<u32>) {
    tokio::select! {
        first = tokio::time::timeout(FIRST_CONNECTION, open.wait_for(|open| *open > 0)) => {
            if first.is_err() {
                return;
            }
        }
        // A Terraform that is killed between starting us and connecting leaves no connection behind whose end could show.
        () = orphaned(parent) => return,
    }
    let _ = open.wait_for(|open| *open == 0).await;
}

/// Ends when the process that started this one is gone.
async fn orphaned(parent: Option<u32>) {
    while parent_process() == parent {
        tokio::time::sleep(PARENT_CHECK).await;
    }
}

/// The process that started this one, where the system says it.
fn parent_process() -> Option<u32> {
    #[cfg(unix)]
    return Some(std::os::unix::process::parent_id());
    #[cfg(not(unix))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_debugger_is_found_by_terraform_and_by_opentofu() {
        assert_eq!(
            names("registry.terraform.io/a/b"),
            ["registry.terraform.io/a/b", "registry.opentofu.org/a/b"]
        );
        assert_eq!(names("example.com/a/b"), ["example.com/a/b"]);
    }
}
