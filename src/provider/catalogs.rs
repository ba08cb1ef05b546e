//! The catalogs of Unity Catalog that use keys; a run reads them once, and everything that needs them waits for that read.
//!
//! Metastores and their workspaces come from the account, the catalogs through one workspace of each metastore. A catalog that the provider did not
//! see may use any key: a [`Gap`] says what it did not see, and only without gaps does a key configuration count as unused.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;
use url::Url;

use super::account::DatabricksAccount;
use super::cache::{Watched, live};
use super::diagnose::{Unavailable, unavailable};
use crate::databricks::auth::WorkspaceHost;
use crate::databricks::unity::{CatalogKey, Gap, Metastore, MetastoreCatalogs, Through};
use crate::databricks::{Account, Error};
use crate::network::side_by_side;
use crate::preflight::Stage;
use crate::vocabulary::WorkspaceStatus;

/// A catalog of Unity Catalog that has a key of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyedCatalog {
    /// The UUID of the metastore that has the catalog.
    pub metastore_id: String,
    /// The name of the catalog in its metastore.
    pub name: String,
    /// The ID of its key configuration, or the identifier of its key on Azure.
    pub key: String,
}

impl KeyedCatalog {
    /// The text with which a user who takes its key away acknowledges the catalog.
    pub fn acknowledgement(&self) -> String {
        format!("catalog/{}/{}", self.metastore_id, self.name)
    }

    /// As a line of a list.
    pub fn in_words(&self) -> String {
        format!(
            "catalog {} of the metastore {}",
            self.name, self.metastore_id
        )
    }
}

/// The catalogs of an account, as far as the provider saw them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogs {
    keyed: Vec<KeyedCatalog>,
    metastores: Arc<Vec<MetastoreCatalogs>>,
    /// What the provider did not see; empty only where it certainly saw all.
    pub gaps: Vec<Gap>,
    /// The metastores to which no workspace is assigned, by ID, each with the gap that this is. No right would show what is in them.
    pub unassigned: BTreeMap<String, Gap>,
}

/// What was read of a metastore, and how many workspaces are assigned to it.
struct ReadMetastore {
    catalogs: MetastoreCatalogs,
    assigned: usize,
}

impl Catalogs {
    fn of(metastores: Vec<ReadMetastore>) -> Self {
        let mut all = Self::default();
        for read in &metastores {
            let one = &read.catalogs;
            if let (0, Some(gap)) = (read.assigned, one.gaps.first()) {
                let id = one.metastore.metastore_id.clone();
                all.unassigned.insert(id, gap.clone());
            }
            for catalog in &one.catalogs {
                if let CatalogKey::Set(key) = catalog.key() {
                    all.keyed.push(KeyedCatalog {
                        metastore_id: one.metastore.metastore_id.clone(),
                        name: catalog.name.clone(),
                        key,
                    });
                }
            }
            all.gaps.extend(one.gaps.iter().cloned());
        }
        all.keyed.sort();
        let read = metastores.into_iter().map(|read| read.catalogs);
        all.metastores = Arc::new(read.collect());
        all
    }

    fn unseen(gap: Gap) -> Self {
        Self {
            gaps: vec![gap],
            ..Self::default()
        }
    }

    /// The catalogs that have one of these as their key.
    pub fn with_key(&self, is_it: impl Fn(&str) -> bool) -> Vec<KeyedCatalog> {
        let all = self.keyed.iter();
        all.filter(|one| is_it(&one.key)).cloned().collect()
    }

    /// The catalogs that use a key configuration.
    pub fn using(&self, id: &str) -> Vec<KeyedCatalog> {
        self.with_key(|own| own.eq_ignore_ascii_case(id))
    }

    /// These catalogs, and what was not seen of any.
    pub fn only(&self, is_it: impl Fn(&str) -> bool) -> Self {
        Self {
            keyed: self.with_key(is_it),
            metastores: Arc::clone(&self.metastores),
            gaps: self.gaps.clone(),
            unassigned: self.unassigned.clone(),
        }
    }

    /// The metastores as the provider read them, each with its catalogs, also those without a key.
    pub fn metastores(&self) -> &[MetastoreCatalogs] {
        &self.metastores
    }

    /// All catalogs that have a key.
    pub fn keyed(&self) -> &[KeyedCatalog] {
        &self.keyed
    }
}

/// Whether something uses a key configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    /// A workspace or a catalog does.
    Yes,
    /// The provider saw all catalogs and workspaces, and none uses it.
    No,
    /// None uses it that the provider saw, and it did not see all.
    NotKnown,
}

impl Used {
    /// The answer from how many workspaces and catalogs use it, and whether some catalogs were not seen.
    pub fn of(workspaces: usize, catalogs: usize, has_gaps: bool) -> Self {
        match (workspaces + catalogs, has_gaps) {
            (1.., _) => Self::Yes,
            (0, false) => Self::No,
            (0, true) => Self::NotKnown,
        }
    }

    /// The word in the data source: `not_known`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::NotKnown => "not_known",
        }
    }
}

/// The catalogs that one run has read, which all its resources share.
pub struct CatalogReads {
    is_on: bool,
    endpoint: Option<Url>,
    started: Instant,
    read: Watched<Arc<Catalogs>>,
}

impl CatalogReads {
    /// Catalogs of which the run has read none yet. `is_on`: whether it reads catalogs at all; `endpoint`: where it reaches workspaces,
    /// if not at their own hosts.
    pub fn new(is_on: bool, endpoint: Option<Url>) -> Self {
        Self {
            is_on,
            endpoint,
            started: Instant::now(),
            read: Watched::default(),
        }
    }

