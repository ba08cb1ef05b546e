//! What the proof finds, as diagnostics: each thing once a run, errors before advice, remedies in HCL.

use super::ignored::{IgnoreFindings, silenced};
use crate::preflight::{self, Finding, Hint, Id, Stage};
use crate::provider::run::RunMemory;
use crate::vocabulary::gcp::{CryptoKeyName, ProjectNumber, ServiceAccount};
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics, Severity};

/// How the provider block wants findings to be reported.
#[derive(Debug)]
pub struct Reporter {
    enforces: bool,
    ignored: Vec<Id>,
}

impl Reporter {
    /// `enforces`: whether errors stop a run; `ignored`: what is not reported, whichever resource finds it.
    pub fn new(enforces: bool, ignored: Vec<Id>) -> Self {
        Self { enforces, ignored }
    }

    /// Which findings stop a run, where the resource ignores some.
    pub fn stops(&self, ignored: &IgnoreFindings) -> Stops {
        let here = silenced(ignored);
        Stops {
            enforces: self.enforces,
            ignored: self.ignored.iter().copied().chain(here).collect(),
        }
    }

    /// Findings as diagnostics, without those that the provider or the resource ignores: errors stop under `preflight =
    /// "enforce"`, and are warnings under `"warn"`. Advice belongs to the plan, and does not come before an error. The provider
    /// does not repeat what another resource of this run has reported already; it shortens such an error, so that it still stops.
    pub fn report(
        &self,
        run: &RunMemory,
        findings: Vec<Finding>,
        ignored: &IgnoreFindings,
        stage: Stage,
        place: impl Fn(&Finding) -> &'static str,
    ) -> Diagnostics {
        let here = silenced(ignored);
        let shown =
            |finding: &Finding| !self.ignored.contains(&finding.id) && !here.contains(&finding.id);
        let findings: Vec<Finding> = findings.into_iter().filter(shown).collect();
        let is_error = |finding: &Finding| finding.severity == preflight::Severity::Error;
        let refused = self.enforces && findings.iter().any(is_error);
        let mut diagnostics = Diagnostics::new();
        for mut finding in findings {
            let is_error = is_error(&finding);
            if finding.is_advice() && (stage == Stage::Apply || refused) {
                continue;
            }
            // The same can be found for several purposes, which the summary names.
            let is_new = run.is_first_report(format!(
                "{} {is_error} {} {}",
                finding.id, finding.summary, finding.found
            ));
            let softened = !self.enforces && is_error;
            if softened {
                finding.severity = preflight::Severity::Warning;
            }
            let path = place(&finding);
            match (is_new || stage == Stage::Apply, finding.severity) {
                (true, _) => diagnostics.push(in_full(&finding, softened).on(path)),
                (false, preflight::Severity::Error) => {
                    diagnostics.push(in_short(&finding).on(path))
                }
                (false, preflight::Severity::Warning) => {}
            }
        }
        diagnostics
    }
}

/// Which findings stop a run.
#[derive(Clone, Debug)]
pub struct Stops {
    enforces: bool,
    ignored: Vec<Id>,
}

impl Stops {
    /// Errors stop a run that `enforces` the proof, without those that are ignored.
    #[cfg(test)]
    pub fn of(enforces: bool, ignored: &[Id]) -> Self {
        Self {
            enforces,
            ignored: ignored.to_vec(),
        }
    }

    /// Whether errors stop it.
    pub fn enforces(&self) -> bool {
        self.enforces
    }

    /// What of the proof does not stop the run, as a line for the reviewer of a plan; `None` where all of it does.
    pub fn exceptions(&self) -> Option<String> {
        let mut ignored: Vec<&str> = self.ignored.iter().map(|id| id.name()).collect();
        ignored.sort_unstable();
        ignored.dedup();
        match (self.enforces, ignored.is_empty()) {
            (true, true) => None,
            (true, false) => Some(format!("Ignored: {}", ignored.join(", "))),
            (false, true) => Some("Enforced: no (`preflight = \"warn\"`)".to_owned()),
            (false, false) => Some(format!(
                "Enforced: no (`preflight = \"warn\"`); ignored: {}",
                ignored.join(", ")
            )),
        }
    }

