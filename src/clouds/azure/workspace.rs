//! A workspace of Azure Databricks as Resource Manager shows it, and the change of its keys. Pure: a workspace is changed as JSON as it
//! came, so that what this version does not know goes back as it was.
//!
//! Source: Microsoft.Databricks REST API 2026-01-01, and what is known of its answers: parameters that are null, an empty
//! `customVirtualNetworkId` that Azure does not take back.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::errors::AzureError;
use super::names::{find, member, own_name};
use super::operations::{Progress, state_of};
use crate::preflight::azure::{ArmWorkspaceFacts, AttachedVaultKey};
use crate::vocabulary::azure::{PrincipalId, VaultKeyId, WorkspaceResourceId};
use crate::vocabulary::{UseCase, WorkspaceId};

/// A workspace as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmWorkspace {
    id: WorkspaceResourceId,
    json: Json,
}

/// The keys that a workspace shall have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WantedKeys {
    /// The versions to set, by use case; others stay.
    pub set: BTreeMap<UseCase, VaultKeyId>,
    /// Whether workspace storage goes back to Microsoft's key.
    pub reset_storage: bool,
    /// Whether managed disks follow new versions of their key.
    pub rotate_disks: bool,
}

const ENTITIES: &str = "/properties/encryption/entities";

fn entity(case: UseCase) -> &'static str {
    match case {
        UseCase::ManagedServices => "managedServices",
        UseCase::ManagedDisks => "managedDisk",
        // Azure has storage as a parameter of the workspace, not as an entity.
        UseCase::Storage => "",
    }
}

fn text<'a>(json: &'a Json, pointer: &str) -> Option<&'a str> {
    find(json, pointer)
        .and_then(Json::as_str)
        .filter(|text| !text.is_empty())
}

fn put(object: &mut Map<String, Json>, name: &str, value: Json) {
    object.insert(own_name(object, name), value);
}

/// The key that an object of the API names; nothing of it may be passed over.
fn key_in(properties: &Json) -> AttachedVaultKey {
    let part = |name: &str| {
        member(properties, name)
            .and_then(Json::as_str)
            .unwrap_or_default()
    };
    let source = part("keySource");
    let details = member(properties, "keyVaultProperties").unwrap_or(properties);
    let detail = |name: &str| {
        member(details, name)
            .and_then(Json::as_str)
            .unwrap_or_default()
    };
    let (uri, name, version) = (
        detail("keyVaultUri"),
        detail("keyName"),
        detail("keyVersion"),
    );
    if source.eq_ignore_ascii_case("Default") || (source.is_empty() && uri.is_empty()) {
        return AttachedVaultKey::None;
    }
    let slash = if version.is_empty() { "" } else { "/" };
    let id = format!("{}/keys/{name}{slash}{version}", uri.trim_end_matches('/'));
    match id.parse() {
        Ok(key) => AttachedVaultKey::Known(key),
        Err(_) => AttachedVaultKey::Unreadable(properties.to_string()),
    }
}

impl ArmWorkspace {
    /// A workspace from an answer.
    ///
    /// # Errors
    /// When the answer is not a workspace.
    pub fn new(id: WorkspaceResourceId, json: Json) -> Result<Self, AzureError> {
        match member(&json, "properties").is_some_and(Json::is_object) {
            true => Ok(Self { id, json }),
            false => Err(AzureError::Malformed(
                "the workspace has no `properties`".to_owned(),
            )),
        }
    }

    /// Its resource ID, as the user wrote it.
    pub fn id(&self) -> &WorkspaceResourceId {
        &self.id
    }

    /// The whole of it.
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// How it stands.
    pub fn progress(&self) -> Progress {
        state_of(&self.json)
    }

    /// Its provisioning state, in Azure's word.
    pub fn state(&self) -> &str {
        text(&self.json, "/properties/provisioningState").unwrap_or("Succeeded")
    }

