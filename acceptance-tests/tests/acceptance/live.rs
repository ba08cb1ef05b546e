//! `make test-live` over the sandbox: the stories that are for real accounts go as they say on each cloud, are recorded, and go on after an interruption.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use acceptance_tests::google::KEY;
use acceptance_tests::harness::{providers, terraform};
use dbxcmk_sandbox::compare::compare_directory;
use dbxcmk_sandbox::{Options, ROLE_ARN, Sandbox, WORKSPACE, azure, gcp};
use serde_json::Value as Json;

/// The program that plays the stories, which is built beside the provider.
fn program() -> PathBuf {
    let name = format!("live{}", std::env::consts::EXE_SUFFIX);
    providers::provider_binary().with_file_name(name)
}

/// A sandbox, and a directory for a run.
struct Stage {
    sandbox: Sandbox,
    cloud: &'static str,
    directory: tempfile::TempDir,
}

/// What came of a run.
struct Ended {
    code: Option<i32>,
    output: String,
}

impl Stage {
    fn new(cloud: &'static str) -> Self {
        let sandbox = Sandbox::start(Options {
            google: cloud == "gcp",
            azure: cloud == "azure",
            ..Options::default()
        });
        let sandbox = sandbox.expect("a sandbox");
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("sandbox.pem"), sandbox.authority())
            .expect("its certificate");
        if cloud == "gcp" {
            let (ring, _) = KEY.split_once("/cryptoKeys/").expect("a key ring");
            sandbox.with(|world| world.now.google.rings.insert(ring.to_owned()));
        }
        Self {
            sandbox,
            cloud,
            directory,
        }
    }

    /// The directory of the run.
    fn run(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    fn workspace(&self) -> String {
        match self.cloud {
            "gcp" => gcp::WORKSPACE.to_string(),
            "azure" => azure::workspace_id(),
            _ => WORKSPACE.to_string(),
        }
    }

    /// The arguments of the cloud.
    fn place(&self) -> Vec<String> {
        let bundle = self.directory.path().join("sandbox.pem");
        let own: Vec<(&str, String)> = match self.cloud {
            "gcp" => vec![
                (
                    "--key-ring",
                    KEY.split_once("/cryptoKeys/")
                        .map(|(ring, _)| ring.to_owned())
                        .unwrap_or_default(),
                ),
                ("--project-number", gcp::PROJECT_NUMBER.to_owned()),
            ],
            "azure" => vec![
                ("--vault", azure::vault_id(azure::VAULT)),
                ("--ca-bundle", bundle.display().to_string()),
            ],
            _ => vec![("--role-arn", ROLE_ARN.to_owned())],
        };
        own.into_iter()
            .flat_map(|(name, value)| [name.to_owned(), value])
            .collect()
    }

    /// Plays the stories, and types these lines.
    fn play(&self, more: &[&str], lines: &[&str]) -> Ended {
        let home = self.directory.path();
        let mut command = Command::new(program());
        command
            .env_clear()
            .envs(self.sandbox.environment())
            .envs(
                terraform::CHOICE
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .env("HOME", home)
            .env("TMPDIR", home)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for name in [providers::PROVIDER, providers::MIRROR] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        let mut child = command
            .args(["--cloud", self.cloud, "--settle-time", "0s", "--directory"])
            .arg(self.run())
            .args(self.place())
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it can be started");
        let mut stdin = child.stdin.take().expect("its input");
        // A run that refuses before it asks has closed it.
        let _ = stdin.write_all(lines.join("\n").as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended {
            code: output.status.code(),
            output: text(&output.stdout) + &text(&output.stderr),
        }
    }

    /// The same for the workspace of the sandbox, to a given end.
    fn must(&self, more: &[&str], code: i32) -> String {
        let workspace = self.workspace();
        let ended = self.play(more, &[&workspace, &workspace, ""]);
        assert_eq!(ended.code, Some(code), "{}", ended.output);
        ended.output
    }
}

/// Every story goes as it says, also in a run that goes on after an interruption, and is recorded without names. What a run leaves until the
/// workspace is deleted (`--clean-up`) is not tried here.
fn the_stories(cloud: &'static str) {
    let stage = Stage::new(cloud);
    let first = stage.must(&["--stop-after", "5"], 1);
    assert!(first.contains("stopped after 5 steps"), "{first}");
    assert!(!first.contains("was interrupted"), "{first}");
    let second = stage.must(&[], 0);
    assert!(second.contains("was interrupted after 5 steps"), "{second}");
    assert!(second.contains(" 0 differences."), "{second}");
    assert!(!stage.run().join("recordings.secret").exists());
    let report = compare_directory(&stage.run().join("recordings")).expect("a recording");
    assert!(report.compared > 30, "{report}");
    let workspace = stage.workspace();
    let of_recording = text(&stage.run().join("recordings"));
    let journal = std::fs::read_to_string(stage.run().join("journal.json")).expect("a journal");
    let journal: Json = serde_json::from_str(&journal).expect("a journal");
    let prefix = journal["prefix"].as_str().expect("a prefix").to_owned();
    for secret in [workspace.as_str(), prefix.as_str(), "acme", "lakehouse"] {
        assert!(
            !of_recording.contains(secret),
            "{secret} is in the recording"
        );
    }
}

fn text(directory: &Path) -> String {
    let files = std::fs::read_dir(directory).expect("a recording");
    let texts = files.map(|file| std::fs::read_to_string(file.expect("a file").path()));
    texts.map(|text| text.expect("its text")).collect()
}

#[test]
fn the_stories_on_aws() {
    the_stories("aws");
}

#[test]
fn the_stories_on_google() {
    the_stories("gcp");
}

#[test]
fn the_stories_on_azure() {
    the_stories("azure");
}

/// Each row: what is typed, and what is said; nothing is done.
#[test]
fn nothing_is_done_before_the_workspace_is_typed_twice() {
    let stage = Stage::new("aws");
    let workspace = stage.workspace();
    for (lines, says) in [
        (vec!["", "", ""], "the two workspaces are not the same"),
        (
            vec![workspace.as_str(), "1", ""],
            "the two workspaces are not the same",
        ),
        (
            vec![workspace.as_str(), ""],
            "the two workspaces are not the same",
        ),
    ] {
        let ended = stage.play(&[], &lines);
        assert_eq!(ended.code, Some(2), "{}", ended.output);
        assert!(ended.output.contains(says), "{}", ended.output);
        assert!(ended.output.contains("Stays for ever:"), "{}", ended.output);
        assert!(ended.output.contains("Costs:"), "{}", ended.output);
        assert!(!stage.run().join("journal.json").exists());
    }
    assert!(stage.sandbox.requests().is_empty());
}

/// What changes nothing needs no workspace, and sends only reads.
#[test]
fn read_only_changes_nothing() {
    let stage = Stage::new("aws");
    let ended = stage.play(&["--read-only"], &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    let changes = [
        "PUT ",
        "PATCH ",
        "DELETE ",
        "KMS Create",
        "KMS Put",
        "KMS Disable",
        "KMS Schedule",
    ];
    for request in stage.sandbox.requests() {
        let is_change = changes
            .iter()
            .any(|start| request.operation.starts_with(start));
        assert!(!is_change, "{}", request.operation);
    }
    assert!(stage.sandbox.has_answered("workspaces"));
}

/// The page of open questions names a story of `make test-live` for each question, or says that none answers it.
#[test]
fn each_open_question_names_stories_that_exist() {
    let listed = Command::new(program())
        .arg("--list")
        .output()
        .expect("it can be started");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let stories: Vec<&str> = listed.lines().collect();
    let page = acceptance_tests::harness::checkout().join("docs/guides/open-questions.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| Question"));
    let mut named = Vec::new();
    for row in rows {
        let run = row
            .trim_end_matches('|')
            .rsplit('|')
            .next()
            .unwrap_or_default();
        let names: Vec<&str> = run.split(',').map(str::trim).collect();
        for name in &names {
            // What a story is to be played on, and the questions that no story answers.
            let is_other = *name == "–" || name.starts_with("on a ");
            let story = name.split(' ').next().unwrap_or_default();
            assert!(is_other || stories.contains(&story), "{name}: {row}");
            named.push(story.to_owned());
        }
    }
    for story in stories {
        assert!(
            named.iter().any(|own| own == story),
            "no question names {story}"
        );
        assert!(
            page.contains(&format!("- **{story}**:")),
            "{story} is not explained"
        );
    }
}
