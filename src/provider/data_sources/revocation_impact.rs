//! `dbxcmk_revocation_impact`: what stops when the provider takes a key away, in which workspaces, and until
//! when the key can come back.

use serde::{Deserialize, Serialize};

use super::{account, incomplete, list, text};
use crate::preflight::binding::ConfigurationKey;
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::provider::keys::{NamedAwsKey, NamedAzureKey, NamedGcpKey, attributes, key_of, named};
use crate::provider::kill_switch::{self, AffectedWorkspace, Impact, VersionStatus, impact};
use crate::vocabulary::{Key, KeyConfigurationId, KeyReference};
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::data_source::DataSource;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::{Attribute, Name, Nesting, Schema};
use tfplugin::types::Type;

/// `dbxcmk_revocation_impact`: shows the impact that the kill switch would have.
pub struct RevocationImpactDataSource;

/// The arguments and results of `dbxcmk_revocation_impact`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct RevocationImpactModel {
    pub aws: Attr<NamedAwsKey>,
    pub gcp: Attr<NamedGcpKey>,
    pub azure: Attr<NamedAzureKey>,
    pub key_configuration_id: Attr<KeyReference>,
    pub id: Attr<String>,
    pub state: Attr<String>,
    pub deletion_date: Attr<String>,
    pub restorable_until: Attr<String>,
    pub disabled_since: Attr<String>,
    pub needed_until: Attr<String>,
    pub needed_by: Attr<Vec<Attr<FormerUserModel>>>,
    pub versions: Attr<Vec<Attr<VersionModel>>>,
    pub key_configurations: Attr<Vec<Attr<ConfigurationModel>>>,
    pub workspaces: Attr<Vec<Attr<WorkspaceModel>>>,
    pub catalogs: Attr<Vec<Attr<CatalogModel>>>,
    pub not_visible: Attr<Vec<Attr<NotVisibleModel>>>,
    pub acknowledgement: Attr<Vec<Attr<String>>>,
}

/// A version of the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct VersionModel {
    pub version: Attr<String>,
    pub state: Attr<String>,
    pub is_current: Attr<bool>,
    pub deletion_date: Attr<String>,
    pub disabled_since: Attr<String>,
    pub used_by: Attr<Vec<Attr<String>>>,
}

/// A key configuration of the key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct ConfigurationModel {
    pub id: Attr<String>,
    pub use_cases: Attr<Vec<Attr<String>>>,
}

/// A workspace that stops.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct WorkspaceModel {
    pub workspace_id: Attr<String>,
    pub name: Attr<String>,
    pub region: Attr<String>,
    pub status: Attr<String>,
    pub use_cases: Attr<Vec<Attr<String>>>,
    pub data_that_stops: Attr<Vec<Attr<String>>>,
    pub compute_that_stops: Attr<Vec<Attr<String>>>,
    pub goes_on: Attr<Vec<Attr<GoesOnModel>>>,
}

/// A catalog that stops.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct CatalogModel {
    pub metastore_id: Attr<String>,
    pub name: Attr<String>,
    pub acknowledgement: Attr<String>,
}

/// A workspace that may need the key as its former one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct FormerUserModel {
    pub workspace_id: Attr<String>,
    pub name: Attr<String>,
    pub key_configuration_id: Attr<String>,
    pub needed_until: Attr<String>,
}

/// What goes on for a while.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct GoesOnModel {
    pub what: Attr<String>,
    pub until: Attr<String>,
}

/// What may use the key, while the provider cannot read it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct NotVisibleModel {
    pub what: Attr<String>,
    pub why: Attr<String>,
}

fn computed(name: &'static str, description: &str) -> Attribute {
    Attribute::string(name).computed().describe(description)
}

fn texts(name: &'static str, description: &str) -> Attribute {
    Attribute::of(name, Type::list(Type::String))
        .computed()
        .describe(description)
}

impl DataSource for RevocationImpactDataSource {
    type Client = Client;
    type Model = RevocationImpactModel;

    fn name(&self) -> Name {
        "dbxcmk_revocation_impact".into()
    }

