//! What there is in the sandbox: the objects of the account, the keys, the faults to come and the requests so far.

use doors::clock::Moment;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::azure::AzureWorld;
use crate::buckets::Buckets;
use crate::faults::Fault;
use crate::gcp::{self, Google};
use crate::iam::Role;
use crate::unity::Unity;
use crate::{ACCOUNT_ID, MANAGED_VPC_WORKSPACE, REGION, ROLE_ARN, WORKSPACE};

/// One request, as it is kept for assertions.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// `KMS PutKeyPolicy`, `PATCH /api/…`.
    pub operation: String,
    /// The query's parameters.
    pub query: BTreeMap<String, String>,
    /// The body; null when it is not JSON.
    pub body: Json,
    /// What the part of Google Cloud or Azure answered; null for the others.
    pub answer: Json,
    /// Who says to be asking.
    pub user_agent: String,
    /// The AWS access key that signed it; empty for the other services.
    pub access_key: String,
    /// The status of the answer; 0 when there was none.
    pub status: u16,
}

/// A workspace of the account, with the update that is under way.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// What the API shows, but for what an update is about to change.
    pub fields: serde_json::Map<String, Json>,
    /// Whether clusters run in it, so that it cannot be updated.
    pub has_running_compute: bool,
    /// The update that is under way, if there is one.
    pub update: Option<Update>,
    /// Since when Databricks cannot use the key of a use case, as far as a client has read it.
    pub without_key_since: BTreeMap<String, Moment>,
}

/// An update of a workspace that is under way.
#[derive(Clone, Debug)]
pub struct Update {
    /// The fields that change.
    pub fields: serde_json::Map<String, Json>,
    /// When the request came: it ends some time after that.
    pub began: Moment,
    /// Whether Databricks can use the key, so that the update stays.
    pub stays: bool,
    /// How long after its end an update that does not stay still shows.
    pub undone_after: std::time::Duration,
    /// Whether it never comes to an end.
    pub hangs: bool,
    /// How many reads have shown it as done. The sandbox undoes one that does not stay only after a client could see it:
    /// whether a test sees the revert must not depend on how fast it reads.
    pub shown: Arc<AtomicU32>,
}

impl Update {
    /// Whether it is over, when an update takes `wait`.
    pub fn is_over(&self, wait: std::time::Duration) -> bool {
        !self.hangs && self.began.elapsed() >= wait
    }

    /// Whether it was undone, when an update takes `wait`.
    pub fn is_undone(&self, wait: std::time::Duration) -> bool {
        // Long enough that a reader can tell "there" from "seen once".
        let reads = if self.undone_after.is_zero() { 1 } else { 4 };
        !self.stays
            && self.is_over(wait + self.undone_after)
            && self.shown.load(Ordering::Relaxed) >= reads
    }
}

/// A key of KMS, with its policy and grants.
#[derive(Clone, Debug)]
pub struct Key {
    /// The AWS region, which the ARN has.
    pub region: String,
    /// The key ID, the last part of the ARN.
    pub id: String,
    /// The fields of `KeyMetadata`, as `DescribeKey` shows them.
    pub metadata: serde_json::Map<String, Json>,
    /// Its policy's text.
    pub policy: String,
    /// The tags, which the kill switch writes.
    pub tags: BTreeMap<String, String>,
    /// Whether KMS rotates its material every year.
    pub rotates: bool,
    /// The grants, as `ListGrants` shows them.
    pub grants: Vec<Json>,
}

impl Key {
    /// The AWS account that it lies in.
    pub fn account(&self) -> &str {
        let own = self.metadata.get("AWSAccountId").and_then(Json::as_str);
        own.unwrap_or_default()
    }

    /// Effect: it lies in another account.
    pub fn move_to(&mut self, account: &str) {
        let arn = format!("arn:aws:kms:{}:{account}:key/{}", self.region, self.id);
        self.metadata
            .insert("AWSAccountId".to_owned(), account.into());
        self.metadata.insert("Arn".to_owned(), arn.into());
    }

    /// Its ARN.
    pub fn arn(&self) -> &str {
        let own = self.metadata.get("Arn").and_then(Json::as_str);
        own.unwrap_or_default()
    }
}

