//! On Google Cloud: the members of the IAM policy of a key.

mod edit;
mod write;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use self::edit::is_granted;
use self::write::{Write, bindings, write};
use super::catalogs;
use super::in_use::{User, refuse_after_rotation, users_of};
use super::leaving::{self, FORGET};
use super::tables::{self, Losing};
use super::{CREATE, DELETE, DESTROYING, KeyPolicyModel, UPDATE, with_former};
use crate::clouds::gcp::GcpError;
use crate::preflight::Stage;
use crate::preflight::gcp::{
    Access, Binding, CryptoKeyFacts, PlannedMembers, Question, access, account_of, granted_by,
    judge, location, lost_without,
};
use crate::provider::client::{Client, not_read};
use crate::provider::deadline::Deadline;
use crate::provider::diagnose::{self, as_warning, later, split};
use crate::provider::keys::{Scope, Wanted};
use crate::provider::locations::Location;
use crate::provider::resources::{
    all_known, check_tables, known_set, names_something, remembered, workspace_cases,
};
use crate::requirements::gcp::{Usage, agent_of, is_needed, is_of_databricks, rights_of};
use crate::vocabulary::gcp::{CryptoKeyName, GcpNameError, ProjectNumber, ServiceAccount};
use crate::vocabulary::{Cloud, Key, KeyUse, UseCase};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::list_resource::{Found, Listed};
use tfplugin::resource::{Change, Plan, Progress};
use tfplugin::schema::Attribute;

/// Private data: the members that this resource added.
const ADDED: &str = "added";
/// The rights that changing the policy needs.
const RIGHTS: [&str; 2] = [
    "cloudkms.cryptoKeys.getIamPolicy",
    "cloudkms.cryptoKeys.setIamPolicy",
];

/// The `gcp` block of `dbxcmk_key_policy`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyPolicyGcp {
    pub kms_key_id: Attr<CryptoKeyName>,
    pub databricks_service_accounts: Attr<Vec<Attr<ServiceAccount>>>,
    pub workspace_project_number: Attr<ProjectNumber>,
    pub bucket_project_numbers: Attr<Vec<Attr<ProjectNumber>>>,
    pub members: Attr<Vec<Attr<String>>>,
}

pub(super) fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::string("kms_key_id")
            .required()
            .replaces()
            .format::<CryptoKeyName>("Invalid key name")
            .describe(
                "Name of the Cloud KMS key without a version (`google_kms_crypto_key.….id`).",
            ),
        Attribute::string_set("databricks_service_accounts")
            .no_null_elements()
            .format::<ServiceAccount>("Invalid service account")
            .describe(
                "E-mail addresses of the service accounts of Databricks that use the key: `service_account_email` of the \
                 `dbxcmk_key_configuration`, and the service account of each workspace.",
            ),
        Attribute::string("workspace_project_number")
            .format::<ProjectNumber>("Invalid project number")
            .describe(
                "Number of the project in which the workspace runs (`google_project.….number`). With the use case `STORAGE`, the service agents \
                 of Compute Engine and Cloud Storage of this project get the key too.",
            ),
        Attribute::string_set("bucket_project_numbers")
            .no_null_elements()
            .format::<ProjectNumber>("Invalid project number")
            .describe(
                "Numbers of the projects of buckets in which Unity Catalog keeps tables under this key \
                 (`data.dbxcmk_storage_encryption.….locations[*].bucket_project_number`). With the use case `UNITY_CATALOG`. The Cloud Storage service \
                 agents of these projects get the key.",
            ),
        Attribute::string_set("members").computed().describe(
            "The members of the IAM policy that need the key. Known at plan if the attributes above are.",
        ),
    ]
}

/// A key policy of which nothing but its key is known.
fn named(key: CryptoKeyName) -> KeyPolicyModel {
    KeyPolicyModel {
        id: Attr::Known(key.to_string()),
        gcp: Attr::Known(KeyPolicyGcp {
            kms_key_id: Attr::Known(key),
            databricks_service_accounts: Attr::Null,
            workspace_project_number: Attr::Null,
            bucket_project_numbers: Attr::Null,
            members: Attr::Null,
        }),
        ..KeyPolicyModel::unnamed()
    }
}

fn set_of(all: &BTreeSet<String>) -> Attr<Vec<Attr<String>>> {
    Attr::Known(all.iter().cloned().map(Attr::Known).collect())
}

impl KeyPolicyGcp {
    fn usage(&self, use_cases: &Attr<Vec<Attr<KeyUse>>>) -> Option<Usage> {
        let databricks = match &self.databricks_service_accounts {
            Attr::Null => Vec::new(),
            accounts => all_known(accounts)?,
        };
        if self.workspace_project_number.is_unknown() {
            return None;
        }
        let table_projects = match &self.bucket_project_numbers {
            Attr::Null => Vec::new(),
            numbers => all_known(numbers)?,
        };
        Some(Usage {
            table_projects,
            use_cases: workspace_cases(use_cases)?,
            databricks,
            workspace_project: self.workspace_project_number.known().cloned(),
            not_known: None,
        })
    }

