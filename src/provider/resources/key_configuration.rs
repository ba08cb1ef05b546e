//! `dbxcmk_key_configuration`: a key as the Databricks account knows it. The API cannot change one, only make and remove it.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Timeouts, all_known, known_set, timeout};
use crate::databricks::key_configurations::{AwsKeyInfo, KeyConfiguration, NewKeyConfiguration};
use crate::preflight::Stage;
use crate::preflight::aws::{Question, judge};
use crate::provider::client::{
    Claim, Client, PlannedConfiguration, account_to_read, as_warnings, split,
};
use crate::provider::config::{IgnoreFindings, ignore_findings};
use crate::provider::diagnose::{self, Unavailable};
use crate::provider::key_configurations::{
    Ending, announce, make, refuse_while_in_use, rfc3339, users,
};
use crate::provider::waiting::{Pause, pause};
use crate::requirements::aws::Usage;
use crate::vocabulary::{AccountId, KeyAlias, KeyArn, KeyConfigurationId, UseCase};
use tfplugin::bridge::Attr;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::identity::Identity;
use tfplugin::resource::{Change, Context, Plan, Private, Progress, Resource, Source};
use tfplugin::schema::{Attribute, Schema};

/// How long a create may take.
const CREATE: Duration = Duration::from_secs(10 * 60);
/// How long a delete may be tried while a workspace that is being deleted still holds the configuration.
const DELETE: Duration = Duration::from_secs(15 * 60);

/// The resource.
pub struct KeyConfigurationResource;

/// Configuration, plan and state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyConfigurationModel {
    pub id: Attr<KeyConfigurationId>,
    pub account_id: Attr<AccountId>,
    pub creation_time: Attr<String>,
    pub use_cases: Attr<Vec<Attr<UseCase>>>,
    pub aws: Attr<KeyConfigurationAws>,
    pub ignore_findings: IgnoreFindings,
    pub timeouts: Timeouts,
}

/// `aws`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyConfigurationAws {
    pub key_arn: Attr<KeyArn>,
    pub key_alias: Attr<KeyAlias>,
    pub key_region: Attr<String>,
    pub reuse_key_for_cluster_volumes: Attr<bool>,
}

impl KeyConfigurationModel {
    /// A configuration of which nothing but its id is known.
    fn named(id: KeyConfigurationId) -> Self {
        Self {
            id: Attr::Known(id),
            account_id: Attr::Null,
            creation_time: Attr::Null,
            use_cases: Attr::Null,
            aws: Attr::Null,
            ignore_findings: Attr::Null,
            timeouts: Attr::Null,
        }
    }

    /// A configuration as the API shows it.
    ///
    /// # Errors
    /// When this version cannot represent it: a key of another cloud.
    pub fn of(remote: &KeyConfiguration) -> Result<Self, Diagnostics> {
        let id: Result<KeyConfigurationId, _> = remote.customer_managed_key_id.parse();
        state(
            remote,
            &Self::named(id.map_err(|error| Diagnostic::bug(error.to_string()))?),
        )
    }

    fn key(&self) -> Option<&KeyArn> {
        self.aws.known().and_then(|aws| aws.key_arn.known())
    }

    /// What preflight is to be asked about the key, when all of it is known.
    fn question(
        &self,
        client: &Client,
        account: &AccountId,
        stage: Stage,
    ) -> Option<(KeyArn, Question)> {
        let aws = self.aws.known()?;
        let key = aws.key_arn.known()?.clone();
        let usage = Usage::of(
            client.deployment(&key),
            [account.clone()],
            all_known(&self.use_cases)?,
        );
        let cluster_volumes = aws.reuse_key_for_cluster_volumes.known() != Some(&false);
        Some((
            key,
            Question {
                usage,
                cluster_volumes,
                stage,
            },
        ))
    }
}

