//! The cases: a fault, and the place where it strikes.

use dbxcmk_sandbox::WORKSPACE;
use dbxcmk_sandbox::faults::{Effect, Fault};
use dbxcmk_sandbox::world::World;

/// What happens to a run.
#[derive(Clone, Debug)]
pub enum Mishap {
    /// Requests meet faults.
    Faults(Vec<Fault>),
    /// The world is odd; `mended` undoes it before the next apply.
    World {
        odd: fn(&mut World),
        mended: fn(&mut World),
    },
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
    pub fault: String,
    pub place: String,
    pub mishap: Mishap,
    pub run: Run,
}

/// The places of the account API where a fault strikes: in words, as the sandbox knows them, and what has to come before.
const ACCOUNT_PLACES: [(&str, &str, Option<&str>); 4] = [
    (
        "creating the key configuration",
        "POST /customer-managed-keys",
        None,
    ),
    ("attaching the keys", "PATCH /workspaces/", None),
    (
        "watching the workspace",
        "GET /workspaces",
        Some("PATCH /workspaces/"),
    ),
    (
        "listing key configurations",
        "GET /customer-managed-keys",
        None,
    ),
];

/// What is done on Azure, as the sandbox knows it.
const GIVE: &str = "PUT /arm/ roleAssignments";
const SEND: &str = "PUT /arm/ Microsoft.Databricks/workspaces";
const WATCH: &str = "GET /arm/ Microsoft.Databricks/operations";

const PAGE: &str = "<!doctype html><html><head><title>Sign In</title></head><body></body></html>";

fn refusal(status: u16, code: &str, message: &str) -> Effect {
    let body = format!("{{\"error_code\":\"{code}\",\"message\":\"{message}\"}}");
    Effect::Status {
        status,
        body,
        content_type: None,
        retry_after: None,
    }
}

fn busy(retry_after: Option<String>) -> Effect {
    let body =
        r#"{"error_code":"REQUEST_LIMIT_EXCEEDED","message":"Too many requests."}"#.to_owned();
    Effect::Status {
        status: 429,
        body,
        content_type: None,
        retry_after,
    }
}

/// A second from now, as HTTP writes dates.
fn soon() -> String {
    httpdate::fmt_http_date(std::time::SystemTime::now() + std::time::Duration::from_secs(2))
}

fn account_faults() -> Vec<(&'static str, Effect)> {
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
            busy(Some("1".to_owned())),
        ),
        ("429 with Retry-After as a date", busy(Some(soon()))),
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
        (
            "an HTML page",
            Effect::Status {
                status: 200,
                body: PAGE.to_owned(),
                content_type: Some("text/html".to_owned()),
                retry_after: None,
            },
        ),
        ("a truncated body", Effect::Truncate),
        ("invalid JSON", Effect::Garble),
        ("a reset before the request arrived", Effect::DropBefore),
        (
            "a reset after the request was carried out",
            Effect::DropAfter,
        ),
        (
            "no answer for 30 s",
            Effect::Delay {
                milliseconds: 30_000,
            },
        ),
        (
            "no answer for 30 s, although carried out",
            Effect::DelayAfter {
                milliseconds: 30_000,
            },
        ),
    ]
}

fn case(section: &'static str, fault: &str, place: &str, mishap: Mishap) -> Case {
    Case {
        cloud: Cloud::Aws,
        section,
        fault: fault.to_owned(),
        place: place.to_owned(),
        mishap,
        run: Run::Apply,
    }
}

fn one(operation: &str, effect: Effect) -> Mishap {
    Mishap::Faults(vec![Fault::new(operation, effect)])
}

