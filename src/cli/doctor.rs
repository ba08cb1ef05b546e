//! `doctor`: the first command when something does not work.

use std::io::Write as _;
use std::process::ExitCode;

use super::connection::ConnectionArguments;
use super::key::said;
use crate::doctor::{diagnose, json, text};
use crate::provider::{Doctor, DoctorOrder};
use crate::vocabulary::{Cloud, Key};
use tfplugin::printable::printable;

/// The arguments are not possible.
const USAGE: u8 = 2;

/// The format of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// `doctor`
#[derive(Debug, clap::Args)]
pub struct DoctorArguments {
    /// Cloud to examine: aws, gcp or azure. Can be repeated [default: that of the key or of the host, otherwise each that has credentials].
    #[arg(long, value_parser = ["aws", "gcp", "azure"])]
    cloud: Vec<String>,
    /// Key on which to test the rights: its ARN, its name in Cloud KMS (projects/…), or its identifier in Azure Key Vault (without
    /// its version) [default: keys in general].
    #[arg(long, value_name = "KEY")]
    key: Option<Key>,
    /// Output format: text or json.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    connection: ConnectionArguments,
}

fn complain(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", printable(line));
}

/// Runs the subcommand.
pub fn run(arguments: &DoctorArguments) -> ExitCode {
    match report(arguments) {
        Ok((shown, code)) => match std::io::stdout().write_all(shown.as_bytes()) {
            Ok(()) => ExitCode::from(code),
            Err(_) => ExitCode::from(USAGE),
        },
        Err(why) => {
            complain(&format!("error: {why}"));
            ExitCode::from(USAGE)
        }
    }
}

/// The report as it is printed, and the exit code.
fn report(arguments: &DoctorArguments) -> Result<(String, u8), String> {
    let clouds: Vec<Cloud> = arguments
        .cloud
        .iter()
        .map(|name| Cloud::from(name.as_str()))
        .collect();
    if let Some(key) = &arguments.key
        && !clouds.is_empty()
        && !clouds.contains(key.cloud())
    {
        return Err(format!(
            "`--key` is a key of {}, which `--cloud` does not name",
            key.cloud().in_words()
        ));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let doctor = Doctor::new(&arguments.connection.connection());
    let order = DoctorOrder {
        clouds,
        key: arguments.key.clone(),
    };
    // On the heap: a call of an SDK is a large future.
    let facts = runtime.block_on(Box::pin(doctor.examine(&order)));
    // A call that hangs does not keep the command from its end.
    runtime.shutdown_background();
    let report = diagnose(facts.map_err(|why| said(&why))?);
    let shown = match arguments.format {
        Format::Text => printable(&text(&report)).into_owned(),
        Format::Json => json(&report).map_err(|error| error.to_string())?,
    };
    Ok((shown, report.verdict.exit_code()))
}
