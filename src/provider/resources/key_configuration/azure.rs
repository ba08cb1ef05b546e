//! The `azure` attribute of a key configuration. Azure Databricks has no key configurations: this one has no remote object. It is a checked
//! description of a key, to which bindings refer.

use serde::{Deserialize, Serialize};
use tfplugin::deferral::Unfinished;

use super::{KeyConfigurationModel, place, prove_at_plan};
use crate::preflight::azure::{Question, judge_version};
use crate::preflight::{Fact, Stage};
use crate::provider::client::{Client, enforce};
use crate::provider::diagnose;
use crate::provider::keys::{AzureKeyCheck, KeyCheck};
use crate::provider::resources::workspace_binding::same;
use crate::vocabulary::azure::{AzureNameError, VaultKeyId};
use crate::vocabulary::{KeyReference, UseCase};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::path::Path;
use tfplugin::resource::{Change, Plan};
use tfplugin::schema::Attribute;

/// The `azure` block of `dbxcmk_key_configuration`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyConfigurationAzure {
    pub key_vault_key_id: Attr<VaultKeyId>,
    pub vault_uri: Attr<String>,
    pub key_name: Attr<String>,
    pub key_version: Attr<String>,
}

pub(super) fn attributes() -> Vec<Attribute> {
    vec![
        Attribute::string("key_vault_key_id")
            .required()
            .replaces()
            .format::<VaultKeyId>("Invalid key identifier")
            .same_meaning(same::<VaultKeyId>)
            .describe(
                "Identifier of the key in Key Vault or Managed HSM, with a version (`azurerm_key_vault_key.….id`) or without \
                 (`….versionless_id`). A workspace pins a version: with a versionless identifier it gets the one that is current at the attach, \
                 and stays there when the vault rotates the key. Only managed disks can follow by themselves \
                 (`rotate_managed_disks_to_latest_version` of the binding).",
            ),
        Attribute::string("vault_uri")
            .computed()
            .stable()
            .describe("Address of the vault."),
        Attribute::string("key_name")
            .computed()
            .stable()
            .describe("Name of the key."),
        Attribute::string("key_version").computed().stable().describe(
            "Version of the key: the one that the identifier names, or the one that was current when this resource was created.",
        ),
    ]
}

fn named(key: VaultKeyId) -> KeyConfigurationAzure {
    KeyConfigurationAzure {
        vault_uri: Attr::Known(key.vault_uri()),
        key_name: Attr::Known(key.name().to_owned()),
        key_version: key.version().map(str::to_owned).into(),
        key_vault_key_id: Attr::Known(key),
    }
}

fn key_of(model: &KeyConfigurationModel) -> Option<&VaultKeyId> {
    model.azure.known()?.key_vault_key_id.known()
}

fn case(model: &KeyConfigurationModel, stage: Stage) -> Option<KeyCheck> {
    Some(KeyCheck::Azure(Box::new(AzureKeyCheck {
        key: key_of(model)?.clone(),
        vault: None,
        question: Question {
            cases: model.cases()?,
            ..Question::of_nobody(stage)
        },
        roles: None,
    })))
}

/// The current version of a key, as far as it can be read.
async fn current(client: &Client, key: &VaultKeyId) -> Attr<String> {
    let azure = client.keys().azure();
    if !azure.is_known() {
        return Attr::Unknown;
    }
    let facts = azure.facts(key, None, None, &[], Stage::Plan).await;
    match facts.key {
        Fact::Known(found) => Attr::Known(found.version),
        Fact::Unreadable(_) => Attr::Unknown,
    }
}

pub(super) async fn plan(
    cx: &Context<Client>,
    change: &Change<KeyConfigurationModel>,
    plan: &mut Plan<KeyConfigurationModel>,
) -> Result<(), Unfinished> {
    let client = cx.client();
    plan.model.account_id = Attr::Null;
    plan.model.creation_time = Attr::Null;
    let prior = change.prior.as_ref();
    let prior_key = prior.and_then(key_of);
    if prior.is_some_and(|prior| !prior.is_azure()) {
        plan.replace.push(Path::of("azure"));
    }
    let stays = prior_key.is_some() && prior_key == key_of(&plan.model);
    plan.model.plan_proof(client, prior);
    if let (Some(key), Some(cases)) = (key_of(&plan.model), plan.model.cases()) {
        client.keys().azure().is_made_for(key, cases);
    }
    let Attr::Known(azure) = &mut plan.model.azure else {
        return Ok(());
    };
    let Some(key) = azure.key_vault_key_id.known().cloned() else {
        client.warn_of_later_proof(cx, &[("azure.key_vault_key_id", true)]);
        return Ok(());
    };
    plan.model.id = Attr::Known(KeyReference::VaultKey(key.clone()));
    azure.vault_uri = Attr::Known(key.vault_uri());
    azure.key_name = Attr::Known(key.name().to_owned());
    let before = prior
        .filter(|_| stays)
        .and_then(|prior| prior.azure.known());
    let before = before.and_then(|before| before.key_version.known());
    azure.key_version = match (key.version(), before) {
        (Some(version), _) => Attr::Known(version.to_owned()),
        (None, Some(before)) => Attr::Known(before.clone()),
        // The vault may have another one when Terraform plans again within the apply.
        (None, None) => Attr::Unknown,
    };
    if change.quiet {
        return Ok(());
    }
    let mut case = case(&plan.model, Stage::Plan);
    if stays && let Some(KeyCheck::Azure(one)) = &mut case {
        ask_for_users(client, one).await;
    }
    prove_at_plan(cx, &plan.model, case, stays).await
}