    /// What the members depend on, and whether it is unknown.
    fn may_be_unknown(&self) -> [(&'static str, bool); 4] {
        let accounts = &self.databricks_service_accounts;
        let buckets = &self.bucket_project_numbers;
        [
            ("gcp.kms_key_id", self.kms_key_id.is_unknown()),
            (
                "gcp.databricks_service_accounts",
                !accounts.is_null() && all_known(accounts).is_none(),
            ),
            (
                "gcp.workspace_project_number",
                self.workspace_project_number.is_unknown(),
            ),
            (
                "gcp.bucket_project_numbers",
                !buckets.is_null() && all_known(buckets).is_none(),
            ),
        ]
    }

    fn members(&self) -> BTreeSet<String> {
        all_known(&self.members)
            .unwrap_or_default()
            .into_iter()
            .collect()
    }
}

fn members_of(usage: &Usage) -> BTreeSet<String> {
    usage
        .grantees()
        .iter()
        .map(|grantee| grantee.account.member())
        .collect()
}

fn parts(model: &KeyPolicyModel) -> Option<(&KeyPolicyGcp, &CryptoKeyName)> {
    let gcp = model.gcp.known()?;
    Some((gcp, gcp.kms_key_id.known()?))
}

/// Checks the configuration without a call: everything that is wrong with it.
pub(super) fn validate(config: &KeyPolicyModel) -> Diagnostics {
    let mut found = Diagnostics::new();
    let Attr::Known(gcp) = &config.gcp else {
        return found;
    };
    if let Some(finding) = gcp.kms_key_id.known().and_then(location) {
        found.push(diagnose::offline(finding).on("gcp.kms_key_id"));
    }
    if !config.databricks_account_ids.is_null() {
        found.push(
            Diagnostic::error(
                "databricks_account_ids belongs to AWS",
                "On Google Cloud, service accounts use the key, not accounts. Remove `databricks_account_ids`, and name the service accounts in \
                 `gcp.databricks_service_accounts`.",
            )
            .on("databricks_account_ids"),
        );
    }
    let no_accounts = match &gcp.databricks_service_accounts {
        Attr::Null => true,
        Attr::Known(all) => all.is_empty(),
        Attr::Unknown => false,
    };
    let all_cases = all_known(&config.use_cases);
    let named = names_something(&gcp.bucket_project_numbers);
    found.extend(check_tables(&Cloud::Gcp, all_cases.as_deref(), named));
    let cases = workspace_cases(&config.use_cases);
    let is_for_tables = cases.as_ref().is_some_and(Vec::is_empty);
    if is_for_tables && !no_accounts {
        found.push(
            Diagnostic::error(
                "Databricks does not use the key for tables",
                "With `UNITY_CATALOG` alone, only the service agents of `bucket_project_numbers` use the key. Remove \
                 `databricks_service_accounts`, or add `MANAGED_SERVICES` or `STORAGE` to `use_cases`.",
            )
            .on("gcp.databricks_service_accounts"),
        );
    }
    let is_storage = cases.is_none_or(|cases| cases.contains(&UseCase::Storage));
    if no_accounts && !is_for_tables && (gcp.workspace_project_number.is_null() || !is_storage) {
        found.push(
            Diagnostic::error(
                "No service account is set",
                "Set `databricks_service_accounts` to the service accounts of Databricks (`dbxcmk_key_configuration.….gcp.service_account_email`), \
                 and for the use case `STORAGE` also `workspace_project_number`.",
            )
            .on("gcp.databricks_service_accounts"),
        );
    }
    found
}

pub(super) async fn plan(
    cx: &Context<Client>,
    change: &Change<KeyPolicyModel>,
    plan: &mut Plan<KeyPolicyModel>,
) -> Result<(), Unfinished> {
    let outcome = plan_members(cx, change, plan).await;
    let is_changing = plan.model.gcp.known().is_some_and(|gcp| {
        let prior = change.prior.as_ref().and_then(|prior| prior.gcp.known());
        prior.is_none_or(|prior| prior.members != gcp.members)
    });
    // Proofs of other resources may wait for this one, also when it failed.
    let will_put = outcome.is_ok() && is_changing;
    let key = parts(&plan.model).map(|(_, key)| key.clone().into());
    let policies = cx.client().keys().policies();
    policies.is_planned(key, &leaving::name(cx), will_put);
    // This may wait for other key policies, so it comes after the report above: no proof must wait
    // for this policy meanwhile.
    let mut found = outcome.err().unwrap_or_default();
    let refused = refuse_lost(cx, change, &plan.model).await;
    found.extend(refused.err().unwrap_or_default());
    with_former(cx, change, plan, split(cx, found)).await
}

/// The members that a state has, as the resource reports them to the other key policies of the run.
pub(super) fn seen(state: &KeyPolicyModel) -> Option<(Scope, BTreeSet<String>)> {
    let (gcp, key) = parts(state)?;
    Some((Scope::of(key.clone().into()), gcp.members()))
}

/// Members as the lines of a list.
fn lines(members: &BTreeSet<String>) -> Vec<String> {
    members.iter().map(|one| format!("  - {one}")).collect()
}

/// Refuses what a change of the members takes from workspaces: those that an apply would remove.
async fn refuse_lost(
    cx: &Context<Client>,
    change: &Change<KeyPolicyModel>,
    model: &KeyPolicyModel,
) -> Result<(), Diagnostics> {
    let (Some(prior), Some((gcp, key))) = (change.prior.as_ref(), parts(model)) else {
        return Ok(());
    };
    let Some((prior, _)) = parts(prior).filter(|(_, former)| *former == key) else {
        return Ok(());
    };
    let (Some(usage), true) = (
        gcp.usage(&model.use_cases),
        cx.client().keys().gcp().is_known(),
    ) else {
        return Ok(());
    };
    let wanted = members_of(&usage);
    let own: BTreeSet<String> = added(cx, key)
        .intersection(&prior.members())
        .cloned()
        .collect();
    let given_up = leaving::removed(&own, &wanted, &BTreeSet::new());
    if given_up.is_empty() {
        return Ok(());
    }
    let (scope, is_agreed) = (Scope::of(key.clone().into()), model.may_be_destroyed());
    let kept = leaving::plan_to_give_up(cx, &scope, &given_up, is_agreed, lines).await;
    let removal = Removal {
        lost: &leaving::removed(&given_up, &wanted, &kept),
        what: "This change",
        stage: Stage::Plan,
        is_agreed,
        is_left: false,
    };
    refuse_to_take_tables(cx, prior, key, &removal).await?;
    refuse_removal(cx, key, &removal).await
}

/// Refuses to take the key from the service agents of buckets whose tables lie under it. `state`: the key policy that gave them the key.
async fn refuse_to_take_tables(
    cx: &Context<Client>,
    state: &KeyPolicyGcp,
    key: &CryptoKeyName,
    removal: &Removal<'_>,
) -> Result<(), Diagnostics> {
    let projects = all_known(&state.bucket_project_numbers).unwrap_or_default();
    let is_lost = |number: &ProjectNumber| {
        let agent = ServiceAccount::storage_agent(number);
        removal.lost.contains(&agent.member())
    };
    let projects: Vec<ProjectNumber> = projects.into_iter().filter(is_lost).collect();
    let agents = projects.iter().map(ServiceAccount::storage_agent);
    let losing = Losing {
        key: &key.clone().into(),
        what: removal.what,
        lost: agents.map(|agent| format!("  - {agent}")).collect(),
        stage: removal.stage,
        is_agreed: removal.is_agreed,
    };
    let is_of = |place: &Location| {
        let own = place.project.as_ref();
        own.is_some_and(|own| projects.contains(own))
    };
    tables::refuse(cx, losing, is_of).await
}

async fn plan_members(
    cx: &Context<Client>,
    change: &Change<KeyPolicyModel>,
    plan: &mut Plan<KeyPolicyModel>,
) -> Result<(), Diagnostics> {
    let (client, keys) = (cx.client(), cx.client().keys().gcp());
    leaving::wants(cx, &plan.model, change.prior.as_ref(), shared(&plan.model));
    let cases = plan.model.use_cases.clone();
    let ignored = plan.model.ignore_findings.clone();
    let Attr::Known(gcp) = &mut plan.model.gcp else {
        return Ok(());
    };
    plan.model.id = gcp.kms_key_id.as_ref().map(ToString::to_string);
    let usage = gcp.usage(&cases);
    let wanted = usage.as_ref().map(members_of);
    gcp.members = wanted.as_ref().map_or(Attr::Unknown, set_of);
    let prior = change.prior.as_ref().and_then(|prior| prior.gcp.known());
    let prior = prior.filter(|prior| prior.kms_key_id.known() == gcp.kms_key_id.known());
    let (Some(usage), Some(wanted)) = (usage, wanted) else {
        client.warn_of_later_proof(cx, &gcp.may_be_unknown());
        if let Some(key) = gcp.kms_key_id.known() {
            let members = all_known_of(&gcp.databricks_service_accounts);
            keys.will_grant(
                key,
                PlannedMembers {
                    members,
                    has_unknown: true,
                    is_list_unknown: gcp.databricks_service_accounts.is_unknown(),
                },
            );
            if keys.is_known() {
                for found in misnamed(cx, gcp, key).await {
                    cx.warn(found);
                }
            }
        }
        return Ok(());
    };
    if prior.is_some_and(|prior| !prior.members.is_null() && prior.members() == wanted) {
        return Ok(());
    }
    let Some(key) = gcp.kms_key_id.known().cloned() else {
        client.warn_of_later_proof(cx, &gcp.may_be_unknown());
        return Ok(());
    };
    if !keys.is_known() {
        client.warn_of_unknown_clouds(cx);
        return Ok(());
    }
    let planned = PlannedMembers {
        members: usage
            .grantees()
            .into_iter()
            .map(|grantee| grantee.account)
            .collect(),
        has_unknown: false,
        is_list_unknown: false,
    };
    keys.will_grant(&key, planned);
    let facts = keys.facts_for_plan(&key).await;
    let question = Question::new(usage, Stage::Plan);
    let findings = judge(&facts, &question);
    let mut found = client.report(findings, &ignored, Stage::Plan, |_| "gcp.kms_key_id");
    found.extend(may_change(cx, &key).await);
    found.extend(misnamed(cx, gcp, &key).await);
    split(cx, found)
}

/// What a model wants of its key, as the resource reports it to the other key policies of the run.
fn shared(model: &KeyPolicyModel) -> Wanted {
    let Some(gcp) = model.gcp.known() else {
        return Wanted::default();
    };
    match gcp.usage(&model.use_cases) {
        Some(usage) => Wanted {
            items: members_of(&usage),
            has_unknown: false,
        },
        None => Wanted {
            items: BTreeSet::new(),
            has_unknown: true,
        },
    }
}

fn all_known_of(accounts: &Attr<Vec<Attr<ServiceAccount>>>) -> Vec<ServiceAccount> {
    accounts
        .known()
        .into_iter()
        .flatten()
        .filter_map(|one| one.known().cloned())
        .collect()
}

/// Whether the caller has what changing the policy needs. The answer "may fail open", so only a clear no counts.
async fn may_change(cx: &Context<Client>, key: &CryptoKeyName) -> Option<Diagnostic> {
    let own = cx
        .client()
        .keys()
        .gcp()
        .cloud()
        .own_rights(key, &RIGHTS)
        .await
        .ok()?;
    let missing: Vec<&str> = RIGHTS
        .into_iter()
        .filter(|right| !own.iter().any(|one| one == right))
        .collect();
    if missing.is_empty() {
        return None;
    }
    Some(
        Diagnostic::error(
            "Terraform is not allowed to change the IAM policy of the key",
            format!(
                "It lacks {} on {key}, so the apply would fail.\n\nGrant it:\n\n  gcloud kms keys add-iam-policy-binding {} --project {} \
                 --location {} --keyring {} --member serviceAccount:… --role roles/cloudkms.admin\n\nA custom role with these two permissions is enough.",
                missing.join(" and "),
                key.key(),
                key.project(),
                key.location(),
                key.ring()
            ),
        )
        .on("gcp.kms_key_id"),
    )
}

/// What of the known accounts and of the known project fits no workspace, whatever else is known only after apply.
async fn misnamed(
    cx: &Context<Client>,
    gcp: &KeyPolicyGcp,
    key: &CryptoKeyName,
) -> Vec<Diagnostic> {
    let accounts = unknown_workspaces(cx, gcp, key).await;
    let project = project_of_no_workspace(cx, gcp).await;
    accounts.into_iter().chain(project).collect()
}

/// Whether the project is not that of a workspace whose account is named.
async fn project_of_no_workspace(cx: &Context<Client>, gcp: &KeyPolicyGcp) -> Option<Diagnostic> {
    let number = gcp.workspace_project_number.known()?;
    let (client, keys) = (cx.client(), cx.client().keys().gcp());
    let named = all_known_of(&gcp.databricks_service_accounts);
    let named: Vec<String> = named
        .iter()
        .filter_map(|one| one.workspace().map(|(id, _)| id.to_owned()))
        .collect();
    if named.is_empty() {
        return None;
    }
    let account = client.account().await.ok()?;
    let workspaces = client.reads().workspaces(account).await.ok()?;
    let mut seen = Vec::new();
    for workspace in workspaces.values() {
        if !named.contains(&workspace.workspace_id.to_string()) {
            continue;
        }
        // What cannot be read may be this project.
        let own = keys.project_number(workspace.gcp_project()?).await.ok()?;
        seen.push((workspace.in_words(), own));
    }
    other_project(number, &seen)
}

/// `seen`: the workspaces and the numbers of their projects.
fn other_project(number: &ProjectNumber, seen: &[(String, ProjectNumber)]) -> Option<Diagnostic> {
    if seen.is_empty() || seen.iter().any(|(_, own)| own == number) {
        return None;
    }
    let lines = seen
        .iter()
        .map(|(workspace, own)| format!("\n  - {workspace}: {own}"));
    Some(
        Diagnostic::warning(
            "The project number is not that of the workspace",
            format!(
                "`workspace_project_number` is {number}. The workspaces whose service accounts are named in `databricks_service_accounts` run in \
                 these projects:{}\n\nThe service agents of the wrong project get the key, and those of the workspace do not: clusters do not \
                 start, and the workspace cannot write to its buckets. If the project does not exist, the apply waits until its timeout, and \
                 fails.\n\nSet `workspace_project_number` to the number of the project of the workspace.",
                lines.collect::<String>()
            ),
        )
        .on("gcp.workspace_project_number"),
    )
}

/// Service accounts whose names say a workspace that the account does not have, or another region than that of the key. No API says which
/// service accounts of Databricks exist, and Google Cloud accepts only those that do.
async fn unknown_workspaces(
    cx: &Context<Client>,
    gcp: &KeyPolicyGcp,
    key: &CryptoKeyName,
) -> Option<Diagnostic> {
    let named = all_known_of(&gcp.databricks_service_accounts);
    if named.iter().all(|one| one.workspace().is_none()) {
        return None;
    }
    let client = cx.client();
    let account = client.account().await.ok()?;
    let workspaces = client.reads().workspaces(account).await.ok()?;
    let mut lines = Vec::new();
    for one in &named {
        let Some((number, region)) = one.workspace() else {
            continue;
        };
        let own = workspaces
            .values()
            .find(|workspace| workspace.workspace_id.to_string() == number);
        match own {
            None => lines.push(format!(
                "  - {one}: the account {} has no workspace {number}",
                account.id()
            )),
            Some(_) if !region.ends_with(key.location()) => lines.push(format!(
                "  - {one}: it is of the region {region}, and the key is in {}",
                key.location()
            )),
            Some(_) => {}
        }
    }
    if lines.is_empty() {
        return None;
    }
    let right: Vec<String> = workspaces
        .values()
        .filter(|workspace| workspace.region() == Some(key.location()))
        .map(|workspace| {
            let id = workspace.workspace_id;
            let account = ServiceAccount::of_workspace(id, key.location());
            format!("\n  - {account} (\"{}\")", workspace.workspace_name)
        })
        .collect();
    let right = match right.is_empty() {
        true => String::new(),
        false => format!(
            " The workspaces of this account in {} have these:{}",
            key.location(),
            right.concat()
        ),
    };
    Some(
        Diagnostic::warning(
            "A service account belongs to no workspace of this account",
            format!(
                "These service accounts in `databricks_service_accounts` do not fit the workspaces of the Databricks account:\n{}\n\nGoogle Cloud \
                 accepts only service accounts that exist. If one does not, the apply waits for it until its timeout (10 minutes, unless \
                 `timeouts` says otherwise), and fails. Check the addresses.{right}",
                lines.join("\n")
            ),
        )
        .on("gcp.databricks_service_accounts"),
    )
}

/// What is taken away.
struct Removal<'a> {
    /// The members that lose the role.
    lost: &'a BTreeSet<String>,
    /// What takes it, as `This change`.
    what: &'a str,
    stage: Stage,
    /// Whether the user has agreed (`force_destroy`): then the provider warns, and does not refuse.
    is_agreed: bool,
    /// Whether the apply leaves what others need: then the provider warns, and does not refuse.
    is_left: bool,
}

