//! What is released: the files that the registries expect, the mirrors that Terraform installs from, and the workflows that make it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use acceptance_tests::harness::providers::provider_binary;
use acceptance_tests::harness::python::installed;
use acceptance_tests::harness::{Workdir, checkout, terraform};
use serde_json::Value as Json;

/// A release of the binary under test, made once.
fn release() -> &'static Path {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    MADE.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        make(&provider_binary(), &directory.path().join("dist"), &[]);
        directory
    })
    .path()
}

fn make(binary: &Path, out: &Path, environment: &[(&str, &Path)]) {
    let output = Command::new("python3")
        .arg(checkout().join("scripts/release"))
        .arg("--binary")
        .arg(binary)
        .arg("--out")
        .arg(out)
        .env_remove("GPG_FINGERPRINT")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A program that says its version, and is small enough to be packed often.
fn small(directory: &Path) -> PathBuf {
    let path = directory.join("small");
    executable(&path, &format!("#!/bin/sh\necho dbxcmk {}\n", version()));
    path
}

fn executable(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(path, mode).unwrap();
}

fn dist() -> PathBuf {
    release().join("dist")
}

fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The one file of a release whose name ends like this.
fn file(end: &str) -> PathBuf {
    let all = std::fs::read_dir(dist()).unwrap();
    let mut found = all.map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.ends_with(end)
    });
    found.next().unwrap_or_else(|| panic!("no {end}"))
}

fn json(path: &Path) -> Json {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The checksums of files, as the system's own tool has them.
fn sums(paths: &[PathBuf]) -> BTreeMap<String, String> {
    let code = "import hashlib, pathlib, sys\nfor p in sys.argv[1:]: print(hashlib.sha256(pathlib.Path(p).read_bytes()).hexdigest(), \
                pathlib.Path(p).name)";
    let output = Command::new("python3")
        .arg("-c")
        .arg(code)
        .args(paths)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let pair = |line: &str| {
        line.split_once(' ')
            .map(|(sum, name)| (name.to_owned(), sum.to_owned()))
    };
    text.lines().filter_map(pair).collect()
}

#[test]
fn a_release_has_what_the_registries_expect() {
    let stem = format!("terraform-provider-dbxcmk_{}", version());
    let manifest = json(&dist().join(format!("{stem}_manifest.json")));
    assert_eq!(manifest["metadata"]["protocol_versions"][0], "6.0");
    let archive = file(".zip");
    let listing = Command::new("python3")
        .args(["-m", "zipfile", "-l"])
        .arg(&archive)
        .output()
        .unwrap();
    let listing = String::from_utf8(listing.stdout).unwrap();
    assert!(
        listing.contains(&format!("terraform-provider-dbxcmk_v{} ", version())),
        "{listing}"
    );
    // Every file is in the checksums, and every checksum is right.
    let text = std::fs::read_to_string(dist().join(format!("{stem}_SHA256SUMS"))).unwrap();
    let listed: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| {
            line.split_once("  ")
                .map(|(sum, name)| (name.to_owned(), sum.to_owned()))
        })
        .collect();
    let files = std::fs::read_dir(dist())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = files
        .filter(|path| path.is_file() && !path.ends_with(format!("{stem}_SHA256SUMS")))
        .collect();
    assert_eq!((listed.len(), &listed), (4, &sums(&files)));
    // Who built what.
    let statement = json(&file(".provenance.json"));
    let name = archive.file_name().unwrap().to_str().unwrap();
    assert_eq!(statement["subject"][0]["name"], name);
    assert_eq!(
        statement["subject"][0]["digest"]["sha256"],
        listed[name].as_str()
    );
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
}

#[test]
fn the_bill_of_materials_is_valid_and_complete() {
    let materials = file(".cdx.json");
    let output = Command::new(installed("release"))
        .arg(checkout().join("acceptance-tests/release/validate.py"))
        .arg(&materials)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let bill = json(&materials);
    let names: Vec<&str> = bill["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    for linked in ["tokio", "rustls", "aws-sdk-kms", "tfplugin", "kms-policy"] {
        assert!(names.contains(&linked), "{linked} is linked");
    }
    // What runs at build time, or in tests alone, is not shipped.
    for other in [
        "serde_derive",
        "protox",
        "proptest",
        "insta",
        "dbxcmk-sandbox",
    ] {
        assert!(!names.contains(&other), "{other} is not linked");
    }
}

