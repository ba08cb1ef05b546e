//! Azure: who calls, and which actions the permissions API of Resource Manager shows for the caller.

use super::{Doctor, endpoint, sentence, without_credentials};
use crate::clouds::azure::{AzureError, OwnPermissions};
use crate::doctor::{Access, Outcome, Service, ServiceFacts, Tested, rights_of};
use crate::preflight::azure::AccessModel;
use crate::requirements::azure::AZURE_DATABRICKS;
use crate::vocabulary::Key;
use crate::vocabulary::azure::{VaultKeyId, VaultResourceId};

/// The right that Microsoft Graph decides, and not Resource Manager.
const GRAPH: &str = "read applications in Microsoft Graph";

/// The right that reading a key tells for sure.
const READ: &str = "Microsoft.KeyVault/vaults/keys/read";

/// Whether a right is one of the data of a vault, which roles have apart from its management.
fn is_of_data(name: &str) -> bool {
    name.starts_with("Microsoft.KeyVault/vaults/keys/")
}

/// A scope with what the permissions API shows for the caller there.
type Scope = (String, Result<OwnPermissions, AzureError>);

/// What the permissions at some scopes say of a right: there where it is at each of them.
fn outcome(name: &str, scopes: &[Scope]) -> (String, Outcome) {
    let mut on = String::new();
    for (scope, answer) in scopes {
        on.clone_from(scope);
        match answer {
            Err(error) => {
                let why = format!(
                    "Azure did not show the permissions of the caller: {}",
                    sentence(&error.to_string())
                );
                return (on, Outcome::NotKnown(why));
            }
            Ok(own) if own.allows(name, is_of_data(name)) => {}
            Ok(_) => {
                let why = "None of the roles of the caller has it there, says Azure. A role on one vault or workspace is not seen here.";
                return (on, Outcome::Missing(why.to_owned()));
            }
        }
    }
    match scopes {
        [] => (
            on,
            Outcome::NotKnown(
                "The caller sees no subscription: set `--subscription-id` (ARM_SUBSCRIPTION_ID)."
                    .to_owned(),
            ),
        ),
        [_] => (
            on,
            Outcome::There("A role of the caller has it there, says Azure.".to_owned()),
        ),
        _ => (
            "each subscription".to_owned(),
            Outcome::There(
                "A role of the caller has it in each subscription, says Azure.".to_owned(),
            ),
        ),
    }
}

/// A right on the data of a vault, which its roles decide only where the vault asks roles.
fn by_access(access: Option<&AccessModel>, by_role: Outcome) -> Outcome {
    match (access, by_role) {
        (Some(AccessModel::RoleAssignments(_)), outcome) => outcome,
        (Some(AccessModel::AccessPolicies(_)), _) => Outcome::NotKnown(
            "The vault has access policies, which no test of permissions shows. The caller needs `get`, `list`, `update`, `delete` and `recover` for \
             keys there."
                .to_owned(),
        ),
        (Some(AccessModel::LocalRoles), _) => Outcome::NotKnown(
            "A Managed HSM has local roles, which no test of permissions shows.".to_owned(),
        ),
        (None, Outcome::Missing(_)) => Outcome::NotKnown(
            "None of the roles of the caller has it in general. A vault can have roles or access policies of its own: name a key with `--key`."
                .to_owned(),
        ),
        (None, outcome) => outcome,
    }
}

impl Doctor {
    /// The subscriptions to test: the configured one, or those that the caller sees.
    async fn subscriptions(&self) -> Result<Vec<String>, AzureError> {
        let cloud = self.client.keys().azure().cloud();
        match &cloud.settings().subscription {
            Some(own) => Ok(vec![own.clone()]),
            None => cloud.subscriptions().await,
        }
    }

    /// The vault of a key, looked for in these subscriptions.
    async fn vault_of(
        &self,
        key: &VaultKeyId,
        all: &[String],
    ) -> Result<Option<VaultResourceId>, AzureError> {
        let cloud = self.client.keys().azure().cloud();
        for subscription in all {
            if let Some(vault) = cloud.find_vault(subscription, key).await? {
                return Ok(Some(vault));
            }
        }
        Ok(None)
    }

