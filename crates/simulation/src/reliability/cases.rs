//! The cases: a mishap, the place where it strikes, and the run that meets it.

use dbxcmk_sandbox::WORKSPACE;
use dbxcmk_sandbox::faults::{Effect, Fault};
use dbxcmk_sandbox::world::World;
use time::OffsetDateTime;

use crate::history::Cloud;

/// What happens to a run.
#[derive(Clone, Debug)]
pub enum Mishap {
    /// Requests meet faults.
    Faults(Vec<Fault>),
    /// The world is odd; the second function repairs it before the next run.
    World {
        /// Makes the world odd.
        odd: fn(&mut World),
        /// What ends it.
        mended: fn(&mut World),
    },
    /// A person ends the run, or a part of it, when it has come to a point.
    Signal {
        /// Which process ends, and how.
        signal: Signal,
        /// The point that the run has reached.
        at: Point,
        /// What Databricks does with the keys that it was sent by then; `None`: it takes them.
        then: Option<Effect>,
    },
}

/// What ends a run, or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The user presses Ctrl-C.
    Interrupt,
    /// The process of the provider is killed; Terraform goes on.
    KillProvider,
    /// Terraform is killed, and the provider with it.
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

/// A mishap, where it strikes, and how the page calls it.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it plays.
    pub cloud: Cloud,
    /// The section of the page.
    pub section: &'static str,
    /// The mishap, in words.
    pub fault: String,
    /// The place, in words.
    pub place: String,
    /// What goes wrong in this case.
    pub mishap: Mishap,
    /// The run that meets it.
    pub run: Run,
    /// What that run may come to, where chance decides: all of it is right.
    pub either: &'static [&'static str],
}

/// What sends the keys of a workspace of the account.
pub(super) const ATTACH: &str = "PATCH /workspaces/";
const CREATE: &str = "POST /customer-managed-keys";
/// What writes the policy of a key.
const PUT: &str = "KMS PutKeyPolicy";
const SET: &str = "POST cryptoKeys/key0:setIamPolicy";
const READ: &str = "GET cryptoKeys/key0:getIamPolicy";
/// What is done on Azure.
const GIVE: &str = "PUT /arm/ roleAssignments";
const SEND: &str = "PUT /arm/ Microsoft.Databricks/workspaces";
const WATCH: &str = "GET /arm/ Microsoft.Databricks/operations";

/// The places of the account API where a fault strikes: in words, as the sandbox knows them, and what must come before.
const ACCOUNT_PLACES: [(&str, &str, Option<&str>); 4] = [
    ("creating the key configuration", CREATE, None),
    ("attaching the keys", ATTACH, None),
    ("watching the workspace", "GET /workspaces", Some(ATTACH)),
    (
        "listing key configurations",
        "GET /customer-managed-keys",
        None,
    ),
];

const PAGE: &str = "<!doctype html><html><head><title>Sign In</title></head><body></body></html>";
/// At every request.
const ALWAYS: u32 = 1_000_000;
/// Longer than `http.timeout`, whose default is 60 s.
const TOO_LONG: u64 = 90_000;

fn refused(status: u16, body: String, retry_after: Option<String>) -> Effect {
    Effect::Status {
        status,
        body,
        content_type: None,
        retry_after,
    }
}

fn refusal(status: u16, code: &str, message: &str) -> Effect {
    let body = format!("{{\"error_code\":\"{code}\",\"message\":\"{message}\"}}");
    refused(status, body, None)
}

fn busy(retry_after: Option<String>) -> Effect {
    let body =
        r#"{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"Too many requests."}"#.to_owned();
    refused(429, body, retry_after)
}

fn sign_in() -> Effect {
    Effect::Status {
        status: 200,
        body: PAGE.to_owned(),
        content_type: Some("text/html".to_owned()),
        retry_after: None,
    }
}

/// A moment after the run has begun, as HTTP writes dates. `began`: when a play begins.
fn soon(began: OffsetDateTime) -> String {
    httpdate::fmt_http_date((began + time::Duration::minutes(2)).into())
}