    /// Whether this one does.
    pub fn at(&self, finding: &Finding) -> bool {
        let is_error = finding.severity == preflight::Severity::Error;
        self.enforces && is_error && !self.ignored.contains(&finding.id)
    }
}

/// Shows the user what only warns, and fails with what stops.
///
/// # Errors
/// What of it stops.
pub fn split<C>(cx: &Context<C>, diagnostics: Diagnostics) -> Result<(), Diagnostics> {
    let (errors, warnings): (Vec<_>, Vec<_>) = diagnostics
        .into_iter()
        .partition(|diagnostic| diagnostic.severity == Severity::Error);
    warnings.into_iter().for_each(|warning| cx.warn(warning));
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors.into_iter().collect())
    }
}

/// Findings about something that is there already and does not change: what would fail now is worth knowing, and no reason to
/// stop a plan. What could not be read stays a warning, because an unreadable key may be a disabled one. Advice was given when it
/// was made, except about a date that comes nearer.
pub fn as_warnings(findings: Vec<Finding>) -> Vec<Finding> {
    findings
        .into_iter()
        .filter(|finding| !finding.is_advice() || finding.id.comes_nearer())
        .map(softened)
        .collect()
}

/// The same for a binding that is new and finds its keys on the workspace, as where the keys were set when the workspace was created:
/// no earlier plan gave the advice.
pub fn as_first_warnings(findings: Vec<Finding>) -> Vec<Finding> {
    findings.into_iter().map(softened).collect()
}

fn softened(mut finding: Finding) -> Finding {
    finding.severity = preflight::Severity::Warning;
    finding
}

/// The same, as a warning: it is about one of several objects, and no reason to hide the others.
pub fn as_warning(diagnostic: Diagnostic) -> Diagnostic {
    diagnostic.with_severity(Severity::Warning)
}

/// A finding of the offline check, as an error.
pub fn offline(finding: Finding) -> Diagnostic {
    in_full(&finding, false)
}

/// A finding with everything that there is to say. `softened`: it would have been an error but for `preflight = "warn"`.
fn in_full(finding: &Finding, softened: bool) -> Diagnostic {
    let note = if softened {
        "\n\nThis does not stop the run because the provider has `preflight = \"warn\"`."
    } else {
        ""
    };
    let detail = format!(
        "{}\n\n{}\n\n{}{note}\n\n[{}]",
        finding.found,
        finding.why,
        finding.remedy.text(|hint| Some(in_hcl(hint))),
        finding.id
    );
    let severity = match finding.severity {
        preflight::Severity::Warning => Severity::Warning,
        preflight::Severity::Error => Severity::Error,
    };
    let diagnostic = Diagnostic::error(finding.summary.clone(), detail).with_severity(severity);
    match (&finding.about, severity) {
        (Some(name), Severity::Warning) => diagnostic.about(name),
        _ => diagnostic,
    }
}

/// A finding that another resource of this run has said in full.
fn in_short(finding: &Finding) -> Diagnostic {
    let first = finding.found.split("\n\n").next().unwrap_or_default();
    let detail = format!(
        "{first}\n\nThe same finding of another resource shows why it matters and what to do.\n\n[{}]",
        finding.id
    );
    Diagnostic::error(finding.summary.clone(), detail)
}