    /// The rights on the data of the vault of a key. `scopes`: the vault, or the subscriptions where it was not found.
    async fn on_key(
        &self,
        key: &VaultKeyId,
        vault: Option<&VaultResourceId>,
        scopes: &[Scope],
    ) -> Vec<Tested> {
        let cloud = self.client.keys().azure().cloud();
        let (read, vault) = tokio::join!(cloud.key(key), async {
            match vault {
                Some(vault) => cloud.vault(vault, key.name()).await.ok(),
                None => None,
            }
        });
        let access = vault.map(|vault| vault.access);
        let all = rights_of(Service::Azure).iter().map(|right| right.name);
        all.filter(|name| is_of_data(name))
            .map(|name| {
                let (on, by_role) = outcome(name, scopes);
                let outcome = match &read {
                    Ok(_) if name == READ => Outcome::There("The vault showed the key.".to_owned()),
                    Err(AzureError::Denied(why)) if name == READ => Outcome::Missing(sentence(why)),
                    _ => by_access(access.as_ref(), by_role),
                };
                Tested { name, on, outcome }
            })
            .collect()
    }

    /// Whether the application AzureDatabricks can be looked up.
    async fn in_graph(&self) -> Tested {
        let cloud = self.client.keys().azure().cloud();
        let outcome = match &cloud.settings().databricks_principal {
            Some(_) => Outcome::NotNeeded,
            None => match cloud.principal_of(AZURE_DATABRICKS).await {
                Ok(Some(_)) => Outcome::There("Microsoft Graph showed AzureDatabricks.".to_owned()),
                Ok(None) => Outcome::NotKnown(
                    "Microsoft Graph shows no AzureDatabricks in the tenant: no workspace was ever created there, or it is not the tenant of the \
                     workspaces."
                        .to_owned(),
                ),
                Err(AzureError::Denied(why)) => Outcome::Missing(sentence(&why)),
                Err(error) => Outcome::NotKnown(sentence(&error.to_string())),
            },
        };
        Tested {
            name: GRAPH,
            on: "the tenant".to_owned(),
            outcome,
        }
    }

    /// The scopes to test with what the caller may do there.
    async fn permissions(&self, scopes: Vec<String>) -> Vec<Scope> {
        let cloud = self.client.keys().azure().cloud();
        let mut all = Vec::new();
        for scope in scopes {
            let answer = cloud.own_permissions(&scope).await;
            all.push((scope, answer));
        }
        all
    }

