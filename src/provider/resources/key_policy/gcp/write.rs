//! Reading and writing the IAM policy of a key, which other writers change, too: the provider reads, changes, and sets with the etag,
//! and does all of it again when another writer was faster. It never sets without an etag, and never sets a policy that changes
//! nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::edit::{Edit, edited, is_granted};
use crate::clouds::gcp::{GcpError, IamPolicy};
use crate::provider::client::Client;
use crate::provider::deadline::{Deadline, Pause, pause};
use crate::provider::diagnose;
use crate::vocabulary::gcp::CryptoKeyName;
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::duration::spell;

/// The shortest and the longest pause between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// After this time the log says for what the apply waits: Terraform itself shows nothing of it.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the provider sets the policy when no answer says whether Google did.
const TRIES: u32 = 7;
/// Databricks' customer ID, which an organization with domain-restricted sharing must allow. Source: public workspace templates for
/// Databricks on Google Cloud.
const CUSTOMER_ID: &str = "C01p0oudw";

/// A change of a key's policy.
pub(super) struct Write<'a> {
    /// The key whose policy changes.
    pub(super) key: &'a CryptoKeyName,
    /// The members that must have the role in the end.
    pub(super) wanted: &'a BTreeSet<String>,
    /// The members that lose the role.
    pub(super) remove: &'a BTreeSet<String>,
    /// By when the policy must show.
    pub(super) deadline: Deadline,
}

/// Parses a policy.
pub(super) fn bindings(
    key: &CryptoKeyName,
    policy: &IamPolicy,
) -> Result<Vec<crate::preflight::gcp::Binding>, Diagnostics> {
    policy.bindings().map_err(|reason| malformed(key, &reason))
}

fn malformed(key: &CryptoKeyName, reason: &str) -> Diagnostics {
    Diagnostic::error(
        "The IAM policy of the key cannot be read",
        format!(
            "Google Cloud shows a policy of {key} that this version of the provider cannot read: {reason}. Nothing was changed.\n\nReport this as a \
             bug of this provider, with the policy:\n\n  gcloud kms keys get-iam-policy {} --project {} --location {} --keyring {}",
            key.key(),
            key.project(),
            key.location(),
            key.ring()
        ),
    )
    .on("gcp.kms_key_id")
    .into()
}

/// Gives the role to members and takes it from others, and waits until the policy shows it. `added`: the
/// members that got it, even if the write fails afterwards.
///
/// # Errors
/// When Google Cloud refuses, or does not show the change in time.
pub(super) async fn write(
    cx: &Context<Client>,
    write: &Write<'_>,
    added: &mut BTreeSet<String>,
) -> Result<(), Diagnostics> {
    let keys = cx.client().keys().gcp();
    let _alone = keys.lock_policy(write.key).await;
    let mut writing = Writing {
        cx,
        write,
        added,
        perhaps: BTreeSet::new(),
        wait: PAUSES.0,
        tries: 0,
        begun: Instant::now(),
        said: false,
    };
    let outcome = loop {
        match writing.step().await {
            Ok(Step::Shows) => break Ok(()),
            Ok(Step::Again) => {}
            Err(errors) => break Err(errors),
        }
    };
    if outcome.is_err() {
        // The provider has not seen whether Google granted them the role. If it did, this set was the reason.
        let perhaps = std::mem::take(&mut writing.perhaps);
        added.extend(perhaps);
    }
    outcome
}

fn failed(key: &CryptoKeyName, error: &GcpError) -> Diagnostics {
    diagnose::gcp("The IAM policy of the key could not be changed", key, error)
        .on("gcp.kms_key_id")
        .into()
}

/// What one try came to.
enum Step {
    /// The policy shows what is wanted.
    Shows,
    /// The provider must read it, and perhaps set it, again.
    Again,
}

/// The loop of [`write()`].
struct Writing<'a> {
    cx: &'a Context<Client>,
    write: &'a Write<'a>,
    added: &'a mut BTreeSet<String>,
    /// The members to whom a set without an answer may have given the role.
    perhaps: BTreeSet<String>,
    wait: Duration,
    /// How many sets had no answer.
    tries: u32,
    begun: Instant,
    /// Whether the log has said for what the apply waits.
    said: bool,
}