/// Refuses to take from a workspace what it needs.
async fn refuse_removal(
    cx: &Context<Client>,
    key: &CryptoKeyName,
    removal: &Removal<'_>,
) -> Result<(), Diagnostics> {
    if removal.lost.is_empty() {
        return Ok(());
    }
    // A member that loses nothing, or that has the key from elsewhere as well, does not count.
    let facts = cx.client().keys().gcp().facts_at(key, removal.stage).await;
    let lost = lost_without(&facts, removal.lost);
    if lost.is_empty() {
        return Ok(());
    }
    let removal = Removal {
        lost: &lost,
        ..*removal
    };
    match refusal(cx, key, &removal).await {
        Err(refused) if removal.is_agreed => {
            leaving::agreed(cx, &key.clone().into(), refused);
            Ok(())
        }
        outcome => outcome,
    }
}

/// The workspaces that need some of these members, one line each. What only the service agents have concerns the workspaces whose storage the
/// key encrypts.
async fn needing(
    client: &Client,
    key: &Key,
    members: &BTreeSet<String>,
) -> Result<Vec<String>, Diagnostics> {
    let only_agents = members.iter().all(|member| agent_of(member).is_some());
    let users = users_of(client, key).await?;
    let users = users
        .iter()
        .filter(|user| !only_agents || user.cases.contains(&UseCase::Storage));
    Ok(users.map(User::in_words).collect())
}