/// The state from what the API shows; what it does not know stays as it was.
fn state(
    remote: &KeyConfiguration,
    before: &KeyConfigurationModel,
) -> Result<KeyConfigurationModel, Diagnostics> {
    let odd = |what: String| {
        Diagnostics::from(Diagnostic::error(
            "The key configuration cannot be represented",
            format!(
                "Databricks shows the key configuration {} with {what}. This provider version cannot manage it.",
                remote.customer_managed_key_id
            ),
        ))
    };
    let Some(key) = &remote.aws_key_info else {
        return Err(odd("a key of another cloud".to_owned()));
    };
    let use_cases: Vec<UseCase> = remote
        .use_cases
        .iter()
        .map(|case| case.parse())
        .collect::<Result<_, _>>()
        .map_err(|_| odd(format!("the use cases {}", remote.use_cases.join(", "))))?;
    let key_arn: KeyArn = key
        .key_arn
        .parse()
        .map_err(|_| odd(format!("the key {}", key.key_arn)))?;
    let is_storage = use_cases.contains(&UseCase::Storage);
    let old = before.aws.known();
    Ok(KeyConfigurationModel {
        id: remote
            .customer_managed_key_id
            .parse()
            .map_or(Attr::Unknown, Attr::Known),
        account_id: match remote.account_id.as_deref().map(str::parse) {
            Some(Ok(account)) => Attr::Known(account),
            _ => before.account_id.clone(),
        },
        creation_time: remote
            .creation_time
            .and_then(rfc3339)
            .map_or_else(|| before.creation_time.clone(), Attr::Known),
        aws: Attr::Known(KeyConfigurationAws {
            key_region: Attr::Known(
                key.key_region
                    .clone()
                    .filter(|region| !region.is_empty())
                    .unwrap_or_else(|| key_arn.region().to_owned()),
            ),
            key_arn: Attr::Known(key_arn),
            // The alias is for people: the API keeps the first one for good, so what the state says is the newer truth.
            key_alias: match old.map(|old| &old.key_alias) {
                Some(Attr::Known(alias)) => Attr::Known(alias.clone()),
                Some(Attr::Null) if before.creation_time.known().is_some() => Attr::Null,
                _ => readable_alias(key.key_alias.as_deref()),
            },
            reuse_key_for_cluster_volumes: if is_storage {
                Attr::Known(key.is_reused_for_cluster_volumes())
            } else {
                old.map_or(Attr::Null, |old| old.reuse_key_for_cluster_volumes.clone())
            },
        }),
        use_cases: known_set(use_cases),
        ignore_findings: before.ignore_findings.clone(),
        timeouts: before.timeouts.clone(),
    })
}

fn request(plan: &KeyConfigurationModel) -> Option<NewKeyConfiguration> {
    let aws = plan.aws.known()?;
    let mut use_cases: Vec<String> = all_known(&plan.use_cases)?
        .iter()
        .map(ToString::to_string)
        .collect();
    use_cases.sort();
    let is_storage = use_cases.iter().any(|case| case == UseCase::Storage.name());
    let key = aws.key_arn.known()?;
    Some(NewKeyConfiguration {
        use_cases,
        aws_key_info: AwsKeyInfo {
            key_arn: key.to_string(),
            key_alias: aws.key_alias.known().map(ToString::to_string),
            key_region: Some(key.region().to_owned()),
            // Left out, the API takes it as true: an explicit false has to reach it.
            reuse_key_for_cluster_volumes: aws
                .reuse_key_for_cluster_volumes
                .known()
                .copied()
                .filter(|_| is_storage),
        },
    })
}

impl Resource for KeyConfigurationResource {
    type Client = Client;
    type Model = KeyConfigurationModel;

    const NAME: &'static str = "dbxcmk_key_configuration";
    const IDENTITY: Identity = Identity {
        name: "id",
        path: "id",
        description: "the id of the key configuration, a UUID",
    };