/// The second archive has the programs for people; the one of the registries stays as small as it is.
#[test]
fn the_programs_for_people_are_an_archive_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let binary = small(directory.path());
    let out = directory.path().join("dist");
    let output = Command::new("python3")
        .arg(checkout().join("scripts/release"))
        .arg("--binary")
        .arg(&binary)
        .arg("--sandbox")
        .arg(&binary)
        .arg("--out")
        .arg(&out)
        .env_remove("GPG_FINGERPRINT")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let named = |end: &str| {
        let mut all = std::fs::read_dir(&out).unwrap();
        all.find_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name()?.to_str()?.to_owned();
            (name.starts_with("dbxcmk_") && name.ends_with(end)).then_some(path)
        })
        .unwrap_or_else(|| panic!("no {end}"))
    };
    let place = directory.path().join("programs");
    std::fs::create_dir(&place).unwrap();
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(named(".tar.gz"))
        .arg("-C")
        .arg(&place)
        .status()
        .unwrap();
    assert!(unpacked.success());
    for program in ["dbxcmk", "terraform-provider-dbxcmk", "dbxcmk-sandbox"] {
        let said = Command::new(place.join(program)).output().unwrap().stdout;
        let said = String::from_utf8(said).unwrap();
        assert_eq!(said, format!("dbxcmk {}\n", version()), "{program}");
    }
    let materials = json(&named(".cdx.json"));
    let components = materials["components"].as_array().unwrap();
    assert!(
        components.iter().any(|one| one["name"] == "dbxcmk-sandbox"),
        "the sandbox is in the bill of materials"
    );
}

/// The same binary gives the same bytes, whenever and wherever it is packed.
#[test]
fn packing_twice_gives_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let binary = small(directory.path());
    let (once, again) = (
        directory.path().join("once"),
        directory.path().join("again"),
    );
    make(&binary, &once, &[]);
    make(&binary, &again, &[]);
    let of = |place: &Path| {
        let name = format!("terraform-provider-dbxcmk_{}_SHA256SUMS", version());
        std::fs::read_to_string(place.join(name)).unwrap()
    };
    assert_eq!(of(&again), of(&once));
}

/// With a key, the script signs the checksums; a program that replaces gpg shows how the script calls it.
#[test]
fn with_a_key_the_checksums_are_signed() {
    let directory = tempfile::tempdir().unwrap();
    let tools = directory.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    let gpg = tools.join("gpg");
    executable(
        &gpg,
        "#!/bin/sh\nfor last; do :; done\nprintf '%s\\n' \"$*\" > \"$last.asked\"\ncp \"$last\" \"$last.sig\"\n",
    );
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let out = directory.path().join("dist");
    make(
        &small(directory.path()),
        &out,
        &[
            ("GPG_FINGERPRINT", Path::new("ABCD")),
            ("PATH", Path::new(&path)),
        ],
    );
    let sums = out.join(format!(
        "terraform-provider-dbxcmk_{}_SHA256SUMS",
        version()
    ));
    let asked = std::fs::read_to_string(format!("{}.asked", sums.display())).unwrap();
    assert!(
        asked.contains("--local-user ABCD") && asked.contains("--detach-sign"),
        "{asked}"
    );
    assert!(PathBuf::from(format!("{}.sig", sums.display())).exists());
}

fn registry() -> &'static str {
    if terraform::is_opentofu() {
        "registry.opentofu.org"
    } else {
        "registry.terraform.io"
    }
}

const CONFIGURATION: &str = r#"terraform {
  required_providers {
    dbxcmk = {
      source = "dbxcmk/dbxcmk"
    }
  }
}

resource "dbxcmk_workspace_binding" "x" {
  workspace_id                          = 1
  managed_services_key_configuration_id = "c1000000-0000-4000-8000-000000000001"
}
"#;

/// A directory whose Terraform installs providers in one way only.
fn installing(way: &str) -> Workdir {
    let mut workdir = Workdir::without_services();
    workdir.write(
        "mirror.rc",
        &format!("provider_installation {{\n  {way}\n}}\n"),
    );
    let path = workdir.path().join("mirror.rc").display().to_string();
    workdir.set("TF_CLI_CONFIG_FILE", &path);
    workdir.configuration(CONFIGURATION);
    workdir
}