async fn refusal(
    cx: &Context<Client>,
    key: &CryptoKeyName,
    removal: &Removal<'_>,
) -> Result<(), Diagnostics> {
    let (what, key_name) = (removal.what, key.clone().into());
    let is_said = removal.is_agreed || removal.is_left;
    let users = needing(cx.client(), &key_name, removal.lost).await?;
    // A catalog uses its key as Databricks does, and never as a service agent of a project.
    let catalogs = match removal.lost.iter().any(|one| agent_of(one).is_none()) {
        true => catalogs::lines_of(cx, &key_name, what, removal.stage).await,
        false => Vec::new(),
    };
    let lost: Vec<String> = removal
        .lost
        .iter()
        .map(|one| format!("  - {one}"))
        .collect();
    if users.is_empty() {
        refuse_after_rotation(cx, &key_name, what, removal.stage, is_said).await?;
        return catalogs::refuse(&key_name, what, &lost, &catalogs, is_said);
    }
    Err(Diagnostic::error(
        "Workspaces need these members of the key's IAM policy",
        format!(
            "{what} takes the use of {key} from:\n{}\n\nThese workspaces need it:\n{}{}\n\nWithout it, they lose access to the key, or their \
             clusters do not start. A key cannot be detached from a workspace.{}",
            lost.join("\n"),
            users.join("\n"),
            catalogs::also(&catalogs),
            if is_said { String::new() } else { remedy(what) },
        ),
    )
    .into())
}