/// Where the key cannot be used, the check is about the version that a workspace has: the proof then finds what the binding of that workspace
/// finds, and the provider reports it once.
async fn ask_for_users(client: &Client, case: &mut AzureKeyCheck) {
    let azure = client.keys().azure();
    if !azure.is_known() {
        return;
    }
    let facts = azure.facts(&case.key, None, None, &[], Stage::Plan).await;
    if judge_version(&facts, &case.question).is_empty() {
        return;
    }
    // When the provider cannot read the workspaces, it adds none, and the check keeps what it has.
    let users = azure.users(&case.key).await.unwrap_or_default();
    for user in &users.workspaces {
        let of_case = |case: &UseCase| user.workspace.key(*case).known().cloned();
        let mut attached = user.cases.iter().filter_map(of_case);
        let own = attached.find(|own| match &facts.key {
            Fact::Known(found) => own.version() == Some(found.version.as_str()),
            Fact::Unreadable(_) => case
                .key
                .version()
                .is_none_or(|own_version| own.version() == Some(own_version)),
        });
        if let Some(own) = own {
            case.question.used_for = user.workspace.facts().used_for(&own);
            case.question.workspace = Some(user.workspace.id().clone());
            case.key = own;
            return;
        }
    }
}

pub(super) async fn create(
    cx: &Context<Client>,
    mut plan: KeyConfigurationModel,
) -> Result<KeyConfigurationModel, Diagnostics> {
    let client = cx.client();
    let (Some(case), Some(key)) = (case(&plan, Stage::Apply), key_of(&plan).cloned()) else {
        return Err(Diagnostic::bug(
            "A key configuration was applied before its configuration was known.",
        )
        .into());
    };
    let findings = client.keys().examine(&[case]).await.concat();
    enforce(
        cx,
        findings,
        &plan.ignore_findings,
        Stage::Apply,
        place(&plan),
    )?;
    settle(cx, &mut plan, &key).await?;
    Ok(plan)
}

/// Fills in what was not known at plan.
async fn settle(
    cx: &Context<Client>,
    model: &mut KeyConfigurationModel,
    key: &VaultKeyId,
) -> Result<(), Diagnostics> {
    let Attr::Known(azure) = &mut model.azure else {
        return Ok(());
    };
    if azure.key_version.is_unknown() {
        let found = cx.client().keys().azure().key(key, None, None).await;
        let found = found.map_err(|error| {
            diagnose::azure("The key could not be read", key, &error).on("azure.key_vault_key_id")
        })?;
        azure.key_version = Attr::Known(found.version);
    }
    if model.proof.is_unknown() {
        model.plan_proof(cx.client(), None);
    }
    Ok(())
}

/// Azure has no object for it: the state is what the configuration says. After an import, the provider reads what the state lacks.
pub(super) async fn read(
    cx: &Context<Client>,
    mut state: KeyConfigurationModel,
) -> Result<Option<KeyConfigurationModel>, Unfinished> {
    let Some(key) = key_of(&state).cloned() else {
        return Ok(None);
    };
    let keys = cx.client().keys().azure();
    // Use cases are what an import does not know.
    if state.use_cases.is_null()
        && keys.is_known()
        && let Some(finding) = keys.absent(&key, None).await
    {
        return Err(diagnose::offline(finding)
            .on("azure.key_vault_key_id")
            .into());
    }
    let Attr::Known(azure) = &mut state.azure else {
        return Ok(None);
    };
    if azure.key_version.is_null() && cx.client().keys().azure().is_known() {
        azure.key_version = match current(cx.client(), &key).await {
            Attr::Known(version) => Attr::Known(version),
            _ => Attr::Null,
        };
    }
    Ok(Some(state))
}

pub(super) async fn update(
    cx: &Context<Client>,
    mut plan: KeyConfigurationModel,
) -> Result<KeyConfigurationModel, Diagnostics> {
    if let Some(key) = key_of(&plan).cloned() {
        settle(cx, &mut plan, &key).await?;
    }
    Ok(plan)
}

pub(super) fn import(id: &str) -> Result<KeyConfigurationModel, Diagnostics> {
    let key: VaultKeyId = id.parse().map_err(|error: AzureNameError| {
        Diagnostic::error(
            "Not the identifier of a key",
            format!("A dbxcmk_key_configuration on Azure is imported by the identifier of its key, but {error}."),
        )
    })?;
    Ok(KeyConfigurationModel {
        azure: Attr::Known(named(key.clone())),
        ..KeyConfigurationModel::named(KeyReference::VaultKey(key))
    })
}