    /// The number that Databricks knows it by, where Azure shows one that can be read. Where there is none,
    /// the resource ID stands for the workspace.
    pub fn number(&self) -> Option<WorkspaceId> {
        let shown = find(&self.json, "/properties/workspaceId")?;
        match shown {
            Json::String(text) => text.parse().ok(),
            Json::Number(number) => number.to_string().parse().ok(),
            _ => None,
        }
    }

    /// The region, in the cloud's own name for it.
    pub fn location(&self) -> Option<&str> {
        text(&self.json, "/location")
    }

    /// Its pricing tier; none where Azure shows nothing that can be read.
    pub fn tier(&self) -> Option<&str> {
        text(&self.json, "/sku/name")
    }

    /// Its tenant, which only its identities say.
    pub fn tenant(&self) -> Option<&str> {
        ["storageAccountIdentity", "managedDiskIdentity"]
            .into_iter()
            .find_map(|identity| text(&self.json, &format!("/properties/{identity}/tenantId")))
    }

    /// The disk encryption set, once there is one.
    pub fn disk_encryption_set(&self) -> Option<&str> {
        text(&self.json, "/properties/diskEncryptionSetId")
    }

    fn principal(&self, identity: &str) -> Result<Option<PrincipalId>, String> {
        text(&self.json, &format!("/properties/{identity}/principalId"))
            .map(str::parse)
            .transpose()
            .map_err(|error| format!("{error}"))
    }