    fn schema() -> Schema {
        let aws = vec![
            Attribute::string("key_arn")
                .required()
                .replaces()
                .format::<KeyArn>("Invalid key ARN")
                .describe("ARN of the KMS key. Refer to `dbxcmk_key_policy.….aws.key_arn`, so that the policy is there first."),
            Attribute::string("key_alias")
                .format::<KeyAlias>("Invalid key alias")
                .describe("Alias of the key, for people only. Databricks keeps the first one; a change here changes nothing there."),
            Attribute::bool("reuse_key_for_cluster_volumes").optional_computed().stable().replaces().describe(
                "Whether the key also encrypts the EBS volumes of clusters. Has a meaning only with the use case `STORAGE`. Default: \
                 `true`, as in the API.",
            ),
            Attribute::string("key_region").computed().stable().describe("Region of the key."),
        ];
        Schema::new(
            "A customer-managed key as the Databricks account knows it. Before it is created, the key's state and policy are proven to \
             let Databricks use it. The API cannot change a configuration, so every change but that of the alias replaces it; one that a \
             workspace uses is never deleted.",
            vec![
                Attribute::string("id").computed().stable().describe("Id of the configuration, a UUID."),
                Attribute::string("account_id").computed().stable().describe("Databricks account that it belongs to."),
                Attribute::string("creation_time").computed().stable().describe("When it was created (RFC 3339)."),
                Attribute::string_set("use_cases")
                    .required()
                    .replaces()
                    .format::<UseCase>("Invalid use case")
                    .not_empty("No use case", "Name at least one of `MANAGED_SERVICES` and `STORAGE`.")
                    .describe(
                        "What the key may be attached for: `MANAGED_SERVICES`, `STORAGE`, or both. Their order means nothing.",
                    ),
                Attribute::object("aws", aws).required().describe("The AWS key."),
                ignore_findings("this resource"),
                Attribute::timeouts(&[("create", "10m"), ("delete", "15m")]),
            ],
        )
    }

    fn validate(config: &KeyConfigurationModel) -> Diagnostics {
        let mut found = Diagnostics::new();
        let (Some(aws), Some(cases)) = (config.aws.known(), all_known(&config.use_cases)) else {
            return found;
        };
        if aws.reuse_key_for_cluster_volumes.known() == Some(&true)
            && !cases.contains(&UseCase::Storage)
        {
            found.push(
                Diagnostic::error(
                    "Cluster volumes belong to the use case STORAGE",
                    "`reuse_key_for_cluster_volumes = true` has no effect unless the key is also used for storage. Add \"STORAGE\" to \
                     `use_cases`, or remove the attribute.",
                )
                .on("aws.reuse_key_for_cluster_volumes"),
            );
        }
        found
    }

    async fn plan(
        cx: &Context<Client>,
        change: &Change<KeyConfigurationModel>,
        plan: &mut Plan<KeyConfigurationModel>,
    ) -> Result<(), Diagnostics> {
        let client = cx.client();
        let cases = all_known(&plan.model.use_cases);
        if let Attr::Known(aws) = &mut plan.model.aws {
            let config = change.config.aws.known();
            if config.is_some_and(|config| config.reuse_key_for_cluster_volumes.is_null()) {
                aws.reuse_key_for_cluster_volumes = match &cases {
                    None => Attr::Unknown,
                    Some(cases) if cases.contains(&UseCase::Storage) => Attr::Known(true),
                    Some(_) => Attr::Null,
                };
            }
            aws.key_region = aws.key_arn.as_ref().map(|key| key.region().to_owned());
        }
        let account = match client.account_id() {
            Ok(account) => account,
            Err(Unavailable::NotYetKnown(unknown)) => {
                client.warn_unproven(cx, &unknown);
                cx.defer();
                return Ok(());
            }
            Err(reason) => return Err(reason.into()),
        };
        if let Some(id) = change.prior.as_ref().and_then(|prior| prior.id.known()) {
            client.is_managed_here(id.as_str());
        }
        let replaces = change.prior.as_ref().is_some_and(|prior| {
            prior.key() != plan.model.key()
                || all_known(&prior.use_cases).map(sorted) != cases.clone().map(sorted)
                || prior
                    .aws
                    .known()
                    .map(|aws| &aws.reuse_key_for_cluster_volumes)
                    != plan
                        .model
                        .aws
                        .known()
                        .map(|aws| &aws.reuse_key_for_cluster_volumes)
        });
        match change.prior.as_ref() {
            None => {
                plan.model.account_id = Attr::Known(account.clone());
                // A missing credential is told now, not in the middle of the apply.
                let account = client.account().await?;
                if let Some(cases) = cases.clone() {
                    let reuse = plan
                        .model
                        .aws
                        .known()
                        .and_then(|aws| aws.reuse_key_for_cluster_volumes.known())
                        == Some(&true);
                    client.plan_configuration(PlannedConfiguration {
                        use_cases: sorted(cases),
                        key: plan.model.key().cloned(),
                        cluster_volumes: reuse,
                    });
                }
                if let Some(new) = request(&plan.model) {
                    refuse_twins(client, &new)?;
                    let all = client.reads().configurations(account).await;
                    let all = all.map_err(|error| {
                        diagnose::account("The key configurations could not be read", &error)
                    })?;
                    announce(cx, account.id(), all.values(), &new)?;
                }
            }
            Some(prior) if replaces => {
                if let Attr::Known(id) = &prior.id {
                    refuse_while_in_use(
                        id,
                        Ending::Replaced,
                        users(client, client.account().await?, id).await,
                    )?;
                }
            }
            Some(_) => {}
        }
        if change.quiet {
            return Ok(());
        }
        if let (Some((key, question)), true) = (
            plan.model.question(client, &account, Stage::Plan),
            client.can_prove(cx),
        ) {
            let mut findings = judge(&client.facts_for_plan(&key).await, &question);
            if change.prior.is_some() && !replaces {
                findings = as_warnings(findings);
            }
            let (warnings, errors) = split(client.report(
                findings,
                &plan.model.ignore_findings,
                Stage::Plan,
                |_| "aws.key_arn",
            ));
            warnings.into_iter().for_each(|warning| cx.warn(warning));
            if !errors.is_empty() {
                return Err(errors);
            }
        }
        Ok(())
    }

