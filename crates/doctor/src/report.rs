//! The report: for each service, whether it knows the caller, and which rights are there, missing, or not known. `docs/schemas/doctor.schema.json`
//! describes its JSON.

use std::collections::BTreeSet;

use serde::Serialize;

use super::facts::{Access, Endpoint, Outcome, ServiceFacts};
use super::rights::{Purpose, Right, Service, rights_of};

/// The form of the report. A program that reads it accepts every `1.x`.
pub const FORMAT_VERSION: &str = "1.0";

/// Whether something is there, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is.
    There,
    /// It cannot be told.
    NotKnown,
    /// It is not.
    Missing,
}

impl Verdict {
    /// The exit code of the command: 0 where all is there, 1 where something is missing, 3 where not all could be told.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::There => 0,
            Self::Missing => 1,
            Self::NotKnown => 3,
        }
    }

    /// The word for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::There => "there",
            Self::NotKnown => "not known",
            Self::Missing => "missing",
        }
    }
}

/// What a service lets the caller do, as far as its required rights say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Can {
    /// `terraform plan`
    pub plan: Verdict,
    /// `terraform apply`
    pub apply: Verdict,
    /// `key status`, `disable`, `restore`
    pub kill_switch: Verdict,
    /// `audit`
    pub audit: Verdict,
}

impl Can {
    /// What it says of one purpose.
    pub fn of(&self, purpose: Purpose) -> Verdict {
        match purpose {
            Purpose::Plan => self.plan,
            Purpose::Apply => self.apply,
            Purpose::KillSwitch => self.kill_switch,
            Purpose::Audit => self.audit,
        }
    }
}

/// A right in the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RightReport {
    /// Its name, in the words of the service.
    pub name: &'static str,
    /// On what it was tested.
    pub on: String,
    /// What it is needed for.
    pub purposes: &'static [Purpose],
    /// Whether these do not work without it.
    pub is_required: bool,
    /// Whether the caller has it.
    pub state: Verdict,
    /// How that was found, or why it is not known.
    pub why: String,
    /// What happens without it; none where it is there.
    pub without: Option<&'static str>,
    /// What to do; none where it is there.
    pub what_to_do: Option<String>,
    /// The role that has it, on clouds with roles.
    #[serde(skip)]
    pub role: &'static str,
}

/// Whether a service knows the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It does, and its rights were tested.
    Examined,
    /// No credentials are configured for it.
    NotConfigured,
    /// It does not accept the credentials, or there are none although it is wanted.
    Refused,
    /// It did not answer.
    NotReached,
}

/// A service in the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ServiceReport {
    /// Which one.
    pub service: Service,
    /// Whether it knows the caller.
    pub status: Status,
    /// Who the caller is there.
    pub identity: Option<String>,
    /// The account, project, subscription or tenant.
    pub account: Option<String>,
    /// Why the service does not know the caller.
    pub why: Option<String>,
    /// What helps against that.
    pub what_to_do: Option<String>,
    /// Where its requests go.
    pub endpoints: Vec<Endpoint>,
    /// What the required rights let the caller do; none where nothing was tested.
    pub can: Option<Can>,
    /// The rights, in the order of the table.
    pub rights: Vec<RightReport>,
    /// What else to know.
    pub notes: Vec<String>,
}

