//! The places of a metastore before their keys are known, and the buckets of workspaces, which have a key of another kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{
    CatalogKey, ConfigurationKey, CredentialIdentity, Fact, Gap, Location, LocationKind,
    MetastoreCatalogs, MetastoreLocations, NoStore, Protection, Readable, SentEncryption, Sources,
    Staged, StoreFacts, TableStore, key_of,
};
use crate::databricks::Error;
use crate::databricks::key_configurations::KeyConfiguration;
use crate::databricks::unity::{Catalog, ExternalLocation};
use crate::databricks::workspaces::Workspace;
use crate::vocabulary::{AttachedKey, EncryptedBy, UseCase};

/// A place whose key is not known yet.
#[derive(Clone, Debug)]
pub(super) struct Place {
    url: Option<String>,
    kind: LocationKind,
    metastore_id: String,
    name: String,
    credential: Option<String>,
    identity: Option<CredentialIdentity>,
    /// The region of the metastore, in which the bucket probably is.
    pub(super) region: String,
    pub(super) store: Option<Result<TableStore, NoStore>>,
    pub(super) sent: SentEncryption,
    /// The key of a catalog on default storage.
    pub(super) catalog_key: Option<CatalogKey>,
}

impl Place {
    /// What can be said of a place without a bucket of the customer.
    pub(super) fn without_store(&self) -> Protection {
        match self.catalog_key {
            Some(CatalogKey::None) => Protection::not_known(
                "The catalog lies in default storage, which Databricks has, and has no key of its own. Whose key encrypts it the API does not show.",
            ),
            Some(CatalogKey::NotShown) => {
                Protection::not_known("The caller may only browse the catalog.")
            }
            Some(CatalogKey::Unreadable(ref why)) => Protection::not_known(format!(
                "This version cannot read the `managed_encryption_settings` of the catalog: {why}."
            )),
            Some(CatalogKey::Set(_)) | None => {
                Protection::not_known("The caller may only browse the external location.")
            }
        }
    }

    pub(super) fn with(
        self,
        protection: Protection,
        facts: &BTreeMap<TableStore, Fact<StoreFacts>>,
    ) -> Location {
        let store = self.store.and_then(Result::ok);
        let (mut project, mut principal) = (None, None);
        match store.as_ref().and_then(|store| facts.get(store)) {
            Some(Fact::Known(StoreFacts::Google { project: own, .. })) => project.clone_from(own),
            Some(Fact::Known(StoreFacts::Azure(account))) => {
                // Where it cannot be read, a gap says so.
                principal = account.principal.clone().ok().flatten();
            }
            _ => {}
        }
        Location {
            url: self.url,
            kind: self.kind,
            metastore_id: self.metastore_id,
            name: self.name,
            credential: self.credential,
            identity: self.identity,
            store,
            project,
            principal,
            sent: self.sent,
            protection,
        }
    }
}

/// Whether one URL lies in another one, as a path does.
fn lies_in(url: &str, outer: &str) -> bool {
    let (url, outer) = (url.trim_end_matches('/'), outer.trim_end_matches('/'));
    url.strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The external location that a URL lies in; the innermost, where there are several.
fn around<'a>(url: &str, all: &'a [ExternalLocation]) -> Option<&'a ExternalLocation> {
    let outer = |one: &&ExternalLocation| one.url.as_deref().is_some_and(|own| lies_in(url, own));
    all.iter()
        .filter(outer)
        .max_by_key(|one| one.url.as_ref().map(String::len))
}

/// Whether the tables of a catalog are its own. Others have theirs where they come from. Source: databricks-sdk-go, `CatalogType`.
fn has_tables(catalog: &Catalog) -> bool {
    match catalog.catalog_type.as_deref() {
        None | Some("MANAGED_CATALOG") => true,
        Some(_) => matches!(catalog.key(), CatalogKey::Set(_)),
    }
}

