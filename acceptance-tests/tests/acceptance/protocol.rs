//! The plugin as a process: how it starts, who gets in, and how it ends.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use acceptance_tests::harness::providers::provider_binary;
use acceptance_tests::harness::{Workdir, terraform};

use acceptance_tests::stage::{HEAD, Over, Stage};

const COOKIE: (&str, &str) = (
    "TF_PLUGIN_MAGIC_COOKIE",
    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
);

#[test]
fn this_is_the_terraform_that_the_suite_runs() {
    // Not a check but a record: which Terraform everything else here was tried with.
    println!("running with {}", terraform::description());
    assert!(
        terraform::version() >= (1, 6),
        "{}",
        terraform::description()
    );
}

#[test]
fn a_person_who_starts_it_by_hand_is_told_what_it_is() {
    let output = Command::new(provider_binary())
        .env_remove(COOKIE.0)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        text.contains("Terraform starts it") && text.contains("required_providers"),
        "{text}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn an_old_terraform_is_told_which_one_is_needed() {
    let output = Command::new(provider_binary())
        .env(COOKIE.0, COOKIE.1)
        .env("PLUGIN_PROTOCOL_VERSIONS", "4,5")
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("use Terraform 1.6 or newer"));
}

/// A plugin without TLS, its line read.
fn started() -> (Child, String) {
    let mut child = Command::new(provider_binary())
        .env(COOKIE.0, COOKIE.1)
        .env("PLUGIN_PROTOCOL_VERSIONS", "5,6")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    (child, line)
}

/// How long something may take that is done at once on a machine with nothing else to do. It is less than the minute that a provider
/// waits for its first connection.
const SOON: Duration = Duration::from_secs(40);

fn ends_within(child: &mut Child, limit: Duration) -> Option<std::process::ExitStatus> {
    let until = Instant::now() + limit;
    while Instant::now() < until {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

#[cfg(unix)]
#[test]
fn an_interrupt_does_not_end_it_and_a_lost_connection_does() {
    let (mut child, line) = started();
    let fields: Vec<&str> = line.trim().split('|').collect();
    assert_eq!(
        (&fields[..3], fields[4], fields[5]),
        (&["1", "6", "unix"][..], "grpc", ""),
        "{line}"
    );
    let socket = std::path::PathBuf::from(fields[3]);
    let stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(
        ends_within(&mut child, Duration::from_millis(300)),
        None,
        "SIGINT is for Terraform"
    );
    drop(stream);
    let status = ends_within(&mut child, SOON).expect("it ends when Terraform is gone");
    assert!(status.success());
    assert!(
        !socket.exists() && !socket.parent().unwrap().exists(),
        "nothing is left behind"
    );
}

/// Terraform is killed after it has started the plugin and before it connects.
#[cfg(unix)]
#[test]
fn it_does_not_outlive_a_parent_that_never_connected() {
    let mut parent = Command::new("sh")
        .args(["-c", "\"$1\" & echo $!; wait", "sh"])
        .arg(provider_binary())
        .env(COOKIE.0, COOKIE.1)
        .env("PLUGIN_PROTOCOL_VERSIONS", "6")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    // The shell and the plugin write to one pipe, in no order.
    let said: Vec<String> = lines.by_ref().take(2).collect();
    assert!(
        said.iter().any(|line| line.starts_with("1|6|")),
        "the handshake: {said:?}"
    );
    let process = said.into_iter().find(|line| !line.contains('|')).unwrap();
    parent.kill().unwrap();
    parent.wait().unwrap();
    let until = Instant::now() + SOON;
    while acceptance_tests::harness::background::lives(&process) {
        assert!(Instant::now() < until, "it lives on");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(unix)]
#[test]
fn a_debugger_gets_what_to_set_and_terraform_finds_it() {
    let stage = Stage::new(Over::Sandbox);
    let mut child = Command::new(provider_binary())
        .args(["serve", "--debug"])
        .envs(stage.sandbox.environment())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let export = lines
        .find(|line| line.contains("TF_REATTACH_PROVIDERS"))
        .expect("the variable");
    let value = export
        .split_once('\'')
        .unwrap()
        .1
        .trim_end_matches('\'')
        .to_owned();
    let mut stage = stage;
    stage.workdir.set("TF_REATTACH_PROVIDERS", &value);
    // There is no other way to the provider.
    stage.workdir.write(
        "none.rc",
        "provider_installation {\n  filesystem_mirror {\n    path = \"none\"\n  }\n}\n",
    );
    let none = stage.workdir.path().join("none.rc").display().to_string();
    stage.workdir.set("TF_CLI_CONFIG_FILE", &none);
    let key = stage.good_key();
    stage.configure(&format!(
        "\nresource \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = [\"MANAGED_SERVICES\"]\n  aws = {{\n    key_arn = \"{key}\"\n  }}\n}}\n"
    ));
    stage.workdir.apply();
    stage.workdir.empty_plan();
    assert!(
        child.try_wait().unwrap().is_none(),
        "it outlives each run of Terraform"
    );
    assert!(
        Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap()
            .success()
    );
    assert!(
        ends_within(&mut child, SOON)
            .expect("it ends when it is interrupted")
            .success()
    );
}

#[test]
fn logs_obey_terraforms_variables() {
    let mut workdir = Workdir::without_services();
    workdir.configuration(&format!("{HEAD}\nresource \"dbxcmk_workspace_binding\" \"x\" {{\n  workspace_id = \"1\"\n  storage_key_configuration_id = \"2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11\"\n}}\n"));
    workdir.set("TF_LOG_PROVIDER", "TRACE");
    let output = workdir.run(&["validate", "-no-color"]).output;
    assert!(
        output.contains("received the call") && output.contains("tf_rpc=ValidateResourceConfig"),
        "{output}"
    );
    assert!(
        output.contains("tf_resource_type=dbxcmk_workspace_binding"),
        "{output}"
    );
    workdir.set("TF_LOG_PROVIDER", "ERROR");
    assert!(
        !workdir
            .run(&["validate", "-no-color"])
            .output
            .contains("received the call")
    );
}

#[test]
fn help_and_version_are_for_people() {
    let mut help = String::new();
    let mut child = Command::new(provider_binary())
        .arg("--help")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut help)
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert!(help.contains("serve") && help.contains("docs"), "{help}");
}

#[test]
fn what_make_install_installs_is_found_by_terraform_init() {
    let workdir = Workdir::without_services();
    let mirror = workdir.path().join("mirror");
    let script = acceptance_tests::harness::checkout().join("scripts/install");
    let output = Command::new(script)
        .arg(provider_binary())
        .arg(&mirror)
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}");
    // The CLI configuration that it prints is the one that is used.
    workdir.write("terraform.rc", &printed);
    workdir.configuration(HEAD);
    let run = workdir.run(&["init", "-no-color", "-input=false"]);
    assert!(run.success, "{}", run.output);
    workdir.validate();
}
