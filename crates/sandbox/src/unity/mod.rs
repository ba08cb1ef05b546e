//! Unity Catalog: the metastores of the account, and through a workspace of each what is in it: catalogs, external locations, storage
//! credentials.
//!
//! Fields, paths and rules are those of the official SDK (databricks-sdk-go, `service/catalog`): what a metastore admin sees and others
//! do not, pages that are empty and have a token, `include_browse`, `include_unbound`. What a workspace answers to a principal that it
//! does not have is in databricks-sdk-go issues 929 and 946, and what one without a metastore answers in the issues 1632 and 1832 of
//! the Databricks provider; its status is not known, and here it is 404.

mod account;
mod stage;
mod workspace;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use crate::{AWS_ACCOUNT, MANAGED_VPC_WORKSPACE, REGION, WORKSPACE, azure, gcp};

pub(crate) use account::answer as of_account;
pub(crate) use stage::{patch, patch_answers, shown};
pub(crate) use workspace::{answer, host, meant};

/// The metastore of the region of the workspaces on AWS.
pub const METASTORE: &str = "3a7e0000-0000-4000-8000-000000000001";
/// That of the workspace on Google Cloud.
pub const GOOGLE_METASTORE: &str = "3a7e0000-0000-4000-8000-000000000002";
/// That of the workspace on Azure.
pub const AZURE_METASTORE: &str = "3a7e0000-0000-4000-8000-000000000003";

/// What the caller can see of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sight {
    /// The caller sees every field.
    #[default]
    Full,
    /// That it is there, when asked with `include_browse`.
    Browse,
    /// Nothing: lists do not show it, and say nothing of it.
    Nothing,
}

impl Sight {
    const ALL: [Self; 3] = [Self::Full, Self::Browse, Self::Nothing];

    /// Its word in the controls.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Browse => "browse",
            Self::Nothing => "nothing",
        }
    }

    pub(crate) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }
}

/// What `include_unbound` comes to for a caller who may not change bindings. The SDK says "effective only if the user has permission
/// to update the catalog-workspace binding", which leaves open whether the request is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unbound {
    /// Nothing: the list is shorter, and does not say so.
    #[default]
    Ignored,
    /// The request is refused.
    Refused,
}

/// A catalog, an external location or a storage credential.
#[derive(Clone, Debug, Default)]
pub struct Securable {
    /// What the API shows.
    pub fields: Map<String, Json>,
    /// The workspaces that it is bound to; all of the metastore where there is no list.
    pub bound_to: Option<BTreeSet<u64>>,
    /// What a caller sees who is not a metastore admin.
    pub sight: Sight,
}

impl Securable {
    /// One that every workspace of the metastore has.
    pub fn new(fields: &Json) -> Self {
        Self {
            fields: fields.as_object().cloned().unwrap_or_default(),
            ..Self::default()
        }
    }

    /// A catalog that only these workspaces have.
    pub fn bound(fields: &Json, workspaces: &[u64]) -> Self {
        let mut own = Self::new(fields);
        own.fields
            .insert("isolation_mode".to_owned(), Json::from("ISOLATED"));
        own.bound_to = Some(workspaces.iter().copied().collect());
        own
    }

    fn name(&self) -> &str {
        let name = self.fields.get("name").and_then(Json::as_str);
        name.unwrap_or_default()
    }
}

/// A metastore of Unity Catalog, with what it has.
#[derive(Clone, Debug, Default)]
pub struct Metastore {
    /// What the API shows.
    pub fields: Map<String, Json>,
    /// The numbers of the workspaces through which the caller reaches it.
    pub workspaces: BTreeSet<u64>,
    /// The catalogs, with what the caller sees of each.
    pub catalogs: Vec<Securable>,
    /// The external locations, with what the caller sees of each.
    pub external_locations: Vec<Securable>,
    /// The storage credentials, with what the caller sees of each.
    pub storage_credentials: Vec<Securable>,
    /// Whether the caller is not its admin, and sees only what each of these lets it see.
    pub caller_is_no_admin: bool,
}

impl Metastore {
    /// An empty one, of which the caller is the admin.
    pub fn new(id: &str, cloud: &str, region: &str) -> Self {
        let fields = json!({
            "metastore_id": id,
            "name": format!("metastore-{region}"),
            "cloud": cloud,
            "region": region,
            "global_metastore_id": format!("{cloud}:{region}:{id}"),
            "owner": "metastore-admins",
            "created_at": 1_700_000_000_000_i64,
        });
        Self {
            fields: fields.as_object().cloned().unwrap_or_default(),
            ..Self::default()
        }
    }

    /// A catalog; a new one, if there is none of this name.
    pub fn catalog(&mut self, name: &str) -> Option<&mut Securable> {
        if !self.catalogs.iter().any(|one| one.name() == name) {
            let fields = json!({ "name": name, "catalog_type": "MANAGED_CATALOG", "isolation_mode": "OPEN" });
            self.catalogs.push(Securable::new(&fields));
        }
        self.catalogs.iter_mut().find(|one| one.name() == name)
    }