/// The places of a metastore. `are_seen`: whether its external locations could be read.
pub(super) fn places(
    one: &MetastoreCatalogs,
    seen: &MetastoreLocations,
    are_seen: bool,
) -> Vec<Place> {
    let metastore = &one.metastore;
    let identity = |credential: Option<&str>| {
        let own = seen
            .credentials
            .iter()
            .find(|own| Some(own.name.as_str()) == credential);
        own.and_then(|own| own.identity())
    };
    let place = |kind, name: &str, url: Option<&str>, credential: Option<&str>| Place {
        url: url.map(str::to_owned),
        kind,
        metastore_id: metastore.metastore_id.clone(),
        name: name.to_owned(),
        credential: credential.map(str::to_owned),
        identity: identity(credential),
        region: metastore.region.clone().unwrap_or_default(),
        store: url.map(TableStore::of),
        sent: SentEncryption::Nothing,
        catalog_key: None,
    };
    let mut all = Vec::new();
    let root = metastore
        .storage_root
        .as_deref()
        .filter(|root| !root.is_empty());
    if let Some(root) = root {
        let credential = metastore.storage_root_credential_name.as_deref();
        all.push(place(
            LocationKind::MetastoreRoot,
            &metastore.name,
            Some(root),
            credential,
        ));
    }
    for own in &seen.locations {
        let mut made = place(
            LocationKind::ExternalLocation,
            &own.name,
            own.url.as_deref(),
            own.credential_name.as_deref(),
        );
        made.sent = own.sent();
        all.push(made);
    }
    for catalog in one.catalogs.iter().filter(|own| has_tables(own)) {
        let url = catalog
            .storage_root
            .as_deref()
            .filter(|url| !url.is_empty());
        let key = catalog.key();
        match (url, &key) {
            // What has neither storage nor a key of its own lies in the root of the metastore, which stands for itself.
            (None, CatalogKey::None) if root.is_some() => {}
            (None, CatalogKey::NotShown) if root.is_some() => {}
            (Some(url), CatalogKey::None | CatalogKey::NotShown) => {
                let outer = around(url, &seen.locations);
                let credential = outer.and_then(|own| own.credential_name.as_deref());
                let mut made = place(LocationKind::Catalog, &catalog.name, Some(url), credential);
                // Where locations were not seen, what is sent is not known.
                made.sent = match (outer, are_seen) {
                    (Some(outer), _) => outer.sent(),
                    (None, true) => SentEncryption::Nothing,
                    (None, false) => SentEncryption::Unreadable(
                        "the external locations of the metastore were not read".to_owned(),
                    ),
                };
                all.push(made);
            }
            _ => {
                let mut made = place(LocationKind::Catalog, &catalog.name, None, None);
                made.url = url.map(str::to_owned);
                made.catalog_key = Some(key);
                all.push(made);
            }
        }
    }
    all
}

/// The workspace buckets by their storage configurations, or why they could not be read.
pub(super) type ReadRoots = Result<Arc<BTreeMap<String, String>>, Error>;

impl Readable for ReadRoots {
    fn is_unreadable(&self) -> bool {
        self.is_err()
    }
}

/// The buckets of the workspaces of an account on AWS. What Databricks writes there has the storage key of the workspace, whatever the default of
/// the bucket is.
#[derive(Default)]
pub(super) struct RootBuckets {
    /// The workspaces of each bucket, each with its storage key.
    of: BTreeMap<String, Vec<(String, RootKey)>>,
    /// Why it is not known which buckets are those of workspaces.
    unread: Option<String>,
}

/// The storage key of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RootKey {
    None,
    Key(String),
    NotKnown,
}

impl RootBuckets {
    pub(super) async fn read(
        from: Sources<'_>,
        read: &Staged<(), ReadRoots>,
        gaps: &mut Vec<Gap>,
    ) -> Self {
        let Ok(account) = from.databricks.connected().await else {
            return Self::default();
        };
        let reads = from.databricks.reads();
        let buckets = || async { account.root_buckets().await.map(Arc::new) };
        let (buckets, workspaces, configurations) = tokio::join!(
            read.get(from.stage, &(), buckets),
            reads.workspaces(account),
            reads.configurations(account)
        );
        let read = buckets.and_then(|buckets| Ok((buckets, workspaces?, configurations?)));
        match read {
            Ok((buckets, workspaces, configurations)) => {
                Self::of(&buckets, workspaces.values(), |id| configurations.get(id))
            }
            Err(error) => {
                gaps.push(Gap {
                    what: "The buckets of the workspaces".to_owned(),
                    why: format!("{error}."),
                    permission: Some("be an account admin".to_owned()),
                });
                Self {
                    of: BTreeMap::new(),
                    unread: Some(error.to_string()),
                }
            }
        }
    }