fn account_faults(began: OffsetDateTime) -> Vec<(&'static str, Effect)> {
    let too_late = |milliseconds| Effect::DelayAfter { milliseconds };
    vec![
        (
            "401",
            refusal(401, "UNAUTHENTICATED", "Token is not valid."),
        ),
        (
            "403",
            refusal(403, "PERMISSION_DENIED", "User is not an account admin."),
        ),
        (
            "404",
            refusal(404, "RESOURCE_DOES_NOT_EXIST", "Invalid endpoint."),
        ),
        (
            "409",
            refusal(409, "RESOURCE_CONFLICT", "Another operation is under way."),
        ),
        ("429 without Retry-After", busy(None)),
        (
            "429 with Retry-After in seconds",
            busy(Some("30".to_owned())),
        ),
        ("429 with Retry-After as a date", busy(Some(soon(began)))),
        (
            "500",
            refusal(500, "INTERNAL_ERROR", "Something went wrong."),
        ),
        ("502", Effect::status(502)),
        (
            "503",
            refusal(503, "TEMPORARILY_UNAVAILABLE", "Try again later."),
        ),
        ("504", Effect::status(504)),
        (
            "504 after the request was carried out",
            Effect::StatusAfter { status: 504 },
        ),
        ("an HTML page", sign_in()),
        ("a truncated body", Effect::Truncate),
        ("invalid JSON", Effect::Garble),
        ("a reset before the request arrived", Effect::DropBefore),
        (
            "a reset after the request was carried out",
            Effect::DropAfter,
        ),
        (
            "no answer in time",
            Effect::Delay {
                milliseconds: TOO_LONG,
            },
        ),
        (
            "no answer in time, although carried out",
            too_late(TOO_LONG),
        ),
    ]
}

/// Faults from which a run recovers if they come once, for a service that has them in every answer. `words`: the operations of that service.
fn for_good<'a>(
    on: On,
    words: &'a str,
    faults: impl Iterator<Item = (&'static str, Effect)> + 'a,
) -> impl Iterator<Item = Case> + 'a {
    let refused = |fault: &str| matches!(fault, "403" | "429 without Retry-After" | "503");
    let all = faults.filter(move |(fault, effect)| refused(fault) || *effect == Effect::DropBefore);
    all.map(move |(fault, effect)| {
        let fault = format!("{fault}, every time");
        on.strikes(
            &fault,
            "everything",
            Fault::new(words, effect).times(ALWAYS),
        )
    })
}

