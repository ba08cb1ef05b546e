//! Measures the provider side by side with others, with a real Terraform and the sandbox: `make bench`.
//!
//! Every provider runs behind the same small wrapper, which notes its processor time and its greatest memory. Times are the wall clock
//! of one command of Terraform; for a plan, the median of a few. The floor is a provider that does nothing, with a resource of as many attributes: what it takes,
//! Terraform takes.

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a program that measures: what does not go as told ends it"
)]

mod audit;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use acceptance_tests::harness::providers::{aws_directory, provider_binary};
use acceptance_tests::harness::{Workdir, checkout, terraform};
use acceptance_tests::stage::{Over, Stage};
use dbxcmk_sandbox::account::TOKEN;
use serde_json::{Value as Json, json};

/// How many attributes a `dbxcmk_workspace_binding` has at its outermost level and inside: the floor has as many.
const ATTRIBUTES: usize = 24;
/// How often a start is measured.
const STARTS: usize = 20;
/// How often a plan is measured: the table has the median. What changes something is measured once.
const PLANS: usize = 5;

/// One provider under measurement.
#[derive(Clone)]
struct Contender {
    /// What the table calls it.
    name: &'static str,
    /// Its source address: `hashicorp/aws`. Empty for what is built into Terraform.
    source: &'static str,
    binary: PathBuf,
}

/// One command that was measured.
struct Row {
    contender: &'static str,
    what: String,
    number: usize,
    command: &'static str,
    wall: Duration,
    /// Processor time of the provider's processes.
    cpu: Duration,
    /// The greatest resident memory of one of them, in KiB.
    memory: u64,
    /// Calls to the Databricks account API, and to KMS.
    calls: (usize, usize),
}

impl Row {
    fn json(&self) -> Json {
        json!({
            "provider": self.contender, "what": self.what, "n": self.number, "command": self.command,
            "wall_seconds": self.wall.as_secs_f64(), "provider_cpu_seconds": self.cpu.as_secs_f64(),
            "provider_peak_memory_kib": self.memory, "account_calls": self.calls.0, "kms_calls": self.calls.1,
        })
    }
}

/// A wrapper that runs a provider and notes what it used.
fn wrapped(directory: &Path, contender: &Contender) -> PathBuf {
    let place = directory.join(contender.source.replace('/', "-"));
    std::fs::create_dir_all(&place).expect("a directory");
    let name = contender.source.rsplit('/').next().unwrap_or_default();
    let script = place.join(format!("terraform-provider-{name}"));
    let text = format!(
        "#!/usr/bin/env -S python3 -IS\nimport os, resource, sys\npid = os.fork()\nif pid == 0:\n    os.execv({binary:?}, \
         [{binary:?}])\n_, status, used = os.wait4(pid, 0)\nwith open({log:?}, 'a') as log:\n    log.write(f'{{used.ru_utime + used.ru_stime}} \
         {{used.ru_maxrss}}\\n')\nsys.exit(os.waitstatus_to_exitcode(status) & 255)\n",
        binary = contender.binary.display().to_string(),
        log = directory.join("used").display().to_string(),
    );
    std::fs::write(&script, text).expect("a script");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, mode).expect("a mode");
    place
}

/// What the provider's processes used since the last look: processor time and greatest memory.
fn used(directory: &Path) -> (Duration, u64) {
    let log = directory.join("used");
    // A process may end a moment after Terraform.
    let mut text = String::new();
    for _ in 0..50 {
        let again = std::fs::read_to_string(&log).unwrap_or_default();
        if !again.is_empty() && again == text {
            break;
        }
        text = again;
        std::thread::sleep(Duration::from_millis(40));
    }
    let _ = std::fs::remove_file(&log);
    let mut all = (Duration::ZERO, 0);
    for line in text.lines() {
        let mut words = line.split(' ');
        let seconds: f64 = words
            .next()
            .and_then(|word| word.parse().ok())
            .unwrap_or_default();
        let memory: u64 = words
            .next()
            .and_then(|word| word.parse().ok())
            .unwrap_or_default();
        all = (all.0 + Duration::from_secs_f64(seconds), all.1.max(memory));
    }
    all
}