    /// The catalogs, as this run has read them; for an apply, as a read shows them that is young enough.
    pub async fn get(&self, databricks: &DatabricksAccount, stage: Stage) -> Arc<Catalogs> {
        let earliest = match stage {
            Stage::Plan => self.started,
            Stage::Apply => live().max(self.started),
        };
        // A read that began in the very moment in which the run did belongs to the run.
        let before = earliest - std::time::Duration::from_nanos(1);
        let read = || async { Arc::new(self.fetch(databricks).await) };
        self.read.after(before, read).await.value
    }

    /// The catalogs as a read shows them that begins now. Those who ask at the same time share it.
    pub async fn now(&self, databricks: &DatabricksAccount) -> Arc<Catalogs> {
        let read = || async { Arc::new(self.fetch(databricks).await) };
        self.read.after(Instant::now(), read).await.value
    }

    async fn fetch(&self, databricks: &DatabricksAccount) -> Catalogs {
        let gap = |why: String, permission: Option<&str>| Gap {
            what: "Catalogs of Unity Catalog".to_owned(),
            why,
            permission: permission.map(str::to_owned),
        };
        if !self.is_on {
            let why = "The provider does not read catalogs, because `read_catalogs` is false.";
            return Catalogs::unseen(gap(why.to_owned(), None));
        }
        let account = match databricks.connected().await {
            Ok(account) => account,
            Err(why) => return Catalogs::unseen(gap(no_account(&why), None)),
        };
        match self.metastores(databricks, account).await {
            Ok(all) => Catalogs::of(all),
            Err(error) => {
                let is_refused = error.api().is_some_and(|one| one.status == 403);
                let why = format!("The metastores of the account could not be read: {error}.");
                Catalogs::unseen(gap(why, is_refused.then_some("be an account admin")))
            }
        }
    }

    async fn metastores(
        &self,
        databricks: &DatabricksAccount,
        account: &Account,
    ) -> Result<Vec<ReadMetastore>, Error> {
        let metastores = account.metastores().await?;
        if metastores.is_empty() {
            return Ok(Vec::new());
        }
        let all = metastores.into_iter().map(|metastore| async {
            let (assigned, ways) = self.ways(databricks, account, &metastore).await?;
            let catalogs = MetastoreCatalogs::read(account, metastore, ways).await;
            Ok(ReadMetastore { catalogs, assigned })
        });
        side_by_side(all).await.into_iter().collect()
    }

    /// How many workspaces a metastore has, and through which of them the provider can read it, in an order that does not change.
    async fn ways(
        &self,
        databricks: &DatabricksAccount,
        account: &Account,
        metastore: &Metastore,
    ) -> Result<(usize, Vec<Through>), Error> {
        let assigned = account.workspaces_of_metastore(&metastore.metastore_id);
        let (assigned, known) = tokio::join!(assigned, databricks.reads().workspaces(account));
        let (mut assigned, known) = (assigned?, known?);
        assigned.sort();
        let way = |id| {
            let workspace = known.get(id)?;
            if workspace.workspace_status != WorkspaceStatus::Running {
                return None;
            }
            let cloud = workspace.cloud().unwrap_or_default();
            let name = workspace.deployment_name.as_deref()?;
            let host = WorkspaceHost::of(name, &cloud, account.host(), self.endpoint.as_ref())?;
            Some(Through {
                workspace: workspace.workspace_id,
                in_words: format!("workspace {}", workspace.in_words()),
                host,
            })
        };
        Ok((assigned.len(), assigned.iter().filter_map(way).collect()))
    }
}

fn no_account(why: &Unavailable) -> String {
    let why = unavailable(why).summary;
    format!("They are read through the Databricks account: {why}.")
}

/// What was not seen, as lines of a list; each with the right that would show it.
pub fn gaps_in_words(gaps: &[Gap]) -> String {
    let line = |gap: &Gap| format!("  - {}: {}{}", gap.what, gap.why, gap.needs());
    gaps.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unused_is_only_what_nothing_uses_that_could_be_seen() {
        let rows = [
            (0, 0, false, "no"),
            (0, 0, true, "not_known"),
            (1, 0, true, "yes"),
            (0, 1, true, "yes"),
            (2, 3, false, "yes"),
        ];
        for (workspaces, catalogs, has_gaps, expected) in rows {
            let used = Used::of(workspaces, catalogs, has_gaps);
            assert_eq!(used.word(), expected, "{workspaces} {catalogs} {has_gaps}");
        }
    }

    #[test]
    fn catalogs_are_found_by_their_key_and_named_with_their_metastore()
    -> Result<(), serde_json::Error> {
        let catalog = |name: &str, key: &str| json!({ "name": name, "managed_encryption_settings": { "customer_managed_key_id": key } });
        let metastore = serde_json::from_value(json!({ "metastore_id": "m1", "owner": "x" }))?;
        let catalogs = serde_json::from_value(json!([
            catalog("sealed", "c1"),
            catalog("other", "c2"),
            { "name": "plain" }
        ]))?;
        let read = MetastoreCatalogs {
            metastore,
            catalogs,
            gaps: Vec::new(),
            ways: Vec::new(),
        };
        let all = Catalogs::of(vec![ReadMetastore {
            catalogs: read,
            assigned: 1,
        }]);
        assert!(all.unassigned.is_empty());
        let named: Vec<String> = all
            .using("C1")
            .iter()
            .map(KeyedCatalog::acknowledgement)
            .collect();
        assert_eq!(named, ["catalog/m1/sealed"]);
        assert_eq!(all.keyed().len(), 2);
        assert!(all.using("c3").is_empty());
        Ok(())
    }
}