fn account() -> Vec<Case> {
    let section = "The account API";
    let mut all = Vec::new();
    for (place, operation, after) in ACCOUNT_PLACES {
        for (fault, effect) in account_faults() {
            let strikes = Fault {
                after: after.map(str::to_owned),
                ..Fault::new(operation, effect)
            };
            all.push(case(section, fault, place, Mishap::Faults(vec![strikes])));
        }
    }
    for (fault, effect) in account_faults() {
        // What comes once is got over; these come for good.
        if matches!(
            fault,
            "403" | "429 without Retry-After" | "503" | "a reset before the request arrived"
        ) {
            let for_good = Mishap::Faults(vec![Fault::new("/api/2.0/", effect).times(1_000_000)]);
            all.push(case(
                section,
                &format!("{fault}, every time"),
                "everything",
                for_good,
            ));
        }
    }
    for (fault, effect) in [
        ("401", Effect::status(401)),
        ("429 without Retry-After", busy(None)),
        ("503", Effect::status(503)),
        (
            "an HTML page",
            Effect::Status {
                status: 200,
                body: PAGE.to_owned(),
                content_type: Some("text/html".to_owned()),
                retry_after: None,
            },
        ),
        ("a reset before the request arrived", Effect::DropBefore),
    ] {
        all.push(case(
            section,
            fault,
            "getting a token",
            one("POST /oidc/", effect),
        ));
    }
    for (fault, effect) in [
        (
            "409",
            refusal(
                409,
                "RESOURCE_CONFLICT",
                "You cannot delete a configuration that is associated with a running workspace.",
            ),
        ),
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
    ] {
        let mishap = one("DELETE /customer-managed-keys", effect);
        all.push(Case {
            run: Run::Destroy,
            ..case(section, fault, "deleting the key configuration", mishap)
        });
    }
    all.push(case(
        section,
        "a token that is revoked early",
        "everything",
        Mishap::Faults(vec![Fault {
            skip: 3,
            ..Fault::new(
                "/api/2.0/",
                refusal(401, "UNAUTHENTICATED", "Token is not valid."),
            )
        }]),
    ));
    all
}

fn workspace(world: &mut World) -> &mut dbxcmk_sandbox::world::Workspace {
    world.workspace(WORKSPACE)
}

fn databricks() -> Vec<Case> {
    let section = "What Databricks does";
    let hang = Mishap::Faults(vec![Fault::new("PATCH /workspaces/", Effect::Hang)]);
    vec![
        case(
            section,
            "an update that Databricks silently reverts",
            "attaching the keys",
            one("PATCH /workspaces/", Effect::Revert),
        ),
        case(
            section,
            "an update that never ends",
            "attaching the keys",
            hang,
        ),
        case(
            section,
            "stale reads after a write",
            "watching the workspace",
            Mishap::Faults(vec![
                Fault::new("GET /workspaces", Effect::StaleRead)
                    .times(4)
                    .after("PATCH /workspaces/"),
            ]),
        ),
        case(
            section,
            "running compute in the workspace",
            "attaching the keys",
            Mishap::World {
                odd: |world| workspace(world).has_running_compute = true,
                mended: |world| workspace(world).has_running_compute = false,
            },
        ),
        case(
            section,
            "a workspace that is PROVISIONING",
            "attaching the keys",
            Mishap::World {
                odd: |world| set_status(world, "PROVISIONING"),
                mended: |world| set_status(world, "RUNNING"),
            },
        ),
        case(
            section,
            "a workspace that has FAILED",
            "attaching the keys",
            Mishap::World {
                odd: |world| set_status(world, "FAILED"),
                mended: |world| set_status(world, "RUNNING"),
            },
        ),
    ]
}

fn set_status(world: &mut World, status: &str) {
    workspace(world)
        .fields
        .insert("workspace_status".to_owned(), status.into());
}

fn kms() -> Vec<Case> {
    let section = "AWS KMS";
    let throttled = || Effect::aws("ThrottlingException", "Rate exceeded");
    let denied = Effect::aws(
        "AccessDeniedException",
        "User is not authorized to perform: kms:GetKeyPolicy",
    );
    let unknown = Effect::aws(
        "MalformedPolicyDocumentException",
        "Policy contains a statement with one or more invalid principals.",
    );
    let mut all = Vec::new();
    for (place, operation) in [
        ("reading the key policy", "KMS GetKeyPolicy"),
        ("putting the key policy", "KMS PutKeyPolicy"),
    ] {
        for (fault, effect) in [
            ("throttling", throttled()),
            (
                "an internal error",
                Effect::aws("KMSInternalException", "The request was rejected."),
            ),
            ("a reset before the request arrived", Effect::DropBefore),
            (
                "a reset after the request was carried out",
                Effect::DropAfter,
            ),
            ("a truncated body", Effect::Truncate),
        ] {
            all.push(case(section, fault, place, one(operation, effect)));
        }
    }
    all.push(case(
        section,
        "throttling, every time",
        "everything",
        Mishap::Faults(vec![Fault::new("KMS", throttled()).times(1_000_000)]),
    ));
    all.push(case(
        section,
        "AccessDenied only on GetKeyPolicy",
        "reading the key policy",
        Mishap::Faults(vec![
            Fault::new("KMS GetKeyPolicy", denied).times(1_000_000),
        ]),
    ));
    all.push(case(
        section,
        "a principal that AWS does not know yet",
        "putting the key policy",
        Mishap::Faults(vec![Fault::new("KMS PutKeyPolicy", unknown).times(2)]),
    ));
    all.push(case(
        section,
        "stale reads after a put",
        "putting the key policy",
        Mishap::Faults(vec![Fault {
            skip: 3,
            ..Fault::new("KMS GetKeyPolicy", Effect::StaleRead).times(3)
        }]),
    ));
    all
}

