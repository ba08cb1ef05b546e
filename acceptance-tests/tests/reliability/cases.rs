//! The cases: of each kind of failure of the network, one for each service, and what only processes can show. The simulation plays all of
//! them but the second Ctrl-C, and many more (`crates/simulation/src/reliability`); names are the same there.

use dbxcmk_sandbox::faults::{Effect, Fault};

/// What happens to a run.
#[derive(Clone, Debug)]
pub enum Mishap {
    /// A request meets a fault.
    Fault(Fault),
    /// A signal arrives when the run has come to a point.
    Signal { signal: Signal, at: Point },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    InterruptOnce,
    InterruptTwice,
    KillProvider,
    KillTerraform,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A request is on its way and not carried out.
    Before(&'static str),
    /// A request was carried out, its answer is on its way.
    After(&'static str),
    /// The workspace is being updated.
    Waiting,
    /// The keys are there, and settle.
    Settling,
}

/// Which run meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// The apply that makes everything.
    Apply,
    /// The destroy of the key configuration, after the workspace was deleted.
    Destroy,
}

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    Aws,
    Google,
    Azure,
}

#[derive(Clone, Debug)]
pub struct Case {
    pub cloud: Cloud,
    pub section: &'static str,
    pub fault: &'static str,
    pub place: &'static str,
    pub mishap: Mishap,
    pub run: Run,
}

const ACCOUNT: &str = "The account API";
const CREATE: &str = "POST /customer-managed-keys";
const ATTACH: &str = "PATCH /workspaces/";
const LIST: &str = "GET /customer-managed-keys";
const READ: &str = "KMS GetKeyPolicy";
const PUT: &str = "KMS PutKeyPolicy";
const SET: &str = "POST cryptoKeys/main:setIamPolicy";
/// What is done on Azure, as the sandbox knows it.
const GIVE: &str = "PUT /arm/ roleAssignments";
const SEND: &str = "PUT /arm/ Microsoft.Databricks/workspaces";
const WATCH: &str = "GET /arm/ Microsoft.Databricks/operations";

const RESET_BEFORE: &str = "a reset before the request arrived";
const RESET_AFTER: &str = "a reset after the request was carried out";
const TRUNCATED: &str = "a truncated body";

/// Longer than the provider waits for an answer.
const TOO_LONG: u64 = 30_000;

const PAGE: &str = "<!doctype html><html><head><title>Sign In</title></head><body></body></html>";

fn busy() -> Effect {
    Effect::Status {
        status: 429,
        body: r#"{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"Too many requests."}"#
            .to_owned(),
        content_type: None,
        retry_after: Some("1".to_owned()),
    }
}

fn sign_in() -> Effect {
    Effect::Status {
        status: 200,
        body: PAGE.to_owned(),
        content_type: Some("text/html".to_owned()),
        retry_after: None,
    }
}

/// A fault, in words and as the sandbox knows it, and the place in words.
type Failing = (&'static str, &'static str, Fault);

fn failures(cloud: Cloud, section: &'static str, all: Vec<Failing>) -> Vec<Case> {
    let all = all.into_iter();
    all.map(|(fault, place, strikes)| Case {
        cloud,
        section,
        fault,
        place,
        mishap: Mishap::Fault(strikes),
        run: Run::Apply,
    })
    .collect()
}

fn account() -> Vec<Case> {
    let (creating, attaching) = ("creating the key configuration", "attaching the keys");
    let watching = Fault::new("GET /workspaces", busy()).after(ATTACH);
    let late = Effect::DelayAfter {
        milliseconds: TOO_LONG,
    };
    let mut all = failures(
        Cloud::Aws,
        ACCOUNT,
        vec![
            (
                RESET_BEFORE,
                creating,
                Fault::new(CREATE, Effect::DropBefore),
            ),
            (RESET_AFTER, creating, Fault::new(CREATE, Effect::DropAfter)),
            (TRUNCATED, creating, Fault::new(CREATE, Effect::Truncate)),
            (
                "no answer in time, although carried out",
                creating,
                Fault::new(CREATE, late),
            ),
            (
                RESET_AFTER,
                attaching,
                Fault::new(ATTACH, Effect::DropAfter),
            ),
            (
                "an HTML page",
                "listing key configurations",
                Fault::new(LIST, sign_in()),
            ),
            (
                "429 with Retry-After in seconds",
                "watching the workspace",
                watching,
            ),
        ],
    );
    let gone = Fault::new("DELETE /customer-managed-keys", Effect::DropAfter);
    let deleting = "deleting the key configuration";
    let deleting = failures(Cloud::Aws, ACCOUNT, vec![(RESET_AFTER, deleting, gone)]);
    all.extend(deleting.into_iter().map(|case| Case {
        run: Run::Destroy,
        ..case
    }));
    let reverted = "an update that Databricks silently reverts";
    let reverted = (reverted, attaching, Fault::new(ATTACH, Effect::Revert));
    all.extend(failures(Cloud::Aws, "What Databricks does", vec![reverted]));
    all
}