/// The objects: what a stale read may show an older version of.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// Key configurations by ID, as the API shows them.
    pub configurations: BTreeMap<String, Json>,
    /// Workspaces by number.
    pub workspaces: BTreeMap<u64, Workspace>,
    /// Credentials configurations by ID, as the API shows them.
    pub credentials: BTreeMap<String, Json>,
    /// Storage configurations by ID, as the API shows them.
    pub storage_configurations: BTreeMap<String, Json>,
    /// Keys by region and ID.
    pub keys: BTreeMap<(String, String), Key>,
    /// The last successful operation of each key by region and ID, and its time in seconds.
    pub last_uses: BTreeMap<(String, String), (String, i64)>,
    /// Aliases by region and name: the key's ID.
    pub aliases: BTreeMap<(String, String), String>,
    /// The roles of IAM.
    pub roles: Vec<Role>,
    /// The service control policies of the organization; none where there is no organization.
    pub service_control_policies: Vec<String>,
    /// The actions of IAM that the sandbox denies to every caller.
    pub iam_denies: BTreeSet<String>,
    /// What there is of Google Cloud.
    pub google: Google,
    /// What there is of Azure.
    pub azure: AzureWorld,
    /// What there is of Unity Catalog.
    pub unity: Unity,
    /// The buckets in which tables lie.
    pub buckets: Buckets,
}

/// The state of all services, and what the tests have asked of them.
#[derive(Clone, Debug)]
pub struct World {
    /// The objects as they are.
    pub now: Objects,
    /// The objects as they were before the last write.
    pub before: Objects,
    /// The faults to come.
    pub faults: Vec<Fault>,
    /// The requests so far.
    pub record: Vec<Record>,
    /// When each request to the account's objects came.
    pub pace: Vec<Moment>,
    /// The requests that have come, answered or not, in the order of their coming.
    pub arrived: Vec<String>,
    /// How many requests to the account's objects are under way, and how many there were at most.
    pub under_way: (usize, usize),
    /// Tokens that were handed out.
    pub tokens: BTreeSet<String>,
    /// Tokens that workspaces handed out, each good at one host.
    pub workspace_tokens: BTreeMap<String, String>,
    /// Tokens that are good only together with a header: its name and value.
    pub companions: BTreeMap<String, (&'static str, String)>,
    /// Access tokens that Google handed out.
    pub google_tokens: BTreeSet<String>,
    /// ID tokens of Google, which the account takes only together with an access token.
    pub google_id_tokens: BTreeSet<String>,
    /// How long a token lives, in seconds.
    pub token_life: u64,
    /// The public key (PEM) of the Google service account that is an account admin.
    pub google_key: Option<String>,
    /// The sessions of assumed roles, by access key.
    pub sessions: BTreeMap<String, String>,
}

const CREDENTIALS: &str = "c0ffee00-0000-4000-8000-000000000001";
const STORAGE_CONFIGURATION: &str = "c0ffee00-0000-4000-8000-000000000002";

impl Workspace {
    fn new(id: u64, name: &str, network: Option<&str>) -> Self {
        let workspace = json!({
            "workspace_id": id,
            "workspace_name": name,
            "deployment_name": name,
            "account_id": ACCOUNT_ID,
            "aws_region": REGION,
            "cloud": "aws",
            "pricing_tier": "ENTERPRISE",
            "credentials_id": CREDENTIALS,
            "storage_configuration_id": STORAGE_CONFIGURATION,
            "workspace_status": "RUNNING",
            "workspace_status_message": "Workspace is running.",
            "compute_mode": "HYBRID",
            "storage_mode": "CUSTOMER_HOSTED",
            "creation_time": 1_700_000_000_000_i64,
        });
        let mut fields = workspace.as_object().cloned().unwrap_or_default();
        fields.extend(network.map(|network| ("network_id".to_owned(), Json::from(network))));
        Self {
            fields,
            has_running_compute: false,
            update: None,
            without_key_since: BTreeMap::new(),
        }
    }