/// What Cloud KMS does. The account API is the same one, whatever the cloud.
fn google() -> Vec<Case> {
    let section = "Google Cloud KMS";
    let refusal = |status: u16, code: &str, message: &str| {
        let body = format!(
            "{{\"error\":{{\"code\":{status},\"status\":\"{code}\",\"message\":\"{message}\"}}}}"
        );
        Effect::Status {
            status,
            body,
            content_type: None,
            retry_after: None,
        }
    };
    let faults = [
        (
            "403",
            refusal(403, "PERMISSION_DENIED", "Permission denied."),
        ),
        (
            "409",
            refusal(409, "ABORTED", "There were concurrent policy changes."),
        ),
        ("429", refusal(429, "RESOURCE_EXHAUSTED", "Quota exceeded.")),
        ("500", refusal(500, "INTERNAL", "Internal error.")),
        ("503", refusal(503, "UNAVAILABLE", "Try again.")),
        ("a reset before the request arrived", Effect::DropBefore),
        (
            "a reset after the request was carried out",
            Effect::DropAfter,
        ),
        ("a truncated body", Effect::Truncate),
        ("invalid JSON", Effect::Garble),
    ];
    let mut all = Vec::new();
    for (place, operation, skip) in [
        // What the plan and the proofs read comes first.
        (
            "reading the IAM policy to change it",
            "GET cryptoKeys/main:getIamPolicy",
            4,
        ),
        (
            "setting the IAM policy",
            "POST cryptoKeys/main:setIamPolicy",
            0,
        ),
    ] {
        for (fault, effect) in faults.clone() {
            let strikes = Fault {
                skip,
                ..Fault::new(operation, effect)
            };
            all.push(case(section, fault, place, Mishap::Faults(vec![strikes])));
        }
    }
    let stale = Fault {
        skip: 5,
        ..Fault::new("GET cryptoKeys/main:getIamPolicy", Effect::StaleRead).times(3)
    };
    let missing = "Service account x@p.iam.gserviceaccount.com does not exist.";
    for (fault, place, faults) in [
        (
            "stale reads after a write",
            "setting the IAM policy",
            vec![stale],
        ),
        (
            "a service account that does not exist yet",
            "setting the IAM policy",
            vec![
                Fault::new(
                    "POST cryptoKeys/main:setIamPolicy",
                    refusal(400, "INVALID_ARGUMENT", missing),
                )
                .times(2),
            ],
        ),
        (
            "409, six times",
            "setting the IAM policy",
            vec![
                Fault::new(
                    "POST cryptoKeys/main:setIamPolicy",
                    refusal(409, "ABORTED", "There were concurrent policy changes."),
                )
                .times(6),
            ],
        ),
    ] {
        all.push(case(section, fault, place, Mishap::Faults(faults)));
    }
    let signals = signals(
        "People and machines, on Google Cloud",
        "setIamPolicy",
        [
            "before the IAM policy is set",
            "after the IAM policy was set",
        ],
    );
    all.into_iter()
        .chain(signals)
        .map(|one| Case {
            cloud: Cloud::Google,
            ..one
        })
        .collect()
}

