//! What stops when the provider takes a key away: in which workspaces and catalogs, until when the key
//! can come back, and what the provider cannot see.

use std::collections::BTreeMap;

use serde::Serialize;

use super::former::{FormerUser, former_users, last_of};
use super::{KeyStatus, VersionStatus, other_users};
use crate::databricks::key_configurations::KeyConfiguration;
use crate::databricks::workspaces::Workspace;
use crate::preflight::binding::ConfigurationKey;
use crate::preflight::{NotVisible, Stage};
use crate::provider::catalog_users::with_key;
use crate::provider::catalogs::KeyedCatalog;
use crate::provider::client::Client;
use crate::provider::diagnose;
use crate::provider::encryption::{StorageKey, keys_of, keys_on_azure};
use crate::provider::keys::{AzureUser, key_of};
use crate::provider::timestamps::{self, now_in_milliseconds};
use crate::requirements::coverage::{Cover, DataKind, WorkspaceKeys};
use crate::requirements::kinds;
use crate::requirements::revocation::{WRAPPING, without_key};
use crate::vocabulary::azure::VaultKeyId;
use crate::vocabulary::{AttachedKey, Cloud, Key, KeyState, UseCase, WorkspaceId};
use tfplugin::diagnostics::Diagnostics;

/// Work that continues for a while without the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GoesOn {
    /// What continues.
    pub what: String,
    /// How long it continues, in words.
    pub until: String,
}

/// A key configuration of the account that has the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigurationOfKey {
    /// The UUID by which workspaces name it.
    pub id: String,
    /// The data that it encrypts, by the names of the use cases.
    pub use_cases: Vec<String>,
}

/// A workspace that uses the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AffectedWorkspace {
    /// The number of the workspace.
    pub workspace_id: String,
    /// The resource ID of the workspace; `None` on other clouds than Azure.
    pub resource_id: Option<String>,
    /// The name of the workspace in the account.
    pub name: String,
    /// The region of the workspace; `None` when the account does not show it.
    pub region: Option<String>,
    /// The status of the workspace, as `RUNNING`.
    pub status: String,
    /// The data that the workspace encrypts with the key, by the names of the use cases.
    pub use_cases: Vec<String>,
    /// The kinds of data that Databricks can no longer read or write there.
    pub data_that_stops: Vec<String>,
    /// The kinds of compute that stop there.
    pub compute_that_stops: Vec<String>,
    /// The work that continues there for a while.
    pub goes_on: Vec<GoesOn>,
    /// The kinds of data that may stop or not. Reports list them among what is not visible.
    #[serde(skip)]
    pub not_known: Vec<&'static DataKind>,
}

/// A catalog of Unity Catalog that has the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AffectedCatalog {
    /// The UUID of the metastore that has the catalog.
    pub metastore_id: String,
    /// The name of the catalog in its metastore.
    pub name: String,
    /// The text with which the user acknowledges it: `catalog/<metastore ID>/<name>`.
    pub acknowledgement: String,
}

impl From<&KeyedCatalog> for AffectedCatalog {
    fn from(one: &KeyedCatalog) -> Self {
        Self {
            metastore_id: one.metastore_id.clone(),
            name: one.name.clone(),
            acknowledgement: one.acknowledgement(),
        }
    }
}

/// What stops when a key is taken away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Impact {
    /// The key that the order is about.
    pub key: Key,
    /// The state of the key, as [`KeyStatus::reported`] words it.
    pub state: String,
    /// When the cloud will delete the key (RFC 3339); `None` if it will not. A restore is possible until then.
    pub deletion_date: Option<String>,
    /// Since when the key is disabled, if this provider disabled it.
    pub disabled_since: Option<String>,
    /// The versions of the key, on clouds where each has its own state.
    pub versions: Vec<VersionStatus>,
    /// The key configurations of the account that have the key.
    pub key_configurations: Vec<ConfigurationOfKey>,
    /// The workspaces that use the key.
    pub workspaces: Vec<AffectedWorkspace>,
    /// The catalogs that use the key, as far as the provider could read them.
    pub catalogs: Vec<AffectedCatalog>,
    /// Until when a workspace that lost the key in a rotation may still need it (RFC 3339), whether or not others use the key.
    pub needed_until: Option<String>,
    /// The workspaces that lost the key in a rotation, as far as the account shows them.
    pub needed_by: Vec<FormerUser>,
    /// What may use the key, while the provider cannot read it.
    pub not_visible: Vec<NotVisible>,
    /// The IDs of the workspaces and catalogs that stop: the user acknowledges them.
    pub acknowledgement: Vec<String>,
}