    /// Tables in storage of the customer's: a credential, a location, and a catalog there.
    fn with_tables(mut self, credential: (&str, Json), url: &str) -> Self {
        let (kind, identity) = credential;
        let mut fields = json!({ "name": "tables", "id": "3a7e0000-0000-4000-8000-00000000000c", "isolation_mode": "ISOLATION_MODE_OPEN" });
        if let Some(fields) = fields.as_object_mut() {
            fields.insert(kind.to_owned(), identity);
        }
        self.storage_credentials.push(Securable::new(&fields));
        let location = json!({
            "name": "tables",
            "url": url,
            "credential_name": "tables",
            "credential_id": "3a7e0000-0000-4000-8000-00000000000c",
            "isolation_mode": "ISOLATION_MODE_OPEN",
        });
        self.external_locations.push(Securable::new(&location));
        let main = json!({
            "name": "main",
            "catalog_type": "MANAGED_CATALOG",
            "isolation_mode": "OPEN",
            "storage_root": format!("{url}main"),
        });
        self.catalogs.push(Securable::new(&main));
        self
    }
}

/// Everything of Unity Catalog.
#[derive(Clone, Debug)]
pub struct Unity {
    /// The metastores by ID.
    pub metastores: BTreeMap<String, Metastore>,
    /// The workspaces that do not have the caller.
    pub closed: BTreeSet<u64>,
    /// What `include_unbound` comes to for others than admins.
    pub unbound: Unbound,
    /// How many entries a page has at most.
    pub page: usize,
    /// Whether the first page is empty and has a token, as the SDK says that a page may be.
    pub first_page_is_empty: bool,
}

impl Default for Unity {
    fn default() -> Self {
        Self {
            metastores: BTreeMap::new(),
            closed: BTreeSet::new(),
            unbound: Unbound::default(),
            page: 2,
            first_page_is_empty: true,
        }
    }
}

impl Unity {
    /// What every stage has: the metastore of the workspaces on AWS, with tables in a bucket, and the catalog that Databricks made with
    /// a workspace, which lies in the workspace bucket. No catalog has a key.
    pub(crate) fn new() -> Self {
        let mut unity = Self::default();
        let role = json!({
            "role_arn": format!("arn:aws:iam::{AWS_ACCOUNT}:role/acme-tables"),
            "external_id": "3a7e0000-0000-4000-8000-00000000000e",
            "unity_catalog_iam_arn": "arn:aws:iam::414351767826:role/unity-catalog-prod-UCMasterRole-14S5ZJVKOTYTL",
        });
        let mut own = Metastore::new(METASTORE, "aws", REGION)
            .with_tables(("aws_iam_role", role), "s3://acme-tables/");
        own.workspaces = BTreeSet::from([WORKSPACE, MANAGED_VPC_WORKSPACE]);
        let of_workspace = json!({
            "name": "lakehouse_prod",
            "catalog_type": "MANAGED_CATALOG",
            "storage_root": format!("s3://acme-workspace-bucket/unity-catalog/{WORKSPACE}"),
        });
        own.catalogs
            .push(Securable::bound(&of_workspace, &[WORKSPACE]));
        own.catalogs.push(Securable::new(
            &json!({ "name": "system", "catalog_type": "SYSTEM_CATALOG", "isolation_mode": "OPEN" }),
        ));
        unity.metastores.insert(METASTORE.to_owned(), own);
        unity
    }

    /// The same for Google Cloud.
    pub(crate) fn add_google(&mut self) {
        let account = json!({
            "email": "db-uc-credential-1@uc-useast4.iam.gserviceaccount.com",
            "credential_id": "3a7e0000-0000-4000-8000-00000000000d",
        });
        let mut own = Metastore::new(GOOGLE_METASTORE, "gcp", gcp::REGION).with_tables(
            ("databricks_gcp_service_account", account),
            "gs://acme-tables/",
        );
        own.workspaces = BTreeSet::from([gcp::WORKSPACE]);
        self.metastores.insert(GOOGLE_METASTORE.to_owned(), own);
    }

    /// The same for Azure.
    pub(crate) fn add_azure(&mut self) {
        let connector = azure::resource("Microsoft.Databricks/accessConnectors", "tables");
        let identity = json!({ "access_connector_id": connector });
        let mut own = Metastore::new(AZURE_METASTORE, "azure", azure::REGION).with_tables(
            ("azure_managed_identity", identity),
            "abfss://tables@acmetables.dfs.core.windows.net/",
        );
        own.workspaces = BTreeSet::from([azure::WORKSPACE]);
        self.metastores.insert(AZURE_METASTORE.to_owned(), own);
    }

    /// The metastore through which a workspace, by its number, sees catalogs.
    pub(crate) fn of(&self, workspace: u64) -> Option<&Metastore> {
        let mut all = self.metastores.values();
        all.find(|one| one.workspaces.contains(&workspace))
    }
}