/// `init` installs the provider, the lock file has its checksum, and a second `init` that may change nothing agrees.
fn is_installed(workdir: &Workdir) {
    let run = workdir.run(&["init", "-input=false", "-no-color"]);
    assert!(run.success, "{}", run.output);
    let lock = std::fs::read_to_string(workdir.path().join(".terraform.lock.hcl")).unwrap();
    let versions = json(&dist().join(format!(
        "mirror/{}/dbxcmk/dbxcmk/{}.json",
        registry(),
        version()
    )));
    let (_, archive) = versions["archives"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    let own = archive["hashes"][0].as_str().unwrap();
    assert!(own.starts_with("h1:") && lock.contains(own), "{lock}");
    let run = workdir.run(&["init", "-input=false", "-no-color", "-lockfile=readonly"]);
    assert!(run.success, "{}", run.output);
    workdir.validate();
}

#[test]
fn a_filesystem_mirror_of_the_release_is_installed_from() {
    let place = dist().join("mirror");
    is_installed(&installing(&format!(
        "filesystem_mirror {{\n    path = \"{}\"\n  }}",
        place.display()
    )));
}

/// A server that ends with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_network_mirror_of_the_release_is_installed_from() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let both = directory.path().join("both.pem");
    let trusted = directory.path().join("trusted.pem");
    std::fs::write(&both, format!("{certificate}{key}")).unwrap();
    std::fs::write(&trusted, &certificate).unwrap();
    let mut server = Server(
        Command::new("python3")
            .arg(checkout().join("acceptance-tests/release/serve.py"))
            .arg(dist().join("mirror"))
            .arg(&both)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let mut port = String::new();
    BufReader::new(server.0.stdout.as_mut().unwrap())
        .read_line(&mut port)
        .unwrap();
    let mut workdir = installing(&format!(
        "network_mirror {{\n    url = \"https://localhost:{}/\"\n  }}",
        port.trim()
    ));
    workdir.set("SSL_CERT_FILE", &trusted.display().to_string());
    is_installed(&workdir);
}

/// A place in which the action runs: a release, and a program called `gh` that notes what the action asks of it.
struct Runner(tempfile::TempDir);

impl Runner {
    fn new() -> Self {
        let runner = Self(tempfile::tempdir().unwrap());
        for folder in ["tools", "temp"] {
            std::fs::create_dir(runner.at(folder)).unwrap();
        }
        let release = Command::new("python3")
            .arg(checkout().join("scripts/release"))
            .arg("--binary")
            .arg(provider_binary())
            .arg("--sandbox")
            .arg(small(runner.0.path()))
            .arg("--out")
            .arg(runner.at("dist"))
            .env_remove("GPG_FINGERPRINT")
            .output()
            .unwrap();
        assert!(release.status.success(), "{release:?}");
        let gh = format!(
            "#!/bin/sh\necho \"gh $*\" >> {0}/asked\ncase \"$1\" in release) cp {0}/dist/*.tar.gz {0}/dist/*_SHA256SUMS {0}/temp/dbxcmk ;; \
             esac\n",
            runner.0.path().display()
        );
        executable(&runner.at("tools/gh"), &gh);
        runner
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.at(name)).unwrap_or_default()
    }

    /// The exit code of a command of the action, and what it printed.
    fn run(&self, command: &str, more: &[(&str, &str)]) -> (Option<i32>, String) {
        let path = format!(
            "{}:{}:{}",
            self.read("path").trim(),
            self.at("tools").display(),
            std::env::var("PATH").unwrap()
        );
        let architecture = match std::env::consts::ARCH {
            "aarch64" => "ARM64",
            _ => "X64",
        };
        let output = Command::new(checkout().join("scripts/action"))
            .arg(command)
            .current_dir(self.0.path())
            .env("PATH", path)
            .env("RUNNER_TEMP", self.at("temp"))
            .env("RUNNER_OS", "Linux")
            .env("RUNNER_ARCH", architecture)
            .env("GITHUB_PATH", self.at("path"))
            .env("GITHUB_ENV", self.at("env"))
            .env("GITHUB_OUTPUT", self.at("output"))
            .env("GITHUB_STEP_SUMMARY", self.at("summary"))
            .env("GITHUB_REPOSITORY", "acme/lakehouse")
            .env("ACTION_REPOSITORY", "dbxcmk/terraform-provider-dbxcmk")
            .env_remove("TF_CLI_CONFIG_FILE")
            .envs(more.iter().copied())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    }
}

