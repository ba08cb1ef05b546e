//! `dbxcmk_storage_encryption`: where the tables of Unity Catalog lie, and by whose key they are encrypted.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{list, not_read, text};
use crate::preflight::Stage;
use crate::preflight::storage::SentEncryption;
use crate::provider::client::Client;
use crate::provider::locations::{CredentialIdentity, Location};
use crate::provider::resources::all_known;
use crate::vocabulary::EncryptedBy;
use tfplugin::bridge::Attr;
use tfplugin::context::Context;
use tfplugin::data_source::DataSource;
use tfplugin::deferral::Unfinished;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};
use tfplugin::schema::{Attribute, Name, Nesting, Schema};

/// The data source.
pub struct StorageEncryptionDataSource;

/// Configuration and result.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct StorageEncryptionModel {
    pub metastore_ids: Attr<Vec<Attr<String>>>,
    pub id: Attr<String>,
    pub locations: Attr<Vec<Attr<One>>>,
    pub complete: Attr<bool>,
    pub not_read: Attr<Vec<Attr<super::NotRead>>>,
}

/// One place.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is described in the schema below")]
pub struct One {
    pub url: Attr<String>,
    pub kind: Attr<String>,
    pub metastore_id: Attr<String>,
    pub name: Attr<String>,
    pub credential: Attr<String>,
    pub identity: Attr<String>,
    pub storage_credential_role_arn: Attr<String>,
    pub bucket_project_number: Attr<String>,
    pub storage_account_principal_id: Attr<String>,
    pub client_encryption: Attr<String>,
    pub encrypted_by: Attr<String>,
    pub key: Attr<String>,
    pub why: Attr<String>,
}

/// The schema of a place.
fn place() -> Vec<Attribute> {
    let computed = |name: &'static str, what: &str| {
        Attribute::string(name).computed().describe(what.to_owned())
    };
    vec![
        computed(
            "url",
            "URL of the place: `s3://…`, `gs://…` or `abfss://…`. Null for a catalog on default storage, which has none of yours.",
        ),
        computed(
            "kind",
            "What lies there: `external_location`, `metastore_root` (managed tables of catalogs without storage of their own) or `catalog` \
             (managed tables of a catalog).",
        ),
        computed("metastore_id", "ID of the metastore."),
        computed(
            "name",
            "Name of the external location, the catalog or the metastore.",
        ),
        computed(
            "credential",
            "Name of the storage credential with which Databricks reaches it.",
        ),
        computed(
            "identity",
            "As whom that is: the ARN of an IAM role, the resource ID of an access connector, the ID of an application, or the e-mail address of a \
             service account.",
        ),
        computed(
            "storage_credential_role_arn",
            "ARN of the IAM role of that credential, which itself needs the key of the bucket, on AWS: for `aws.storage_credential_role_arns` \
             of a key policy.",
        ),
        computed(
            "bucket_project_number",
            "Number of the project of the bucket, whose Cloud Storage service agent needs the key, on Google Cloud: for \
             `gcp.bucket_project_numbers` of a key policy.",
        ),
        computed(
            "storage_account_principal_id",
            "Object ID of the identity of the storage account that uses the key, on Azure: for `azure.storage_account_principal_ids` of a key \
             policy.",
        ),
        computed(
            "client_encryption",
            "What Databricks sends with each object, as the `encryption_details` of the external location say: `AWS_SSE_S3`, `AWS_SSE_KMS` or \
             `not_known`. Null where it sends nothing, and the default of the bucket applies.",
        ),
        computed(
            "encrypted_by",
            "By whose key Databricks encrypts what it writes there: `own_key`, `provider_key` (of the cloud or of Databricks) or `not_known`. \
             Objects keep the encryption with which they were written.",
        ),
        computed(
            "key",
            "The key: an ARN on AWS, a resource name on Google Cloud, an identifier on Azure.",
        ),
        computed("why", "How that is known, or why it is not."),
    ]
}

