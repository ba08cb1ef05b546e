//! Where tables lie, and by whose key: read once a run for everything that needs it.
//!
//! Metastores and catalogs are those of `catalogs.rs`. External locations and storage credentials come through one workspace of each metastore;
//! the buckets and storage accounts from their clouds, each once, however many locations lie in it. What the provider did not see comes as
//! [`Gap`]s.

mod places;
mod stores;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::account::DatabricksAccount;
use super::cache::{Readable, Staged};
use super::catalogs::Catalogs;
use super::keys::{Keys, key_of};
use crate::databricks::unity::{CatalogKey, Gap, MetastoreCatalogs, MetastoreLocations};
use crate::network::side_by_side;
use crate::preflight::binding::ConfigurationKey;
use crate::preflight::storage::{Protection, SentEncryption, StoreFacts, protection};
use crate::preflight::{Fact, Stage, Unreadable, capitalized};
use crate::vocabulary::azure::PrincipalId;
use crate::vocabulary::gcp::ProjectNumber;
use crate::vocabulary::{EncryptedBy, Key, LocationKind, NoStore, TableStore};

use places::{Place, ReadRoots, RootBuckets, places};
use stores::StoreReads;

pub use crate::databricks::unity::CredentialIdentity;

/// How many buckets are read side by side.
const SIDE_BY_SIDE: usize = 16;

/// A place where tables lie, with what is known of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Where it is; none for storage that Databricks has, and for what the caller may only browse.
    pub url: Option<String>,
    /// What lies there.
    pub kind: LocationKind,
    /// The ID of the metastore that names it.
    pub metastore_id: String,
    /// The name of the external location, the catalog or the metastore.
    pub name: String,
    /// The name of the storage credential through which Databricks reaches it.
    pub credential: Option<String>,
    /// As whom that is.
    pub identity: Option<CredentialIdentity>,
    /// The bucket or storage account, where the URL names one that can be read.
    pub store: Option<TableStore>,
    /// The number of the project of the bucket, on Google Cloud: its service agent encrypts.
    pub project: Option<ProjectNumber>,
    /// The identity of the storage account that uses its key, on Azure.
    pub principal: Option<PrincipalId>,
    /// What Databricks sends with each object.
    pub sent: SentEncryption,
    /// By whose key it is encrypted.
    pub protection: Protection,
}

impl Location {
    /// As a line of a list.
    pub fn in_words(&self) -> String {
        let what = match self.kind {
            LocationKind::WorkspaceBucket => "workspace bucket",
            LocationKind::MetastoreRoot => "root of the metastore",
            LocationKind::Catalog => "catalog",
            LocationKind::ExternalLocation => "external location",
        };
        let at = self.url.as_deref().map(|url| format!(" ({url})"));
        format!("{what} {}{}", self.name, at.unwrap_or_default())
    }

    /// Its own key, if it is known to have one that this version can read.
    fn own_key(&self) -> Option<Key> {
        let key = self.protection.key.as_deref()?;
        let is_own = self.protection.by == EncryptedBy::OwnKey;
        is_own.then(|| key.parse().ok())?
    }
}

/// The places where tables lie, as far as they were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locations {
    /// The places: sorted by metastore, kind and name.
    pub all: Vec<Location>,
    /// What was not seen; empty only where it is certain that all was.
    pub gaps: Vec<Gap>,
    /// The IDs of metastores that were asked for and that the account does not have.
    pub missing: Vec<String>,
}

/// What was not seen where a bucket or a storage account was not read, and where it was not known whose key it names.
const ENCRYPTION: &str = "The encryption of";
const WHOSE_KEY: &str = "Whose key";

impl Locations {
    /// What was not seen of the places themselves, beside what leaves the encryption of one that was seen not known.
    pub fn unseen(&self) -> impl Iterator<Item = &Gap> {
        let is_of_store =
            |gap: &&Gap| gap.what.starts_with(ENCRYPTION) || gap.what.starts_with(WHOSE_KEY);
        self.gaps.iter().filter(move |gap| !is_of_store(gap))
    }
}

impl Locations {
    /// The places that are known to lie under a key.
    pub fn under<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = &'a Location> {
        let is_it = |one: &&Location| one.own_key().is_some_and(|own| is_same_key(&own, key));
        self.all.iter().filter(is_it)
    }
}

/// Whether both are the same key; a version of a vault's key is that key.
fn is_same_key(one: &Key, other: &Key) -> bool {
    match (one, other) {
        (Key::Azure(one), Key::Azure(other)) => one.is_same_key(other),
        (one, other) => one == other,
    }
}

/// The external locations of a metastore, or why none were seen.
#[derive(Clone)]
struct ReadMetastore(Result<Arc<MetastoreLocations>, Gap>);

