//! What the proof finds, as diagnostics: each thing once a run, errors before advice, remedies in HCL.

use crate::preflight::{self, Finding, Hint, Id, Stage};
use crate::provider::config::{Config, IgnoreFindings, silenced};
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
    /// As the provider block says.
    pub fn new(config: &Config) -> Self {
        Self {
            enforces: config.enforces(),
            ignored: silenced(&config.ignore_findings),
        }
    }

    /// Findings as diagnostics, without those that the provider or the resource ignores: errors stop under
    /// `preflight = "enforce"`, and are warnings under `"warn"`. Advice belongs to the plan, and comes not ahead of an error. What
    /// another resource of this run has said already is not said again; an error is said in short, so that it still stops.
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
    let soften = |mut finding: Finding| {
        finding.severity = preflight::Severity::Warning;
        finding
    };
    findings
        .into_iter()
        .filter(|finding| !finding.is_advice() || finding.id.comes_nearer())
        .map(soften)
        .collect()
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
        Hint::Silence(id) => format!("If you know that this is correct, set `ignore_findings = [\"{id}\"]`."),
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
        } => granting(key, accounts, project.as_ref()),
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
    let cases = match project {
        Some(_) => " (`use_cases` with \"STORAGE\")",
        None => "",
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

    /// What is found for two purposes alike is said of both, and of each once.
    #[test]
    fn each_purpose_is_said() {
        let (reporter, run) = (Reporter::new(&Config::default()), RunMemory::default());
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
}
