//! The buckets and storage accounts of one run: the provider reads each once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::places::Place;
use super::{SIDE_BY_SIDE, Sources, Stage, TableStore};
use crate::clouds::azure::{Azure, AzureError};
use crate::network::side_by_side;
use crate::preflight::storage::{
    NamedKey, NamedKeys, StorageAccount, StoreFacts, keys_to_describe,
};
use crate::preflight::{Fact, Unreadable};
use crate::provider::cache::{Readable, Staged};

/// The storage accounts of a subscription by name, or why they could not be read.
type Accounts = Result<Arc<BTreeMap<String, StorageAccount>>, AzureError>;

impl Readable for Accounts {
    fn is_unreadable(&self) -> bool {
        self.is_err()
    }
}

impl Readable for Result<Vec<String>, AzureError> {
    fn is_unreadable(&self) -> bool {
        self.is_err()
    }
}

/// The stores that one run has read.
#[derive(Default)]
pub(super) struct StoreReads {
    buckets: Staged<TableStore, Fact<StoreFacts>>,
    /// By region and name.
    keys: Staged<(String, String), Fact<NamedKey>>,
    accounts: Staged<String, Accounts>,
    subscriptions: Staged<(), Result<Vec<String>, AzureError>>,
}

fn not_configured(block: &str) -> Fact<StoreFacts> {
    Fact::Unreadable(Unreadable {
        permission: None,
        reason: format!(
            "attributes of the `{block}` block of the provider are known only after apply"
        ),
        remedy: None,
        is_missing: false,
    })
}

impl StoreReads {
    /// What its cloud shows of a store. `region`: where a bucket of S3 probably is.
    pub(super) async fn facts(
        &self,
        from: Sources<'_>,
        store: &TableStore,
        region: &str,
    ) -> Fact<StoreFacts> {
        let (keys, stage) = (from.keys, from.stage);
        match store {
            TableStore::S3(name) => {
                if !keys.aws().is_known() {
                    return not_configured("aws");
                }
                let read = || keys.aws().cloud().bucket(name, region);
                self.buckets.get(stage, store, read).await
            }
            TableStore::Google(name) => {
                if !keys.gcp().is_known() {
                    return not_configured("gcp");
                }
                let read = || keys.gcp().cloud().bucket(name);
                self.buckets.get(stage, store, read).await
            }
            TableStore::Azure(name) => {
                if !keys.azure().is_known() {
                    return not_configured("azure");
                }
                self.account(keys.azure().cloud(), stage, name).await
            }
        }
    }

    /// A storage account, in the configured subscription or in another one that the caller sees. Its name says nothing of where it is.
    async fn account(&self, azure: &Azure, stage: Stage, name: &str) -> Fact<StoreFacts> {
        let mut asked: Vec<String> = Vec::new();
        let mut refusals: Vec<String> = Vec::new();
        let own = azure.settings().subscription.clone();
        if let Some(own) = own
            && let Some(found) = self
                .account_in(azure, stage, (&own, name), &mut refusals)
                .await
        {
            return Fact::Known(StoreFacts::Azure(found));
        }
        asked.extend(azure.settings().subscription.clone());
        let read = || azure.subscriptions();
        match self.subscriptions.get(stage, &(), read).await {
            Ok(all) => {
                for one in all.iter().filter(|one| !asked.contains(one)) {
                    let found = self
                        .account_in(azure, stage, (one, name), &mut refusals)
                        .await;
                    if let Some(found) = found {
                        return Fact::Known(StoreFacts::Azure(found));
                    }
                }
                asked.extend(
                    all.into_iter()
                        .filter(|one| Some(one) != azure.settings().subscription.as_ref()),
                );
            }
            Err(error) => refusals.push(format!("the subscriptions: {error}")),
        }
        let refused = match refusals.as_slice() {
            [] => String::new(),
            all => format!(" ({})", all.join("; ")),
        };
        Fact::Unreadable(Unreadable {
            permission: Some("Microsoft.Storage/storageAccounts/read"),
            reason: format!(
                "no subscription shows a storage account of that name to the identity that runs Terraform; it sees {}{refused}",
                match asked.as_slice() {
                    [] => "none".to_owned(),
                    all => all.join(", "),
                }
            ),
            remedy: None,
            is_missing: false,
        })
    }

    async fn account_in(
        &self,
        azure: &Azure,
        stage: Stage,
        (subscription, name): (&String, &str),
        refusals: &mut Vec<String>,
    ) -> Option<StorageAccount> {
        let read = || async {
            let all = azure.storage_accounts(subscription).await?;
            let by_name = all.into_iter().map(|one| (one.name.clone(), one));
            Ok(Arc::new(by_name.collect()))
        };
        match self.accounts.get(stage, subscription, read).await {
            Ok(all) => all.get(name).cloned(),
            Err(error) => {
                refusals.push(format!("the subscription {subscription}: {error}"));
                None
            }
        }
    }

    /// What KMS says of the keys that buckets and clients name; one call a name and region.
    pub(super) async fn described(
        &self,
        from: Sources<'_>,
        all: &[Place],
        facts: &BTreeMap<&TableStore, Fact<StoreFacts>>,
    ) -> NamedKeys {
        let mut wanted: BTreeSet<(String, String)> = BTreeSet::new();
        for place in all {
            let Some(Ok(store)) = &place.store else {
                continue;
            };
            let Some(read) = facts.get(store) else {
                continue;
            };
            let region = match read {
                Fact::Known(StoreFacts::S3 { region, .. }) => region,
                _ => &place.region,
            };
            let names = keys_to_describe(read, &place.sent).into_iter();
            wanted.extend(names.map(|name| (region.clone(), name.to_owned())));
        }
        let wanted: Vec<(String, String)> = wanted.into_iter().collect();
        let aws = from.keys.aws();
        let mut found = NamedKeys::new();
        if !aws.is_known() {
            return found;
        }
        for some in wanted.chunks(SIDE_BY_SIDE) {
            let reads = some.iter().map(|own| {
                let (region, name) = own;
                let read = || aws.cloud().named_key(name, region);
                self.keys.get(from.stage, own, read)
            });
            for ((_, name), read) in some.iter().zip(side_by_side(reads).await) {
                match found.get(name) {
                    // An alias of the same name in another region can be another key; then neither is known by the name alone.
                    Some(other) if *other != read && !name.starts_with("arn:") => {
                        found.insert(name.clone(), ambiguous(name));
                    }
                    _ => drop(found.insert(name.clone(), read)),
                }
            }
        }
        found
    }
}

fn ambiguous(name: &str) -> Fact<NamedKey> {
    Fact::Unreadable(Unreadable {
        permission: None,
        reason: format!("buckets in several regions have `{name}`, which is another key in each"),
        remedy: None,
        is_missing: false,
    })
}
