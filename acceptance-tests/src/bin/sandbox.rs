//! The sandbox as a program: serves until it is interrupted, or runs a command with the environment set.

use std::io::Write;
use std::process::{Command, ExitCode};
use std::time::Duration;

use acceptance_tests::sandbox::{MANAGED_VPC_WORKSPACE, Options, Sandbox, WORKSPACE};

const HELP: &str = "\
A Databricks account API and an AWS KMS on the loopback, for trying and testing the dbxcmk provider.

    sandbox [OPTIONS]                 serve until interrupted
    sandbox [OPTIONS] -- COMMAND …    run a command with the environment set, then end

Options:
    --port PORT              the port to listen on (default: any free one)
    --wait MILLISECONDS      how long what takes Databricks twenty minutes takes here (default: 400)
    --kms-endpoint URL       leave KMS to another service, for example LocalStack
";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "sandbox: {error}\n\n{HELP}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    let mut command: Vec<String> = Vec::new();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))
        };
        match argument.as_str() {
            "--port" => options.port = value()?.parse()?,
            "--wait" => options.wait = Duration::from_millis(value()?.parse()?),
            "--kms-endpoint" => options.kms_endpoint = Some(value()?),
            "--help" | "-h" => {
                let _ = write!(std::io::stdout(), "{HELP}");
                return Ok(ExitCode::SUCCESS);
            }
            "--" => command.extend(arguments.by_ref()),
            other => return Err(format!("there is no option {other}").into()),
        }
    }
    let sandbox = Sandbox::start(options)?;
    if let Some((program, arguments)) = command.split_first() {
        let status = Command::new(program)
            .args(arguments)
            .envs(sandbox.environment())
            .env("SANDBOX_URL", sandbox.url())
            .env("SANDBOX_WORKSPACE", WORKSPACE.to_string())
            .status()
            .map_err(|error| format!("{program}: {error}"))?;
        return Ok(ExitCode::from(
            status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1),
        ));
    }
    let mut out = std::io::stdout();
    writeln!(
        out,
        "# The sandbox serves at {} until you press Ctrl-C. Set this in another terminal:",
        sandbox.url()
    )?;
    for (name, value) in sandbox.environment() {
        writeln!(out, "export {name}={value}")?;
    }
    writeln!(
        out,
        "# Workspaces: {WORKSPACE} (own VPC), {MANAGED_VPC_WORKSPACE} (managed VPC)"
    )?;
    out.flush()?;
    loop {
        std::thread::park();
    }
}
