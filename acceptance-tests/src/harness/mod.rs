//! Drives a real Terraform in a temporary directory, and reads what it planned, did and said.
//!
//! The harness reads everything from Terraform's JSON: diagnostics, plans and states come as they are, not as Terraform
//! wraps them for a terminal. A step that does not go as the test says fails the test with all that Terraform said.

#![allow(
    clippy::panic,
    clippy::expect_used,
    reason = "a harness for tests: what does not go as told has to fail the test"
)]

pub mod background;
pub mod providers;
pub mod python;
pub mod terraform;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

use dbxcmk_sandbox::Sandbox;

/// A message of Terraform to its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `error` or `warning`.
    pub severity: String,
    /// The headline.
    pub summary: String,
    /// The text.
    pub detail: String,
    /// The resource, if it is about one.
    pub address: String,
    /// The line of the configuration that Terraform shows for it.
    pub code: String,
}

/// What one run of Terraform came to.
#[derive(Clone, Debug)]
pub struct Run {
    /// Whether it succeeded.
    pub success: bool,
    /// What it told its user.
    pub messages: Vec<Message>,
    /// What it printed on standard output.
    pub stdout: String,
    /// Everything that it printed, its log included.
    pub output: String,
}

impl Run {
    fn of(output: &Output) -> Self {
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        Self::new(
            output.status.success(),
            stdout,
            &String::from_utf8_lossy(&output.stderr),
        )
    }

    fn new(success: bool, stdout: String, stderr: &str) -> Self {
        let messages = stdout
            .lines()
            .filter_map(|line| message(&serde_json::from_str(line).ok()?))
            .collect();
        let output = format!("{stdout}{stderr}");
        Self {
            success,
            messages,
            stdout,
            output,
        }
    }

    fn of_severity(&self, severity: &str) -> impl Iterator<Item = &Message> {
        self.messages
            .iter()
            .filter(move |message| message.severity == severity)
    }

    /// The error with this headline.
    pub fn error(&self, summary: &str) -> &Message {
        self.of_severity("error")
            .find(|message| message.summary == summary)
            .unwrap_or_else(|| {
                panic!(
                    "expected the error {summary:?}, but Terraform said:\n{}",
                    self.shown()
                );
            })
    }

    /// The warning with this headline, whatever object it names behind it.
    pub fn warning(&self, summary: &str) -> &Message {
        let is_it = |message: &&Message| {
            message
                .summary
                .strip_prefix(summary)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(": "))
        };
        self.of_severity("warning").find(is_it).unwrap_or_else(|| {
            panic!(
                "expected the warning {summary:?}, but Terraform said:\n{}",
                self.shown()
            );
        })
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.of_severity("error").count()
    }

    /// The warnings' headlines, without the objects that they name, and without that of Terraform itself about local builds of providers.
    pub fn warnings(&self) -> Vec<&str> {
        let own = |message: &&Message| {
            !message
                .summary
                .starts_with("Provider development overrides")
        };
        self.of_severity("warning")
            .filter(own)
            .map(|message| message.summary.split(": ").next().unwrap_or_default())
            .collect()
    }

    /// Everything that Terraform printed, for a person.
    pub fn shown(&self) -> String {
        if self.messages.is_empty() {
            return self.output.clone();
        }
        let one = |message: &Message| {
            format!(
                "{}: {}\n{}\n",
                message.severity, message.summary, message.detail
            )
        };
        self.messages.iter().map(one).collect::<Vec<_>>().join("\n")
    }

    fn must_succeed(self, what: &str) -> Self {
        assert!(self.success, "terraform {what} failed:\n{}", self.shown());
        self
    }

    fn must_fail(self, what: &str) -> Self {
        assert!(
            !self.success,
            "terraform {what} was to fail, but it succeeded:\n{}",
            self.shown()
        );
        self
    }
}

fn message(line: &Json) -> Option<Message> {
    // A stream of events has diagnostics in it; `validate -json` is one object that holds them.
    let diagnostic = line
        .get("diagnostic")
        .or_else(|| line.get("severity").map(|_| line))?;
    let text = |pointer: &str| {
        diagnostic
            .pointer(pointer)
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    Some(Message {
        severity: text("/severity"),
        summary: text("/summary"),
        detail: text("/detail"),
        address: text("/address"),
        code: text("/snippet/code"),
    })
}

/// A plan, as `terraform show -json` tells it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The whole of it.
    pub json: Json,
    /// What Terraform said while planning.
    pub run: Run,
}