/// The action downloads a release, compares it with its checksums, and lets Terraform find the provider.
#[test]
fn the_action_installs_a_release() {
    let runner = Runner::new();
    // What is not a version is refused before anything is downloaded.
    let (code, said) = runner.run("install", &[("ACTION_REF", "main")]);
    assert!(
        code == Some(2) && said.contains("is not a version"),
        "{said}"
    );
    assert_eq!(runner.read("asked"), "");
    let tag = format!("v{}", version());
    let (code, said) = runner.run("install", &[("ACTION_REF", &tag)]);
    assert!(code == Some(0) && said.contains(version()), "{said}");
    let environment = runner.read("env");
    let (_, configuration) = environment.trim().split_once('=').unwrap();
    let workdir = installing("direct {}");
    workdir.write(
        "mirror.rc",
        &std::fs::read_to_string(configuration).unwrap(),
    );
    let init = workdir.run(&["init", "-input=false", "-no-color"]);
    assert!(init.success, "{}", init.output);

    // Bytes that are not those of the checksums are not installed.
    let other = Runner::new();
    let sums = format!("dist/terraform-provider-dbxcmk_{}_SHA256SUMS", version());
    let wrong: String = other
        .read(&sums)
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, name)| format!("{}  {name}\n", "0".repeat(sum.len())))
        .collect();
    std::fs::write(other.at(&sums), wrong).unwrap();
    let (code, said) = other.run("install", &[("ACTION_REF", &tag)]);
    assert!(code == Some(2) && said.contains("checksum"), "{said}");
    assert_eq!(other.read("path"), "");
}

/// The action reviews a plan, writes one comment, and fails when the review does.
#[test]
fn the_action_reviews_a_plan() {
    let runner = Runner::new();
    let tag = format!("v{}", version());
    assert_eq!(runner.run("install", &[("ACTION_REF", &tag)]).0, Some(0));
    let configuration = "c1000000-0000-4000-8000-000000000001";
    let plan = serde_json::json!({
        "format_version": "1.2",
        "terraform_version": "1.11.4",
        "resource_changes": [{
            "address": "dbxcmk_workspace_binding.prod", "mode": "managed", "type": "dbxcmk_workspace_binding", "name": "prod",
            "provider_name": "registry.terraform.io/dbxcmk/dbxcmk",
            "change": {"actions": ["create"], "before": null, "before_sensitive": false, "after_sensitive": {}, "after_unknown": {},
                       "after": {"id": "1", "workspace_id": "1", "storage_key_configuration_id": configuration}},
        }],
    });
    std::fs::write(runner.at("plan.json"), plan.to_string()).unwrap();
    let review = |more: &[(&str, &str)]| {
        let inputs = [
            ("PLAN", "plan.json"),
            ("ACCEPTED_FINDINGS", "accepted-findings.txt"),
            ("COMMENT", "true"),
            ("PULL_REQUEST", "7"),
        ];
        runner.run("review", &[&inputs[..], more].concat())
    };
    let (code, said) = review(&[]);
    assert!(
        code == Some(1) && said.contains("[storage-key-attached]"),
        "{said}"
    );
    let asked = runner.read("asked");
    assert!(
        asked.contains("--method POST repos/acme/lakehouse/issues/7/comments"),
        "{asked}"
    );
    let summary = runner.read("summary");
    assert!(
        summary.contains("dbxcmk_workspace_binding.prod"),
        "{summary}"
    );
    assert!(runner.at("temp/dbxcmk-reports/review.sarif").exists());
    assert_eq!(review(&[("FAIL_ON", "never")]).0, Some(0));
    let accepted = "# why\n\nstorage-key-attached=Agreed with the platform team\n";
    std::fs::write(runner.at("accepted-findings.txt"), accepted).unwrap();
    assert_eq!(review(&[]).0, Some(0));
    std::fs::write(runner.at("plan.json"), "{").unwrap();
    assert_eq!(review(&[]).0, Some(2));
    assert!(runner.read("output").contains("exit-code=2"));
}

/// The workflows are what GitHub takes, and hold what a linter for their security asks for.
#[test]
fn the_workflows_are_checked() {
    let python = installed("workflows");
    let tools = python.parent().unwrap();
    let mut files = Vec::new();
    for folder in [".github/workflows", "examples/workflows"] {
        let all = std::fs::read_dir(checkout().join(folder)).unwrap();
        files.extend(all.map(|entry| entry.unwrap().path()));
    }
    assert!(files.len() >= 3, "{files:?}");
    let action = checkout().join("action.yml");
    let schema = Command::new(tools.join("check-jsonschema"))
        .args(["--builtin-schema", "vendor.github-actions"])
        .arg(&action)
        .output()
        .unwrap();
    assert!(schema.status.success(), "{schema:?}");
    for (tool, arguments) in [
        (
            "check-jsonschema",
            &["--builtin-schema", "vendor.github-workflows"][..],
        ),
        (
            "zizmor",
            &[
                "--offline",
                "--no-progress",
                "--config",
                "acceptance-tests/workflows/zizmor.yml",
            ][..],
        ),
    ] {
        let output = Command::new(tools.join(tool))
            .current_dir(checkout())
            .args(arguments)
            .args(&files)
            .args((tool == "zizmor").then_some(&action))
            .output()
            .unwrap();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{tool}: {said}");
    }
}