/// A hint as what the user writes in HCL.
pub fn in_hcl(hint: &Hint) -> String {
    match hint {
        Hint::AddStatement { use_case, planned: false } => format!(
            "Let `dbxcmk_key_policy` manage the statement (`use_cases` with \"{use_case}\"), and refer to its `aws.key_arn`. Or add it to the \
             policy where you manage it:"
        ),
        Hint::AddStatement { planned: true, .. } => {
            "Extend the `dbxcmk_key_policy` of this key so that it grants this:".to_owned()
        }
        Hint::ReferToPolicy(cloud) => {
            let path = cloud.words().attribute;
            let own = path.rsplit('.').next().unwrap_or(path);
            format!(
                "Refer to the key policy, so that Terraform plans and applies it first:\n\n  {own} = dbxcmk_key_policy.….{path}"
            )
        }
        Hint::NameRoleOrExcludeVolumes => {
            "Set `cross_account_role_arn` in `dbxcmk_key_policy`. If clusters should not use this key, set `reuse_key_for_cluster_volumes = \
             false`."
                .to_owned()
        }
        Hint::ExcludeVolumes => {
            "If no cluster uses this key, use a key configuration with `reuse_key_for_cluster_volumes = false`.".to_owned()
        }
        Hint::Suppression(id) => format!("If you know that this is correct, set `ignore_findings = [\"{id}\"]`."),
        Hint::EncryptionKey => {
            "Use a key with `key_usage = \"ENCRYPT_DECRYPT\"`, which is the default of `aws_kms_key`.".to_owned()
        }
        Hint::SymmetricKey => {
            "Use a key with `customer_master_key_spec = \"SYMMETRIC_DEFAULT\"`, which is the default of `aws_kms_key`.".to_owned()
        }
        Hint::OwnKey => "Create a customer managed key with `aws_kms_key`, and use that key.".to_owned(),
        Hint::Rotate => "Set `enable_key_rotation = true` on the `aws_kms_key`, or run:".to_owned(),
        Hint::ReferToConfiguration => {
            "Refer to the resource (`dbxcmk_key_configuration.….id`), or find the ID in the account console under Cloud resources > Encryption \
             keys. If the ID is correct, check `account_id` and `host` of the provider."
                .to_owned()
        }
        Hint::ConfigurationFor(case) => {
            format!("Create a `dbxcmk_key_configuration` whose `use_cases` contain \"{case}\", and refer to that one.")
        }
        Hint::AddUseCase(case) => format!(
            "Add \"{case}\" to `use_cases` of the `dbxcmk_key_configuration`, or refer to one that has it."
        ),
        Hint::KeepStorage(id) => {
            format!("Keep the configuration that is attached:\n\n  storage_key_configuration_id = \"{id}\"")
        }
        Hint::GrantMembers {
            key,
            accounts,
            project,
            bucket_projects,
        } => granting(key, accounts, project.as_ref(), bucket_projects),
        Hint::RotateVersions => "Let Cloud KMS rotate the key, and keep old versions enabled: they decrypt old data. On the \
                                 `google_kms_crypto_key`:\n\n  rotation_period = \"7776000s\"\n\nOr run:"
            .to_owned(),
        Hint::ManagedServicesAlone => {
            "Set only `managed_services_key_configuration_id`, and remove `storage_key_configuration_id`.".to_owned()
        }
    }
}