    /// The identity of its storage account, once it is prepared for encryption.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn storage_principal(&self) -> Result<Option<PrincipalId>, String> {
        self.principal("storageAccountIdentity")
    }

    /// The identity of its disk encryption set, once there is one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn disks_principal(&self) -> Result<Option<PrincipalId>, String> {
        self.principal("managedDiskIdentity")
    }

    /// The key that the workspace shows for a use case.
    pub fn key(&self, case: UseCase) -> AttachedVaultKey {
        let shown = match case {
            UseCase::Storage => find(&self.json, "/properties/parameters/encryption/value"),
            case => find(&self.json, &format!("{ENTITIES}/{}", entity(case))),
        };
        match shown {
            None | Some(Json::Null) => AttachedVaultKey::None,
            Some(shown) => key_in(shown),
        }
    }

    /// Whether managed disks follow new versions of their key.
    pub fn rotates_disks(&self) -> bool {
        find(
            &self.json,
            &format!("{ENTITIES}/managedDisk/rotationToLatestKeyVersionEnabled"),
        ) == Some(&Json::Bool(true))
    }

    /// The facts of the workspace for the proof.
    pub fn facts(&self) -> ArmWorkspaceFacts {
        let is_true = |parameter: &str| {
            find(
                &self.json,
                &format!("/properties/parameters/{parameter}/value"),
            ) == Some(&Json::Bool(true))
        };
        ArmWorkspaceFacts {
            id: self.id.clone(),
            tier: self.tier().map(str::to_owned),
            serverless_only: text(&self.json, "/properties/computeMode")
                .is_some_and(|mode| mode.eq_ignore_ascii_case("Serverless")),
            is_fedramp: is_true("enableFedRampCertification"),
            state: self.state().to_owned(),
            attached: UseCase::ALL.map(|case| (case, self.key(case))).to_vec(),
        }
    }

    /// Whether a use case has a key as wanted: the very version, except that managed disks which rotate by themselves may be ahead.
    pub fn has(&self, case: UseCase, wanted: &VaultKeyId, rotate_disks: bool) -> bool {
        let shown = self.key(case);
        let Some(shown) = shown.known() else {
            return false;
        };
        let is_own_version = wanted.version().is_none() || shown.version() == wanted.version();
        let rotates = case == UseCase::ManagedDisks && rotate_disks && self.rotates_disks();
        shown.is_same_key(wanted) && (is_own_version || rotates)
    }

    /// Whether everything is as wanted.
    pub fn has_all(&self, wanted: &WantedKeys) -> bool {
        let disks = wanted.set.contains_key(&UseCase::ManagedDisks);
        wanted
            .set
            .iter()
            .all(|(case, key)| self.has(*case, key, wanted.rotate_disks))
            && (!wanted.reset_storage || self.key(UseCase::Storage) == AttachedVaultKey::None)
            && (!disks || self.rotates_disks() == wanted.rotate_disks)
    }

    /// The workspace to send so that its keys become as wanted.
    ///
    /// # Errors
    /// When it does not have the form of a workspace.
    pub fn with_keys(&self, wanted: &WantedKeys) -> Result<Json, AzureError> {
        let mut changed = self.sendable()?;
        for (case, key) in &wanted.set {
            let version = key.version().unwrap_or_default();
            match case {
                UseCase::Storage => {
                    let value = json!({
                        "keySource": "Microsoft.Keyvault",
                        "KeyName": key.name(),
                        "keyversion": version,
                        "keyvaulturi": key.vault_uri(),
                    });
                    let parameters = object_at(&mut changed, &["properties", "parameters"])?;
                    set_value(parameters, "encryption", value);
                    set_value(parameters, "prepareEncryption", Json::Bool(true));
                }
                case => {
                    let entities =
                        object_at(&mut changed, &["properties", "encryption", "entities"])?;
                    let name = own_name(entities, entity(*case));
                    let own = entities.entry(name).or_insert_with(|| json!({}));
                    let own = own.as_object_mut().ok_or_else(malformed)?;
                    put(own, "keySource", json!("Microsoft.Keyvault"));
                    put(
                        own,
                        "keyVaultProperties",
                        json!({
                            "keyVaultUri": key.vault_uri(),
                            "keyName": key.name(),
                            "keyVersion": version,
                        }),
                    );
                    if *case == UseCase::ManagedDisks {
                        put(
                            own,
                            "rotationToLatestKeyVersionEnabled",
                            Json::Bool(wanted.rotate_disks),
                        );
                    }
                }
            }
        }
        if wanted.reset_storage {
            let parameters = object_at(&mut changed, &["properties", "parameters"])?;
            set_value(parameters, "encryption", json!({ "keySource": "Default" }));
        }
        Ok(changed)
    }

    /// The workspace to send so that its storage account gets an identity.
    ///
    /// # Errors
    /// When it does not have the form of a workspace.
    pub fn prepared(&self) -> Result<Json, AzureError> {
        let mut changed = self.sendable()?;
        let parameters = object_at(&mut changed, &["properties", "parameters"])?;
        set_value(parameters, "prepareEncryption", Json::Bool(true));
        Ok(changed)
    }

    /// The workspace as Azure takes it back.
    fn sendable(&self) -> Result<Json, AzureError> {
        let mut changed = self.json.clone();
        let properties = object_at(&mut changed, &["properties"])?;
        let has = |name: &str| properties.contains_key(&own_name(properties, name));
        if !has("computeMode") {
            // Versions of the API before 2026-01-01 did not have it; the managed resource group tells which it is.
            let mode = match has("managedResourceGroupId") {
                true => "Hybrid",
                false => "Serverless",
            };
            properties.insert("computeMode".to_owned(), json!(mode));
        }
        let parameters = own_name(properties, "parameters");
        if let Some(Json::Object(parameters)) = properties.get_mut(&parameters) {
            // Azure refuses an empty resource ID as an invalid one (LinkedInvalidPropertyId).
            parameters.retain(|name, parameter| {
                !(name.eq_ignore_ascii_case("customVirtualNetworkId")
                    && parameter.get("value").and_then(Json::as_str) == Some(""))
            });
        }
        Ok(changed)
    }
}

fn malformed() -> AzureError {
    AzureError::Malformed("the workspace does not have the form of one".to_owned())
}

/// The object at a path; what is missing or null on the way is made.
fn object_at<'a>(
    json: &'a mut Json,
    path: &[&str],
) -> Result<&'a mut Map<String, Json>, AzureError> {
    let mut at = json;
    for name in path {
        let object = at.as_object_mut().ok_or_else(malformed)?;
        at = object.entry(own_name(object, name)).or_insert(Json::Null);
        if at.is_null() {
            *at = json!({});
        }
    }
    at.as_object_mut().ok_or_else(malformed)
}

