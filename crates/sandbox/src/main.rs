//! The sandbox as a program: serves until it is interrupted, or runs a command with the environment set.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use clap::{Parser, Subcommand};

use dbxcmk_sandbox::{MANAGED_VPC_WORKSPACE, Options, Sandbox, WORKSPACE, azure, gcp};

/// Serves a Databricks account API, an AWS KMS, a Google Cloud KMS and Azure locally, to test Terraform modules.
///
/// With a command, it sets the environment, runs the command, and exits with its exit code:
///
///     dbxcmk-sandbox -- terraform test
///
/// Without a command, it runs until you press Ctrl-C, and prints the environment for another terminal.
#[derive(Debug, Parser)]
#[command(
    name = "dbxcmk-sandbox",
    version,
    verbatim_doc_comment,
    args_conflicts_with_subcommands = true
)]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,
    /// Port to listen on [default: any free port].
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Duration of a workspace update. Databricks needs up to 20 minutes.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 400)]
    wait: u64,
    /// How long data keys stay in the cache of Databricks, after which data cannot be read without the key.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 2000)]
    cache: u64,
    /// Address of a KMS to use instead of the sandbox's own, for example LocalStack at http://localhost:4566.
    #[arg(long, value_name = "URL")]
    kms_endpoint: Option<String>,
    /// Add a workspace on Google Cloud, and set the environment for Google Cloud.
    #[arg(long)]
    google: bool,
    /// Add a workspace on Azure, at an address of its own that speaks TLS, and set the environment for Azure.
    #[arg(long)]
    azure: bool,
    /// Command to run, with its arguments.
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// What it does besides serving.
#[derive(Debug, Subcommand)]
enum Task {
    /// Ask the sandbox what a recording asked the real services, and report where the answers have another form.
    ///
    /// The exit code is 0 when they have the same form, 1 when one differs, and 2 when the recording cannot be read.
    Compare {
        /// Directory of the recording: the one that DBXCMK_RECORD named.
        directory: PathBuf,
    },
}

fn compare(directory: &Path) -> ExitCode {
    match dbxcmk_sandbox::compare::compare_directory(directory) {
        Ok(report) => {
            let _ = write!(std::io::stdout(), "{report}");
            ExitCode::from(u8::from(!report.differences.is_empty()))
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Task::Compare { directory }) = &arguments.task {
        return compare(directory);
    }
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a command, or another terminal, works with.
fn environment(sandbox: &Sandbox, arguments: &Arguments, bundle: &Path) -> Vec<(String, String)> {
    let pair = |name: &str, value: String| (name.to_owned(), value);
    let mut all = sandbox.environment();
    all.push(pair("SANDBOX_URL", sandbox.url()));
    all.push(pair("SANDBOX_WORKSPACE", WORKSPACE.to_string()));
    if arguments.google {
        all.push(pair("SANDBOX_GOOGLE_WORKSPACE", gcp::WORKSPACE.to_string()));
    }
    if arguments.azure {
        all.push(pair("SANDBOX_AZURE_WORKSPACE", azure::workspace_id()));
        all.push(pair("SANDBOX_CA_BUNDLE", bundle.display().to_string()));
    }
    all
}

fn run(arguments: Arguments) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let sandbox = Sandbox::start(Options {
        port: arguments.port,
        wait: Duration::from_millis(arguments.wait),
        cache: Duration::from_millis(arguments.cache),
        kms_endpoint: arguments.kms_endpoint.clone(),
        google: arguments.google,
        azure: arguments.azure,
        tls: false,
    })?;
    // A file, because that is what tools take; it has no secret in it.
    let bundle = std::env::temp_dir().join(format!("dbxcmk-sandbox-{}.pem", std::process::id()));
    if arguments.azure {
        std::fs::write(&bundle, sandbox.authority())?;
    }
    let variables = environment(&sandbox, &arguments, &bundle);
    if let Some((program, rest)) = arguments.command.split_first() {
        let status = Command::new(program)
            .args(rest)
            .envs(variables)
            .status()
            .map_err(|error| format!("cannot run {}: {error}", program.display()))?;
        let _ = std::fs::remove_file(&bundle);
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        return Ok(ExitCode::from(code.unwrap_or(1)));
    }
    let mut out = std::io::stdout();
    writeln!(
        out,
        "# The sandbox runs at {} until you press Ctrl-C. Set this in another terminal:",
        sandbox.url()
    )?;
    for (name, value) in variables {
        writeln!(out, "export {name}={value}")?;
    }
    writeln!(
        out,
        "# Workspaces: {WORKSPACE} (customer-managed VPC), {MANAGED_VPC_WORKSPACE} (Databricks-managed VPC)"
    )?;
    if arguments.google {
        writeln!(out, "# On Google Cloud: {}", gcp::WORKSPACE)?;
    }
    if arguments.azure {
        writeln!(out, "# On Azure: {}", azure::workspace_id())?;
    }
    out.flush()?;
    loop {
        std::thread::park();
    }
}