fn remedy(what: &str) -> String {
    let first = match what {
        "This change" => {
            "Put back what the configuration no longer names, or delete the workspaces first. "
                .to_owned()
        }
        DESTROYING => format!(
            "Delete the workspaces first, then this resource. To leave the members in the IAM policy and let Terraform forget them:{FORGET}\n\n"
        ),
        _ => format!(
            "Keep this key policy, and add a second `dbxcmk_key_policy` for the other key. To leave the members in the IAM policy of the former key, \
             let Terraform forget this resource, and add the other key under another name:{FORGET}\n\n"
        ),
    };
    format!(
        "\n\n{first}To remove the members although the workspaces need them, set `force_destroy = true` and apply that before."
    )
}

/// The same model, with what of the policy is recognised as for Databricks.
fn adopting(mut state: KeyPolicyModel, live: &[Binding]) -> KeyPolicyModel {
    let Attr::Known(gcp) = &mut state.gcp else {
        return state;
    };
    let members: BTreeSet<String> = live
        .iter()
        .flat_map(|binding| binding.members.iter())
        .filter(|member| is_needed(member) && is_granted(live, member))
        .cloned()
        .collect();
    let project = members.iter().find_map(|member| agent_of(member));
    let databricks: Vec<ServiceAccount> = members
        .iter()
        .filter(|member| is_of_databricks(member))
        .filter_map(|member| account_of(member))
        .collect();
    let mut cases = Vec::new();
    if !databricks.is_empty() {
        cases.push(UseCase::ManagedServices);
        gcp.databricks_service_accounts = known_set(databricks);
    }
    if project.is_some() {
        cases.push(UseCase::Storage);
    }
    if cases.is_empty() {
        return state;
    }
    gcp.workspace_project_number = project.into();
    gcp.members = set_of(&members);
    state.use_cases = known_set(cases.into_iter().map(KeyUse::from));
    state
}