    async fn plan_destroy(
        cx: &Context<Client>,
        state: &KeyConfigurationModel,
    ) -> Result<(), Diagnostics> {
        match &state.id {
            Attr::Known(id) => {
                let client = cx.client();
                refuse_while_in_use(
                    id,
                    Ending::Destroyed,
                    users(client, client.account().await?, id).await,
                )
            }
            _ => Ok(()),
        }
    }

    async fn create(
        cx: &Context<Client>,
        plan: KeyConfigurationModel,
        progress: &Progress<KeyConfigurationModel>,
    ) -> Result<KeyConfigurationModel, Diagnostics> {
        let client = cx.client();
        let account = client.account().await?;
        let (Some(new), Some((key, question))) = (
            request(&plan),
            plan.question(client, account.id(), Stage::Apply),
        ) else {
            return Err(Diagnostic::bug(
                "A key configuration was applied before its configuration was known.",
            )
            .into());
        };
        let findings = judge(&client.facts_now(&key).await, &question);
        let (warnings, errors) = split(client.report(
            findings,
            &plan.ignore_findings,
            Stage::Apply,
            |_| "aws.key_arn",
        ));
        warnings.into_iter().for_each(|warning| cx.warn(warning));
        if !errors.is_empty() {
            return Err(errors);
        }
        let made = make(cx, account, &new, timeout(&plan.timeouts, "create", CREATE)).await;
        client.reads().forget_configurations();
        let made = made?;
        client.is_managed_here(&made.customer_managed_key_id);
        // The first answer may be partial; the object itself is complete. Not being able to read it is no reason to lose it.
        let id: KeyConfigurationId = made.customer_managed_key_id.parse().map_err(|_| {
            Diagnostic::error(
                "Databricks answered with an id that is none",
                format!(
                    "The new key configuration is called `{}`, which is no UUID. Look it up in the account console.",
                    made.customer_managed_key_id
                ),
            )
        })?;
        let complete = account.key_configuration(&id).await.unwrap_or(made);
        let mut state = match state(&complete, &plan) {
            Ok(state) => state,
            Err(_) => KeyConfigurationModel {
                id: Attr::Known(id.clone()),
                ..plan.clone()
            },
        };
        state.id = Attr::Known(id);
        state.use_cases = plan.use_cases.clone();
        if state.creation_time.is_unknown() {
            state.creation_time = Attr::Null;
        }
        progress.save(state.clone());
        Ok(state)
    }

    async fn read(
        cx: &Context<Client>,
        before: KeyConfigurationModel,
    ) -> Result<Option<KeyConfigurationModel>, Diagnostics> {
        let Attr::Known(id) = &before.id else {
            return Ok(None);
        };
        let Some(account) = account_to_read(cx).await? else {
            return Ok(Some(before));
        };
        cx.client().is_managed_here(id.as_str());
        if let Attr::Known(own) = before.account_id.as_ref()
            && own != account.id()
        {
            return Err(Diagnostic::error(
                    "The key configuration belongs to another Databricks account",
                    format!(
                        "The state has the key configuration {id} of account {own}, but the provider is configured for account {}. It was \
                         not looked up, so that it is not taken for deleted. Configure the provider for account {own}.",
                        account.id()
                    ),
                )
                .into());
        }
        let found = cx
            .client()
            .reads()
            .configuration(account, id)
            .await
            .map_err(|error| {
                diagnose::account("The key configuration could not be read", &error)
            })?;
        found.map(|remote| state(&remote, &before)).transpose()
    }