impl Readable for ReadMetastore {
    fn is_unreadable(&self) -> bool {
        self.0.is_err()
    }
}

/// What the room asks, and when: the account, the clouds, and at which stage.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The Databricks account.
    pub databricks: &'a DatabricksAccount,
    /// The keys of each cloud, with what calls it.
    pub keys: &'a Keys,
    /// When.
    pub stage: Stage,
}

/// What one run has read of where tables lie.
#[derive(Default)]
pub struct LocationReads {
    metastores: Staged<String, ReadMetastore>,
    stores: StoreReads,
    roots: Staged<(), ReadRoots>,
}

impl LocationReads {
    /// Where the tables of these metastores lie, or of all that the account has.
    pub async fn get(
        &self,
        from: Sources<'_>,
        catalogs: &Catalogs,
        of: Option<&BTreeSet<String>>,
    ) -> Locations {
        let is_wanted =
            |id: &str| of.is_none_or(|of| of.iter().any(|own| own.eq_ignore_ascii_case(id)));
        let metastores: Vec<&MetastoreCatalogs> = catalogs
            .metastores()
            .iter()
            .filter(|one| is_wanted(&one.metastore.metastore_id))
            .collect();
        let mut found = Locations {
            missing: missing(of, catalogs),
            ..Locations::default()
        };
        // Where the list of metastores was not read, what was not seen is all there is to say.
        if catalogs.metastores().is_empty() && !catalogs.gaps.is_empty() {
            found.missing.clear();
            found.gaps.clone_from(&catalogs.gaps);
        }
        let read = metastores.iter().map(|one| self.of_metastore(from, one));
        let mut all = Vec::new();
        for (one, read) in metastores.iter().zip(side_by_side(read).await) {
            found.gaps.extend(one.gaps.iter().cloned());
            let empty = MetastoreLocations::default();
            let seen = match &read.0 {
                Ok(seen) => seen,
                Err(gap) => {
                    found.gaps.push(gap.clone());
                    &empty
                }
            };
            found.gaps.extend(seen.gaps.iter().cloned());
            all.extend(places(one, seen, read.0.is_ok()));
        }
        found.all = self.judged(from, all, &mut found.gaps).await;
        found.all.sort_by(|one, other| {
            let of = |own: &Location| (own.metastore_id.clone(), own.kind, own.name.clone());
            of(one).cmp(&of(other))
        });
        found
    }

    async fn of_metastore(&self, from: Sources<'_>, one: &MetastoreCatalogs) -> ReadMetastore {
        let id = &one.metastore.metastore_id;
        let read = || async {
            let account = from.databricks.connected().await;
            let account = account.map_err(|_| unreachable_account(id));
            let read = match account {
                Ok(account) => MetastoreLocations::read(account, &one.metastore, &one.ways).await,
                Err(gap) => Err(gap),
            };
            ReadMetastore(read.map(Arc::new))
        };
        self.metastores.get(from.stage, id, read).await
    }

    /// The places with their keys. Each bucket is read once, and each name of a key.
    async fn judged(
        &self,
        from: Sources<'_>,
        all: Vec<Place>,
        gaps: &mut Vec<Gap>,
    ) -> Vec<Location> {
        let mut near: BTreeMap<&TableStore, &str> = BTreeMap::new();
        for place in &all {
            if let Some(Ok(store)) = &place.store {
                near.entry(store).or_insert(&place.region);
            }
        }
        let near: Vec<(&TableStore, &str)> = near.into_iter().collect();
        let mut facts: BTreeMap<&TableStore, Fact<StoreFacts>> = BTreeMap::new();
        for some in near.chunks(SIDE_BY_SIDE) {
            let reads = some
                .iter()
                .map(|(store, region)| self.stores.facts(from, store, region));
            let read = side_by_side(reads).await;
            facts.extend(some.iter().map(|(store, _)| *store).zip(read));
        }
        let keys = self.stores.described(from, &all, &facts).await;
        let named = |what: String, why: &Unreadable| Gap {
            what,
            why: format!("{}.", capitalized(&why.reason)),
            permission: why.permission.map(str::to_owned),
        };
        for (store, read) in &facts {
            match read {
                Fact::Unreadable(why) => gaps.push(named(format!("{ENCRYPTION} {store}"), why)),
                Fact::Known(StoreFacts::Azure(account)) => {
                    gaps.extend(account.principal.as_ref().err().map(|why| Gap {
                        what: format!("The identity with which {store} uses its key"),
                        why: format!("{why}."),
                        permission: None,
                    }));
                }
                Fact::Known(_) => {}
            }
        }
        for (key, read) in &keys {
            if let Fact::Unreadable(why) = read {
                gaps.push(named(format!("{WHOSE_KEY} `{key}` is"), why));
            }
        }
        let roots = match near
            .iter()
            .any(|(store, _)| matches!(store, TableStore::S3(_)))
        {
            true => RootBuckets::read(from, &self.roots, gaps).await,
            false => RootBuckets::default(),
        };
        let configured = configured_keys(from.databricks, &all).await;
        let judge = |place: &Place| {
            if let Some(CatalogKey::Set(id)) = &place.catalog_key {
                return of_catalog(id, &configured);
            }
            let store = match &place.store {
                Some(Ok(store)) => store,
                Some(Err(why)) => return Protection::not_known(why.to_string()).ended(),
                None => return place.without_store(),
            };
            let Some(read) = facts.get(store) else {
                return Protection::not_known(format!("{store} was not read.")).ended();
            };
            let own = protection(store, read, &place.sent, &keys);
            roots.instead_of(store, own)
        };
        let protections: Vec<Protection> = all.iter().map(judge).collect();
        let facts: BTreeMap<TableStore, Fact<StoreFacts>> = facts
            .into_iter()
            .map(|(store, facts)| (store.clone(), facts))
            .collect();
        let each = all.into_iter().zip(protections);
        each.map(|(place, protection)| place.with(protection, &facts))
            .collect()
    }
}