/// Every key of a key ring that service accounts which a workspace needs may use.
pub(super) async fn list(
    cx: &Context<Client>,
    ring: &str,
    found: &Found<KeyPolicyModel>,
) -> Result<(), Diagnostics> {
    let cloud = cx.client().keys().gcp().cloud();
    let all = cloud.keys_of_ring(ring).await.map_err(|error| {
        Diagnostic::error(
            "The keys could not be listed",
            format!("Google says: \"{error}\". The identity that runs Terraform needs cloudkms.cryptoKeys.list on {ring}."),
        )
        .on("key_ring")
    })?;
    let mut unread = Vec::new();
    for key in all {
        let read = match key {
            Ok(key) => match cloud.policy(&key).await {
                Ok(policy) => policy.bindings().map(|live| (key, live)),
                Err(error) => Err(format!("{key}: {error}")),
            },
            Err(why) => Err(why),
        };
        match read {
            Ok((key, live)) => {
                let model = adopting(named(key.clone()), &live);
                let is_one = model.gcp.known().is_some_and(|gcp| !gcp.members.is_null());
                if is_one && !found.show(Listed::new(key.to_string(), model)).await {
                    break;
                }
            }
            Err(why) => unread.push(format!("  - {why}")),
        }
    }
    if !unread.is_empty() {
        cx.warn(Diagnostic::warning(
            "The policies of some keys could not be read",
            format!(
                "The provider cannot tell whether these keys have members for Databricks, so the list does not include them:\n{}\n\nTo see \
                 them, allow the identity that runs Terraform to call cloudkms.cryptoKeys.getIamPolicy.",
                unread.join("\n")
            ),
        ));
    }
    Ok(())
}

/// What this resource added, as far as its private data say.
fn added(cx: &Context<Client>, key: &CryptoKeyName) -> BTreeSet<String> {
    let follows = "It names the members that this resource added to the IAM policy of the key. The provider removes none of them.";
    remembered(cx, ADDED, key, follows).unwrap_or_default()
}

/// A plan that destroys this resource, or gives its key up.
pub(super) async fn plan_leaving(
    cx: &Context<Client>,
    state: &KeyPolicyModel,
    what: &str,
) -> Result<(), Diagnostics> {
    let Some((gcp, key)) = parts(state) else {
        return Ok(());
    };
    let (own, name) = (added(cx, key), Key::from(key.clone()));
    let shares = cx.client().keys().shares();
    let (scope, is_agreed) = (Scope::of(name.clone()), state.may_be_destroyed());
    // The note also has what the resource found there and others need, so that no later plan advises to remove it.
    let all = own.union(&gcp.members()).cloned().collect();
    let kept = leaving::plan_to_go(cx, &scope, &all, is_agreed, of_own(&own)).await;
    let removal = Removal {
        lost: &leaving::removed(&own, &BTreeSet::new(), &kept),
        what,
        stage: Stage::Plan,
        is_agreed,
        is_left: shares.is_applying(),
    };
    if !removal.is_left {
        refuse_to_take_tables(cx, gcp, key, &removal).await?;
    }
    match refuse_removal(cx, key, &removal).await {
        // The replacement of this object is there already, and nothing could ever remove the object if this failed.
        Err(refused) if shares.is_applying() => {
            leaving::note(cx, &name, own);
            leaving::left(cx, &name, refused);
            Ok(())
        }
        outcome => outcome,
    }
}

pub(super) async fn read(
    cx: &Context<Client>,
    mut state: KeyPolicyModel,
) -> Result<Option<KeyPolicyModel>, Unfinished> {
    let keys = cx.client().keys().gcp();
    if !keys.is_known() {
        let reason = diagnose::Unavailable::NotYetKnown(vec!["gcp"]);
        return Err(later(not_read(&reason)));
    }
    let Attr::Known(gcp) = &mut state.gcp else {
        return Ok(None);
    };
    let Some(key) = gcp.kms_key_id.known().cloned() else {
        return Ok(None);
    };
    let unread = |error: &GcpError| {
        diagnose::gcp("The IAM policy of the key could not be read", &key, error)
            .on("gcp.kms_key_id")
    };
    let policy = match keys.cloud().policy(&key).await {
        Ok(policy) => policy,
        Err(GcpError::NotFound(_)) => return Ok(None),
        // Google answers like this, too, where there is no such key: an import does not take it for one.
        Err(error @ GcpError::Denied(_)) if !gcp.members.is_null() => {
            cx.warn(as_warning(unread(&error)));
            return Ok(Some(state));
        }
        Err(error) => return Err(unread(&error).into()),
    };
    let live = bindings(&key, &policy)?;
    if gcp.members.is_null() {
        return Ok(Some(adopting(state, &live)));
    } else {
        let before = gcp.members();
        let wanted = gcp.usage(&state.use_cases).map(|usage| members_of(&usage));
        let is_there = |member: &&String| is_granted(&live, member);
        let there = before.iter().filter(is_there).cloned().collect();
        gcp.members = set_of(&there);
        let all = before.union(&wanted.unwrap_or_default()).cloned().collect();
        warn_of_missing(cx, &key, &live, (&before, &all)).await;
    }
    Ok(Some(state))
}