    async fn update(
        _: &Context<Client>,
        _: KeyConfigurationModel,
        plan: KeyConfigurationModel,
        _: &Progress<KeyConfigurationModel>,
    ) -> Result<KeyConfigurationModel, Diagnostics> {
        // Only the alias and the timeouts can change in place, and both live here alone.
        Ok(plan)
    }

    async fn delete(cx: &Context<Client>, state: KeyConfigurationModel) -> Result<(), Diagnostics> {
        let account = cx.client().account().await?;
        let Attr::Known(id) = &state.id else {
            return Ok(());
        };
        let deadline = timeout(&state.timeouts, "delete", DELETE);
        cx.client().reads().forget_configurations();
        let mut wait = Duration::from_millis(500);
        loop {
            let error = match account.delete_key_configuration(id).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_not_found() => {
                    let still = account.find_key_configuration(id).await;
                    match still {
                        Ok(None) => return Ok(()),
                        _ => error,
                    }
                }
                Err(error) => error,
            };
            let failed = || {
                Diagnostics::from(diagnose::account(
                    "The key configuration could not be deleted",
                    &error,
                ))
            };
            if !error
                .api()
                .is_some_and(crate::databricks::ApiError::is_conflict)
            {
                return Err(failed());
            }
            // A workspace that is being deleted holds its configuration for some minutes. One that is not, holds it for good.
            let using = account.workspaces_using(id).await;
            if using.as_ref().is_ok_and(|using| {
                using
                    .iter()
                    .any(|workspace| !workspace.workspace_status.is_going())
            }) {
                refuse_while_in_use(id, Ending::Destroyed, using)?;
            }
            if deadline.has_passed() || pause(wait, cx.stop()).await == Pause::Stopped {
                return Err(failed());
            }
            wait = (wait * 2).min(Duration::from_secs(15));
        }
    }

    async fn import(_: &Context<Client>, id: &str) -> Result<KeyConfigurationModel, Diagnostics> {
        let id: KeyConfigurationId = id.parse().map_err(|error: crate::vocabulary::IdError| {
            Diagnostic::error(
                "Not the id of a key configuration",
                format!("A dbxcmk_key_configuration is imported by its UUID, but {error}."),
            )
        })?;
        Ok(KeyConfigurationModel::named(id))
    }

    fn take_over(source: &Source) -> Option<Result<(KeyConfigurationModel, Private), Diagnostics>> {
        let is_peer = source.is_of("databricks", "databricks")
            && source.type_name == "databricks_mws_customer_managed_keys";
        is_peer.then(|| Peer::model(source.state.clone()).map(|model| (model, Private::new())))
    }
}

/// Why a state cannot be moved from the resource of Databricks' own provider.
fn unusable(what: &str) -> Diagnostics {
    Diagnostics::from(Diagnostic::error(
        "The state of databricks_mws_customer_managed_keys cannot be taken over",
        format!(
            "{what}. Take the resource out of the state with a `removed` block (`destroy = false`), and import the key configuration \
                     by its id."
        ),
    ))
}

fn parsed<T: FromStr<Err: Display>>(name: &str, text: &str) -> Result<T, Diagnostics> {
    text.parse()
        .map_err(|error| unusable(&format!("Its {name} cannot be read: {error}")))
}

/// The alias as far as it is one: Databricks takes any text for it, and it is for people only.
fn readable_alias(text: Option<&str>) -> Attr<KeyAlias> {
    text.and_then(|alias| alias.parse().ok()).into()
}