impl ServiceReport {
    /// What the service adds to the verdict; none where nothing says that it is wanted.
    pub fn verdict(&self) -> Option<Verdict> {
        match self.status {
            Status::NotConfigured => None,
            Status::Refused => Some(Verdict::Missing),
            Status::NotReached => Some(Verdict::NotKnown),
            Status::Examined => Some(worst(self.rights.iter().map(|right| right.state))),
        }
    }
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DoctorReport {
    /// The form of the report.
    pub format_version: &'static str,
    /// The version of the program.
    pub version: &'static str,
    /// The worst of all services that are wanted. Missing where none is configured.
    pub verdict: Verdict,
    /// The services.
    pub services: Vec<ServiceReport>,
}

fn worst(all: impl Iterator<Item = Verdict>) -> Verdict {
    all.max().unwrap_or(Verdict::There)
}

/// What helps where it is not known whether the caller has a right.
fn test(service: Service, who: &str) -> String {
    match service {
        Service::Databricks => "Run the command again when the account answers.".to_owned(),
        Service::Aws => format!(
            "Allow {who} iam:SimulatePrincipalPolicy and iam:GetRole on its own role, and name a key with `--key`."
        ),
        Service::Google => "Name a key with `--key`, or set GOOGLE_PROJECT.".to_owned(),
        Service::Azure => {
            "Name a key with `--key`, or check in the portal: Access control (IAM) > Check access."
                .to_owned()
        }
    }
}

/// The identity as Google's policies name it; a word to replace where it is not known.
fn member(who: &str) -> String {
    match who {
        email if email.ends_with(".gserviceaccount.com") => format!("serviceAccount:{email}"),
        email if email.contains('@') => format!("user:{email}"),
        _ => "MEMBER".to_owned(),
    }
}

/// What to do about rights that are missing on one thing, or not known.
pub(super) fn remedy(service: Service, who: &str, rights: &[&RightReport]) -> String {
    let Some(first) = rights.first() else {
        return String::new();
    };
    if first.state == Verdict::NotKnown {
        return test(service, who);
    }
    let on = first.on.as_str();
    let roles: BTreeSet<&str> = rights.iter().map(|one| one.role).collect();
    match service {
        Service::Databricks => format!(
            "Make {who} an account admin: account console > User management > Service principals > Roles > Account admin."
        ),
        Service::Aws => {
            let actions: Vec<String> = rights
                .iter()
                .map(|one| format!("\"{}\"", one.name))
                .collect();
            let actions = match actions.as_slice() {
                [one] => one.clone(),
                all => format!("[{}]", all.join(", ")),
            };
            format!(
                "Allow it in an IAM policy of {who}, or in the key policy:\n{{ \"Effect\": \"Allow\", \"Action\": {actions}, \"Resource\": \"{on}\" }}"
            )
        }
        Service::Google => {
            let project = on.strip_prefix("projects/").unwrap_or(on);
            let project = project.split('/').next().unwrap_or_default();
            let project = if project.is_empty() {
                "PROJECT"
            } else {
                project
            };
            let member = member(who);
            let commands: Vec<String> = roles
                .iter()
                .map(|role| format!("gcloud projects add-iam-policy-binding {project} --member={member} --role={role}"))
                .collect();
            format!(
                "Grant a role that has it, such as:\n{}",
                commands.join("\n")
            )
        }
        // A role of the directory, not of Azure.
        Service::Azure if roles.contains("Directory Readers") => format!(
            "Assign {who} the directory role Directory Readers, or Application.Read.All in Microsoft Graph. Or set \
             `azure.databricks_principal_id` (`--databricks-principal-id`)."
        ),
        Service::Azure => {
            let scope = match on.starts_with("/subscriptions/") {
                true => on,
                false => "SCOPE",
            };
            let assignee = who.rsplit(' ').next().unwrap_or_default();
            let commands: Vec<String> = roles
                .iter()
                .map(|role| format!("az role assignment create --assignee {assignee} --role \"{role}\" --scope {scope}"))
                .collect();
            format!(
                "Assign a role that has it, such as:\n{}",
                commands.join("\n")
            )
        }
    }
}

/// A right with what came of its test; none where nobody needs it here.
fn reported(facts: &ServiceFacts, right: &'static Right, who: &str) -> Option<RightReport> {
    let tested = facts.tested.iter().find(|one| one.name == right.name);
    let on = tested.map(|one| one.on.clone()).unwrap_or_default();
    let (state, why) = match tested.map(|one| &one.outcome) {
        Some(Outcome::NotNeeded) => return None,
        Some(Outcome::There(why)) => (Verdict::There, why.clone()),
        Some(Outcome::Missing(why)) => (Verdict::Missing, why.clone()),
        Some(Outcome::NotKnown(why)) => (Verdict::NotKnown, why.clone()),
        None => (Verdict::NotKnown, "It was not tested.".to_owned()),
    };
    let is_there = state == Verdict::There;
    let mut report = RightReport {
        name: right.name,
        on,
        purposes: right.purposes,
        is_required: right.is_required,
        state,
        why,
        without: (!is_there).then_some(right.without),
        what_to_do: None,
        role: right.role,
    };
    if !is_there {
        report.what_to_do = Some(remedy(facts.service, who, &[&report]));
    }
    Some(report)
}

fn service(facts: ServiceFacts) -> ServiceReport {
    let mut report = ServiceReport {
        service: facts.service,
        status: Status::Examined,
        identity: None,
        account: facts.account.clone(),
        why: None,
        what_to_do: None,
        endpoints: facts.endpoints.clone(),
        can: None,
        rights: Vec::new(),
        notes: facts.notes.clone(),
    };
    match &facts.access {
        Access::As(who) => {
            let all = rights_of(facts.service).iter();
            report.rights = all
                .filter_map(|right| reported(&facts, right, who))
                .collect();
            let of = |purpose: Purpose| {
                let needed = report
                    .rights
                    .iter()
                    .filter(|right| right.is_required && right.purposes.contains(&purpose));
                worst(needed.map(|right| right.state))
            };
            report.can = Some(Can {
                plan: of(Purpose::Plan),
                apply: of(Purpose::Apply),
                kill_switch: of(Purpose::KillSwitch),
                audit: of(Purpose::Audit),
            });
            report.identity = Some(who.clone());
        }
        Access::NotConfigured(why) => {
            report.status = Status::NotConfigured;
            report.why = Some(why.clone());
        }
        Access::Refused { why, what_to_do } => {
            report.status = Status::Refused;
            report.why = Some(why.clone());
            report.what_to_do = Some(what_to_do.clone());
        }
        Access::NotReached(why) => {
            report.status = Status::NotReached;
            report.why = Some(why.clone());
            report.what_to_do = Some(
                "Check the network, the proxy and the address, and run the command again."
                    .to_owned(),
            );
        }
    }
    report
}

/// The report on what was found out.
pub fn diagnose(facts: Vec<ServiceFacts>) -> DoctorReport {
    let services: Vec<ServiceReport> = facts.into_iter().map(service).collect();
    let verdict = services
        .iter()
        .filter_map(ServiceReport::verdict)
        .max()
        // Where no service is configured, everything is missing.
        .unwrap_or(Verdict::Missing);
    DoctorReport {
        format_version: FORMAT_VERSION,
        version: env!("CARGO_PKG_VERSION"),
        verdict,
        services,
    }
}
