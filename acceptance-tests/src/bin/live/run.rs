//! Carries out the steps of the stories, with a real Terraform and the provider's own commands.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use acceptance_tests::harness::{providers, terraform};
use serde_json::Value as Json;

use crate::clouds::{Cloud, Place};
use crate::journal::Journal;
use crate::keys::Keys;
use crate::stories::{Name, Scene, Step};

/// What carries out steps.
pub struct Runner<'a> {
    /// On which cloud.
    pub cloud: Cloud,
    /// With which names.
    pub place: &'a Place,
    /// Where the configuration, the state, the recording and the log are.
    pub directory: &'a Path,
}

/// The exit code of a Terraform that was asked for it and has something to do.
const CHANGES: i32 = 2;

impl Runner<'_> {
    /// One step.
    ///
    /// # Errors
    /// What did not go as the story says.
    pub fn step(&self, step: &Step, journal: &Journal) -> Result<(), String> {
        match step {
            Step::MakeKeys => self.make_keys(journal),
            Step::Apply(scene) => {
                self.configure(journal, scene)?;
                self.must(
                    &["apply", "-auto-approve", "-input=false", "-no-color"],
                    &[0],
                )
            }
            Step::NothingToDo => self.must(
                &["plan", "-detailed-exitcode", "-input=false", "-no-color"],
                &[0],
            ),
            Step::RefusedPlan(scene) => {
                self.configure(journal, scene)?;
                self.must(&["plan", "-input=false", "-no-color"], &[1])
            }
            // On Azure the account has no key configurations, so nothing can refuse that one goes.
            Step::RefusedDestroy(_) if self.cloud == Cloud::Azure => Ok(()),
            Step::RefusedDestroy(name) => {
                let target = format!("-target=dbxcmk_key_configuration.{}", name.word());
                // Without the binding Terraform would first remove that from the state.
                let arguments = ["plan", "-destroy", &target, "-input=false", "-no-color"];
                let planned = self.terraform(&arguments)?;
                match planned.status.code() {
                    Some(1) => Ok(()),
                    _ => self.must(
                        &[
                            "destroy",
                            "-auto-approve",
                            &target,
                            "-input=false",
                            "-no-color",
                        ],
                        &[1],
                    ),
                }
            }
            Step::Command(arguments, codes) => {
                let cloud = ["--cloud", self.cloud.word()];
                self.command(&[arguments, cloud.as_slice()].concat(), codes)
            }
            Step::Key(operation, name) => self.key(journal, operation, *name),
            Step::RemoveUnused(names) => self.remove(journal, names),
        }
    }

    /// Removes everything that the run made, after its workspace is gone.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn clean_up(&self, journal: &Journal) -> Result<(), String> {
        self.must(
            &["destroy", "-auto-approve", "-input=false", "-no-color"],
            &[0],
        )?;
        match self.cloud.makes_keys_by_terraform() {
            true => Ok(()),
            false => self.remove(journal, &Name::ALL),
        }
    }

    fn make_keys(&self, journal: &Journal) -> Result<(), String> {
        if self.cloud.makes_keys_by_terraform() {
            return Ok(());
        }
        self.with_keys(journal, async |keys| {
            for name in Name::ALL {
                keys.make(name).await?;
            }
            Ok(())
        })
    }

    fn remove(&self, journal: &Journal, names: &[Name]) -> Result<(), String> {
        if self.cloud.makes_keys_by_terraform() {
            return names.iter().try_for_each(|name| {
                let target = format!("-target=aws_kms_key.{}", name.word());
                self.must(
                    &[
                        "destroy",
                        "-auto-approve",
                        &target,
                        "-input=false",
                        "-no-color",
                    ],
                    &[0],
                )
            });
        }
        self.with_keys(journal, async |keys| {
            for name in names {
                keys.remove(*name).await?;
            }
            Ok(())
        })
    }

    fn with_keys(
        &self,
        journal: &Journal,
        work: impl AsyncFnOnce(&Keys<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(async {
            let keys =
                Keys::new(self.cloud, self.place, journal, recordings(self.directory)).await?;
            work(&keys).await
        })
    }

    fn configure(&self, journal: &Journal, scene: &Scene) -> Result<(), String> {
        let text = self.cloud.configuration(self.place, journal, scene);
        let file = self.directory.join("main.tf");
        std::fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))
    }

    /// `dbxcmk key …` about a key of the run. A disable needs the workspaces that stop.
    fn key(&self, journal: &Journal, operation: &str, name: Name) -> Result<(), String> {
        let key = match self.cloud.makes_keys_by_terraform() {
            true => self.output(name)?,
            false => self.cloud.key(self.place, journal, name),
        };
        let mut arguments = vec!["key", operation, key.as_str()];
        if operation == "disable" {
            arguments.extend(["--acknowledge", journal.workspace.as_str()]);
        }
        self.command(&arguments, &[0])
    }

    /// The ARN of a key that Terraform made.
    fn output(&self, name: Name) -> Result<String, String> {
        let output = self.terraform(&["output", "-json", name.word()])?;
        let json: Json = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let text = json.as_str().map(str::to_owned);
        text.ok_or_else(|| format!("Terraform has no output `{}`", name.word()))
    }

    fn must(&self, arguments: &[&str], codes: &[i32]) -> Result<(), String> {
        let output = self.terraform(arguments)?;
        judge("terraform", arguments, codes, &output)
    }

    fn terraform(&self, arguments: &[&str]) -> Result<Output, String> {
        let mut command = terraform::command();
        command
            .env("TF_CLI_CONFIG_FILE", self.directory.join("terraform.rc"))
            .env("TF_IN_AUTOMATION", "1")
            .env("CHECKPOINT_DISABLE", "1");
        self.run(command, arguments)
    }

    fn command(&self, arguments: &[&str], codes: &[i32]) -> Result<(), String> {
        let mut all = arguments.to_vec();
        if !self.place.ca_bundle.is_empty() {
            all.extend(["--ca-bundle", self.place.ca_bundle.as_str()]);
        }
        let output = self.run(Command::new(providers::provider_binary()), &all)?;
        judge("dbxcmk", &all, codes, &output)
    }

    /// Runs a program; what it prints goes into the log.
    fn run(&self, mut command: Command, arguments: &[&str]) -> Result<Output, String> {
        let output = command
            .args(arguments)
            .current_dir(self.directory)
            .env("DBXCMK_RECORD", recordings(self.directory))
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{}: {error}", command.get_program().display()))?;
        let file = self.directory.join("log.txt");
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&file);
        let written = log.and_then(|mut log| {
            writeln!(log, "\n$ {}", arguments.join(" "))?;
            log.write_all(&output.stdout)?;
            log.write_all(&output.stderr)
        });
        written.map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(output)
    }
}

/// Where the recording of a run is.
pub fn recordings(directory: &Path) -> PathBuf {
    directory.join("recordings")
}

fn judge(program: &str, arguments: &[&str], codes: &[i32], output: &Output) -> Result<(), String> {
    let code = output.status.code();
    if code.is_some_and(|code| codes.contains(&code)) {
        return Ok(());
    }
    let ended = match code {
        Some(0) => "succeeded, and should have been refused".to_owned(),
        Some(CHANGES) if program == "terraform" => "has something to do, and should not".to_owned(),
        Some(code) => format!("ended with {code}"),
        None => "was interrupted".to_owned(),
    };
    Err(format!(
        "`{program} {}` {ended}:\n{}{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}