impl Peer {
    fn model(state: Json) -> Result<KeyConfigurationModel, Diagnostics> {
        let peer: Self = serde_json::from_value(state)
            .map_err(|error| unusable(&format!("It has another form ({error})")))?;
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let Some(id) = filled(&peer.customer_managed_key_id) else {
            return Err(unusable(
                "It has no id of a key configuration (customer_managed_key_id)",
            ));
        };
        let id = parsed("customer_managed_key_id", &id)?;
        let Some(key) = peer.aws_key_info.as_ref().and_then(|info| info.first()) else {
            return Err(unusable("Its key is of another cloud than AWS"));
        };
        let account_id = filled(&peer.account_id)
            .map(|id| parsed("account_id", &id))
            .transpose()?;
        let cases = peer.use_cases.iter().map(|case| parsed("use_cases", case));
        // Whether it is reused for cluster volumes is not in that state: the read that follows brings it.
        Ok(KeyConfigurationModel {
            account_id: account_id.into(),
            creation_time: peer
                .creation_time
                .filter(|time| *time > 0)
                .and_then(rfc3339)
                .into(),
            use_cases: known_set(cases.collect::<Result<Vec<UseCase>, _>>()?),
            aws: Attr::Known(KeyConfigurationAws {
                key_arn: Attr::Known(parsed("key_arn", &key.key_arn)?),
                key_alias: readable_alias(key.key_alias.as_deref()),
                key_region: filled(&key.key_region).into(),
                reuse_key_for_cluster_volumes: Attr::Null,
            }),
            ..KeyConfigurationModel::named(id)
        })
    }
}

/// The state of `databricks_mws_customer_managed_keys`, as far as it matters.
#[derive(Debug, Deserialize)]
struct Peer {
    customer_managed_key_id: Option<String>,
    account_id: Option<String>,
    creation_time: Option<i64>,
    #[serde(default)]
    use_cases: Vec<String>,
    aws_key_info: Option<Vec<AwsKeyInfo>>,
}

/// Two new resources that describe the very same object.
fn refuse_twins(client: &Client, new: &NewKeyConfiguration) -> Result<(), Diagnostics> {
    let fingerprint = serde_json::to_string(new).unwrap_or_default();
    if client.claim(
        format!("key configuration {fingerprint}"),
        Claim {
            value: String::new(),
            is_new: true,
        },
    ) {
        return Ok(());
    }
    Err(Diagnostic::error(
        "Two resources describe the same key configuration",
        format!(
            "Another new dbxcmk_key_configuration of this configuration has the same key ({}), use cases and alias. Databricks would have \
             the same object twice, and nobody could tell them apart.\n\nRefer to one of them from everywhere. If two are really wanted, give \
             them different aliases (`key_alias`).",
            new.aws_key_info.key_arn
        ),
    )
    .on("aws.key_arn")
    .into())
}

fn sorted(mut cases: Vec<UseCase>) -> Vec<UseCase> {
    cases.sort_unstable();
    cases
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Each row: a field of the peer's state, what stands in it, and what the refusal says.
    #[test]
    fn what_cannot_be_read_in_the_state_of_a_peer_is_not_passed_over() {
        let moved = |pointer: &str, value: Json| {
            let mut state = json!({
                "customer_managed_key_id": "3878344b-0000-4000-8000-000000000001",
                "account_id": "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11",
                "use_cases": ["STORAGE"],
                "aws_key_info": [{
                    "key_arn": "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
                    "key_alias": "alias/x", "key_region": "",
                }],
            });
            if let Some(field) = state.pointer_mut(pointer) {
                *field = value;
            }
            Peer::model(state)
        };
        assert!(moved("", Json::Null).is_err());
        assert!(moved("/none", Json::Null).is_ok());
        for (pointer, value, words) in [
            ("/customer_managed_key_id", json!(""), "It has no id"),
            (
                "/customer_managed_key_id",
                json!("x"),
                "customer_managed_key_id cannot be read",
            ),
            ("/account_id", json!("x"), "account_id cannot be read"),
            ("/use_cases/0", json!("DISKS"), "use_cases cannot be read"),
            (
                "/aws_key_info/0/key_arn",
                json!("x"),
                "key_arn cannot be read",
            ),
            ("/aws_key_info", json!([]), "another cloud"),
            ("/aws_key_info", json!(7), "another form"),
        ] {
            let refusal = moved(pointer, value).expect_err(pointer);
            assert!(
                refusal.iter().any(|one| one.detail.contains(words)),
                "{pointer}: {refusal:?}"
            );
        }
        // An alias is for people: any text is one for Databricks, and none of them stops a move.
        let alias = moved("/aws_key_info/0/key_alias", json!("for people")).map(|model| model.aws);
        assert!(alias.is_ok_and(|aws| aws.known().is_some_and(|aws| aws.key_alias.is_null())));
    }
}