impl Writing<'_> {
    /// Reads the policy, and sets it if it lacks something.
    async fn step(&mut self) -> Result<Step, Diagnostics> {
        let (key, cloud) = (self.write.key, self.cx.client().keys().gcp().cloud());
        let before = cloud
            .policy(key)
            .await
            .map_err(|error| failed(key, &error))?;
        let now = bindings(key, &before)?;
        let shown = |member: &&String| is_granted(&now, member);
        self.added
            .extend(self.perhaps.iter().filter(shown).cloned());
        let lacking = self.write.wanted.iter().filter(|one| !shown(one));
        let edit = Edit {
            add: lacking.cloned().collect(),
            remove: self.write.remove.clone(),
        };
        let after = edited(&before, &edit).map_err(|reason| malformed(key, &reason))?;
        if after == before {
            return Ok(Step::Shows);
        }
        match cloud.set_policy(key, &after).await {
            Ok(_) => {
                self.added.extend(edit.add);
                self.cx.client().keys().gcp().policy_was_put(key);
                // The next read shows the new policy, or one of another writer: then the provider does all of it again.
                self.wait = PAUSES.0;
                Ok(match pause(self.wait, self.cx.stop()).await {
                    Pause::Over => Step::Again,
                    Pause::Stopped => Step::Shows,
                })
            }
            Err(error) => self.refused(edit, &error).await,
        }
    }

    /// After a set that Google refused, or that had no answer: waits for the next try if one may help.
    async fn refused(&mut self, edit: Edit, error: &GcpError) -> Result<Step, Diagnostics> {
        let key = self.write.key;
        if error.is_missing_member() && is_storage_agent(error) {
            self.ask_for_storage_agents().await;
        }
        // The next read shows what became of a set without an answer.
        if error.may_have_been_done() {
            self.perhaps.extend(edit.add);
            self.tries += 1;
        }
        let again = error.is_missing_member()
            || matches!(error, GcpError::Conflict(_))
            || (error.may_have_been_done() && self.tries < TRIES);
        if !again {
            return Err(match error.is_domain_restricted() {
                true => domain_restricted(key, error),
                false => failed(key, error),
            });
        }
        if error.is_missing_member() && !self.said && self.begun.elapsed() >= PATIENCE {
            self.said = true;
            tracing::warn!(%key, %error, "waiting for a service account that Google Cloud does not know; it is tried again until the timeout");
        }
        if self.write.deadline.has_passed() {
            return Err(match error.is_missing_member() {
                true => missing(self.write, error),
                false => failed(key, error),
            });
        }
        tracing::info!(%key, %error, "the policy was not taken; reading it and trying again");
        // Two writers that Google refused together must not come together again, so the pause is random.
        let wait = self.wait.mul_f64(0.5 + fastrand::f64());
        if pause(wait, self.cx.stop()).await == Pause::Stopped {
            return Err(interrupted(key, error));
        }
        self.wait = (self.wait * 2).min(PAUSES.1);
        Ok(Step::Again)
    }

    /// Google creates the service agent of Cloud Storage in a project when a caller asks for it.
    async fn ask_for_storage_agents(&self) {
        let cloud = self.cx.client().keys().gcp().cloud();
        for number in self.write.wanted.iter().filter_map(|one| agent_of(one)) {
            let touched = cloud.touch_storage_agent(number).await;
            tracing::debug!(
                number,
                is_there = touched.is_ok(),
                "asked for the service agent of Cloud Storage"
            );
        }
    }
}

fn interrupted(key: &CryptoKeyName, error: &GcpError) -> Diagnostics {
    Diagnostic::error(
        "The change of the IAM policy was interrupted",
        format!(
            "The provider waited to try again when the run was interrupted, so the IAM policy of {key} was not changed. Google had said: \
             \"{error}\".\n\nApply again."
        ),
    )
    .on("gcp.kms_key_id")
    .into()
}

fn is_storage_agent(error: &GcpError) -> bool {
    error.to_string().contains("gs-project-accounts")
}

/// The number of the project whose service agent of Cloud Storage a member is.
fn agent_of(member: &str) -> Option<&str> {
    member
        .strip_prefix("serviceAccount:service-")?
        .strip_suffix("@gs-project-accounts.iam.gserviceaccount.com")
}

fn domain_restricted(key: &CryptoKeyName, error: &GcpError) -> Diagnostics {
    Diagnostic::error(
        "The organization does not allow Databricks' service account",
        format!(
            "An organization policy (iam.allowedPolicyMemberDomains or iam.managed.allowedPolicyMembers) lets only members of certain customers \
             into IAM policies, and the one of {key} was not changed. Google says: \"{error}\".\n\nAllow Databricks' customer ID {CUSTOMER_ID} \
             for the project {}:\n\n  gcloud resource-manager org-policies allow iam.allowedPolicyMemberDomains {CUSTOMER_ID} --project {}",
            key.project(),
            key.project()
        ),
    )
    .on("gcp.databricks_service_accounts")
    .into()
}

/// What the user does so that Google creates a service account, by its kind.
fn coming_to_be(email: &str) -> String {
    let number = email
        .strip_prefix("service-")
        .and_then(|rest| rest.split_once('@'))
        .map_or("PROJECT_NUMBER", |(number, _)| number);
    if email.ends_with("@compute-system.iam.gserviceaccount.com") {
        return format!(
            "It is the service agent of Compute Engine. Check `workspace_project_number`, and enable Compute Engine in the project of the \
             workspace:\n\n  gcloud services enable compute.googleapis.com --project {number}"
        );
    }
    if email.ends_with("@gs-project-accounts.iam.gserviceaccount.com") {
        return format!(
            "It is the service agent of Cloud Storage. Check `workspace_project_number`, and ask for the agent once:\n\n  gcloud storage \
             service-agent --project {number}"
        );
    }
    "A service account of Databricks exists only with its key configuration or its workspace. Check the address: `service_account_email` of \
     the `dbxcmk_key_configuration`, or `db-WORKSPACE_ID@prod-gcp-REGION.iam.gserviceaccount.com`."
        .to_owned()
}

fn missing(write: &Write<'_>, error: &GcpError) -> Diagnostics {
    let said = error.to_string();
    let emails = write
        .wanted
        .iter()
        .filter_map(|member| member.strip_prefix("serviceAccount:"));
    let named: Vec<&str> = emails
        .clone()
        .filter(|email| said.contains(email))
        .collect();
    // Where Google names no account, it may mean any of them.
    let named = match named.is_empty() {
        true => emails.collect(),
        false => named,
    };
    let each: Vec<String> = named
        .iter()
        .map(|email| format!("{email}: {}", coming_to_be(email)))
        .collect();
    Diagnostic::error(
        "A service account that needs the key does not exist",
        format!(
            "Google Cloud did not accept it in the policy of {} within {}. Google says: \"{error}\".\n\n{}\n\nThen apply again.",
            write.key,
            spell(write.deadline.length()),
            each.join("\n\n")
        ),
    )
    .on("gcp.databricks_service_accounts")
    .into()
}