/// How a case is made: its section, and its cloud.
#[derive(Clone, Copy)]
struct On(Cloud, &'static str);

impl On {
    fn case(self, fault: &str, place: &str, mishap: Mishap) -> Case {
        Case {
            cloud: self.0,
            section: self.1,
            fault: fault.to_owned(),
            place: place.to_owned(),
            mishap,
            run: Run::Apply,
            either: &[],
        }
    }

    fn strikes(self, fault: &str, place: &str, strikes: Fault) -> Case {
        self.case(fault, place, Mishap::Faults(vec![strikes]))
    }
}

fn account(began: OffsetDateTime) -> Vec<Case> {
    let on = On(Cloud::Aws, "The account API");
    let mut all = Vec::new();
    for (place, operation, after) in ACCOUNT_PLACES {
        for (fault, effect) in account_faults(began) {
            let strikes = Fault {
                after: after.map(str::to_owned),
                ..Fault::new(operation, effect)
            };
            all.push(on.strikes(fault, place, strikes));
        }
    }
    all.extend(for_good(on, "/api/2.0/", account_faults(began).into_iter()));
    for (fault, effect) in token_faults() {
        let strikes = Fault::new("POST /oidc/", effect);
        all.push(on.strikes(fault, "getting a token", strikes));
    }
    all.extend(deleting(on));
    let revoked = Fault {
        skip: 3,
        ..Fault::new(
            "/api/2.0/",
            refusal(401, "UNAUTHENTICATED", "Token is not valid."),
        )
    };
    all.push(on.strikes("a token that is revoked early", "everything", revoked));
    all
}

/// The faults that a request for a token may meet.
fn token_faults() -> [(&'static str, Effect); 5] {
    [
        ("401", Effect::status(401)),
        ("429 without Retry-After", busy(None)),
        ("503", Effect::status(503)),
        ("an HTML page", sign_in()),
        ("a reset before the request arrived", Effect::DropBefore),
    ]
}

fn deleting(on: On) -> impl Iterator<Item = Case> {
    let in_use = "You cannot delete a configuration that is associated with a running workspace.";
    let faults = [
        ("409", refusal(409, "RESOURCE_CONFLICT", in_use)),
        ("500", Effect::status(500)),
        (
            "504 after the request was carried out",
            Effect::StatusAfter { status: 504 },
        ),
        ("a reset before the request arrived", Effect::DropBefore),
        (
            "a reset after the request was carried out",
            Effect::DropAfter,
        ),
    ];
    faults.into_iter().map(move |(fault, effect)| {
        let strikes = Fault::new("DELETE /customer-managed-keys", effect);
        Case {
            run: Run::Destroy,
            ..on.strikes(fault, "deleting the key configuration", strikes)
        }
    })
}

fn set_status(world: &mut World, status: &str) {
    let fields = &mut world.workspace(WORKSPACE).fields;
    fields.insert("workspace_status".to_owned(), status.into());
}

fn databricks() -> Vec<Case> {
    let on = On(Cloud::Aws, "What Databricks does");
    let (attaching, watching) = ("attaching the keys", "watching the workspace");
    let at_attach = |effect| Fault::new(ATTACH, effect);
    let stale = Fault::new("GET /workspaces", Effect::StaleRead);
    let world = |odd, mended| Mishap::World { odd, mended };
    vec![
        on.strikes(
            "an update that Databricks silently reverts",
            attaching,
            at_attach(Effect::Revert),
        ),
        on.strikes(
            "an update that never ends",
            attaching,
            at_attach(Effect::Hang),
        ),
        on.strikes(
            "stale reads after a write",
            watching,
            stale.times(4).after(ATTACH),
        ),
        on.case(
            "running compute in the workspace",
            attaching,
            world(
                |world| world.workspace(WORKSPACE).has_running_compute = true,
                |world| world.workspace(WORKSPACE).has_running_compute = false,
            ),
        ),
        on.case(
            "a workspace that is PROVISIONING",
            attaching,
            world(
                |world| set_status(world, "PROVISIONING"),
                |world| set_status(world, "RUNNING"),
            ),
        ),
        on.case(
            "a workspace that has FAILED",
            attaching,
            world(
                |world| set_status(world, "FAILED"),
                |world| set_status(world, "RUNNING"),
            ),
        ),
    ]
}

/// The random pause of the AWS SDK decides how long a repeated change takes in KMS; a long one leaves time for other writers.
const OVERWRITTEN_OR_NOT: &[&str] = &[
    "done",
    "done; warns: *Another change of the key policy may have been overwritten*",
];

fn kms() -> Vec<Case> {
    let on = On(Cloud::Aws, "AWS KMS");
    let (reading, putting) = ("reading the key policy", "putting the key policy");
    let throttled = || Effect::aws("ThrottlingException", "Rate exceeded");
    let internal = || Effect::aws("KMSInternalException", "The request was rejected.");
    let denied = "User is not authorized to perform: kms:GetKeyPolicy";
    let denied = Effect::aws("AccessDeniedException", denied);
    let unknown = "Policy contains a statement with one or more invalid principals.";
    let unknown = Effect::aws("MalformedPolicyDocumentException", unknown);
    let mut all = Vec::new();
    for (place, operation) in [(reading, "KMS GetKeyPolicy"), (putting, PUT)] {
        for (fault, effect) in [
            ("throttling", throttled()),
            ("an internal error", internal()),
            ("a reset before the request arrived", Effect::DropBefore),
            (
                "a reset after the request was carried out",
                Effect::DropAfter,
            ),
            ("a truncated body", Effect::Truncate),
        ] {
            all.push(Case {
                either: match place == putting {
                    true => OVERWRITTEN_OR_NOT,
                    false => &[],
                },
                ..on.strikes(fault, place, Fault::new(operation, effect))
            });
        }
    }
    let stale = Fault {
        skip: 3,
        ..Fault::new("KMS GetKeyPolicy", Effect::StaleRead).times(3)
    };
    let denied = Fault::new("KMS GetKeyPolicy", denied).times(ALWAYS);
    let unknown = Fault::new(PUT, unknown).times(2);
    let throttled = Fault::new("KMS", throttled()).times(ALWAYS);
    all.push(on.strikes("throttling, every time", "everything", throttled));
    all.push(on.strikes("AccessDenied only on GetKeyPolicy", reading, denied));
    all.push(on.strikes("a principal that AWS does not know yet", putting, unknown));
    all.push(on.strikes("stale reads after a put", putting, stale));
    all
}

/// What Google Cloud and Azure may answer. `refusals`: the errors that are the cloud's own.
fn cloud_faults(
    refusals: [(&'static str, Effect); 5],
) -> impl Iterator<Item = (&'static str, Effect)> + Clone {
    refusals.into_iter().chain([
        ("a reset before the request arrived", Effect::DropBefore),
        (
            "a reset after the request was carried out",
            Effect::DropAfter,
        ),
        ("a truncated body", Effect::Truncate),
        ("invalid JSON", Effect::Garble),
    ])
}

/// What Cloud KMS does. The account API is the same one, whatever the cloud.
fn google() -> Vec<Case> {
    let on = On(Cloud::Google, "Google Cloud KMS");
    let refusal = |status: u16, code: &str, message: &str| {
        let error = format!("\"code\":{status},\"status\":\"{code}\",\"message\":\"{message}\"");
        refused(status, format!("{{\"error\":{{{error}}}}}"), None)
    };
    let conflict = || refusal(409, "ABORTED", "There were concurrent policy changes.");
    let faults = cloud_faults([
        (
            "403",
            refusal(403, "PERMISSION_DENIED", "Permission denied."),
        ),
        ("409", conflict()),
        ("429", refusal(429, "RESOURCE_EXHAUSTED", "Quota exceeded.")),
        ("500", refusal(500, "INTERNAL", "Internal error.")),
        ("503", refusal(503, "UNAVAILABLE", "Try again.")),
    ]);
    let setting = "setting the IAM policy";
    let mut all = Vec::new();
    for (place, operation, skip) in [
        // What the plan and the proofs read comes first.
        ("reading the IAM policy to change it", READ, 3),
        (setting, SET, 0),
    ] {
        for (fault, effect) in faults.clone() {
            let strikes = Fault {
                skip,
                ..Fault::new(operation, effect)
            };
            all.push(on.strikes(fault, place, strikes));
        }
    }
    let stale = Fault {
        skip: 5,
        ..Fault::new(READ, Effect::StaleRead).times(3)
    };
    let missing = "Service account x@p.iam.gserviceaccount.com does not exist.";
    let missing = Fault::new(SET, refusal(400, "INVALID_ARGUMENT", missing)).times(2);
    let conflicts = Fault::new(SET, conflict()).times(6);
    all.push(on.strikes("stale reads after a write", setting, stale));
    all.push(on.strikes(
        "a service account that does not exist yet",
        setting,
        missing,
    ));
    all.push(on.strikes("409, six times", setting, conflicts));
    all.extend(for_good(on, "/keyRings/", faults));
    let names = [
        "before the IAM policy is set",
        "after the IAM policy was set",
    ];
    let on = On(Cloud::Google, "People and machines, on Google Cloud");
    all.extend(signals(on, &account_points(SET, names)));
    all.push(left_behind(on));
    all
}

/// What Resource Manager and Key Vault do.
fn azure() -> Vec<Case> {
    let on = On(Cloud::Azure, "Azure");
    let refusal = |status: u16, code: &str, message: &str| {
        let error = format!("\"code\":\"{code}\",\"message\":\"{message}\"");
        refused(status, format!("{{\"error\":{{{error}}}}}"), None)
    };
    let denied = "The client does not have authorization.";
    let faults = cloud_faults([
        ("403", refusal(403, "AuthorizationFailed", denied)),
        (
            "409",
            refusal(
                409,
                "ConcurrentUpdateError",
                "Another operation is in progress.",
            ),
        ),
        ("429", refusal(429, "TooManyRequests", "Too many requests.")),
        (
            "500",
            refusal(500, "InternalServerError", "Internal error."),
        ),
        ("503", refusal(503, "ServerBusy", "Try again.")),
    ]);
    let (giving, sending) = ("giving access to the key", "sending the workspace");
    let mut all = Vec::new();
    for (place, operation) in [
        (giving, GIVE),
        (sending, SEND),
        ("watching the operation", WATCH),
    ] {
        for (fault, effect) in faults.clone() {
            all.push(on.strikes(fault, place, Fault::new(operation, effect)));
        }
    }
    let missing = "Principal does not exist in the directory.";
    let missing = Fault::new(GIVE, refusal(400, "PrincipalNotFound", missing)).times(2);
    let undone = Fault {
        skip: 1,
        ..Fault::new(SEND, Effect::Revert)
    };
    all.push(on.strikes("a principal that Azure does not know yet", giving, missing));
    all.push(on.strikes("an update that is silently undone", sending, undone));
    all.extend(for_good(on, "/arm/", faults));
    // Resources ask side by side, and which of them meets a fault that comes once is chance.
    for (fault, effect) in token_faults() {
        let strikes = Fault::new("POST /login/", effect).times(ALWAYS);
        all.push(on.strikes(&format!("{fault}, every time"), "getting a token", strikes));
    }
    let points = [
        ("before access is given", Point::Before(GIVE)),
        ("after access was given", Point::After(GIVE)),
        ("before the workspace is sent", Point::Before(SEND)),
        ("after the workspace was sent", Point::After(SEND)),
        ("while the workspace is updated", Point::Before(WATCH)),
    ];
    all.extend(signals(
        On(Cloud::Azure, "People and machines, on Azure"),
        &points,
    ));
    all
}

/// The points of an apply where the account has the keys. `put`: what writes the policy of the key, and the names of the points around it.
fn account_points(put: &'static str, names: [&'static str; 2]) -> [(&'static str, Point); 8] {
    let [before, after] = names;
    [
        (before, Point::Before(put)),
        (after, Point::After(put)),
        (
            "before the key configuration is created",
            Point::Before(CREATE),
        ),
        (
            "after the key configuration was created",
            Point::After(CREATE),
        ),
        ("before the keys are attached", Point::Before(ATTACH)),
        ("after the keys were attached", Point::After(ATTACH)),
        ("while the workspace is updated", Point::Waiting),
        ("while the keys settle", Point::Settling),
    ]
}

fn signals(on: On, points: &[(&'static str, Point)]) -> Vec<Case> {
    let signals = [
        ("Ctrl-C", Signal::Interrupt),
        ("the provider is killed", Signal::KillProvider),
        ("Terraform is killed", Signal::KillTerraform),
    ];
    let mut all = Vec::new();
    for (fault, signal) in signals {
        for (place, at) in points.iter().copied() {
            all.push(on.case(
                fault,
                place,
                Mishap::Signal {
                    signal,
                    at,
                    then: None,
                },
            ));
        }
    }
    all
}

/// A run that ends while its update is under way leaves it to the next one to see that Databricks reverts it.
fn left_behind(on: On) -> Case {
    let mishap = Mishap::Signal {
        signal: Signal::KillTerraform,
        at: Point::Waiting,
        then: Some(Effect::Revert),
    };
    let fault = "Terraform is killed, and Databricks reverts the update";
    on.case(fault, "while the workspace is updated", mishap)
}

/// Every case, in the order of the page. `began`: when a play begins.
pub fn all(began: OffsetDateTime) -> Vec<Case> {
    let names = ["before the policy is put", "after the policy was put"];
    let on_aws = On(Cloud::Aws, "People and machines");
    let mut of_aws = signals(on_aws, &account_points(PUT, names));
    of_aws.push(left_behind(on_aws));
    [
        account(began),
        databricks(),
        kms(),
        of_aws,
        google(),
        azure(),
    ]
    .concat()
}
