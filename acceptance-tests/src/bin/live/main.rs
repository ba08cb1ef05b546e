//! `make test-live`: the stories against real accounts of the person who runs them, or against a sandbox; recorded, and compared with the sandbox.

#![allow(clippy::print_stdout, reason = "a program that reports")]

mod clouds;
mod journal;
mod keys;
mod recorded;
mod run;
mod stories;

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use acceptance_tests::harness::{checkout, providers};
use clap::Parser;

use crate::clouds::{Cloud, Place};
use crate::journal::Journal;
use crate::run::{Runner, recordings};
use crate::stories::{STORIES, Story};

/// Plays the stories of customer-managed keys against real accounts, and records what the services answer.
///
/// It asks for a workspace that may be lost, and says beforehand what it does. A run that was interrupted goes on where it was when it is
/// started again. The exit code is 0 when every story went as it says and the sandbox answers in the same form, 1 when not, and 2 when
/// nothing was done.
#[derive(Debug, Parser)]
#[command(name = "live")]
struct Arguments {
    /// Cloud: aws, gcp or azure.
    #[arg(long, default_value = "aws")]
    cloud: String,
    /// Run only the stories that change nothing.
    #[arg(long)]
    read_only: bool,
    /// After the workspace was deleted: remove what the run made.
    #[arg(long)]
    clean_up: bool,
    /// Print the names of the stories.
    #[arg(long)]
    list: bool,
    /// Stop after so many steps, as an interruption would.
    #[arg(long, value_name = "STEPS")]
    stop_after: Option<usize>,
    /// Directory of the run: configuration, state, journal, log and recording [default: live/CLOUD in the checkout].
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    /// AWS: ARN of the cross-account role of the workspace.
    #[arg(long, value_name = "ARN", default_value = "")]
    role_arn: String,
    /// Google Cloud: key ring for the keys (projects/PROJECT/locations/REGION/keyRings/NAME).
    #[arg(long, value_name = "NAME", default_value = "")]
    key_ring: String,
    /// Google Cloud: number of the project of the workspace.
    #[arg(long, value_name = "NUMBER", default_value = "")]
    project_number: String,
    /// Azure: resource ID of the vault for the keys.
    #[arg(long, value_name = "ID", default_value = "")]
    vault: String,
    /// File of certificates (PEM) to trust in addition to those of the system.
    #[arg(long, value_name = "FILE", default_value = "")]
    ca_bundle: String,
    /// How long to watch an attach, as settle_time of the binding [default: that of the provider].
    #[arg(long, value_name = "DURATION", default_value = "")]
    settle_time: String,
}