    #[expect(clippy::too_many_lines, reason = "a table of attributes")]
    fn schema(&self) -> Schema {
        let goes_on = vec![
            computed("what", "What goes on."),
            computed("until", "Until when, in words."),
        ];
        let workspace = vec![
            computed("workspace_id", "ID of the workspace."),
            computed("name", "Name of the workspace."),
            computed("region", "Region of the workspace."),
            computed("status", "Status of the workspace, as `RUNNING`."),
            texts("use_cases", "What it uses the key for."),
            texts(
                "data_that_stops",
                "Kinds of data that cannot be read or written.",
            ),
            texts(
                "compute_that_stops",
                "Compute that fails or does not start.",
            ),
            Attribute::nested("goes_on", Nesting::List, goes_on)
                .computed()
                .describe("What goes on for a while."),
        ];
        let catalog = vec![
            computed("metastore_id", "ID of its metastore."),
            computed("name", "Name of the catalog."),
            computed(
                "acknowledgement",
                "How it is acknowledged: `catalog/<metastore ID>/<name>`.",
            ),
        ];
        let configuration = vec![
            computed("id", "ID of the key configuration."),
            texts("use_cases", "What it is for."),
        ];
        let not_visible = vec![
            computed("what", "What may use the key."),
            computed("why", "Reason why it is not visible."),
        ];
        let former_user = vec![
            computed("workspace_id", "ID of the workspace."),
            computed("name", "Name of the workspace."),
            computed(
                "key_configuration_id",
                "ID of the key configuration that it has for managed services now.",
            ),
            computed(
                "needed_until",
                "Earliest time at which it no longer needs this key (RFC 3339).",
            ),
        ];
        let version = vec![
            computed("version", "Number of the version on Google Cloud, name of the version on Azure."),
            computed("state", "State of the version, as the cloud names it."),
            Attribute::bool("is_current").computed().describe(
                "Whether new data is encrypted with it: the primary version on Google Cloud, the newest one on Azure.",
            ),
            computed("deletion_date", "When the version will be destroyed (RFC 3339); null when that is not scheduled."),
            computed("disabled_since", "Since when this provider has the version disabled (RFC 3339); null when it has not."),
            texts("used_by", "IDs of the workspaces that have this version as their key. Only Azure shows them."),
        ];
        let mut all = attributes();
        all.extend([
            Attribute::string("key_configuration_id")
                .format::<KeyReference>("Invalid key configuration ID")
                .describe("ID of a key configuration (`dbxcmk_key_configuration.….id`); set it instead of a key. On Azure, that is the identifier of the key."),
            computed("id", "The key."),
            computed(
                "state",
                "State of the key, for example `Enabled`. On Azure it is the state of the versions that workspaces use, and that of the newest \
                 version where none is used; `versions` has each of them.",
            ),
            computed("deletion_date", "When the key will be deleted (RFC 3339); null when no deletion is scheduled."),
            computed("restorable_until", "Last moment to cancel the deletion (RFC 3339); null when no deletion is scheduled."),
            computed("disabled_since", "Time at which this provider disabled the key (RFC 3339); null when it did not."),
            computed(
                "needed_until",
                "After a rotation of managed services, Databricks needs the former key for 24 hours. Earliest time at which it is no longer \
                 needed (RFC 3339); null when no rotation of the last 24 hours is visible. Workspaces that use the key now need it as \
                 long as they have it: see `workspaces`. Always null on Azure: see `not_visible`.",
            ),
            Attribute::nested("needed_by", Nesting::List, former_user).computed().describe(
                "Workspaces that may have had the key until a rotation of the last 24 hours. The account does not show former keys: a workspace \
                 whose first key is that new is here too, unless the account shows that it never had this one.",
            ),
            Attribute::nested("versions", Nesting::List, version)
                .computed()
                .describe("Versions of the key, on clouds where each version has its own state. Empty on AWS."),
            Attribute::nested("key_configurations", Nesting::List, configuration)
                .computed()
                .describe("Key configurations of the key."),
            Attribute::nested("workspaces", Nesting::List, workspace)
                .computed()
                .describe("Workspaces that stop."),
            Attribute::nested("catalogs", Nesting::List, catalog)
                .computed()
                .describe("Catalogs of Unity Catalog whose tables cannot be read: they have the key. What of the catalogs is not seen is in `not_visible`."),
            Attribute::nested("not_visible", Nesting::List, not_visible)
                .computed()
                .describe("What may use the key, and is not visible."),
            texts(
                "acknowledgement",
                "IDs of the workspaces and catalogs that stop: the set to acknowledge in `dbxcmk_disable_key` or with `key disable`.",
            ),
        ]);
        Schema::new(
            "What stops if you disable a key or schedule its deletion: the workspaces, their data and compute, what goes on for a while, \
             and what is not visible. It changes nothing. See the guide \"Incident runbook\".",
            all,
        )
    }

    fn validate(&self, config: &RevocationImpactModel) -> Diagnostics {
        let named = [
            !config.aws.is_null(),
            !config.gcp.is_null(),
            !config.azure.is_null(),
            !config.key_configuration_id.is_null(),
        ];
        match named.into_iter().filter(|is_named| *is_named).count() {
            0 => Diagnostic::error(
                "No key is named",
                "Set `aws = { key_arn = … }`, `gcp = { kms_key_id = … }`, `azure = { key_vault_key_id = … }`, or `key_configuration_id`.",
            )
            .into(),
            2.. => Diagnostic::error(
                "Conflicting arguments: a key has one name",
                "Set only one of `aws`, `gcp`, `azure` and `key_configuration_id`.",
            )
            .on("key_configuration_id")
            .into(),
            _ => Diagnostics::new(),
        }
    }