/// One `gcp` block that grants everybody the use of a key, ready to paste.
fn granting(
    key: &CryptoKeyName,
    accounts: &[ServiceAccount],
    project: Option<&ProjectNumber>,
    bucket_projects: &[ProjectNumber],
) -> String {
    let mut lines = vec![format!("kms_key_id                  = \"{key}\"")];
    if !accounts.is_empty() {
        let all: Vec<String> = accounts.iter().map(|one| format!("\"{one}\"")).collect();
        lines.push(format!(
            "databricks_service_accounts = [{}]",
            all.join(", ")
        ));
    }
    if let Some(number) = project {
        lines.push(format!("workspace_project_number    = \"{number}\""));
    }
    if !bucket_projects.is_empty() {
        let all: Vec<String> = bucket_projects
            .iter()
            .map(|one| format!("\"{one}\""))
            .collect();
        lines.push(format!(
            "bucket_project_numbers      = [{}]",
            all.join(", ")
        ));
    }
    let cases = match (project, bucket_projects) {
        (Some(_), []) => " (`use_cases` with \"STORAGE\")",
        (None, []) => "",
        (None, _) => " (`use_cases` with \"UNITY_CATALOG\")",
        (Some(_), _) => " (`use_cases` with \"STORAGE\" and \"UNITY_CATALOG\")",
    };
    format!(
        "Grant it with the `dbxcmk_key_policy` of the key{cases}:\n\n  gcp = {{\n    {}\n  }}\n\nOr run:",
        lines.join("\n    ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tfplugin::bridge::Attr;

    /// A finding about two purposes names both, each once.
    #[test]
    fn each_purpose_is_said() {
        let (reporter, run) = (Reporter::new(true, Vec::new()), RunMemory::default());
        let finding = |case: &str| {
            Id::PolicyUndetermined
                .error(preflight::Subject::Key)
                .summary(format!("It cannot be proven for {case}"))
                .found("It depends on aws:SourceIp.")
        };
        let both = || vec![finding("managed services"), finding("workspace storage")];
        let report = || reporter.report(&run, both(), &Attr::Null, Stage::Plan, |_| "id");
        let (first, second) = (report(), report());
        let full = |all: Diagnostics| {
            let in_full = |one: &Diagnostic| !one.detail.contains("another resource");
            all.into_iter().filter(in_full).count()
        };
        assert_eq!((full(first), full(second)), (2, 0));
    }

    /// A finding by its letter: E(rror), S (an error that may be silenced), a(dvice), u (not read, which advice is not).
    fn finding(letter: char, stage: Stage) -> Finding {
        let subject = preflight::Subject::Key;
        let finding = match letter {
            'E' => Id::KmsKeyDisabled.error(subject),
            'S' => Id::WorkspaceDefaultStorage.error(subject),
            'a' => Id::KmsKeyReplica.warning(subject),
            _ => Id::KmsKeyUnreadable.unread(subject, stage),
        };
        finding
            .found("found")
            .why("why")
            .remedy("remedy")
            .about("k")
    }

    /// What was reported, a letter each: E(rror), e (an error in short), w(arning), s (a warning that would have been an error).
    fn letters(all: &Diagnostics) -> String {
        all.iter()
            .map(|one| {
                let is_short = one.detail.contains("another resource");
                let is_softened = one.detail.contains("`preflight = \"warn\"`");
                assert_eq!(one.path.to_string(), "id");
                match (one.severity, is_short, is_softened) {
                    (Severity::Error, true, false) => 'e',
                    (Severity::Error, false, false) => 'E',
                    (Severity::Warning, false, true) => 's',
                    (Severity::Warning, false, false) => 'w',
                    _ => '?',
                }
            })
            .collect()
    }

    /// Each row: whether the provider enforces, the stage, what the provider and the resource ignore, what is found, what is reported of it,
    /// and what when another resource of the run finds the same.
    #[test]
    fn what_is_found_is_reported_as_the_provider_block_wants() {
        use Stage::{Apply, Plan};
        let (storage, replica) = (Id::WorkspaceDefaultStorage, Id::KmsKeyReplica);
        type Row<'a> = (
            bool,
            Stage,
            Option<Id>,
            Option<Id>,
            &'a str,
            &'a str,
            &'a str,
        );
        let rows: [Row<'_>; 17] = [
            (true, Plan, None, None, "", "", ""),
            (true, Plan, None, None, "E", "E", "e"),
            (false, Plan, None, None, "E", "s", ""),
            (true, Apply, None, None, "E", "E", "E"),
            (false, Apply, None, None, "E", "s", "s"),
            // Advice belongs to a plan, and does not come ahead of an error.
            (true, Plan, None, None, "a", "w", ""),
            (true, Apply, None, None, "a", "", ""),
            (true, Plan, None, None, "aE", "E", "e"),
            (false, Plan, None, None, "aE", "ws", ""),
            // A fact that the provider could not read is not advice.
            (true, Plan, None, None, "u", "w", ""),
            (true, Plan, None, None, "uE", "wE", "e"),
            (true, Apply, None, None, "u", "E", "E"),
            // Who ignores an error reads the advice that it kept back.
            (true, Plan, Some(storage), None, "Sa", "w", ""),
            (true, Plan, None, Some(storage), "Sa", "w", ""),
            (true, Plan, Some(replica), None, "Sa", "E", "e"),
            (true, Apply, None, Some(storage), "S", "", ""),
            // Another one stays.
            (true, Plan, Some(replica), Some(storage), "SEa", "E", "e"),
        ];
        for (enforces, stage, provider, here, found, first, second) in rows {
            let (reporter, run) = (
                Reporter::new(enforces, provider.into_iter().collect()),
                RunMemory::default(),
            );
            let here = match here {
                Some(id) => Attr::Known(vec![Attr::Known(preflight::Silenced(id))]),
                None => Attr::Null,
            };
            for expected in [first, second] {
                let found = found.chars().map(|letter| finding(letter, stage)).collect();
                let reported = reporter.report(&run, found, &here, stage, |_| "id");
                assert_eq!(
                    letters(&reported),
                    expected,
                    "{enforces} {stage:?} {provider:?} {here:?}"
                );
            }
        }
    }

    /// The provider cannot stop an attach that is done, and gave its advice when it was made; only a date that comes nearer is
    /// worth a new warning.
    #[test]
    fn what_is_there_already_is_only_warned_of() {
        let subject = preflight::Subject::Key;
        let found = vec![
            finding('E', Stage::Apply),
            finding('u', Stage::Apply),
            finding('a', Stage::Plan),
            Id::KmsKeyExpires.warning(subject),
        ];
        let first = as_first_warnings(found.clone());
        assert_eq!(first.len(), found.len());
        let left = as_warnings(found);
        let ids: Vec<Id> = left.iter().map(|one| one.id).collect();
        assert_eq!(
            ids,
            [Id::KmsKeyDisabled, Id::KmsKeyUnreadable, Id::KmsKeyExpires]
        );
        assert!(
            left.iter()
                .chain(&first)
                .all(|one| one.severity == preflight::Severity::Warning)
        );
    }

    /// What a user pastes, hint by hint.
    #[test]
    fn each_hint_in_hcl() -> Result<(), Box<dyn std::error::Error>> {
        use crate::vocabulary::words::foreign;
        use crate::vocabulary::{Cloud, UseCase};
        let statement = |planned| Hint::AddStatement {
            use_case: UseCase::Storage.into(),
            planned,
        };
        let grant =
            |emails: &[&str], number: Option<&str>| -> Result<Hint, Box<dyn std::error::Error>> {
                let accounts: Result<Vec<ServiceAccount>, _> =
                    emails.iter().map(|one| one.parse()).collect();
                Ok(Hint::GrantMembers {
                    key: "projects/p/locations/l/keyRings/r/cryptoKeys/k".parse()?,
                    accounts: accounts?,
                    project: number.map(str::parse).transpose()?,
                    bucket_projects: Vec::new(),
                })
            };
        let emails = ["a@p.iam.gserviceaccount.com", "b@p.iam.gserviceaccount.com"];
        let rows = [
            (Cloud::Aws, statement(false)),
            (Cloud::Aws, statement(true)),
            (Cloud::Aws, Hint::ReferToPolicy(Cloud::Aws)),
            (Cloud::Gcp, Hint::ReferToPolicy(Cloud::Gcp)),
            (Cloud::Azure, Hint::ReferToPolicy(Cloud::Azure)),
            (Cloud::Aws, Hint::NameRoleOrExcludeVolumes),
            (Cloud::Aws, Hint::ExcludeVolumes),
            (Cloud::Gcp, Hint::Suppression(Id::WorkspaceTierUnknown)),
            (Cloud::Aws, Hint::EncryptionKey),
            (Cloud::Aws, Hint::SymmetricKey),
            (Cloud::Aws, Hint::OwnKey),
            (Cloud::Aws, Hint::Rotate),
            (Cloud::Gcp, Hint::ReferToConfiguration),
            (Cloud::Gcp, Hint::ConfigurationFor(UseCase::Storage)),
            (Cloud::Gcp, Hint::AddUseCase(UseCase::ManagedServices)),
            (
                Cloud::Gcp,
                Hint::KeepStorage("c1000000-0000-4000-8000-000000000001".parse()?),
            ),
            (Cloud::Gcp, grant(&emails, None)?),
            (Cloud::Gcp, grant(&emails, Some("123456789012"))?),
            (Cloud::Gcp, grant(&[], Some("123456789012"))?),
            (
                Cloud::Gcp,
                Hint::GrantMembers {
                    key: "projects/p/locations/l/keyRings/r/cryptoKeys/k".parse()?,
                    accounts: Vec::new(),
                    project: None,
                    bucket_projects: vec!["210987654321".parse()?],
                },
            ),
            (Cloud::Gcp, Hint::RotateVersions),
            (Cloud::Gcp, Hint::ManagedServicesAlone),
        ];
        let mut text = String::new();
        for (cloud, hint) in rows {
            let words = in_hcl(&hint);
            assert_eq!(foreign(&cloud, &words), Vec::<String>::new(), "{words}");
            text.push_str(&format!("{words}\n----\n"));
        }
        insta::assert_snapshot!(text);
        Ok(())
    }
}