/// What Resource Manager and Key Vault do.
fn azure() -> Vec<Case> {
    let section = "Azure";
    let refusal = |status: u16, code: &str, message: &str| Effect::Status {
        status,
        body: format!("{{\"error\":{{\"code\":\"{code}\",\"message\":\"{message}\"}}}}"),
        content_type: None,
        retry_after: None,
    };
    let faults = [
        (
            "403",
            refusal(
                403,
                "AuthorizationFailed",
                "The client does not have authorization.",
            ),
        ),
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
        ("a reset before the request arrived", Effect::DropBefore),
        (
            "a reset after the request was carried out",
            Effect::DropAfter,
        ),
        ("a truncated body", Effect::Truncate),
        ("invalid JSON", Effect::Garble),
    ];
    let mut all = Vec::new();
    for (place, operation) in [
        ("giving access to the key", GIVE),
        ("sending the workspace", SEND),
        ("watching the operation", WATCH),
    ] {
        for (fault, effect) in faults.clone() {
            let strikes = vec![Fault::new(operation, effect)];
            all.push(case(section, fault, place, Mishap::Faults(strikes)));
        }
    }
    let missing = refusal(
        400,
        "PrincipalNotFound",
        "Principal does not exist in the directory.",
    );
    for (fault, place, strikes) in [
        (
            "a principal that Azure does not know yet",
            "giving access to the key",
            Fault::new(GIVE, missing).times(2),
        ),
        (
            "an update that is silently undone",
            "sending the workspace",
            Fault {
                skip: 1,
                ..Fault::new(SEND, Effect::Revert)
            },
        ),
    ] {
        all.push(case(section, fault, place, Mishap::Faults(vec![strikes])));
    }
    let points = [
        ("before access is given", Point::Before(GIVE)),
        ("after access was given", Point::After(GIVE)),
        ("before the workspace is sent", Point::Before(SEND)),
        ("after the workspace was sent", Point::After(SEND)),
        ("while the workspace is updated", Point::Before(WATCH)),
    ];
    let signals = every_signal("People and machines, on Azure", &points);
    all.into_iter()
        .chain(signals)
        .map(|one| Case {
            cloud: Cloud::Azure,
            ..one
        })
        .collect()
}

/// `put`: the operation that writes the policy of the key.
fn signals(section: &'static str, put: &'static str, of_put: [&'static str; 2]) -> Vec<Case> {
    let points = [
        (of_put[0], Point::Before(put)),
        (of_put[1], Point::After(put)),
        (
            "before the key configuration is created",
            Point::Before("POST /customer-managed-keys"),
        ),
        (
            "after the key configuration was created",
            Point::After("POST /customer-managed-keys"),
        ),
        (
            "before the keys are attached",
            Point::Before("PATCH /workspaces/"),
        ),
        (
            "after the keys were attached",
            Point::After("PATCH /workspaces/"),
        ),
        ("while the workspace is updated", Point::Waiting),
        ("while the keys settle", Point::Settling),
    ];
    every_signal(section, &points)
}

fn every_signal(section: &'static str, points: &[(&'static str, Point)]) -> Vec<Case> {
    let signals = [
        ("Ctrl-C", Signal::InterruptOnce),
        ("Ctrl-C twice", Signal::InterruptTwice),
        ("the provider is killed", Signal::KillProvider),
        ("Terraform is killed", Signal::KillTerraform),
    ];
    let mut all = Vec::new();
    for (fault, signal) in signals {
        for (place, at) in points.iter().copied() {
            all.push(case(section, fault, place, Mishap::Signal { signal, at }));
        }
    }
    all
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
    /// The outcomes of the next run that are all right, where there is more than one.
    pub fn next_outcomes(&self) -> &'static [&'static str] {
        match &self.mishap {
            Mishap::Signal {
                signal: Signal::InterruptTwice,
                at,
            } => match at {
                // There is no object that could be there twice.
                _ if self.cloud == Cloud::Azure => &[],
                Point::Before("POST /customer-managed-keys") => &[],
                _ if self.cloud == Cloud::Google => FOUND_OR_NOT_ON_GOOGLE,
                // Nothing was made by then.
                Point::Before("KMS PutKeyPolicy") | Point::After("KMS PutKeyPolicy") => &[],
                _ => FOUND_OR_NOT,
            },
            _ => &[],
        }
    }
}

pub fn all() -> Vec<Case> {
    let of_aws = signals(
        "People and machines",
        "KMS PutKeyPolicy",
        ["before the policy is put", "after the policy was put"],
    );
    [account(), databricks(), kms(), of_aws, google(), azure()].concat()
}