    async fn read(
        &self,
        cx: &Context<Client>,
        mut model: RevocationImpactModel,
    ) -> Result<RevocationImpactModel, Unfinished> {
        let client = cx.client();
        let key = match (
            &model.key_configuration_id,
            named(&model.aws, &model.gcp, &model.azure),
        ) {
            (_, Some(key)) => key,
            (Attr::Known(KeyReference::VaultKey(key)), None) => Key::Azure(key.versionless()),
            (Attr::Known(KeyReference::Configuration(id)), None) => {
                of_configuration(cx, id).await?
            }
            _ => return Err(incomplete().into()),
        };
        // An Azure key needs no Databricks account.
        if !matches!(key, Key::Azure(_)) {
            account(cx).await?;
        }
        let status = kill_switch::status(client.keys(), &key).await?;
        show(&mut model, impact(client, &key, &status).await?);
        Ok(model)
    }
}

/// The key of a key configuration.
async fn of_configuration(
    cx: &Context<Client>,
    id: &KeyConfigurationId,
) -> Result<Key, Unfinished> {
    let account = account(cx).await?;
    let found = account
        .find_key_configuration(id)
        .await
        .map_err(|error| diagnose::account("The key configuration could not be read", &error))?;
    let refused = |why: String| -> Diagnostics {
        Diagnostic::error("The key of the key configuration is not known", why)
            .on("key_configuration_id")
            .into()
    };
    let Some(found) = found else {
        return Err(refused(format!(
            "The account {} has no key configuration {id}.",
            account.id()
        ))
        .into());
    };
    match key_of(&found) {
        ConfigurationKey::Known { key, .. } => Ok(key),
        ConfigurationKey::Unreadable(why) => Err(refused(format!("{why}.")).into()),
        ConfigurationKey::Elsewhere(cloud, key) => Err(refused(format!(
            "Its key {key} is of another cloud ({cloud}), which this version does not support."
        ))
        .into()),
        ConfigurationKey::Missing => {
            Err(refused("The account shows no key for it.".to_owned()).into())
        }
    }
}

fn show(model: &mut RevocationImpactModel, found: Impact) {
    model.id = Attr::Known(found.key.to_string());
    model.state = text(&found.state);
    model.deletion_date = found.deletion_date.clone().into();
    model.restorable_until = found.deletion_date.into();
    model.disabled_since = found.disabled_since.into();
    model.needed_until = found.needed_until.into();
    model.needed_by = list(found.needed_by.into_iter().map(|one| FormerUserModel {
        workspace_id: text(&one.workspace_id),
        name: text(&one.name),
        key_configuration_id: text(&one.key_configuration_id),
        needed_until: text(&one.needed_until),
    }));
    model.versions = list(found.versions.into_iter().map(version));
    model.key_configurations =
        list(
            found
                .key_configurations
                .into_iter()
                .map(|one| ConfigurationModel {
                    id: text(&one.id),
                    use_cases: list(one.use_cases),
                }),
        );
    model.workspaces = list(found.workspaces.into_iter().map(workspace));
    model.catalogs = list(found.catalogs.into_iter().map(|one| CatalogModel {
        metastore_id: text(&one.metastore_id),
        name: text(&one.name),
        acknowledgement: text(&one.acknowledgement),
    }));
    model.not_visible = list(found.not_visible.into_iter().map(|one| NotVisibleModel {
        what: text(&one.what),
        why: text(&one.why),
    }));
    model.acknowledgement = list(found.acknowledgement);
}

fn version(one: VersionStatus) -> VersionModel {
    VersionModel {
        version: text(&one.version),
        state: text(&one.state),
        is_current: Attr::Known(one.is_current),
        deletion_date: one.deletion_date.into(),
        disabled_since: one.disabled_since.into(),
        used_by: list(one.used_by),
    }
}

fn workspace(one: AffectedWorkspace) -> WorkspaceModel {
    WorkspaceModel {
        workspace_id: text(&one.workspace_id),
        name: text(&one.name),
        region: one.region.into(),
        status: text(&one.status),
        use_cases: list(one.use_cases),
        data_that_stops: list(one.data_that_stops),
        compute_that_stops: list(one.compute_that_stops),
        goes_on: list(one.goes_on.into_iter().map(|one| GoesOnModel {
            what: text(&one.what),
            until: text(&one.until),
        })),
    }
}
