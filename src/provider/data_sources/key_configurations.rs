//! `dbxcmk_key_configurations`: the key configurations of the account, and who uses them.

use serde::{Deserialize, Serialize};

use super::{NotRead, account, list, not_read, text};
use crate::databricks::key_configurations::{AwsKeyInfo, KeyConfiguration};
use crate::preflight::Stage;
use crate::provider::catalogs::{KeyedCatalog, Used};
use crate::provider::client::Client;
use crate::provider::config::one_of;
use crate::provider::diagnose;
use crate::provider::timestamps::rfc3339;
use crate::vocabulary::UseCase;
use crate::vocabulary::gcp::CryptoKeyName;
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::data_source::DataSource;
use tfplugin::deferral::Unfinished;
use tfplugin::schema::{Attribute, Name, Nesting, Schema};
use tfplugin::types::Type;

/// `dbxcmk_key_configurations`: the key configurations of the account, and what uses each.
pub struct KeyConfigurationsDataSource;

/// The arguments and results of `dbxcmk_key_configurations`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct KeyConfigurationsModel {
    pub use_case: Attr<UseCase>,
    pub key: Attr<String>,
    pub cloud: Attr<String>,
    pub id: Attr<String>,
    pub ids: Attr<Vec<Attr<String>>>,
    pub key_configurations: Attr<Vec<Attr<One>>>,
    pub not_read: Attr<Vec<Attr<NotRead>>>,
}

/// A catalog that uses a key configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct CatalogModel {
    pub metastore_id: Attr<String>,
    pub name: Attr<String>,
}

/// One of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct One {
    pub id: Attr<String>,
    pub use_cases: Attr<Vec<Attr<String>>>,
    pub cloud: Attr<String>,
    pub key: Attr<String>,
    pub key_alias: Attr<String>,
    pub key_region: Attr<String>,
    pub reuse_key_for_cluster_volumes: Attr<bool>,
    pub creation_time: Attr<String>,
    pub workspace_ids: Attr<Vec<Attr<String>>>,
    pub catalogs: Attr<Vec<Attr<CatalogModel>>>,
    pub used: Attr<String>,
}

impl DataSource for KeyConfigurationsDataSource {
    type Client = Client;
    type Model = KeyConfigurationsModel;

    fn name(&self) -> Name {
        "dbxcmk_key_configurations".into()
    }

    fn schema(&self) -> Schema {
        let texts = || Type::list(Type::String);
        let catalog = vec![
            Attribute::string("metastore_id")
                .computed()
                .describe("ID of its metastore."),
            Attribute::string("name")
                .computed()
                .describe("Name of the catalog."),
        ];
        let one = vec![
            Attribute::string("id").computed().describe("Id of the configuration, a UUID."),
            Attribute::of("use_cases", texts()).computed().describe("What it may be attached for."),
            Attribute::string("cloud").computed().describe("`aws`, `azure` or `gcp`."),
            Attribute::string("key")
                .computed()
                .describe("The key: an ARN on AWS, a resource name on Google Cloud, an address on Azure."),
            Attribute::string("key_alias").computed().describe("Alias of the key on AWS, if one was given."),
            Attribute::string("key_region").computed().describe("Region of the key, on AWS and Google Cloud."),
            Attribute::bool("reuse_key_for_cluster_volumes")
                .computed()
                .describe("Whether the key also encrypts the EBS volumes of clusters; null without the use case `STORAGE`."),
            Attribute::string("creation_time").computed().describe("Time of its creation (RFC 3339)."),
            Attribute::of("workspace_ids", texts()).computed().describe("IDs of the workspaces that use it."),
            Attribute::nested("catalogs", Nesting::List, catalog)
                .computed()
                .describe("Catalogs of Unity Catalog whose default storage is encrypted with it."),
            Attribute::string("used").computed().describe(
                "Whether a workspace or a catalog uses it: `yes`, `no`, or `not_known` where none does and the provider has not seen all catalogs.",
            ),
        ];
        Schema::new(
            "The encryption key configurations of the Databricks account, and the workspaces and catalogs that use them. Catalogs are \
             read through one workspace of each metastore, as the same service principal; see `read_catalogs` in the provider block.",
            vec![
                Attribute::string("use_case")
                    .format::<UseCase>("Invalid use case")
                    .describe(
                        "Only configurations for this use case: `MANAGED_SERVICES` or `STORAGE`.",
                    ),
                Attribute::string("key")
                    .describe("Only configurations of this key, in the form of `key`."),
                one_of("cloud", &["aws", "azure", "gcp"])
                    .describe("Only configurations of this cloud: `aws`, `azure` or `gcp`."),
                Attribute::string("id")
                    .computed()
                    .describe("ID of the Databricks account."),
                Attribute::of("ids", texts())
                    .computed()
                    .describe("IDs of the configurations that were found."),
                Attribute::nested("key_configurations", Nesting::List, one)
                    .computed()
                    .describe("The configurations that were found, oldest first."),
                not_read(
                    "What the provider did not see of the catalogs. As long as there is something, no configuration is known to be unused.",
                ),
            ],
        )
    }