/// A place where contenders are measured.
struct Bench {
    stage: Stage,
    rows: Vec<Row>,
    /// The providers to measure; all if the list is empty.
    only: Vec<String>,
}

impl Bench {
    fn new(most: usize, only: Vec<String>) -> Self {
        let stage = Stage::new(Over::Sandbox);
        stage.workspaces(u64::try_from(most).unwrap_or(u64::MAX));
        Self {
            stage,
            rows: Vec::new(),
            only,
        }
    }

    /// Runs a contender's configuration through some commands, from nothing.
    fn measure(
        &mut self,
        contender: &Contender,
        what: &str,
        number: usize,
        body: &str,
        commands: &[&'static str],
    ) {
        if !self.only.is_empty() && !self.only.iter().any(|one| one == contender.name) {
            return;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let mut workdir = Workdir::new(&self.stage.sandbox);
        let mut overrides = String::new();
        let mut required = String::new();
        if !contender.source.is_empty() {
            let place = wrapped(directory.path(), contender);
            let name = contender.source.rsplit('/').next().unwrap_or_default();
            let _ = writeln!(overrides, "    {:?} = {:?}", contender.source, place);
            let _ = writeln!(
                required,
                "    {name} = {{\n      source = {:?}\n    }}",
                contender.source
            );
        }
        workdir.write(
            "bench.rc",
            &format!(
                "provider_installation {{\n  dev_overrides {{\n{overrides}  }}\n  direct {{}}\n}}\n"
            ),
        );
        let path = workdir.path().join("bench.rc").display().to_string();
        workdir.set("TF_CLI_CONFIG_FILE", &path);
        workdir.set("FLOOR_ATTRIBUTES", &ATTRIBUTES.to_string());
        workdir.configuration(&format!(
            "terraform {{\n  required_providers {{\n{required}  }}\n}}\n\n{body}\n"
        ));
        for &command in commands {
            let times = if command == "plan" { PLANS } else { 1 };
            let mut rows: Vec<Row> = (0..times)
                .map(|_| {
                    let (wall, calls) = self.run(&workdir, command);
                    let (cpu, memory) = match contender.source {
                        "" => (Duration::ZERO, 0),
                        _ => used(directory.path()),
                    };
                    Row {
                        contender: contender.name,
                        what: what.to_owned(),
                        number,
                        command,
                        wall,
                        cpu,
                        memory,
                        calls,
                    }
                })
                .collect();
            rows.sort_by_key(|row| row.wall);
            let row = rows.swap_remove(times / 2);
            println!("{}", line(&row));
            self.rows.push(row);
        }
    }

    /// Runs one command: its time, and the calls to the account API and to KMS.
    fn run(&self, workdir: &Workdir, command: &str) -> (Duration, (usize, usize)) {
        self.stage.sandbox.with(|world| world.record.clear());
        let arguments: &[&str] = match command {
            "schema" => &["providers", "schema", "-json"],
            "plan" => &["plan", "-input=false", "-no-color"],
            "apply" => &["apply", "-input=false", "-no-color", "-auto-approve"],
            _ => &["destroy", "-input=false", "-no-color", "-auto-approve"],
        };
        let start = Instant::now();
        let run = workdir.run(arguments);
        let wall = start.elapsed();
        assert!(run.success, "{command}: {}", run.output);
        let requests = self.stage.sandbox.requests();
        let account = requests
            .iter()
            .filter(|one| one.operation.contains("/api/2.0/"));
        let kms = requests
            .iter()
            .filter(|one| one.operation.starts_with("KMS "));
        (wall, (account.count(), kms.count()))
    }

    fn wall(&self, contender: &str, what: &str, number: usize, command: &str) -> Option<f64> {
        let is_it = |row: &&Row| {
            row.contender == contender
                && row.what == what
                && row.number == number
                && row.command == command
        };
        self.rows
            .iter()
            .find(is_it)
            .map(|row| row.wall.as_secs_f64())
    }
}

const HEAD: &str = "| provider | resources | n | command | wall | provider CPU | provider peak | account calls | KMS calls |\n\
                    |---|---|--:|---|--:|--:|--:|--:|--:|";

fn line(row: &Row) -> String {
    format!(
        "| {} | {} | {} | {} | {:.2} s | {:.2} s | {:.1} MiB | {} | {} |",
        row.contender,
        row.what,
        row.number,
        row.command,
        row.wall.as_secs_f64(),
        row.cpu.as_secs_f64(),
        row.memory as f64 / 1024.0,
        row.calls.0,
        row.calls.1
    )
}

/// How long a provider takes from its start to its handshake: the median and the least, in milliseconds.
fn handshake(binary: &Path) -> (f64, f64) {
    let certificate =
        std::fs::read_to_string(checkout().join("tests/data/client.pem")).expect("a certificate");
    let mut times: Vec<f64> = (0..=STARTS)
        .map(|_| {
            let start = Instant::now();
            let mut child = Command::new(binary)
                .env(
                    "TF_PLUGIN_MAGIC_COOKIE",
                    "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
                )
                .env("PLUGIN_PROTOCOL_VERSIONS", "5,6")
                .env("PLUGIN_CLIENT_CERT", &certificate)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("the provider starts");
            let mut line = String::new();
            let output = child.stdout.as_mut().expect("its output");
            BufReader::new(output).read_line(&mut line).expect("a line");
            let elapsed = start.elapsed().as_secs_f64() * 1000.0;
            let _ = child.kill();
            let _ = child.wait();
            assert!(line.starts_with("1|"), "no handshake: {line}");
            elapsed
        })
        // The first start reads the file from the disk.
        .skip(1)
        .collect();
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[0])
}

fn bindings(number: usize, id: &str) -> String {
    format!(
        "resource \"dbxcmk_workspace_binding\" \"all\" {{\n  count = {number}\n  workspace_id = count.index + 1\n  \
         managed_services_key_configuration_id = \"{id}\"\n}}"
    )
}

/// Seconds for the review of a plan with a thousand resources, each with its own key configuration and binding: the median of five.
fn review(binary: &Path) -> f64 {
    let change = |kind: &str, number: usize, after: Json| {
        json!({"address": format!("{kind}.all[{number}]"), "mode": "managed", "type": kind, "index": number,
            "change": {"actions": ["create"], "before": null, "after": after, "after_unknown": {}}})
    };
    let changes: Vec<Json> = (0..500)
        .flat_map(|number| {
            let id = format!("c1000000-0000-4000-8000-{number:012}");
            let arn = format!(
                "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-4000-8000-{number:012}"
            );
            [
                change(
                    "dbxcmk_key_configuration",
                    number,
                    json!({"id": id, "use_cases": ["STORAGE"], "aws": {"key_arn": arn}}),
                ),
                change(
                    "dbxcmk_workspace_binding",
                    number,
                    json!({"workspace_id": number.to_string(), "storage_key_configuration_id": id}),
                ),
            ]
        })
        .collect();
    let plan = json!({"format_version": "1.2", "terraform_version": "1.11.4", "resource_changes": changes});
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("plan.json");
    std::fs::write(&file, plan.to_string()).expect("a plan");
    let mut times: Vec<f64> = (0..5)
        .map(|_| {
            let input = std::fs::File::open(&file).expect("a plan");
            let start = Instant::now();
            let output = Command::new(binary)
                .arg("review")
                .stdin(input)
                .output()
                .expect("a review");
            assert!(
                !output.stdout.is_empty(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

#[expect(clippy::too_many_lines, reason = "a table: what is measured")]
fn main() {
    let mut sizes = vec![10, 100, 1000, 5000];
    let mut commands = "plan,apply,destroy".to_owned();
    let mut only = Vec::new();
    let mut out = checkout().join("target/bench.json");
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().unwrap_or_default();
        match argument.as_str() {
            "--sizes" => {
                sizes = value
                    .split(',')
                    .map(|one| one.parse().expect("sizes are numbers, separated by commas"))
                    .collect();
            }
            "--commands" => commands = value,
            "--only" => {
                only = value
                    .split(',')
                    .filter(|one| !one.is_empty())
                    .map(str::to_owned)
                    .collect()
            }
            "--json" => out = PathBuf::from(value),
            // The audit alone, of so many workspaces and a tenth of keys.
            "--audit" => {
                let workspaces = value.parse().expect("a number of workspaces");
                let size = audit::Size {
                    workspaces,
                    keys: (workspaces / 10).max(1),
                    ..audit::LARGE
                };
                audit::run(&provider_binary(), size);
                return;
            }
            other => panic!(
                "{other}: expected --sizes 10,100, --commands plan,apply,destroy, --only dbxcmk,floor, --audit 5000 or --json FILE"
            ),
        }
    }
    let own = Contender {
        name: "dbxcmk",
        source: "dbxcmk/dbxcmk",
        binary: provider_binary(),
    };
    let own_binary = own.binary.clone();
    let this = std::env::current_exe().expect("a program knows where it is");
    let beside = this.parent().expect("a directory");
    let floor = Contender {
        name: "floor",
        source: "example/floor",
        binary: beside.join("examples/floor"),
    };
    let aws = Contender {
        name: "hashicorp/aws",
        source: "hashicorp/aws",
        binary: std::fs::read_dir(aws_directory())
            .expect("hashicorp/aws")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.to_string_lossy().contains("terraform-provider-aws"))
            .expect("its binary"),
    };
    let builtin = Contender {
        name: "terraform_data",
        source: "",
        binary: PathBuf::new(),
    };
    // Another provider that makes key configurations, such as databricks/databricks.
    let peer = std::env::var_os("BENCH_PROVIDER")
        .filter(|path| !path.is_empty())
        .map(|path| Contender {
            name: "databricks/databricks",
            source: "databricks/databricks",
            binary: PathBuf::from(path),
        });

    println!("{}\n", terraform::description());
    println!("| provider | handshake, median | least | binary |\n|---|--:|--:|--:|");
    let mut starts = BTreeMap::new();
    for contender in [Some(&own), Some(&floor), Some(&aws), peer.as_ref()]
        .into_iter()
        .flatten()
    {
        let (median, least) = handshake(&contender.binary);
        let size = std::fs::metadata(&contender.binary).map_or(0, |file| file.len());
        println!(
            "| {} | {median:.1} ms | {least:.1} ms | {:.1} MB |",
            contender.name,
            size as f64 / 1e6
        );
        starts.insert(
            contender.name,
            json!({"median_ms": median, "least_ms": least, "bytes": size}),
        );
    }
    println!("\n{HEAD}");

    let most = sizes.iter().copied().max().unwrap_or(1);
    let mut bench = Bench::new(most, only);
    let key = bench.stage.good_key();
    let id = "c1000000-0000-4000-8000-000000000001";
    let account = dbxcmk_sandbox::ACCOUNT_ID;
    bench.stage.sandbox.with(|world| {
        let configuration = json!({ "customer_managed_key_id": id, "account_id": account,
            "use_cases": ["MANAGED_SERVICES", "STORAGE"], "aws_key_info": { "key_arn": key, "key_region": dbxcmk_sandbox::REGION } });
        world.now.configurations.insert(id.to_owned(), configuration);
        for number in 1..=u64::try_from(most).unwrap_or(u64::MAX) {
            let fields = &mut world.workspace(number).fields;
            fields.insert("managed_services_customer_managed_key_id".to_owned(), json!(id));
        }
    });
    for contender in [Some(&own), Some(&floor), Some(&aws), peer.as_ref()]
        .into_iter()
        .flatten()
    {
        bench.measure(contender, "none", 0, "", &["schema"]);
    }
    let all: Vec<&'static str> = ["plan", "apply", "destroy"]
        .into_iter()
        .filter(|one| commands.split(',').any(|asked| asked == *one))
        .collect();
    for &number in &sizes {
        let data = format!(
            "resource \"terraform_data\" \"all\" {{\n  count = {number}\n  input = \"x\"\n}}"
        );
        bench.measure(&builtin, "terraform_data", number, &data, &all);
        let planks = format!(
            "resource \"floor_plank\" \"all\" {{\n  count = {number}\n  given_0 = count.index + 1\n  given_2 = \"{id}\"\n}}"
        );
        bench.measure(&floor, "floor_plank", number, &planks, &all);
        bench.measure(
            &own,
            "workspace_binding, attached already",
            number,
            &bindings(number, id),
            &all,
        );
        if number <= 1000 {
            let keys = format!(
                "provider \"aws\" {{\n  skip_requesting_account_id = true\n}}\n\nresource \"aws_kms_key\" \"all\" {{\n  count = {number}\n}}"
            );
            // Its plan reads nothing; its apply makes the keys, each with a wait of its own.
            let commands = if number <= 100 { &all[..] } else { &["plan"] };
            bench.measure(&aws, "aws_kms_key", number, &keys, commands);
        }
        if number <= 100 {
            let own_keys = format!(
                "resource \"dbxcmk_key_configuration\" \"all\" {{\n  count = {number}\n  use_cases = [\"MANAGED_SERVICES\"]\n  aws = {{\n    \
                 key_arn = \"{key}\"\n    key_alias = \"alias/bench-${{count.index}}\"\n  }}\n}}"
            );
            bench.measure(&own, "key_configuration", number, &own_keys, &all);
            if let Some(peer) = &peer {
                // For OAuth it would look for the endpoints of a workspace: an address that is not Databricks' own is one for it.
                let provider = format!(
                    "provider \"databricks\" {{\n  auth_type = \"pat\"\n  token = \"{TOKEN}\"\n}}"
                );
                let keys = format!(
                    "{provider}\n\nresource \"databricks_mws_customer_managed_keys\" \"all\" {{\n  count = {number}\n  account_id = \"{account}\"\n  \
                     use_cases = [\"MANAGED_SERVICES\"]\n  aws_key_info {{\n    key_arn = \"{key}\"\n    key_alias = \"alias/peer-${{count.index}}\"\n  }}\n}}"
                );
                bench.measure(peer, "key_configuration", number, &keys, &all);
            }
        }
    }
    println!();
    for &number in &sizes {
        let own = bench.wall(
            "dbxcmk",
            "workspace_binding, attached already",
            number,
            "plan",
        );
        let floor = bench.wall("floor", "floor_plank", number, "plan");
        if let (Some(own), Some(floor)) = (own, floor) {
            println!(
                "plan of {number} bindings: {:.2} times the floor",
                own / floor
            );
        }
    }
    let reviewed = review(&own_binary);
    println!(
        "review of a plan with 1,000 resources: {:.0} ms",
        reviewed * 1000.0
    );
    let rows: Vec<Json> = bench.rows.iter().map(Row::json).collect();
    drop(bench);
    let audits = audit::run(&own_binary, audit::LARGE);
    let text = json!({"terraform": terraform::description(), "starts": starts, "review_seconds": reviewed, "rows": rows, "audits": audits});
    std::fs::write(&out, format!("{text:#}\n")).expect("the results can be written");
    println!("\nresults: {}", out.display());
}
