//! Keys of AWS that let Databricks in and that no key configuration has: every key of the accounts and regions that are in use, by its policy.
//!
//! Google Cloud and Azure are not searched: there a key lets in service accounts of workspaces or the application of a tenant, not a Databricks account.

use std::collections::BTreeSet;

use super::missing::Missing;
use super::{AuditOrder, Auditor, Gathered, SIDE_BY_SIDE};
use crate::audit::{Part, Unregistered, databricks_in};
use crate::clouds::aws::AwsError;
use crate::network::side_by_side;
use crate::provider::kill_switch::Say;
use crate::vocabulary::aws::KeyArn;
use crate::vocabulary::{Cloud, Key};
use kms_policy::Document;

/// The places where keys are looked for: accounts, each with its regions. `own`: the account of the credentials.
fn places(gathered: &Gathered, own: &str, has_roles: bool) -> BTreeSet<(String, String)> {
    let facts = &gathered.facts;
    let mut places = BTreeSet::new();
    for name in facts.keys.keys() {
        if let Ok(Key::Aws(arn)) = name.parse() {
            places.insert((own.to_owned(), arn.region().to_owned()));
            // Without a role there, KMS shows none of its other keys.
            if has_roles {
                places.insert((arn.account().to_owned(), arn.region().to_owned()));
            }
        }
    }
    let workspaces = facts.workspaces.iter().flatten();
    let regions = workspaces
        .filter(|one| one.cloud == Cloud::Aws)
        .filter_map(|one| one.region.clone());
    places.extend(regions.map(|region| (own.to_owned(), region)));
    places
}

impl Auditor {
    /// Looks for keys that let Databricks in and that no key configuration has.
    pub(super) async fn discover(&self, order: &AuditOrder, gathered: &mut Gathered, say: Say<'_>) {
        if gathered.facts.cloud != Cloud::Aws {
            return;
        }
        if !order.discovery {
            let note = "The policy file turns the search for keys that let Databricks in without a key configuration off (`discovery = false`).";
            gathered.facts.notes.push(note.to_owned());
            return;
        }
        let mut missing = Missing::default();
        self.search(gathered, &mut missing, say).await;
        missing.note(Part::Discovery, gathered);
    }

    async fn search(&self, gathered: &mut Gathered, missing: &mut Missing, say: Say<'_>) {
        // Without the key configurations, every key would look unregistered; that they were not read is said already.
        let Some(configurations) = &gathered.facts.configurations else {
            return;
        };
        if let Some(one) = configurations.iter().find(|one| one.key.is_none()) {
            missing.because(
                format!("the key configuration {}", one.id),
                "its key cannot be read, so any key may be registered by it".to_owned(),
            );
            return;
        }
        let registered: BTreeSet<String> = configurations
            .iter()
            .filter_map(|one| one.key.clone())
            .collect();
        let aws = self.client.keys().aws().cloud();
        let in_use = places(gathered, "", false);
        let Some((_, region)) = in_use.first() else {
            return;
        };
        let own = match aws.own_account(region).await {
            Ok(own) => own,
            Err(error) => {
                missing.add("the AWS account of the credentials".to_owned(), &error);
                return;
            }
        };
        let mut waiting: Vec<KeyArn> = Vec::new();
        for (account, region) in places(gathered, &own, self.has_roles) {
            let place = format!("the keys of the AWS account {account} in {region}");
            match aws.keys_of(&account, &region).await {
                Err(error) => missing.add(place, &error),
                Ok(all) => {
                    for one in all {
                        match one {
                            Ok(key) if key.account() != account => {}
                            Ok(key) if registered.contains(&key.to_string()) => {}
                            Ok(key) => waiting.push(key),
                            Err(error) => missing.because(place.clone(), error.to_string()),
                        }
                    }
                }
            }
        }
        say(format!(
            "reading the policies of {} keys without a key configuration",
            waiting.len()
        ));
        let mut found = Vec::new();
        for some in waiting.chunks(SIDE_BY_SIDE) {
            let read = some
                .iter()
                .map(|key| async move { (key, aws.policy(key).await) });
            for (key, policy) in side_by_side(read).await {
                let policy = match policy {
                    Ok(text) => Document::parse(&text).map_err(|error| error.to_string()),
                    // It was deleted since the list.
                    Err(AwsError::NotFound(_)) => continue,
                    Err(error) => {
                        missing.add(key.to_string(), &error);
                        continue;
                    }
                };
                match policy.map(|policy| databricks_in(&policy)) {
                    Ok(None) => {}
                    Ok(Some(accounts)) => found.push(Unregistered {
                        key: key.to_string(),
                        accounts,
                    }),
                    Err(why) => missing.because(key.to_string(), why),
                }
            }
        }
        gathered.facts.unregistered = found;
    }
}