    /// A workspace on Google Cloud.
    pub fn on_google(id: u64, name: &str) -> Self {
        let mut workspace = Self::new(id, name, Some("c0ffee00-0000-4000-8000-000000000004"));
        for field in ["aws_region", "credentials_id", "storage_configuration_id"] {
            workspace.fields.remove(field);
        }
        let own = json!({
            "cloud": "gcp",
            "location": gcp::REGION,
            "cloud_resource_container": { "gcp": { "project_id": gcp::PROJECT } },
        });
        workspace
            .fields
            .extend(own.as_object().cloned().unwrap_or_default());
        workspace
    }

    /// Whether its network is the customer's, so that its status stays RUNNING during an update.
    pub fn has_own_network(&self) -> bool {
        self.fields.contains_key("network_id")
    }
}

impl World {
    /// The stage as every play begins: two workspaces, no key, no configuration.
    pub fn new() -> Self {
        let mut now = Objects {
            unity: Unity::new(),
            buckets: Buckets::new(),
            ..Objects::default()
        };
        now.workspaces.insert(
            WORKSPACE,
            Workspace::new(
                WORKSPACE,
                "lakehouse-prod",
                Some("c0ffee00-0000-4000-8000-000000000003"),
            ),
        );
        now.workspaces.insert(
            MANAGED_VPC_WORKSPACE,
            Workspace::new(MANAGED_VPC_WORKSPACE, "lakehouse-dev", None),
        );
        now.credentials.insert(
            CREDENTIALS.to_owned(),
            json!({
                "credentials_id": CREDENTIALS,
                "credentials_name": "databricks-cross-account",
                "account_id": ACCOUNT_ID,
                "creation_time": 1_700_000_000_000_i64,
                "aws_credentials": { "sts_role": { "role_arn": ROLE_ARN } },
            }),
        );
        now.storage_configurations.insert(
            STORAGE_CONFIGURATION.to_owned(),
            json!({
                "storage_configuration_id": STORAGE_CONFIGURATION,
                "storage_configuration_name": "databricks-workspace-bucket",
                "account_id": ACCOUNT_ID,
                "creation_time": 1_700_000_000_000_i64,
                "root_bucket_info": { "bucket_name": "acme-workspace-bucket" },
            }),
        );
        now.roles.push(Role::cross_account());
        now.roles.push(Role::tables());
        Self {
            before: now.clone(),
            now,
            faults: Vec::new(),
            record: Vec::new(),
            pace: Vec::new(),
            arrived: Vec::new(),
            under_way: (0, 0),
            tokens: BTreeSet::new(),
            workspace_tokens: BTreeMap::new(),
            companions: BTreeMap::new(),
            google_tokens: BTreeSet::new(),
            google_id_tokens: BTreeSet::new(),
            token_life: 3600,
            google_key: None,
            sessions: BTreeMap::new(),
        }
    }

    /// Adds what there is of Google Cloud: a workspace, and the project in which it runs.
    pub fn add_google(&mut self) {
        self.now.google = Google::new();
        self.now.unity.add_google();
        self.now.buckets.add_google();
        self.now.workspaces.insert(
            gcp::WORKSPACE,
            Workspace::on_google(gcp::WORKSPACE, "lakehouse-google"),
        );
        self.before = self.now.clone();
    }

    /// Adds what there is of Azure: a workspace, and a key in vaults of three kinds.
    pub fn add_azure(&mut self) {
        self.now.azure = AzureWorld::new();
        self.now.unity.add_azure();
        self.now.buckets.add_azure();
        self.before = self.now.clone();
    }

    /// Remembers the objects as they are: the next thing that happens is a write.
    pub fn about_to_write(&mut self) {
        self.before = self.now.clone();
    }

    /// A workspace that must be there.
    pub fn workspace(&mut self, id: u64) -> &mut Workspace {
        self.now
            .workspaces
            .entry(id)
            .or_insert_with(|| Workspace::new(id, "made-by-a-test", Some("network")))
    }

    /// The one key that there is, for tests that make one.
    pub fn only_key(&mut self) -> Option<&mut Key> {
        let mut keys = self.now.keys.values_mut();
        keys.next().filter(|_| keys.next().is_none())
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}