/// Why nothing more was done.
enum Stopped {
    /// Before anything was done.
    Refused(String),
    /// A step did not go as its story says.
    Failed(String),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for story in STORIES {
            println!("{}", story.name);
        }
        return ExitCode::SUCCESS;
    }
    match play(arguments) {
        Ok(code) => code,
        Err(Stopped::Refused(why)) => {
            let _ = writeln!(std::io::stderr(), "Nothing was done: {why}");
            ExitCode::from(2)
        }
        Err(Stopped::Failed(why)) => {
            let _ = writeln!(std::io::stderr(), "error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn play(arguments: Arguments) -> Result<ExitCode, Stopped> {
    let cloud = Cloud::named(&arguments.cloud).ok_or_else(|| {
        Stopped::Refused(format!("`{}` is not aws, gcp or azure", arguments.cloud))
    })?;
    let place = place(cloud, &arguments).map_err(Stopped::Refused)?;
    let directory = arguments
        .directory
        .unwrap_or_else(|| checkout().join("live").join(cloud.word()));
    prepare(&directory).map_err(Stopped::Refused)?;
    let former = Journal::open(&directory).map_err(Stopped::Refused)?;
    let chosen: Vec<&Story> = STORIES
        .iter()
        .filter(|story| !(arguments.read_only && story.changes))
        .collect();
    let runner = Runner {
        cloud,
        place: &place,
        directory: &directory,
    };
    if arguments.read_only {
        // What changes nothing needs no journal: it begins again each time.
        let journal = Journal::of_nothing();
        for story in chosen {
            println!("{}: {}", story.name, story.does);
            let mut steps = story.steps.iter();
            steps
                .try_for_each(|step| runner.step(step, &journal))
                .map_err(Stopped::Failed)?;
        }
        return report(&directory).map_err(Stopped::Failed);
    }
    announce(cloud, &chosen, former.as_ref());
    let mut journal = agreed(&directory, former, arguments.clean_up).map_err(Stopped::Refused)?;
    if arguments.clean_up {
        runner.clean_up(&journal).map_err(Stopped::Failed)?;
        println!("Everything that the run made is removed, or scheduled for deletion.");
        return Ok(ExitCode::SUCCESS);
    }
    let steps = chosen
        .iter()
        .flat_map(|story| story.steps.iter().map(move |step| (story, step)));
    let limit = arguments.stop_after.unwrap_or(usize::MAX);
    for (number, (story, step)) in steps.enumerate().skip(journal.done) {
        if number >= limit {
            return Err(Stopped::Failed(format!(
                "stopped after {number} steps, as asked"
            )));
        }
        println!("{}: {}", story.name, step.says());
        runner.step(step, &journal).map_err(Stopped::Failed)?;
        journal.step_is_done().map_err(Stopped::Failed)?;
    }
    report(&directory).map_err(Stopped::Failed)
}

/// The names that a run needs on its cloud.
fn place(cloud: Cloud, arguments: &Arguments) -> Result<Place, String> {
    let needed: &[(&str, &str)] = match cloud {
        _ if arguments.read_only => &[],
        Cloud::Aws => &[("--role-arn", &arguments.role_arn)],
        Cloud::Gcp => &[
            ("--key-ring", &arguments.key_ring),
            ("--project-number", &arguments.project_number),
        ],
        Cloud::Azure => &[("--vault", &arguments.vault)],
    };
    if let Some((name, _)) = needed.iter().find(|(_, value)| value.is_empty()) {
        return Err(format!(
            "{name} is missing: pass it as `make test-live CLOUD={} LIVE=\"{name} …\"`",
            cloud.word()
        ));
    }
    Ok(Place {
        role_arn: arguments.role_arn.clone(),
        key_ring: arguments.key_ring.clone(),
        project_number: arguments.project_number.clone(),
        vault: arguments.vault.clone(),
        ca_bundle: arguments.ca_bundle.clone(),
        settle_time: arguments.settle_time.clone(),
    })
}

/// Makes the directory of a run, with what Terraform needs to find the providers.
fn prepare(directory: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    std::fs::create_dir_all(directory).map_err(failed)?;
    let file = directory.join("terraform.rc");
    std::fs::write(&file, providers::cli_configuration()).map_err(failed)
}

/// Says what will happen, before it asks for anything.
fn announce(cloud: Cloud, chosen: &[&Story], former: Option<&Journal>) {
    println!("This changes real things, in the account of the credentials in your environment:\n");
    for story in chosen {
        println!("  {:9} {}", story.name, story.does);
    }
    println!("\nCosts: {}", cloud.costs());
    println!("\nStays for ever: {}\n", cloud.stays());
    if let Some(journal) = former {
        println!(
            "A run of the workspace {} was interrupted after {} steps. It goes on there.\n",
            journal.workspace, journal.done
        );
    }
}

/// A line that a person types.
fn typed(question: &str) -> Result<String, String> {
    let mut out = std::io::stdout();
    let asked = write!(out, "{question}: ").and_then(|()| out.flush());
    asked.map_err(|error| error.to_string())?;
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|error| error.to_string())?;
    Ok(line.trim().to_owned())
}

/// The journal of the run that a person agrees to, by typing the workspace twice.
fn agreed(directory: &Path, former: Option<Journal>, cleans: bool) -> Result<Journal, String> {
    let question = match cleans {
        true => "The workspace that was deleted",
        false => "The workspace that may be lost",
    };
    let first = typed(question)?;
    if first.is_empty() || typed("The same once more")? != first {
        return Err("the two workspaces are not the same".to_owned());
    }
    match former {
        Some(journal) if journal.workspace == first => Ok(journal),
        Some(journal) => Err(format!(
            "{} has the run of the workspace {}. Finish it, or choose another --directory",
            directory.display(),
            journal.workspace
        )),
        None if cleans => Err(format!("{} has no run", directory.display())),
        None => Journal::begin(directory, &first),
    }
}

/// Compares the recording with the sandbox, and says what to do with it.
fn report(directory: &Path) -> Result<ExitCode, String> {
    let recordings = recordings(directory);
    let compared = dbxcmk_sandbox::compare::compare_directory(&recordings)?;
    println!("\n{compared}");
    // With the secret, short values could be found out. Nothing needs it after the run.
    let mut secret = recordings.as_os_str().to_owned();
    secret.push(".secret");
    let secret = PathBuf::from(secret);
    if secret.exists() {
        std::fs::remove_file(&secret).map_err(|error| format!("{}: {error}", secret.display()))?;
    }
    println!(
        "The recording is in {}. CONTRIBUTING.md says how to send it.",
        recordings.display()
    );
    Ok(ExitCode::from(u8::from(!compared.differences.is_empty())))
}