/// Sets the value of a parameter; its `type` and whatever else it has stay.
fn set_value(parameters: &mut Map<String, Json>, name: &str, value: Json) {
    let name = own_name(parameters, name);
    match parameters.get_mut(&name) {
        Some(Json::Object(parameter)) => {
            put(parameter, "value", value);
        }
        _ => {
            parameters.insert(name, json!({ "value": value }));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    const V1: &str = "11111111111111111111111111111111";
    const V2: &str = "22222222222222222222222222222222";

    fn shown() -> Json {
        json!({
            "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Databricks/workspaces/lake",
            "location": "westeurope", "sku": { "name": "premium", "tier": "x" }, "tags": { "a": "b" },
            "properties": {
                "computeMode": "Hybrid", "managedResourceGroupId": "/subscriptions/s/resourceGroups/m", "workspaceId": "123",
                "provisioningState": "Succeeded", "futureField": { "x": [1, null] },
                "parameters": {
                    "enableNoPublicIp": { "type": "Bool", "value": true },
                    "customVirtualNetworkId": { "type": "String", "value": "" },
                    "encryption": { "type": "Object", "value": { "keySource": "Default" } },
                },
            },
        })
    }

    fn workspace(json: Json) -> Result<ArmWorkspace, Box<dyn std::error::Error>> {
        let id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Databricks/workspaces/lake";
        Ok(ArmWorkspace::new(id.parse()?, json)?)
    }

    fn key(version: &str) -> Result<VaultKeyId, Box<dyn std::error::Error>> {
        Ok(format!("https://acme.vault.azure.net/keys/lake/{version}").parse()?)
    }

    #[test]
    fn the_keys_change_and_nothing_else() -> Outcome {
        let before = workspace(shown())?;
        assert!(
            UseCase::ALL
                .iter()
                .all(|case| before.key(*case) == AttachedVaultKey::None)
        );
        let wanted = WantedKeys {
            set: UseCase::ALL
                .into_iter()
                .map(|case| Ok((case, key(V1)?)))
                .collect::<Result<_, Box<dyn std::error::Error>>>()?,
            rotate_disks: true,
            ..WantedKeys::default()
        };
        let sent = before.with_keys(&wanted)?;
        insta::assert_snapshot!(serde_json::to_string_pretty(&sent)?);
        let after = workspace(sent)?;
        assert!(after.has_all(&wanted) && !before.has_all(&wanted));
        // A version that Azure moved by itself is not a difference where disks rotate automatically; elsewhere it is one.
        let mut moved = after.json.clone();
        for entity in ["managedDisk", "managedServices"] {
            moved["properties"]["encryption"]["entities"][entity]["keyVaultProperties"]["keyVersion"] =
                json!(V2);
        }
        let moved = workspace(moved)?;
        assert!(moved.has(UseCase::ManagedDisks, &key(V1)?, true));
        assert!(!moved.has(UseCase::ManagedDisks, &key(V1)?, false));
        assert!(!moved.has(UseCase::ManagedServices, &key(V1)?, true));
        assert!(moved.has(UseCase::ManagedServices, &key(V1)?.versionless(), false));
        // Storage alone goes back.
        let back = after.with_keys(&WantedKeys {
            reset_storage: true,
            ..WantedKeys::default()
        })?;
        let back = workspace(back)?;
        assert_eq!(back.key(UseCase::Storage), AttachedVaultKey::None);
        assert_eq!(
            back.key(UseCase::ManagedDisks),
            after.key(UseCase::ManagedDisks)
        );
        Ok(())
    }

    #[test]
    fn parameters_that_are_null_are_made() -> Outcome {
        let mut json = shown();
        json["properties"]["parameters"] = Json::Null;
        let sent = workspace(json)?.prepared()?;
        assert_eq!(
            sent["properties"]["parameters"],
            json!({ "prepareEncryption": { "value": true } })
        );
        Ok(())
    }

    /// Each row: what a workspace shows where its key stands, and how the provider reads it.
    #[test]
    fn what_cannot_be_read_is_not_the_same_as_none() -> Outcome {
        let full = json!({ "keySource": "MICROSOFT.KEYVAULT", "keyVaultProperties": {
            "keyVaultUri": "https://acme.vault.azure.net", "keyName": "lake", "keyVersion": V1 } });
        let rows = [
            (Json::Null, Some(None)),
            (json!({}), Some(None)),
            (json!({ "keySource": "default" }), Some(None)),
            (full, Some(Some(()))),
            (json!({ "keySource": "Microsoft.Keyvault" }), None),
            (
                json!({ "keySource": "Other", "keyVaultProperties": { "keyVaultUri": "https://x/", "keyName": "k" } }),
                None,
            ),
        ];
        for (value, expected) in rows {
            let mut json = shown();
            json["properties"]["encryption"] = json!({ "entities": { "managedServices": value } });
            let found = match workspace(json)?.key(UseCase::ManagedServices) {
                AttachedVaultKey::None => Some(None),
                AttachedVaultKey::Known(_) => Some(Some(())),
                AttachedVaultKey::Unreadable(_) => None,
            };
            assert_eq!(found, expected, "{value}");
        }
        Ok(())
    }

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i32>().prop_map(Json::from),
            "[a-z]{0,6}".prop_map(Json::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map("[a-zA-Z]{1,8}", inner, 0..4)
                    .prop_map(|map| json!(map)),
            ]
        })
    }

    /// Resource Manager does not regard the case of names, so that a second member in another case would be the same one twice.
    #[test]
    fn names_in_another_case_are_the_same() {
        let id: WorkspaceResourceId =
            "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/g/providers/\
                                       Microsoft.Databricks/workspaces/w"
                .parse()
                .unwrap();
        let json = json!({ "Properties": { "Parameters": { "Encryption": { "Value": { "keySource": "Default" } } }, "encryption": { "Entities": {
            "ManagedServices": { "KeySource": "Microsoft.Keyvault", "keyVAultProperties": { "keyName": "old" } } } } } });
        let key: VaultKeyId = "https://v.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef"
            .parse()
            .unwrap();
        let set = [UseCase::ManagedServices, UseCase::Storage].map(|case| (case, key.clone()));
        let wanted = WantedKeys {
            set: set.into(),
            ..WantedKeys::default()
        };
        let changed = ArmWorkspace::new(id.clone(), json)
            .unwrap()
            .with_keys(&wanted)
            .unwrap();
        assert_eq!(
            changed.to_string().matches("anaged").count(),
            1,
            "{changed}"
        );
        assert!(ArmWorkspace::new(id, changed).unwrap().has_all(&wanted));
    }

    proptest! {
        /// Whatever else a workspace has, it goes back as it came.
        #[test]
        fn unknown_fields_go_back(extra in any_json(), parameter in any_json(), case in 0..3_usize) {
            let mut json = shown();
            json["properties"]["unknownThing"] = extra.clone();
            json["properties"]["parameters"]["unknownParameter"] = parameter.clone();
            json["other"] = extra.clone();
            let workspace = workspace(json.clone()).expect("a workspace");
            let wanted = WantedKeys { set: [(UseCase::ALL[case], key(V1).expect("a key"))].into(), ..WantedKeys::default() };
            let mut sent = workspace.with_keys(&wanted).expect("it can be sent");
            // Apart from the keys, only what Azure does not take back is missing.
            for place in [&mut json, &mut sent] {
                let properties = place["properties"].as_object_mut().expect("properties");
                properties.remove("encryption");
                let parameters = properties["parameters"].as_object_mut().expect("parameters");
                for name in ["encryption", "prepareEncryption", "customVirtualNetworkId"] {
                    parameters.remove(name);
                }
            }
            prop_assert_eq!(sent, json);
        }
    }
}