    fn of<'a>(
        buckets: &BTreeMap<String, String>,
        workspaces: impl Iterator<Item = &'a Workspace>,
        configuration: impl Fn(&str) -> Option<&'a KeyConfiguration>,
    ) -> Self {
        let mut of: BTreeMap<String, Vec<(String, RootKey)>> = BTreeMap::new();
        for workspace in workspaces {
            let bucket = workspace.storage_configuration_id.as_ref();
            let Some(bucket) = bucket.and_then(|id| buckets.get(id)) else {
                continue;
            };
            let key = match workspace.key(UseCase::Storage) {
                AttachedKey::None => RootKey::None,
                AttachedKey::Unreadable(_) => RootKey::NotKnown,
                AttachedKey::Known(id) => match configuration(id.as_str()).map(key_of) {
                    Some(ConfigurationKey::Known { key, .. }) => RootKey::Key(key.to_string()),
                    _ => RootKey::NotKnown,
                },
            };
            let own = of.entry(bucket.clone()).or_default();
            own.push((workspace.in_words(), key));
        }
        Self { of, unread: None }
    }

    /// By whose key tables in a bucket are encrypted, which by itself is so.
    pub(super) fn instead_of(&self, store: &TableStore, own: Protection) -> Protection {
        let TableStore::S3(bucket) = store else {
            return own;
        };
        if let (Some(why), EncryptedBy::ProviderKey) = (&self.unread, own.by) {
            return Protection::not_known(format!(
                "{} It is not known whether it is the bucket of a workspace, whose storage key would count: {why}.",
                own.why
            ));
        }
        let Some(workspaces) = self.of.get(bucket) else {
            return own;
        };
        let names: Vec<&str> = workspaces.iter().map(|(name, _)| name.as_str()).collect();
        let (names, has, of) = match names.as_slice() {
            [one] => (format!("workspace {one}"), "has", "the workspace"),
            all => (
                format!("workspaces {}", all.join(", ")),
                "have",
                "the workspaces",
            ),
        };
        let mut keys: Vec<&RootKey> = workspaces.iter().map(|(_, key)| key).collect();
        keys.dedup();
        match keys.as_slice() {
            [RootKey::None] => Protection {
                why: format!(
                    "{} It is the bucket of the {names}, which {has} no storage key.",
                    own.why
                ),
                ..own
            },
            [RootKey::Key(key)] => Protection {
                by: EncryptedBy::OwnKey,
                key: Some(key.clone()),
                why: format!(
                    "It is the bucket of the {names}: Databricks encrypts what it writes there with the storage key of {of}."
                ),
                permission: None,
            },
            _ => Protection::not_known(format!(
                "It is the bucket of the {names}, which do not have the same storage key, or whose storage key cannot be read."
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::databricks::unity::Metastore;

    fn metastore(
        root: Option<&str>,
        catalogs: Json,
    ) -> Result<MetastoreCatalogs, serde_json::Error> {
        let metastore: Metastore = serde_json::from_value(json!({
            "metastore_id": "m", "name": "main", "region": "eu-central-1",
            "storage_root": root, "storage_root_credential_name": "root",
        }))?;
        Ok(MetastoreCatalogs {
            metastore,
            catalogs: serde_json::from_value(catalogs)?,
            gaps: Vec::new(),
            ways: Vec::new(),
        })
    }

    /// What is listed of a place: kind, name, URL, credential.
    fn shown(all: &[Place]) -> Vec<(&'static str, &str, Option<&str>, Option<&str>)> {
        let of = |one| -> (&'static str, &str, Option<&str>, Option<&str>) {
            let one: &Place = one;
            (
                one.kind.word(),
                &one.name,
                one.url.as_deref(),
                one.credential.as_deref(),
            )
        };
        all.iter().map(of).collect()
    }

    #[test]
    fn the_places_of_a_metastore_are_its_root_its_locations_and_its_catalogs()
    -> Result<(), serde_json::Error> {
        let catalogs = json!([
            { "name": "own", "storage_root": "s3://acme/tables/own", "catalog_type": "MANAGED_CATALOG" },
            { "name": "in_root", "catalog_type": "MANAGED_CATALOG" },
            { "name": "system", "catalog_type": "SYSTEM_CATALOG", "storage_root": "s3://databricks/x" },
            { "name": "shared", "catalog_type": "DELTASHARING_CATALOG" },
            { "name": "keyed", "managed_encryption_settings": { "customer_managed_key_id": "c" } },
        ]);
        let seen = MetastoreLocations {
            locations: serde_json::from_value(json!([
                { "name": "all", "url": "s3://acme", "credential_name": "wide" },
                { "name": "tables", "url": "s3://acme/tables/", "credential_name": "narrow",
                  "encryption_details": { "sse_encryption_details": { "algorithm": "AWS_SSE_S3" } } },
                { "name": "other", "url": "s3://acme/table", "credential_name": "other" },
                { "name": "browsed" },
            ]))?,
            credentials: serde_json::from_value(json!([
                { "name": "narrow", "aws_iam_role": { "role_arn": "arn:role" } },
            ]))?,
            gaps: Vec::new(),
        };
        let all = places(
            &metastore(Some("s3://root/m"), catalogs.clone())?,
            &seen,
            true,
        );
        assert_eq!(
            shown(&all),
            [
                ("metastore_root", "main", Some("s3://root/m"), Some("root")),
                ("external_location", "all", Some("s3://acme"), Some("wide")),
                (
                    "external_location",
                    "tables",
                    Some("s3://acme/tables/"),
                    Some("narrow")
                ),
                (
                    "external_location",
                    "other",
                    Some("s3://acme/table"),
                    Some("other")
                ),
                ("external_location", "browsed", None, None),
                // The innermost location has its credential and what is sent.
                (
                    "catalog",
                    "own",
                    Some("s3://acme/tables/own"),
                    Some("narrow")
                ),
                ("catalog", "keyed", None, None),
            ]
        );
        let own = all.iter().find(|one| one.name == "own");
        assert_eq!(own.map(|own| &own.sent), Some(&SentEncryption::S3));
        let role = own.and_then(|own| own.identity.as_ref());
        assert_eq!(role, Some(&CredentialIdentity::Role("arn:role".to_owned())));

        // Without a root, a catalog without storage lies in default storage.
        let all = places(
            &metastore(None, catalogs)?,
            &MetastoreLocations::default(),
            false,
        );
        assert_eq!(
            shown(&all),
            [
                ("catalog", "own", Some("s3://acme/tables/own"), None),
                ("catalog", "in_root", None, None),
                ("catalog", "keyed", None, None),
            ]
        );
        let own = all.iter().find(|one| one.name == "own");
        let is_open = own.is_some_and(|own| matches!(own.sent, SentEncryption::Unreadable(_)));
        assert!(
            is_open,
            "what is sent is not known when locations were not read"
        );
        Ok(())
    }

    /// Each row: the storage keys of the workspaces that have a bucket, by whose key its tables are encrypted, and the key.
    #[test]
    fn a_bucket_of_workspaces_has_their_storage_key() {
        use EncryptedBy::{NotKnown, OwnKey, ProviderKey};
        let key = |own: &str| RootKey::Key(own.to_owned());
        let rows: [(&[RootKey], EncryptedBy, Option<&str>); 7] = [
            (&[], ProviderKey, None),
            (&[RootKey::None], ProviderKey, None),
            (&[key("k")], OwnKey, Some("k")),
            (&[key("k"), key("k")], OwnKey, Some("k")),
            (&[key("k"), key("other")], NotKnown, None),
            (&[key("k"), RootKey::None], NotKnown, None),
            (&[RootKey::NotKnown], NotKnown, None),
        ];
        let store = TableStore::S3("acme".to_owned());
        let default = || Protection {
            by: ProviderKey,
            key: None,
            why: "SSE-S3.".to_owned(),
            permission: None,
        };
        for (keys, by, expected) in rows {
            let mut roots = RootBuckets::default();
            if !keys.is_empty() {
                let own = keys.iter().map(|key| ("prod".to_owned(), key.clone()));
                roots.of.insert("acme".to_owned(), own.collect());
            }
            let found = roots.instead_of(&store, default());
            assert_eq!((found.by, found.key.as_deref()), (by, expected), "{keys:?}");
            let elsewhere = TableStore::Google("acme".to_owned());
            assert_eq!(roots.instead_of(&elsewhere, default()), default());
        }
        let unread = RootBuckets {
            of: BTreeMap::new(),
            unread: Some("refused".to_owned()),
        };
        assert_eq!(unread.instead_of(&store, default()).by, NotKnown);
    }
}