impl DataSource for StorageEncryptionDataSource {
    type Client = Client;
    type Model = StorageEncryptionModel;

    fn name(&self) -> Name {
        "dbxcmk_storage_encryption".into()
    }

    fn schema(&self) -> Schema {
        Schema::new(
            "Where the tables of Unity Catalog lie (external locations, roots of metastores, storage of catalogs), and by whose key they are \
             encrypted. The keys of a workspace do not cover them. The provider reads each bucket once, and guesses nothing: what it cannot \
             read is `not_known`, with the missing permission in `not_read`.",
            vec![
                Attribute::string_set("metastore_ids")
                    .no_null_elements()
                    .not_empty(
                        "No metastore",
                        "Name at least one metastore, or leave the attribute out to read all.",
                    )
                    .describe(
                        "IDs of the metastores to read. Default: every metastore of the account.",
                    ),
                Attribute::string("id")
                    .computed()
                    .describe("ID of the Databricks account."),
                Attribute::nested("locations", Nesting::List, place())
                    .computed()
                    .describe("The places, sorted by metastore, kind and name."),
                Attribute::bool("complete").computed().describe(
                    "Whether the provider saw all of it: then `not_read` is empty, and no `encrypted_by` is `not_known`.",
                ),
                not_read(
                    "What the provider did not see. As long as there is something, there can be other places, or another key.",
                ),
            ],
        )
    }

    async fn read(
        &self,
        cx: &Context<Client>,
        mut model: StorageEncryptionModel,
    ) -> Result<StorageEncryptionModel, Unfinished> {
        let client = cx.client();
        // Without an account, no metastore is known; while the provider does not know its account yet, it defers the data source.
        let account = super::account(cx).await?;
        let wanted: Option<BTreeSet<String>> =
            all_known(&model.metastore_ids).map(|all| all.into_iter().collect());
        let found = client.locations(Stage::Plan, wanted.as_ref()).await;
        if !found.missing.is_empty() {
            return Err(Diagnostics::from(no_metastore(&found.missing)).into());
        }
        let is_known = |one: &Location| one.protection.by != EncryptedBy::NotKnown;
        let is_complete = found.gaps.is_empty() && found.all.iter().all(is_known);
        model.id = Attr::Known(account.id().to_string());
        model.locations = list(found.all.iter().map(shown));
        model.complete = Attr::Known(is_complete);
        model.not_read = list(found.gaps.iter().map(super::NotRead::of));
        Ok(model)
    }
}

fn no_metastore(missing: &[String]) -> Diagnostic {
    Diagnostic::error(
        "The account does not have the metastore",
        format!(
            "The Databricks account lists no metastore with these IDs:\n  - {}\n\nFind the IDs in the account console under Catalog, or leave \
             `metastore_ids` out to read every metastore of the account.",
            missing.join("\n  - ")
        ),
    )
    .on("metastore_ids")
}

fn shown(one: &Location) -> One {
    let role = match &one.identity {
        Some(CredentialIdentity::Role(arn)) => text(arn),
        _ => Attr::Null,
    };
    let sent = match &one.sent {
        SentEncryption::Nothing => Attr::Null,
        SentEncryption::S3 => text("AWS_SSE_S3"),
        SentEncryption::Kms(_) => text("AWS_SSE_KMS"),
        SentEncryption::Unreadable(_) => text("not_known"),
    };
    One {
        url: one.url.clone().into(),
        kind: text(one.kind.word()),
        metastore_id: text(&one.metastore_id),
        name: text(&one.name),
        credential: one.credential.clone().into(),
        identity: one
            .identity
            .as_ref()
            .map(|own| own.name().to_owned())
            .into(),
        storage_credential_role_arn: role,
        bucket_project_number: one.project.as_ref().map(ToString::to_string).into(),
        storage_account_principal_id: one.principal.as_ref().map(ToString::to_string).into(),
        client_encryption: sent,
        encrypted_by: text(one.protection.by.word()),
        key: one.protection.key.clone().into(),
        why: text(&one.protection.why),
    }
}