impl Impact {
    /// Whether a workspace or a catalog needs the key now, or a workspace may need it for some hours more.
    pub fn is_in_use(&self) -> bool {
        !self.workspaces.is_empty() || !self.catalogs.is_empty() || self.needed_until.is_some()
    }

    /// How much stops, as `1 workspace and 2 catalogs`; `None` where the provider sees nothing that does.
    pub fn count_in_words(&self) -> Option<String> {
        let counted = |count: usize, one: &str| match count {
            0 => None,
            1 => Some(format!("1 {one}")),
            many => Some(format!("{many} {one}s")),
        };
        let parts = [
            counted(self.workspaces.len(), "workspace"),
            counted(self.catalogs.len(), "catalog"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" and "))
    }

    /// Adds the catalogs that have the key, and those that the provider could not read.
    async fn with_catalogs(mut self, client: &Client) -> Self {
        let all = with_key(client, &self.key, Stage::Plan).await;
        self.catalogs = all.keyed().iter().map(AffectedCatalog::from).collect();
        let names = self.catalogs.iter().map(|one| one.acknowledgement.clone());
        self.acknowledgement.extend(names);
        let unseen = all.gaps.into_iter().map(|gap| {
            let right = gap.needs();
            NotVisible {
                what: gap.what,
                why: format!("{} A catalog can have this key.{right}", gap.why),
            }
        });
        // They come first: what is missing is most likely to matter there.
        self.not_visible.splice(0..0, unseen);
        self
    }

    /// The key as it is now, with the workspaces of this impact that use its versions.
    pub fn seen_in_use(&self, now: KeyStatus) -> KeyStatus {
        now.used(|version| {
            let known = self
                .versions
                .iter()
                .find(|one| one.version == version.version);
            known.map(|one| one.used_by.clone()).unwrap_or_default()
        })
    }

    /// One of the workspaces, by its number or by its resource ID.
    pub fn workspace(&self, id: &str) -> Option<&AffectedWorkspace> {
        let is_named = |one: &&AffectedWorkspace| {
            let resource = one.resource_id.as_ref();
            one.workspace_id == id || resource.is_some_and(|own| own.eq_ignore_ascii_case(id))
        };
        self.workspaces.iter().find(is_named)
    }
}

/// What stops in a workspace that has these keys, and loses them.
pub fn stopping(cloud: &Cloud, keys: WorkspaceKeys) -> AffectedWorkspace {
    let stop = without_key(cloud, keys);
    let texts = |all: Vec<&str>| all.into_iter().map(str::to_owned).collect();
    let goes_on = stop.goes_on.into_iter().map(|one| GoesOn {
        what: one.what.to_owned(),
        until: one.until.to_owned(),
    });
    AffectedWorkspace {
        data_that_stops: texts(stop.data),
        compute_that_stops: texts(stop.compute),
        goes_on: goes_on.collect(),
        not_known: stop.not_known,
        ..AffectedWorkspace::default()
    }
}

