//! The guide on what is encrypted: every kind of data, from the tables of coverage.

use std::fmt::Write as _;

use super::front_matter;
use crate::requirements::coverage::{Cover, DataKind, Existing};
use crate::requirements::{kinds, transition};
use crate::vocabulary::{Cloud, UseCase};

/// What a key encrypts, and through what.
const LAYERS: &str = "```text
 1  your key          AWS KMS, Cloud KMS, Key Vault: rotated and revoked by you
        │ wraps
 2  data keys         one for an object, a volume or a workspace; cached for a while
        │ encrypt
 3  data              notebooks, secrets, queries   │  workspace bucket   │  volumes of classic compute
                      managed services key          │  storage key        │  storage key; on Azure a key for managed disks
```
";

/// Tables in storage of the customer's. Sources: Amazon S3 User Guide, "Changing encryption of existing objects"; Cloud Storage documentation,
/// "Customer-managed encryption keys"; Azure Storage documentation, "Customer-managed keys".
const TABLES: &str = "
## Tables of Unity Catalog

The keys of a workspace do not cover tables in buckets or storage accounts of yours. The data source \
[`dbxcmk_storage_encryption`](../data-sources/storage_encryption.md) lists where tables lie, and by whose key they are encrypted. To get tables \
under a key of your own:

1. Let those who read and write the tables use the key, with a [`dbxcmk_key_policy`](../resources/key_policy.md) whose `use_cases` have \
`UNITY_CATALOG`. Without it, jobs fail when they run, and not when you set the key.
2. Set the key on the bucket or the storage account.
3. Get the data from before under it.

| Cloud | Who uses the key | Where you set it | Data from before |
|---|---|---|---|
| AWS | the role of the storage credential (`aws.storage_credential_role_arns`) | default encryption of the bucket (SSE-KMS), or `encryption_details` of the external location | copy in place: copy each object onto itself |
| Google Cloud | the Cloud Storage service agent of the project of the bucket (`gcp.bucket_project_numbers`) | default key of the bucket | copy in place: rewrite each object |
| Azure | the identity of the storage account (`azure.storage_account_principal_ids`) | key of the storage account | at once: the account wraps its data keys with the key |
";

const CLOUDS: [Cloud; 3] = [Cloud::Aws, Cloud::Gcp, Cloud::Azure];

/// Writes the page "What is encrypted, and what is not".
pub(super) fn page() -> String {
    let description = "Each kind of data of a workspace, its location, the key that encrypts it, and what becomes of data from before \
         the key.";
    let mut page = front_matter("What is encrypted - dbxcmk", "Start", description);
    page.push_str(
        "\n# What is encrypted, and what is not\n\nThis page summarizes the documentation of Databricks; each row links to its page. The \
         data source [`dbxcmk_workspace_encryption`](../data-sources/workspace_encryption.md) reports the same for one of your \
         workspaces and its keys.\n\n",
    );
    page.push_str(LAYERS);
    page.push_str(
        "\n- Where you set no key, data is encrypted at rest with keys that you do not control.\n- A key does \
         not encrypt data directly: it encrypts data keys (envelope encryption). The key itself stays in the key service. While the key is \
         disabled, Databricks cannot decrypt the data keys after the cached ones expire.\n- You decide who may use the key, when it rotates, and when \
         it is revoked: this is also called \"bring your own key\" (BYOK).\n- Most data from before a key stays under its former encryption: see \
         [below](#data-from-before-the-key).\n- A workspace with only serverless compute, or with default storage, has no storage in your \
         account. Its managed services key covers the default storage, and a storage key has no effect. Catalogs on default storage have \
         their own keys.\n\nThe column *Key* says which key covers the data:\n\n- *in part*: the key covers only what the notes say, so \
         `covered` is at most `partly`.\n- *key of the catalog*, *key of its storage*: you set the key there, and not on the workspace. \
         `covered` is `not_known`, because the provider has not read it.\n- *none*: no customer-managed key covers it.\n- *not known*: the \
         documentation does not say. This is not the same as *none*.\n",
    );
    for cloud in &CLOUDS {
        let _ = write!(
            page,
            "\n## On {}\n\n| Data | Location | Key | Notes | Source |\n|---|---|---|---|---|\n",
            cloud.in_words()
        );
        for kind in kinds(cloud) {
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | [page]({}) |",
                kind.name,
                kind.place,
                key(kind),
                notes(kind),
                kind.source
            );
        }
    }
    page.push_str(TABLES);
    before_the_key(&mut page);
    what_can_change(&mut page);
    page.push_str(
        "\nCatalogs on default storage can have their own key, which you set on the catalog and not here. That is another feature of \
         Databricks, and it uses the same key configurations.\n",
    );
    page
}

/// Which key covers it.
fn key(kind: &DataKind) -> String {
    let key = match kind.cover {
        Cover::ManagedServices => "managed services",
        Cover::Storage | Cover::WorkspaceCatalog | Cover::Disks => "storage",
        Cover::ManagedDisks => "managed disks",
        Cover::ClusterVolumes => "storage, with `reuse_key_for_cluster_volumes`",
        Cover::Catalog => "**key of the catalog**",
        Cover::Elsewhere(_) => "**key of its storage**",
        Cover::Never(_) => "**none**",
        Cover::NotKnown(_) => "**not known**",
    };
    match kind.only {
        Some(_) => format!("{key}, in part"),
        None => key.to_owned(),
    }
}

fn notes(kind: &DataKind) -> String {
    let more = match kind.cover {
        Cover::Elsewhere(text) | Cover::Never(text) | Cover::NotKnown(text) => text,
        _ => "",
    };
    let all = [kind.only.unwrap_or_default(), kind.note, more];
    let all: Vec<&str> = all.into_iter().filter(|text| !text.is_empty()).collect();
    all.join(" ")
}

fn before_the_key(page: &mut String) {
    page.push_str(
        "\n## Data from before the key\n\nA key encrypts what is written after it was attached. This is how data from before gets under \
         it; until then it stays under its former encryption, and revoking the key does not stop anyone from reading it.\n\n- *copy in \
         place*: copy each object onto itself. In a bucket with versions, earlier versions keep their encryption.\n- *save \
         again*: write it once more, in Databricks.\n- *never*: create it again, under the key, and delete the former one.\n- *at once*: nothing to do.\n\nObjects in default storage cannot be copied in place: write the \
         data again.\n",
    );
    for cloud in &CLOUDS {
        let _ = write!(
            page,
            "\nOn {}:\n\n| Data | Gets under the key | How |\n|---|---|---|\n",
            cloud.in_words()
        );
        // Kinds with the same advice share a row.
        let mut rows: Vec<(Existing, Vec<&str>)> = Vec::new();
        for kind in kinds(cloud) {
            match rows
                .iter_mut()
                .find(|(existing, _)| *existing == kind.existing)
            {
                Some((_, names)) => names.push(kind.name),
                None => rows.push((kind.existing, vec![kind.name])),
            }
        }
        for (existing, names) in rows {
            if let Some(word) = existing.word() {
                let (names, word) = (names.join(", "), word.replace('_', " "));
                let _ = writeln!(page, "| {names} | {word} | {} |", existing.how());
            }
        }
    }
}

fn what_can_change(page: &mut String) {
    page.push_str("\n## What can change\n");
    let word = |may: bool| if may { "yes" } else { "no" };
    // What AWS has, Google Cloud has too.
    let tables = [
        ("AWS and Google Cloud", Cloud::Aws, &UseCase::ACCOUNT[..]),
        ("Azure", Cloud::Azure, &UseCase::ALL[..]),
    ];
    for (clouds, cloud, cases) in tables {
        let _ = write!(
            page,
            "\nOn {clouds}:\n\n| Use case | First key | Another key | No key |\n|---|---|---|---|\n"
        );
        for case in cases {
            let may = transition(&cloud, *case);
            let _ = writeln!(
                page,
                "| `{case}` | {} | {} | {} |",
                word(may.set),
                word(may.change),
                word(may.remove)
            );
        }
    }
}