    /// What Azure says of the caller.
    pub(super) async fn azure(&self, key: Option<&Key>, is_wanted: bool) -> ServiceFacts {
        let service = Service::Azure;
        let cloud = self.client.keys().azure().cloud();
        let endpoints: Vec<_> = cloud
            .endpoints()
            .into_iter()
            .map(|(name, address)| endpoint(name, &address))
            .collect();
        let caller = match cloud.caller().await {
            Ok(caller) => caller,
            Err(AzureError::Unreachable(why)) => {
                return ServiceFacts {
                    endpoints,
                    ..ServiceFacts::of(service, Access::NotReached(sentence(&why)))
                };
            }
            Err(error) => {
                let what_to_do = "Run `az login`, or set ARM_TENANT_ID, ARM_CLIENT_ID and ARM_CLIENT_SECRET. The guide on authentication shows the \
                                  other methods.";
                let facts = without_credentials(service, is_wanted, &error.to_string(), what_to_do);
                return ServiceFacts { endpoints, ..facts };
            }
        };
        let mut facts = ServiceFacts {
            endpoints,
            ..ServiceFacts::of(service, Access::As(caller.name))
        };
        let (subscriptions, of_graph) = tokio::join!(self.subscriptions(), self.in_graph());
        let (subscriptions, unseen) = match subscriptions {
            Ok(all) => (all, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let tenant = caller.tenant.map(|tenant| format!("tenant {tenant}"));
        let named = (!subscriptions.is_empty())
            .then(|| format!("subscriptions {}", subscriptions.join(", ")));
        let shown: Vec<String> = tenant.into_iter().chain(named).collect();
        facts.account = (!shown.is_empty()).then(|| shown.join(", "));
        let scopes = match unseen {
            Some(error) => vec![("/subscriptions".to_owned(), Err(error))],
            None => {
                let all = subscriptions
                    .iter()
                    .map(|id| format!("/subscriptions/{id}"));
                self.permissions(all.collect()).await
            }
        };
        facts.tested.push(of_graph);
        let key = match key {
            Some(Key::Azure(key)) => Some(key),
            _ => None,
        };
        let of_vault = match key {
            Some(key) => {
                self.test_on_key(key, &subscriptions, &scopes, &mut facts)
                    .await
            }
            None => {
                let note = "Rights were tested on subscriptions. A vault or a workspace can have roles of its own, and a vault access policies: \
                            name a key with `--key`.";
                facts.notes.push(note.to_owned());
                None
            }
        };
        test_by_roles(&mut facts, &scopes, of_vault.as_deref());
        facts
    }

    /// Tests the rights on the data of the vault of a key. The vault with what the caller may do there; `None` where it was not found.
    async fn test_on_key(
        &self,
        key: &VaultKeyId,
        subscriptions: &[String],
        scopes: &[Scope],
        facts: &mut ServiceFacts,
    ) -> Option<Vec<Scope>> {
        let vault = match self.vault_of(key, subscriptions).await {
            Ok(Some(vault)) => Some(vault),
            Ok(None) => {
                facts.notes.push(format!(
                    "The vault of {key} was not found; the rights were tested on subscriptions in general."
                ));
                None
            }
            Err(error) => {
                let why = sentence(&error.to_string());
                let note = format!("The vault of {key} could not be looked for: {why}");
                facts.notes.push(note);
                None
            }
        };
        let own = match &vault {
            Some(vault) => Some(self.permissions(vec![vault.to_string()]).await),
            None => None,
        };
        let at = own.as_deref().unwrap_or(scopes);
        let on_key = self.on_key(key, vault.as_ref(), at).await;
        facts.tested.extend(on_key);
        own
    }
}

/// The rights that were not tested otherwise, by the roles of the caller: on the vault of a key where there is one, on the subscriptions for
/// workspaces.
fn test_by_roles(facts: &mut ServiceFacts, scopes: &[Scope], of_vault: Option<&[Scope]>) {
    for right in rights_of(Service::Azure) {
        if facts.tested.iter().any(|one| one.name == right.name) {
            continue;
        }
        let is_of_workspace = right.name.starts_with("Microsoft.Databricks/");
        let at = of_vault.filter(|_| !is_of_workspace).unwrap_or(scopes);
        let (on, found) = outcome(right.name, at);
        facts.tested.push(Tested {
            name: right.name,
            on,
            outcome: match is_of_data(right.name) {
                true => by_access(None, found),
                false => found,
            },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Fact;
    use serde_json::json;

    fn scope(name: &str, permissions: serde_json::Value) -> Scope {
        (name.to_owned(), OwnPermissions::read(vec![permissions]))
    }

    /// Each row: the permissions at each scope, and whether the right is there (t), missing (m) or not known (?).
    #[test]
    fn a_right_is_there_where_it_is_everywhere() {
        const READ: &str = "Microsoft.KeyVault/vaults/read";
        let reader = || json!({ "actions": ["*/read"], "notActions": [], "dataActions": [], "notDataActions": [] });
        let nothing = || json!({ "actions": [] });
        let without = || json!({ "actions": ["*"], "notActions": ["Microsoft.KeyVault/*"] });
        let rows = [
            (READ, vec![scope("a", reader())], 't'),
            (READ, vec![scope("a", reader()), scope("b", nothing())], 'm'),
            (READ, vec![scope("a", without())], 'm'),
            (READ, vec![], '?'),
            (READ, vec![scope("a", json!({ "actions": 1 }))], '?'),
            (
                "Microsoft.KeyVault/vaults/keys/read",
                vec![scope("a", reader())],
                'm',
            ),
            (
                "Microsoft.KeyVault/vaults/keys/read",
                vec![scope(
                    "a",
                    json!({ "dataActions": ["microsoft.keyvault/vaults/keys/*"] }),
                )],
                't',
            ),
        ];
        for (name, scopes, expected) in rows {
            let (_, found) = outcome(name, &scopes);
            let letter = match found {
                Outcome::There(_) => 't',
                Outcome::Missing(_) => 'm',
                Outcome::NotKnown(_) | Outcome::NotNeeded => '?',
            };
            assert_eq!(letter, expected, "{name} {scopes:?}: {found:?}");
        }
    }

    /// What roles say counts only where the vault asks roles.
    #[test]
    fn the_access_model_of_a_vault_decides_what_roles_say() {
        let roles = AccessModel::RoleAssignments(Fact::Known(Vec::new()));
        let policies = AccessModel::AccessPolicies(Vec::new());
        let missing = || Outcome::Missing("m".to_owned());
        let there = || Outcome::There("t".to_owned());
        assert_eq!(by_access(Some(&roles), missing()), missing());
        assert_eq!(by_access(Some(&roles), there()), there());
        assert_eq!(by_access(None, there()), there());
        for (access, outcome) in [
            (Some(&policies), there()),
            (Some(&policies), missing()),
            (Some(&AccessModel::LocalRoles), there()),
            (None, missing()),
        ] {
            let found = by_access(access, outcome);
            assert!(matches!(found, Outcome::NotKnown(_)), "{found:?}");
        }
    }
}