fn clouds() -> Vec<Case> {
    let (reading, putting) = ("reading the key policy", "putting the key policy");
    let kms = vec![
        (RESET_BEFORE, putting, Fault::new(PUT, Effect::DropBefore)),
        (RESET_AFTER, putting, Fault::new(PUT, Effect::DropAfter)),
        (TRUNCATED, reading, Fault::new(READ, Effect::Truncate)),
    ];
    let setting = "setting the IAM policy";
    let google = vec![
        (RESET_BEFORE, setting, Fault::new(SET, Effect::DropBefore)),
        (RESET_AFTER, setting, Fault::new(SET, Effect::DropAfter)),
        (TRUNCATED, setting, Fault::new(SET, Effect::Truncate)),
    ];
    let (giving, sending) = ("giving access to the key", "sending the workspace");
    let azure = vec![
        (RESET_BEFORE, giving, Fault::new(GIVE, Effect::DropBefore)),
        (RESET_AFTER, sending, Fault::new(SEND, Effect::DropAfter)),
        (
            TRUNCATED,
            "watching the operation",
            Fault::new(WATCH, Effect::Truncate),
        ),
    ];
    [
        failures(Cloud::Aws, "AWS KMS", kms),
        failures(Cloud::Google, "Google Cloud KMS", google),
        failures(Cloud::Azure, "Azure", azure),
    ]
    .concat()
}

/// Which process ends, how and when: in words, and as the test does it.
type Ending = (Signal, &'static str, Point);

fn signals(cloud: Cloud, section: &'static str, all: &[Ending]) -> Vec<Case> {
    let all = all.iter().copied();
    all.map(|(signal, place, at)| Case {
        cloud,
        section,
        fault: match signal {
            Signal::InterruptOnce => "Ctrl-C",
            Signal::InterruptTwice => "Ctrl-C twice",
            Signal::KillProvider => "the provider is killed",
            Signal::KillTerraform => "Terraform is killed",
        },
        place,
        mishap: Mishap::Signal { signal, at },
        run: Run::Apply,
    })
    .collect()
}

/// Each signal on each cloud, at a point where it could lose something: each kill, too, at a create whose answer gets lost.
fn people() -> Vec<Case> {
    use Point::{After, Before, Settling, Waiting};
    use Signal::{InterruptOnce, InterruptTwice, KillProvider, KillTerraform};
    let created = "after the key configuration was created";
    let (updated, settles) = ("while the workspace is updated", "while the keys settle");
    let aws = [
        (InterruptOnce, "after the policy was put", After(PUT)),
        (InterruptOnce, updated, Waiting),
        (InterruptOnce, settles, Settling),
        (InterruptTwice, created, After(CREATE)),
        (KillProvider, "before the policy is put", Before(PUT)),
        (KillProvider, created, After(CREATE)),
        (KillProvider, "after the keys were attached", After(ATTACH)),
        (KillTerraform, created, After(CREATE)),
        (
            KillTerraform,
            "before the keys are attached",
            Before(ATTACH),
        ),
        (KillTerraform, settles, Settling),
    ];
    let google = [
        (InterruptOnce, "after the IAM policy was set", After(SET)),
        (InterruptTwice, updated, Waiting),
        (KillProvider, created, After(CREATE)),
        (KillTerraform, "before the IAM policy is set", Before(SET)),
    ];
    let (sent, watched) = ("after the workspace was sent", Before(WATCH));
    let azure = [
        (InterruptOnce, "after access was given", After(GIVE)),
        (InterruptOnce, updated, watched),
        (InterruptTwice, sent, After(SEND)),
        (KillProvider, sent, After(SEND)),
        (KillTerraform, "before access is given", Before(GIVE)),
    ];
    [
        signals(Cloud::Aws, "People and machines", &aws),
        signals(
            Cloud::Google,
            "People and machines, on Google Cloud",
            &google,
        ),
        signals(Cloud::Azure, "People and machines, on Azure", &azure),
    ]
    .concat()
}

/// A second Ctrl-C ends Terraform wherever it is: chance decides whether it has written what was made by then to its state. That the
/// next run finds it in the state or in the account is right in either way.
const FOUND_OR_NOT: &[&str] = &[
    "done",
    "done; warns: *The key configuration exists already*",
];

/// The same on Google Cloud, where the configuration comes first: one that is not in the state is planned again, and who will use its
/// key is not known then.
const FOUND_OR_NOT_ON_GOOGLE: &[&str] = &[
    "done",
    "done; warns: *Part of the proof happens at apply*, *The key configuration exists already*",
];

impl Case {
    /// Whether only processes can show it.
    pub fn is_real_alone(&self) -> bool {
        matches!(
            self.mishap,
            Mishap::Signal {
                signal: Signal::InterruptTwice,
                ..
            }
        )
    }

    /// The outcomes of the next run that are all right, where there is more than one.
    pub fn next_outcomes(&self) -> &'static [&'static str] {
        match self.cloud {
            _ if !self.is_real_alone() => &[],
            Cloud::Aws => FOUND_OR_NOT,
            Cloud::Google => FOUND_OR_NOT_ON_GOOGLE,
            // There is no object that could be there twice.
            Cloud::Azure => &[],
        }
    }
}

pub fn all() -> Vec<Case> {
    [account(), clouds(), people()].concat()
}