/// A member that is gone from the policy of the key.
struct Gone {
    member: String,
    /// Whether it may use the key all the same.
    is_granted: bool,
    /// As a line of a list.
    line: String,
}

impl Gone {
    fn of(facts: &CryptoKeyFacts, member: &str) -> Self {
        let account = account_of(member);
        let found = account.as_ref().map(|account| access(facts, account));
        let note = match &found {
            Some(Access::Granted) => {
                let by = account
                    .iter()
                    .flat_map(|account| granted_by(facts, account, false));
                let by: Vec<String> = by.collect();
                match by.is_empty() {
                    true => ": it is among all users".to_owned(),
                    false => format!(": it has {}", by.join(", ")),
                }
            }
            Some(Access::Conditional(_)) => {
                ": it may have access under a condition that the provider cannot decide".to_owned()
            }
            Some(Access::Groups(groups)) => {
                format!(": it may have access as a member of {}", groups.join(", "))
            }
            Some(Access::UnknownRoles(roles)) => {
                format!(": it may have access by {}", roles.join(", "))
            }
            Some(Access::None) if !facts.is_read_to_the_top => {
                ": what is above the key could not all be read, and may give it access".to_owned()
            }
            _ => String::new(),
        };
        Self {
            member: member.to_owned(),
            is_granted: found == Some(Access::Granted),
            line: format!("  - {member}{note}"),
        }
    }
}

/// Names the workspaces that cannot use the key now, because members are not in its policy. `before`: those that the state has; `all`: with those
/// that it asks for.
async fn warn_of_missing(
    cx: &Context<Client>,
    key: &CryptoKeyName,
    live: &[Binding],
    (before, all): (&BTreeSet<String>, &BTreeSet<String>),
) {
    let is_gone = |member: &&String| !is_granted(live, member);
    let gone: Vec<&String> = all.iter().filter(is_gone).collect();
    if gone.is_empty() {
        return;
    }
    let facts = cx.client().keys().gcp().facts_for_plan(key).await;
    let facts = CryptoKeyFacts {
        planned: None,
        ..facts
    };
    let key = key.clone().into();
    let (mut elsewhere, gone): (Vec<Gone>, Vec<Gone>) = gone
        .into_iter()
        .map(|member| Gone::of(&facts, member))
        .partition(|one| one.is_granted);
    // Of the members that have it from elsewhere, only those lost something to whom this resource had given it.
    elsewhere.retain(|one| before.contains(&one.member));
    let lines = |all: &[Gone]| -> Vec<String> { all.iter().map(|one| one.line.clone()).collect() };
    leaving::has_it_elsewhere(cx, &key, &lines(&elsewhere));
    if gone.is_empty() {
        return;
    }
    let members = gone.iter().map(|one| one.member.clone()).collect();
    match needing(cx.client(), &key, &members).await {
        Ok(users) => leaving::cut_off(cx, &key, &lines(&gone), &users),
        Err(errors) => errors.into_iter().for_each(|one| cx.warn(as_warning(one))),
    }
}

pub(super) async fn put(
    cx: &Context<Client>,
    mut plan: KeyPolicyModel,
    prior: Option<&KeyPolicyModel>,
    progress: &Progress<KeyPolicyModel>,
) -> Result<KeyPolicyModel, Diagnostics> {
    let bug = || Diagnostic::bug("A key policy was applied before its configuration was known.");
    let limit = if prior.is_some() { UPDATE } else { CREATE };
    let deadline = Deadline::after(limit.of(&plan.timeouts));
    let (cases, may_be_destroyed) = (plan.use_cases.clone(), plan.may_be_destroyed());
    let Attr::Known(gcp) = &mut plan.gcp else {
        return Err(bug().into());
    };
    let (Some(key), Some(usage)) = (gcp.kms_key_id.known().cloned(), gcp.usage(&cases)) else {
        return Err(bug().into());
    };
    let policies = cx.client().keys().policies();
    let putting = policies.putting(Some(key.clone().into()), leaving::name(cx));
    let wanted = members_of(&usage);
    if gcp.members.is_unknown() {
        gcp.members = set_of(&wanted);
    }
    let shares = cx.client().keys().shares();
    shares.applies();
    let (own, name) = (added(cx, &key), Key::from(key.clone()));
    let scope = Scope::of(name.clone());
    let given_up = leaving::removed(&own, &wanted, &BTreeSet::new());
    let kept = leaving::needed_now(cx, &scope, &given_up);
    let mut remove = match prior {
        Some(_) => leaving::removed(&own, &wanted, &kept),
        None => BTreeSet::new(),
    };
    // What workspaces need by now stays, whatever the plan has seen.
    let removal = Removal {
        lost: &remove,
        what: "This change",
        stage: Stage::Apply,
        is_agreed: may_be_destroyed,
        is_left: true,
    };
    let tables = match prior.and_then(|prior| prior.gcp.known()) {
        Some(prior) => refuse_to_take_tables(cx, prior, &key, &removal).await,
        None => Ok(()),
    };
    let needed = match tables {
        Ok(()) => refuse_removal(cx, &key, &removal).await,
        refused => refused,
    };
    // What stays for another one is still this one's to remove.
    let of_own = |one: &&String| wanted.contains(*one) || kept.contains(*one);
    let mut now: BTreeSet<String> = own.iter().filter(of_own).cloned().collect();
    if let Err(refused) = needed {
        leaving::left(cx, &name, refused);
        now.extend(std::mem::take(&mut remove));
    }
    let order = Write {
        key: &key,
        wanted: &wanted,
        remove: &remove,
        deadline,
    };
    let outcome = write(cx, &order, &mut now).await;
    // What it has in common with one that went in this run is its own from now on.
    now.extend(shares.inherited(&scope, &wanted));
    if outcome.is_err() {
        // The members that it could not remove stay its own: it removes them the next time.
        now.extend(remove.iter().cloned());
    }
    cx.set_private(ADDED, &now);
    leaving::stays(cx);
    drop(putting);
    outcome?;
    progress.save(plan.clone());
    Ok(plan)
}

