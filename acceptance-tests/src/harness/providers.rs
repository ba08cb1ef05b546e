//! Where the provider under test is, and where hashicorp/aws comes from.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::checkout;

/// Names the binary of the provider under test, when it is not the one that was built beside the tests.
pub const PROVIDER: &str = "DBXCMK_PROVIDER";
/// Names a directory that holds `registry.terraform.io/hashicorp/aws`.
pub const MIRROR: &str = "DBXCMK_PROVIDER_MIRROR";
/// The version of hashicorp/aws that the tests run with.
pub const AWS_VERSION: &str = "5.100.0";

/// The CLI configuration that makes Terraform use both.
pub fn cli_configuration() -> String {
    let binary = provider_binary();
    let own = binary
        .parent()
        .unwrap_or(Path::new("."))
        .display()
        .to_string();
    format!(
        "provider_installation {{\n  dev_overrides {{\n    \"dbxcmk/dbxcmk\"  = \"{own}\"\n    \"hashicorp/aws\" = \"{}\"\n  }}\n  direct \
         {{}}\n}}\n",
        aws_directory().display()
    )
}

/// The binary of the provider under test.
pub fn provider_binary() -> PathBuf {
    if let Some(named) = std::env::var_os(PROVIDER).filter(|named| !named.is_empty()) {
        return PathBuf::from(named);
    }
    let test = std::env::current_exe().expect("a test knows where it is");
    let name = format!("terraform-provider-dbxcmk{}", std::env::consts::EXE_SUFFIX);
    // target/debug/deps/<test> and target/debug/<binary>
    let found = test
        .ancestors()
        .map(|directory| directory.join(&name))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is not built beside the tests. Run the suite with `make test`, or name the binary with {PROVIDER}.")
    })
}

fn platform() -> String {
    let os = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        std::env::consts::OS
    };
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{os}_{architecture}")
}

/// The directory of the hashicorp/aws binary: from a mirror on this machine, else from the registry.
pub fn aws_directory() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND
        .get_or_init(|| find_in_mirrors().unwrap_or_else(from_registry))
        .clone()
}

fn below(mirror: &Path) -> Option<PathBuf> {
    let directory = mirror
        .join("registry.terraform.io/hashicorp/aws")
        .join(AWS_VERSION)
        .join(platform());
    directory.is_dir().then_some(directory)
}

fn find_in_mirrors() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(MIRROR).filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        return Some(below(&named).unwrap_or_else(|| {
            panic!(
                "{MIRROR} names {}, which has no hashicorp/aws {AWS_VERSION}",
                named.display()
            )
        }));
    }
    let home = std::env::var_os("HOME")
        .map(PathBuf::from)
        .unwrap_or_default();
    let usual = [
        home.join(".terraform.d/plugins"),
        home.join(".local/share/terraform/plugins"),
        PathBuf::from("/usr/local/share/terraform/plugins"),
        PathBuf::from("/usr/share/terraform/plugins"),
        checkout().join(".local/mirror"),
    ];
    if let Some(found) = usual.iter().find_map(|mirror| below(mirror)) {
        return Some(found);
    }
    // Machines that come with a mirror keep it in a directory of its own.
    let parents = ["/opt", "/srv", "/var/lib"];
    let children = parents
        .iter()
        .filter_map(|parent| std::fs::read_dir(parent).ok())
        .flatten()
        .flatten();
    children
        .map(|child| child.path())
        .find_map(|child| below(&child))
}

/// Fetches the provider once, into the checkout.
fn from_registry() -> PathBuf {
    let mirror = checkout().join(".local/mirror");
    let work = checkout().join(".local/mirror-work");
    std::fs::create_dir_all(&work).expect("a directory for the provider");
    let requirement = format!(
        "terraform {{\n  required_providers {{\n    aws = {{\n      source  = \"hashicorp/aws\"\n      version = \"{AWS_VERSION}\"\n    }}\n  }}\n}}\n"
    );
    std::fs::write(work.join("main.tf"), requirement).expect("a configuration can be written");
    std::fs::write(work.join("terraform.rc"), "").expect("a CLI configuration can be written");
    let mut command: Command = super::terraform::command();
    let fetched = command
        .current_dir(&work)
        .env("TF_CLI_CONFIG_FILE", work.join("terraform.rc"))
        .args(["providers", "mirror", "-platform", &platform()])
        .arg(&mirror)
        .output()
        .expect("Terraform can be started");
    assert!(
        fetched.status.success(),
        "hashicorp/aws {AWS_VERSION} is in no mirror on this machine, and the registry did not give it:\n{}",
        String::from_utf8_lossy(&fetched.stderr)
    );
    let zip = mirror
        .join("registry.terraform.io/hashicorp/aws")
        .join(format!(
            "terraform-provider-aws_{AWS_VERSION}_{}.zip",
            platform()
        ));
    let place = mirror
        .join("registry.terraform.io/hashicorp/aws")
        .join(AWS_VERSION)
        .join(platform());
    std::fs::create_dir_all(&place).expect("a directory for the provider");
    let unpacked = Command::new("python3")
        .args(["-m", "zipfile", "-e"])
        .arg(&zip)
        .arg(&place)
        .status();
    assert!(
        unpacked.is_ok_and(|status| status.success()),
        "{} could not be unpacked",
        zip.display()
    );
    make_executable(&place);
    below(&mirror).unwrap_or_else(|| {
        panic!(
            "hashicorp/aws is not where it was unpacked: {}",
            place.display()
        )
    })
}

/// Python's unpacking forgets that a program is one.
fn make_executable(directory: &Path) {
    #[cfg(unix)]
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        use std::os::unix::fs::PermissionsExt;
        let _ = std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o755));
    }
    #[cfg(not(unix))]
    let _ = directory;
}