/// What the tables of coverage leave open about a key and the workspaces that use it.
pub fn left_open(cloud: &Cloud, workspaces: &[AffectedWorkspace]) -> Vec<NotVisible> {
    const ELSEWHERE: &str = "Their storage can be encrypted with this key, too, and the provider has not read how it is encrypted. `dbxcmk audit` reads \
         it: `used_by.locations` of a key names where tables lie under it.";
    const SILENT: &str = "The documentation does not say whether a customer-managed key covers them, so the provider does not know \
         whether they stop.";
    const MODE: &str = "Databricks does not show the compute mode and the storage mode of a workspace in words that this version knows, \
         so the provider does not know whether they stop.";
    let all = kinds(cloud).iter();
    let elsewhere = all.filter(|kind| matches!(kind.cover, Cover::Elsewhere(_)));
    let of_workspaces = || {
        workspaces
            .iter()
            .flat_map(|one| one.not_known.iter().copied())
    };
    let silent = of_workspaces().filter(|kind| matches!(kind.cover, Cover::NotKnown(_)));
    // A workspace catalog on default storage has the key of a catalog: the lines about catalogs say that, and its mode is known.
    let of_unknown_mode = |one: &&AffectedWorkspace| {
        let mut kinds = one.not_known.iter();
        kinds.any(|kind| kind.cover != Cover::WorkspaceCatalog && kind.cover.is_of_workspace())
    };
    let mode = workspaces
        .iter()
        .filter(of_unknown_mode)
        .flat_map(|one| one.not_known.iter().copied())
        .filter(|kind| kind.cover.is_of_workspace());
    let line = |kinds: Vec<&DataKind>, why: &str| {
        let mut names: Vec<&str> = Vec::new();
        for kind in kinds {
            if !names.contains(&kind.name) {
                names.push(kind.name);
            }
        }
        (!names.is_empty()).then(|| NotVisible {
            what: names.join(", "),
            why: why.to_owned(),
        })
    };
    [
        line(mode.collect(), MODE),
        line(elsewhere.collect(), ELSEWHERE),
        line(silent.collect(), SILENT),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A workspace on Azure that uses a key.
fn affected_on_azure(user: &AzureUser) -> AffectedWorkspace {
    let workspace = &user.workspace;
    let keys = keys_on_azure(workspace, |case| user.cases.contains(&case));
    let resource = workspace.id().to_string();
    let number = workspace.number().map(|number| number.to_string());
    AffectedWorkspace {
        workspace_id: number.unwrap_or_else(|| resource.clone()),
        resource_id: Some(resource),
        name: workspace.id().id().name().to_owned(),
        region: workspace.location().map(str::to_owned),
        status: workspace.state().to_owned(),
        use_cases: user
            .cases
            .iter()
            .map(|case| case.name().to_owned())
            .collect(),
        ..stopping(&Cloud::Azure, keys)
    }
}

/// What stops when the provider takes a key of Azure away.
async fn impact_on_azure(
    client: &Client,
    key: &VaultKeyId,
    status: &KeyStatus,
) -> Result<Impact, Diagnostics> {
    let azure = client.keys().azure();
    let users = azure.users(key).await.map_err(|error| {
        diagnose::azure_workspaces(
            "The provider could not find out which workspaces use the key",
            &error,
        )
    })?;
    let mut workspaces: Vec<AffectedWorkspace> =
        users.workspaces.iter().map(affected_on_azure).collect();
    if status.state == KeyState::PendingDeletion {
        // Databricks can wrap nothing with a deleted key, unlike with one that is disabled.
        let goes_on = |one: &GoesOn| one.what != WRAPPING.what;
        let each = workspaces.iter_mut();
        each.for_each(|workspace| workspace.goes_on.retain(goes_on));
    }
    let status = status.clone().used(|version| {
        let with_it = users.workspaces.iter().zip(&workspaces);
        with_it
            .filter(|(user, _)| user.uses(&version.version, version.is_current))
            .map(|(_, one)| one.workspace_id.clone())
            .collect()
    });
    let mut not_visible = users.not_visible;
    not_visible.push(NotVisible {
        what: "Workspaces in subscriptions that the caller does not see".to_owned(),
        why: "Azure lists only what the caller may read.".to_owned(),
    });
    not_visible.push(NotVisible {
        what: "Workspaces that had this key until less than 24 hours ago".to_owned(),
        why: "After a rotation of managed services, Databricks needs the former key for 24 hours, and Azure does not show former keys."
            .to_owned(),
    });
    not_visible.extend(super::azure::other_users(key));
    not_visible.extend(left_open(&Cloud::Azure, &workspaces));
    Ok(Impact {
        key: Key::Azure(key.clone()),
        state: status.reported(),
        deletion_date: status.deletion_date,
        disabled_since: status.disabled_since,
        versions: status.versions,
        key_configurations: Vec::new(),
        acknowledgement: workspaces
            .iter()
            .map(|one| one.workspace_id.clone())
            .collect(),
        workspaces,
        catalogs: Vec::new(),
        needed_until: None,
        needed_by: Vec::new(),
        not_visible,
    })
}

/// What the account shows of the users of a key.
struct Users<'a> {
    configurations: Vec<&'a KeyConfiguration>,
    workspaces: Vec<&'a Workspace>,
    not_visible: Vec<NotVisible>,
}

impl<'a> Users<'a> {
    fn of(
        key: &Key,
        configurations: &'a BTreeMap<String, KeyConfiguration>,
        workspaces: &'a BTreeMap<WorkspaceId, Workspace>,
    ) -> Self {
        let mut not_visible = Vec::new();
        let mut own = Vec::new();
        for one in configurations.values() {
            match key_of(one) {
                ConfigurationKey::Known { key: of_it, .. } if of_it == *key => own.push(one),
                ConfigurationKey::Unreadable(why) => not_visible.push(NotVisible {
                    what: format!("Key configuration {}", one.customer_managed_key_id),
                    why: format!("Its key cannot be read: {why}. It may be this key."),
                }),
                ConfigurationKey::Missing => not_visible.push(NotVisible {
                    what: format!("Key configuration {}", one.customer_managed_key_id),
                    why: "The account shows no key for it. It may be this key.".to_owned(),
                }),
                _ => {}
            }
        }
        for workspace in workspaces.values() {
            for case in UseCase::ACCOUNT {
                let id = match workspace.key(case) {
                    AttachedKey::Unreadable(text) => text,
                    AttachedKey::Known(id) if !configurations.contains_key(id.as_str()) => {
                        id.to_string()
                    }
                    _ => continue,
                };
                not_visible.push(NotVisible {
                    what: format!(
                        "Workspace {} (\"{}\")",
                        workspace.workspace_id, workspace.workspace_name
                    ),
                    why: format!(
                        "Its key configuration for {} is `{id}`, which the account does not list. It may have this key.",
                        case.in_words()
                    ),
                });
            }
        }
        let users = workspaces.values().filter(|workspace| {
            own.iter()
                .any(|one| workspace.uses_id(&one.customer_managed_key_id))
        });
        Self {
            workspaces: users.collect(),
            configurations: own,
            not_visible,
        }
    }

    fn attached(&self, workspace: &Workspace, case: UseCase) -> Option<&'a KeyConfiguration> {
        let AttachedKey::Known(id) = workspace.key(case) else {
            return None;
        };
        let mut own = self.configurations.iter();
        own.find(|one| one.customer_managed_key_id == id.as_str())
            .copied()
    }

    fn affected(&self, workspace: &Workspace) -> AffectedWorkspace {
        let storage = self.attached(workspace, UseCase::Storage);
        let cloud = workspace.cloud().unwrap_or_default();
        let keys = keys_of(
            workspace,
            self.attached(workspace, UseCase::ManagedServices).is_some(),
            storage.map_or(StorageKey::None, StorageKey::Of),
        );
        AffectedWorkspace {
            resource_id: None,
            workspace_id: workspace.workspace_id.to_string(),
            name: workspace.workspace_name.clone(),
            region: workspace.region().map(str::to_owned),
            status: workspace.workspace_status.to_string(),
            use_cases: UseCase::ACCOUNT
                .into_iter()
                .filter(|case| self.attached(workspace, *case).is_some())
                .map(|case| case.name().to_owned())
                .collect(),
            ..stopping(&cloud, keys)
        }
    }
}

