//! A Terraform that goes on while the test does something else, and is interrupted or killed in the middle.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Run, Workdir};

/// How long a provider may outlive its Terraform.
const ORPHANED: Duration = Duration::from_secs(30);

/// A Terraform at work. It is in a process group of its own, as one that a shell starts.
#[derive(Debug)]
pub struct Background {
    child: Child,
    output: tempfile::TempDir,
}

impl Workdir {
    /// Starts a command.
    pub fn begin(&self, arguments: &[&str]) -> Background {
        let output = tempfile::tempdir().expect("a temporary directory");
        let file = |name: &str| {
            std::fs::File::create(output.path().join(name)).expect("a file can be written")
        };
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .process_group(0);
        Background {
            child: command.spawn().expect("Terraform can be started"),
            output,
        }
    }
}

fn signal(name: &str, process: &str) {
    // A process that has ended by now cannot get the signal.
    let _ = Command::new("kill")
        .args([name, "--", process])
        .stderr(Stdio::null())
        .status();
}

/// The name and the parent of a process, as Linux tells them.
fn status(process: &str) -> Option<(String, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (before, after) = text.rsplit_once(')')?;
    let name = before.split_once('(')?.1.to_owned();
    // A process that has ended and waits for its parent is none.
    let mut fields = after.split_whitespace();
    let is_alive = fields.next()? != "Z";
    is_alive.then_some((name, fields.next()?.parse().ok()?))
}

/// Whether a process is there and has not ended.
pub fn lives(process: &str) -> bool {
    status(process).is_some()
}

impl Background {
    /// The processes of the provider under test that this Terraform has started.
    pub fn providers(&self) -> Vec<String> {
        let all = std::fs::read_dir("/proc")
            .expect("processes can be seen (Linux)")
            .flatten();
        let names = all.filter_map(|entry| entry.file_name().into_string().ok());
        names
            .filter(|process| {
                status(process).is_some_and(|(name, parent)| {
                    parent == self.child.id() && name.starts_with("terraform-pro")
                })
            })
            .collect()
    }

    /// Ctrl-C: the signal reaches the whole process group.
    pub fn interrupt(&self) {
        signal("-INT", &format!("-{}", self.child.id()));
    }

    /// Terraform is killed, its provider is not.
    pub fn kill(&self) {
        signal("-KILL", &self.child.id().to_string());
    }

    /// The provider is killed, Terraform is not.
    pub fn kill_providers(&self) {
        self.providers()
            .iter()
            .for_each(|process| signal("-KILL", process));
    }

    /// Whether it still works.
    pub fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("a child can be waited for")
            .is_none()
    }

    /// Waits for its end, and for that of the providers that it left behind.
    pub fn finish(mut self, orphans: &[String]) -> Run {
        let status = self.child.wait().expect("a child can be waited for");
        let deadline = Instant::now() + ORPHANED;
        while let Some(process) = orphans.iter().find(|process| lives(process)) {
            assert!(
                Instant::now() < deadline,
                "the provider {process} outlives its Terraform for good"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        let read =
            |name: &str| std::fs::read_to_string(self.output.path().join(name)).unwrap_or_default();
        Run::new(status.success(), read("stdout"), &read("stderr"))
    }
}