impl Plan {
    fn change(&self, address: &str) -> &Json {
        let changes = self
            .json
            .get("resource_changes")
            .and_then(Json::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let own = changes
            .iter()
            .find(|change| change.get("address").is_some_and(|own| own == address));
        own.and_then(|change| change.get("change"))
            .unwrap_or_else(|| panic!("the plan does not speak of {address}"))
    }

    /// What happens to a resource: `create`, `update`, `delete, create`, `no-op`.
    pub fn actions(&self, address: &str) -> String {
        let actions = self
            .change(address)
            .get("actions")
            .and_then(Json::as_array)
            .cloned()
            .unwrap_or_default();
        actions
            .iter()
            .filter_map(Json::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The planned value of an attribute (a JSON pointer).
    pub fn after(&self, address: &str, pointer: &str) -> Json {
        let change = self.change(address);
        change
            .get("after")
            .and_then(|after| after.pointer(pointer))
            .cloned()
            .unwrap_or_default()
    }

    /// Whether an attribute will only be known after apply.
    pub fn is_unknown(&self, address: &str, pointer: &str) -> bool {
        let change = self.change(address);
        change
            .get("after_unknown")
            .and_then(|unknown| unknown.pointer(pointer))
            == Some(&Json::Bool(true))
    }
}

/// A directory with a configuration, and the Terraform that works in it.
#[derive(Debug)]
pub struct Workdir {
    directory: tempfile::TempDir,
    environment: Vec<(String, String)>,
}

impl Workdir {
    /// A fresh directory whose Terraform works against `sandbox`.
    pub fn new(sandbox: &Sandbox) -> Self {
        let mut workdir = Self::without_services();
        workdir.environment.extend(sandbox.environment());
        workdir
    }

    /// A fresh directory whose Terraform knows of no service and no credential.
    pub fn without_services() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().to_path_buf();
        let cli_config = path.join("terraform.rc");
        std::fs::write(&cli_config, providers::cli_configuration())
            .expect("the CLI configuration can be written");
        let text = |path: &Path| path.display().to_string();
        let environment = [
            ("TF_CLI_CONFIG_FILE", text(&cli_config)),
            ("TF_IN_AUTOMATION", "1".to_owned()),
            ("CHECKPOINT_DISABLE", "1".to_owned()),
            // The profile, credentials and history of the person who runs the tests must not matter.
            ("HOME", text(&path)),
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("TMPDIR", text(&path)),
        ];
        let chosen = terraform::CHOICE
            .iter()
            .filter_map(|name| Some((*name, std::env::var(name).ok()?)));
        let environment = environment
            .into_iter()
            .chain(chosen)
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        Self {
            directory,
            environment,
        }
    }

    /// The temporary directory, in which Terraform runs.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Sets an environment variable for every later run.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.retain(|(own, _)| own != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Takes an environment variable away from every later run.
    pub fn unset(&mut self, name: &str) {
        self.environment.retain(|(own, _)| own != name);
    }

    /// Puts a file into it.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("the file can be written");
    }

    /// The configuration from now on.
    pub fn configuration(&self, hcl: &str) {
        self.write("main.tf", hcl);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = terraform::command();
        command
            .current_dir(self.path())
            .env_clear()
            .envs(self.environment.iter().map(|(n, v)| (n, v)))
            .args(arguments);
        command
    }

    /// Runs any command; it may fail.
    pub fn run(&self, arguments: &[&str]) -> Run {
        let output = self
            .command(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("Terraform can be started");
        Run::of(&output)
    }

    /// `terraform validate`, which must find nothing.
    pub fn validate(&self) {
        let run = self.validated();
        assert!(run.success, "terraform validate found:\n{}", run.shown());
    }

    /// `terraform validate`, whatever it finds.
    pub fn validated(&self) -> Run {
        let mut run = self.run(&["validate", "-json"]);
        let json: Json = serde_json::from_str(&run.stdout).unwrap_or_default();
        run.messages = json
            .get("diagnostics")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(message)
            .collect();
        run
    }

    /// A plan that must succeed.
    pub fn plan(&self) -> Plan {
        self.plan_with(&[])
    }

    /// A plan with further arguments.
    pub fn plan_with(&self, arguments: &[&str]) -> Plan {
        let mut all = vec!["plan", "-json", "-input=false", "-out=plan.tfplan"];
        all.extend_from_slice(arguments);
        let run = self.run(&all).must_succeed("plan");
        let shown = self
            .run(&["show", "-json", "plan.tfplan"])
            .must_succeed("show");
        let json = serde_json::from_str(&shown.stdout)
            .unwrap_or_else(|error| panic!("the plan is no JSON: {error}\n{}", shown.output));
        Plan { json, run }
    }

    /// A plan that must be refused.
    pub fn refused_plan(&self) -> Run {
        self.run(&["plan", "-json", "-input=false"])
            .must_fail("plan")
    }

    /// A plan that must have nothing to do.
    pub fn empty_plan(&self) -> Run {
        let run = self.run(&["plan", "-json", "-input=false", "-detailed-exitcode"]);
        assert!(run.success, "the plan was to be empty:\n{}", run.output);
        run
    }

    /// An apply that must succeed.
    pub fn apply(&self) -> Run {
        self.run(&["apply", "-json", "-input=false", "-auto-approve"])
            .must_succeed("apply")
    }

    /// An apply that must fail.
    pub fn failed_apply(&self) -> Run {
        self.run(&["apply", "-json", "-input=false", "-auto-approve"])
            .must_fail("apply")
    }

    /// A destroy that must succeed and leave no resource in the state.
    pub fn destroy(&self) -> Run {
        let run = self
            .run(&["destroy", "-json", "-input=false", "-auto-approve"])
            .must_succeed("destroy");
        assert_eq!(
            self.addresses(),
            Vec::<String>::new(),
            "something is left in the state"
        );
        run
    }

    /// A destroy that must be refused.
    pub fn refused_destroy(&self) -> Run {
        self.run(&["destroy", "-json", "-input=false", "-auto-approve"])
            .must_fail("destroy")
    }

    /// `terraform import`.
    pub fn import(&self, address: &str, id: &str) -> Run {
        self.run(&["import", "-input=false", "-no-color", address, id])
            .must_succeed("import")
    }

    fn resources(&self) -> Vec<Json> {
        let run = self.run(&["show", "-json"]).must_succeed("show");
        let state: Json = serde_json::from_str(&run.stdout).unwrap_or_default();
        let mut found = Vec::new();
        let mut modules: Vec<&Json> = state.pointer("/values/root_module").into_iter().collect();
        while let Some(module) = modules.pop() {
            let list = |name: &str| {
                module
                    .get(name)
                    .and_then(Json::as_array)
                    .map(Vec::as_slice)
                    .unwrap_or_default()
            };
            found.extend(list("resources").iter().cloned());
            modules.extend(list("child_modules"));
        }
        found
    }

    /// The addresses of everything in the state.
    pub fn addresses(&self) -> Vec<String> {
        let address = |resource: &Json| {
            resource
                .get("address")
                .and_then(Json::as_str)
                .map(str::to_owned)
        };
        self.resources().iter().filter_map(address).collect()
    }

    /// The state of a resource.
    pub fn state(&self, address: &str) -> Json {
        let resources = self.resources();
        let own = resources
            .iter()
            .find(|resource| resource.get("address").is_some_and(|own| own == address));
        own.and_then(|resource| resource.get("values"))
            .cloned()
            .unwrap_or_else(|| panic!("{address} is not in the state"))
    }

    /// An attribute of a resource's state (a JSON pointer), as text.
    pub fn attribute(&self, address: &str, pointer: &str) -> String {
        let state = self.state(address);
        let value = state.pointer(pointer).cloned().unwrap_or_default();
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    }

    /// Lets Terraform forget a resource without touching it.
    pub fn forget(&self, address: &str) {
        self.run(&["state", "rm", "-no-color", address])
            .must_succeed("state rm");
    }
}

/// The root of the checkout.
pub fn checkout() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_path_buf).unwrap_or(here)
}