/// What stops when the provider takes a key away, read now.
///
/// # Errors
/// When the Databricks account refuses or cannot be reached: then the provider does not know the impact.
pub async fn impact(client: &Client, key: &Key, status: &KeyStatus) -> Result<Impact, Diagnostics> {
    let found = match key {
        Key::Azure(key) => impact_on_azure(client, key, status).await?,
        key => impact_in_account(client, key, status).await?,
    };
    Ok(found.with_catalogs(client).await)
}

async fn impact_in_account(
    client: &Client,
    key: &Key,
    status: &KeyStatus,
) -> Result<Impact, Diagnostics> {
    let account = client.account().await?;
    let failed = |error| {
        diagnose::account(
            "The provider could not find out which workspaces use the key",
            &error,
        )
    };
    let configurations: BTreeMap<String, KeyConfiguration> = account
        .key_configurations()
        .await
        .map_err(failed)?
        .into_iter()
        .map(|one| (one.customer_managed_key_id.clone(), one))
        .collect();
    let workspaces: BTreeMap<WorkspaceId, Workspace> = account
        .workspaces()
        .await
        .map_err(failed)?
        .into_iter()
        .map(|one| (one.workspace_id, one))
        .collect();
    let mut users = Users::of(key, &configurations, &workspaces);
    users
        .not_visible
        .extend(other_users(client.keys(), key, account.id()).await);
    let affected: Vec<AffectedWorkspace> = users
        .workspaces
        .iter()
        .map(|workspace| users.affected(workspace))
        .collect();
    let mut not_visible = users.not_visible;
    not_visible.extend(left_open(key.cloud(), &affected));
    let now = now_in_milliseconds();
    let needed_by = former_users(key, &configurations, &workspaces, now);
    // Within Terraform, the states of bindings may know more than the account shows.
    let remembered = client.run().needed_until(&key.to_string(), now);
    let remembered = remembered.and_then(timestamps::until);
    Ok(Impact {
        key: key.clone(),
        state: status.reported(),
        deletion_date: status.deletion_date.clone(),
        disabled_since: status.disabled_since.clone(),
        versions: status.versions.clone(),
        key_configurations: users
            .configurations
            .iter()
            .map(|one| ConfigurationOfKey {
                id: one.customer_managed_key_id.clone(),
                use_cases: one.use_cases.clone(),
            })
            .collect(),
        acknowledgement: affected
            .iter()
            .map(|one| one.workspace_id.clone())
            .collect(),
        workspaces: affected,
        catalogs: Vec::new(),
        needed_until: last_of(&needed_by).max(remembered),
        needed_by,
        not_visible,
    })
}