/// The IDs that were asked for and that no metastore has.
fn missing(of: Option<&BTreeSet<String>>, catalogs: &Catalogs) -> Vec<String> {
    let all = catalogs.metastores();
    let is_there = |id: &&String| {
        all.iter()
            .any(|one| one.metastore.metastore_id.eq_ignore_ascii_case(id))
    };
    let asked = of.into_iter().flatten();
    asked.filter(|id| !is_there(id)).cloned().collect()
}

fn unreachable_account(id: &str) -> Gap {
    Gap {
        what: format!("The external locations of the metastore {id}"),
        why: "They are read through the Databricks account, which is not configured.".to_owned(),
        permission: None,
    }
}

/// The keys of the key configurations that catalogs have, by their IDs.
async fn configured_keys(
    databricks: &DatabricksAccount,
    all: &[Place],
) -> BTreeMap<String, ConfigurationKey> {
    let has_key = |place: &Place| matches!(place.catalog_key, Some(CatalogKey::Set(_)));
    if !all.iter().any(has_key) {
        return BTreeMap::new();
    }
    let Ok(account) = databricks.connected().await else {
        return BTreeMap::new();
    };
    let Ok(configurations) = databricks.reads().configurations(account).await else {
        return BTreeMap::new();
    };
    let keys = configurations
        .iter()
        .map(|(id, one)| (id.to_ascii_lowercase(), key_of(one)));
    keys.collect()
}

/// By whose key a catalog is encrypted that has a key of its own on default storage.
fn of_catalog(id: &str, configured: &BTreeMap<String, ConfigurationKey>) -> Protection {
    const WHY: &str =
        "It is the key of the catalog, with which Databricks encrypts its default storage.";
    let own = |key: String| Protection {
        by: EncryptedBy::OwnKey,
        key: Some(key),
        why: WHY.to_owned(),
        permission: None,
    };
    if let Ok(key @ Key::Azure(_)) = id.parse::<Key>() {
        return own(key.to_string());
    }
    match configured.get(&id.to_ascii_lowercase()) {
        Some(ConfigurationKey::Known { key, .. }) => own(key.to_string()),
        _ => Protection::not_known(format!(
            "The catalog has the key configuration {id}, whose key the account does not show."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: the key that a catalog has, by whose key it is encrypted, and which.
    #[test]
    fn the_key_of_a_catalog_is_that_of_its_configuration() {
        let arn = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-4333-8444-555555555555";
        let configured = BTreeMap::from([
            (
                "c1".to_owned(),
                ConfigurationKey::Known {
                    key: arn.parse().expect("a key"),
                    location: "eu-central-1".to_owned(),
                },
            ),
            ("c2".to_owned(), ConfigurationKey::Missing),
        ]);
        let vault = "https://acme.vault.azure.net/keys/lake";
        let rows = [
            ("C1", EncryptedBy::OwnKey, Some(arn)),
            ("c2", EncryptedBy::NotKnown, None),
            ("c3", EncryptedBy::NotKnown, None),
            (vault, EncryptedBy::OwnKey, Some(vault)),
        ];
        for (id, by, key) in rows {
            let found = of_catalog(id, &configured);
            assert_eq!((found.by, found.key.as_deref()), (by, key), "{id}");
        }
    }
}