    async fn read(
        &self,
        cx: &Context<Client>,
        mut model: KeyConfigurationsModel,
    ) -> Result<KeyConfigurationsModel, Unfinished> {
        let client = cx.client();
        let account = account(cx).await?;
        let failed = |error| diagnose::account("The key configurations could not be read", &error);
        let all = client
            .reads()
            .configurations(account)
            .await
            .map_err(failed)?;
        let workspaces = client.reads().workspaces(account).await.map_err(failed)?;
        let mut found: Vec<&KeyConfiguration> =
            all.values().filter(|one| fits(one, &model)).collect();
        found.sort_by_key(|one| (one.creation_time, one.customer_managed_key_id.clone()));
        let catalogs = client.catalogs(Stage::Plan).await;
        let shown = |one: &&KeyConfiguration| {
            let users = workspaces
                .values()
                .filter(|workspace| workspace.uses_id(&one.customer_managed_key_id))
                .map(|workspace| workspace.workspace_id.to_string());
            let users = Users {
                workspaces: users.collect(),
                catalogs: catalogs.using(&one.customer_managed_key_id),
                has_gaps: !catalogs.gaps.is_empty(),
            };
            show(one, users)
        };
        model.id = Attr::Known(account.id().to_string());
        model.ids = list(found.iter().map(|one| one.customer_managed_key_id.clone()));
        model.key_configurations = list(found.iter().map(shown));
        model.not_read = list(catalogs.gaps.iter().map(NotRead::of));
        Ok(model)
    }
}

fn fits(one: &KeyConfiguration, wanted: &KeyConfigurationsModel) -> bool {
    let found = one.cloud_and_key();
    wanted.use_case.known().is_none_or(|case| one.is_for(*case))
        && wanted
            .key
            .known()
            .is_none_or(|wanted| found.as_ref().is_some_and(|(_, key)| wanted == key))
        && wanted.cloud.known().is_none_or(|wanted| {
            found
                .as_ref()
                .is_some_and(|(cloud, _)| wanted == cloud.as_str())
        })
}

/// The location of a Google key, from its name; `None` for a name without one, which the data source shows as it is.
fn location_on_google(one: &KeyConfiguration) -> Option<String> {
    let key: CryptoKeyName = one.gcp_key_info.as_ref()?.kms_key_id.parse().ok()?;
    Some(key.location().to_owned())
}

/// Who uses a configuration.
struct Users {
    workspaces: Vec<String>,
    catalogs: Vec<KeyedCatalog>,
    /// Whether the provider did not see all catalogs.
    has_gaps: bool,
}

fn show(one: &KeyConfiguration, users: Users) -> One {
    let used = Used::of(users.workspaces.len(), users.catalogs.len(), users.has_gaps);
    let (cloud, key) = one
        .cloud_and_key()
        .map(|(cloud, key)| (cloud.to_string(), key))
        .unwrap_or_default();
    let aws = one.aws_key_info.as_ref();
    let mut use_cases = one.use_cases.clone();
    use_cases.sort();
    One {
        id: text(&one.customer_managed_key_id),
        use_cases: list(use_cases),
        cloud: text(&cloud),
        key: text(&key),
        key_alias: text(
            aws.and_then(|aws| aws.key_alias.as_deref())
                .unwrap_or_default(),
        ),
        key_region: text(
            aws.and_then(|aws| aws.key_region.clone())
                .or_else(|| location_on_google(one))
                .unwrap_or_default()
                .as_str(),
        ),
        reuse_key_for_cluster_volumes: aws
            .filter(|_| one.is_for(UseCase::Storage))
            .map(AwsKeyInfo::is_reused_for_cluster_volumes)
            .into(),
        creation_time: one.creation_time.and_then(rfc3339).into(),
        workspace_ids: list(users.workspaces),
        catalogs: list(users.catalogs.iter().map(|one| CatalogModel {
            metastore_id: text(&one.metastore_id),
            name: text(&one.name),
        })),
        used: text(used.word()),
    }
}
