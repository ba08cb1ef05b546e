//! How many instructions the start of the provider takes, and each resource of a plan: Callgrind counts them, and the test compares them
//! with a baseline, so that a change which costs time shows without a clock. `DBXCMK_WRITE_INSTRUCTIONS=1` writes the baseline again.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use acceptance_tests::harness::providers::provider_binary;
use acceptance_tests::harness::{checkout, terraform};
use acceptance_tests::stage::{Over, Stage};
use serde_json::{Value as Json, json};

/// How far a count may be from its baseline.
const TOLERANCE: f64 = 0.05;
/// How many resources more the second plan has.
const MORE: u64 = 20;

fn baseline() -> PathBuf {
    checkout().join("acceptance-tests/tests/acceptance/instructions.json")
}

/// The provider under Callgrind, which writes its counts when it ends.
fn counted(counts: &Path, arguments: &[&str], environment: &[(String, String)]) -> Child {
    Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        // What comes after the handshake line hangs on when the process is ended: its counts are written before it.
        .arg("--dump-before=tfplugin::serve::say*")
        .arg(format!("--callgrind-out-file={}", counts.display()))
        .arg(provider_binary())
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Ends a counted process, and reads how many instructions there were: up to its first line, or from there on.
fn ended(mut child: Child, signal: &str, counts: &Path) -> u64 {
    let sent = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
    child.wait().unwrap();
    let text = std::fs::read_to_string(counts).unwrap();
    let line = |word: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(word))
            .map(str::to_owned)
    };
    let total = line("summary: ").or(line("totals: ")).expect("a sum");
    total.trim().parse().unwrap()
}

/// From the start to the handshake, with mutual TLS.
fn start() -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let counts = directory.path().join("counts");
    let certificate = std::fs::read_to_string(checkout().join("tests/data/client.pem")).unwrap();
    let environment = [
        (
            "TF_PLUGIN_MAGIC_COOKIE",
            "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2".to_owned(),
        ),
        ("PLUGIN_PROTOCOL_VERSIONS", "5,6".to_owned()),
        ("PLUGIN_CLIENT_CERT", certificate),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value));
    let mut child = counted(&counts, &[], &environment);
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("1|"), "{line}");
    ended(child, "-TERM", &directory.path().join("counts.1"))
}

/// A plan with some bindings of workspaces that have their keys already.
fn plan(bindings: u64) -> u64 {
    let mut stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    let id = "c1000000-0000-4000-8000-000000000001";
    // As many workspaces whatever is planned, so that only the plan differs.
    stage.workspaces(1 + MORE);
    stage.sandbox.with(|world| {
        let configuration = json!({ "customer_managed_key_id": id, "account_id": dbxcmk_sandbox::ACCOUNT_ID,
            "use_cases": ["MANAGED_SERVICES"], "aws_key_info": { "key_arn": key, "key_region": dbxcmk_sandbox::REGION } });
        world.now.configurations.insert(id.to_owned(), configuration);
        for number in 1..=1 + MORE {
            let fields = &mut world.workspace(number).fields;
            fields.insert("managed_services_customer_managed_key_id".to_owned(), json!(id));
        }
    });
    stage.configure(&format!(
        "\nresource \"dbxcmk_workspace_binding\" \"all\" {{\n  count = {bindings}\n  workspace_id = count.index + 1\n  \
         managed_services_key_configuration_id = \"{id}\"\n}}\n"
    ));
    let directory = tempfile::tempdir().unwrap();
    let counts = directory.path().join("counts");
    let mut child = counted(&counts, &["serve", "--debug"], &stage.sandbox.environment());
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let export = lines
        .find(|line| line.contains("TF_REATTACH_PROVIDERS"))
        .unwrap();
    let (_, value) = export.split_once('\'').unwrap();
    stage
        .workdir
        .set("TF_REATTACH_PROVIDERS", value.trim_end_matches('\''));
    stage.workdir.plan();
    ended(child, "-INT", &counts)
}

/// Nothing has become dearer, or cheaper without the baseline saying so.
#[test]
fn starting_and_planning_take_as_many_instructions_as_before() {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64"))
        || Command::new("valgrind").arg("--version").output().is_err()
    {
        terraform::passed_over("counting instructions needs valgrind on x86-64 Linux");
        return;
    }
    let start = start();
    let each = plan(1 + MORE).saturating_sub(plan(1)) / MORE;
    let found = json!({ "start": start, "planned resource": each });
    if std::env::var_os("DBXCMK_WRITE_INSTRUCTIONS").is_some() {
        std::fs::write(baseline(), format!("{found:#}\n")).unwrap();
        return;
    }
    let kept: Json = serde_json::from_str(&std::fs::read_to_string(baseline()).unwrap()).unwrap();
    for what in ["start", "planned resource"] {
        let (found, kept) = (found[what].as_f64().unwrap(), kept[what].as_f64().unwrap());
        let change = found / kept - 1.0;
        assert!(
            change.abs() <= TOLERANCE,
            "{what}: {found} instructions, {:+.1} % against the baseline. If that is meant, write it anew with DBXCMK_WRITE_INSTRUCTIONS=1.",
            change * 100.0
        );
    }
}