pub(super) async fn delete(cx: &Context<Client>, state: KeyPolicyModel) -> Result<(), Diagnostics> {
    let Some((gcp, key)) = parts(&state) else {
        return Ok(());
    };
    let (own, name) = (added(cx, key), Key::from(key.clone()));
    let shares = cx.client().keys().shares();
    shares.applies();
    let all = own.union(&gcp.members()).cloned().collect();
    let kept = leaving::kept(cx, &Scope::of(name.clone()), &all, of_own(&own)).all();
    shares.leaves(name, kept.intersection(&own).cloned().collect());
    let going = leaving::removed(&own, &BTreeSet::new(), &kept);
    let removal = Removal {
        lost: &going,
        what: DESTROYING,
        stage: Stage::Apply,
        is_agreed: state.may_be_destroyed(),
        is_left: false,
    };
    refuse_to_take_tables(cx, gcp, key, &removal).await?;
    refuse_removal(cx, key, &removal).await?;
    let left = gcp.members().difference(&own).cloned().collect();
    warn_of_left(cx, key, &left, &kept).await;
    if going.is_empty() {
        return Ok(());
    }
    if let Err(GcpError::NotFound(_)) = cx.client().keys().gcp().cloud().key(key).await {
        return Ok(());
    }
    let order = Write {
        key,
        wanted: &BTreeSet::new(),
        remove: &going,
        deadline: Deadline::after(DELETE.of(&state.timeouts)),
    };
    write(cx, &order, &mut BTreeSet::new()).await
}

/// The lines for what this resource gave.
fn of_own(own: &BTreeSet<String>) -> impl Fn(&BTreeSet<String>) -> Vec<String> + '_ {
    |members| lines(&members.intersection(own).cloned().collect())
}

/// Names the members that this resource found in the policy, and leaves there.
async fn warn_of_left(
    cx: &Context<Client>,
    key: &CryptoKeyName,
    left: &BTreeSet<String>,
    kept: &BTreeSet<String>,
) {
    if left.is_empty() {
        return;
    }
    let name = key.clone().into();
    // When the provider cannot read the workspaces, it assumes that some need the members.
    let users = match needing(cx.client(), &name, left).await {
        Ok(users) => users,
        Err(_) => vec!["  - workspaces that could not be read".to_owned()],
    };
    let policy = cx.client().keys().gcp().cloud().policy(key).await;
    let live = policy.ok().and_then(|policy| policy.bindings().ok());
    let free = left.difference(kept).cloned().collect();
    let not_added = leaving::NotAdded {
        summary: "Members that this resource did not add stay in the IAM policy",
        noun: "members",
        items: left,
        of_others: kept,
        users: &users,
        removal: removal(key, &free, &live.unwrap_or_default()),
    };
    leaving::warn_of_not_added(cx, &name, &not_added, lines);
}

/// The commands that take the use of a key from these members.
fn removal(key: &CryptoKeyName, members: &BTreeSet<String>, live: &[Binding]) -> String {
    let gives = |binding: &&Binding| {
        let rights = rights_of(&binding.role);
        binding.condition.is_none() && rights.is_some_and(|one| one.encrypt || one.decrypt)
    };
    let of_key = live.iter().filter(gives).flat_map(|binding| {
        let own = binding.members.iter().filter(|one| members.contains(*one));
        own.map(|member| {
            format!(
                "\n\n  gcloud kms keys remove-iam-policy-binding {} --project {} --location {} --keyring {} --member {member} --role {}",
                key.key(),
                key.project(),
                key.location(),
                key.ring(),
                binding.role
            )
        })
    });
    let commands: String = of_key.collect();
    match commands.is_empty() {
        true => String::new(),
        false => format!("To remove them, run:{commands}"),
    }
}

pub(super) fn import(id: &str) -> Result<KeyPolicyModel, Diagnostics> {
    let key: CryptoKeyName = id.parse().map_err(|error: GcpNameError| {
        Diagnostic::error(
            "Not the name of a key",
            format!("A dbxcmk_key_policy of Google Cloud is imported by the name of its key, but {error}."),
        )
    })?;
    Ok(named(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_is_that_of_a_named_workspace() -> Result<(), Box<dyn std::error::Error>> {
        let number = |text: &str| text.parse::<ProjectNumber>();
        let seen = [("1 (\"one\")".to_owned(), number("123456789012")?)];
        for (own, all, is_said) in [
            ("123456789012", &seen[..], false),
            ("123456789013", &seen[..], true),
            ("123456789013", &[], false),
        ] {
            let said = other_project(&number(own)?, all);
            assert_eq!(said.is_some(), is_said, "{own}");
            let detail = said.map(|one| one.detail);
            assert!(detail.is_none_or(|text| text.contains("1 (\"one\"): 123456789012")));
        }
        Ok(())
    }
}
