//! Keys: the data plane of Key Vault and Managed HSM. Source: Key Vault REST API 2025-07-01; azure-sdk-for-python issue 45342 for what a
//! disabled key still does; "About keys" of the Key Vault documentation, azure-sdk-for-net issue 7677 and azure-docs issue 84096 for what
//! one outside its dates does.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value as Json, json};

use super::{
    AzureKey, AzureWorld, HSM, authorization, login, refusal, refusal_within, set, vault_id,
};
use crate::Shared;
use crate::http::{Answer, Request};

/// How many versions one page shows.
const PAGE: usize = 2;

/// A version of a key, with the fields that the vault shows.
#[derive(Clone, Debug)]
pub struct VersionOfKey {
    /// 32 hexadecimal digits.
    pub name: String,
    /// `RSA`, `RSA-HSM`, `EC`.
    pub kind: String,
    /// Its size in bits.
    pub bits: usize,
    /// What it may be used for.
    pub operations: Vec<String>,
    /// Whether the vault lets principals use it.
    pub enabled: bool,
    /// Before which time it does not wrap.
    pub not_before: Option<i64>,
    /// After which time it does not wrap.
    pub expires: Option<i64>,
    /// When it was made.
    pub created: i64,
    /// The tags, which the kill switch writes.
    pub tags: BTreeMap<String, String>,
    /// Whether it belongs to a certificate.
    pub managed: bool,
    /// `Recoverable`, `CustomizedRecoverable+Purgeable`, …
    pub recovery_level: String,
}

fn now() -> i64 {
    doors::clock::now().unix_timestamp()
}

impl VersionOfKey {
    /// An enabled RSA key of 3072 bits.
    pub fn new(is_hsm: bool, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: if is_hsm { "RSA-HSM" } else { "RSA" }.to_owned(),
            bits: 3072,
            operations: ["wrapKey", "unwrapKey", "encrypt", "decrypt"]
                .map(str::to_owned)
                .to_vec(),
            enabled: true,
            not_before: None,
            expires: None,
            created: now() - 1000,
            tags: BTreeMap::new(),
            managed: false,
            recovery_level: "Recoverable".to_owned(),
        }
    }

    /// Why an operation is refused; `None` when it is not. A disabled key still wraps. A key outside its dates wraps nothing, and still
    /// unwraps; with which code is not documented.
    pub fn refuses(&self, operation: &str) -> Option<(&'static str, String)> {
        let now = now();
        let is_outside = self.expires.is_some_and(|end| end <= now)
            || self.not_before.is_some_and(|start| start > now);
        if !self.enabled && operation != "wrapKey" {
            let why = format!("Operation {operation} is not allowed on a disabled key.");
            return Some(("KeyDisabled", why));
        }
        if is_outside && operation == "wrapKey" {
            let why = format!("Operation {operation} is not allowed on a key outside its dates.");
            return Some(("KeyOperationForbidden", why));
        }
        if !self.operations.iter().any(|own| own == operation) {
            let why = format!("Operation {operation} is not permitted on this key by its key_ops.");
            return Some(("KeyOperationForbidden", why));
        }
        None
    }

    /// Applies what a request says of operations, dates, state and tags.
    fn take(&mut self, body: &Json) -> Result<(), Answer> {
        if let Some(operations) = body.get("key_ops").and_then(Json::as_array) {
            let texts = operations.iter().filter_map(Json::as_str);
            self.operations = texts.map(str::to_owned).collect();
        }
        let attribute = |name: &str| body.pointer(&format!("/attributes/{name}"));
        if let Some(enabled) = attribute("enabled").and_then(Json::as_bool) {
            self.enabled = enabled;
        }
        let moment = |name: &str, own: Option<i64>| attribute(name).and_then(Json::as_i64).or(own);
        self.not_before = moment("nbf", self.not_before);
        self.expires = moment("exp", self.expires);
        let Some(tags) = body.get("tags").and_then(Json::as_object) else {
            return Ok(());
        };
        let is_short = |value: &Json| value.as_str().is_some_and(|text| text.len() <= 256);
        if tags.len() > 15 || !tags.values().all(is_short) {
            return Err(refusal(
                400,
                "BadParameter",
                "A key can have 15 tags of 256 characters.",
            ));
        }
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        self.tags = tags
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect();
        Ok(())
    }

    fn attributes(&self) -> Json {
        let mut attributes = json!({
            "enabled": self.enabled, "created": self.created, "updated": self.created, "recoveryLevel": self.recovery_level,
            "recoverableDays": 90, "exportable": false, "hsmPlatform": "2",
        });
        if let Some(moment) = self.not_before {
            set(&mut attributes, "/nbf", Json::from(moment));
        }
        if let Some(moment) = self.expires {
            set(&mut attributes, "/exp", Json::from(moment));
        }
        attributes
    }

    fn bundle(&self, base: &str) -> Json {
        let mut key = json!({ "kid": format!("{base}/{}", self.name), "kty": self.kind, "key_ops": self.operations });
        if self.kind.starts_with("RSA") {
            let modulus = vec![0xC5_u8; self.bits / 8];
            set(&mut key, "/n", Json::from(URL_SAFE_NO_PAD.encode(modulus)));
            set(&mut key, "/e", json!("AQAB"));
        } else {
            set(&mut key, "/crv", json!("P-256"));
            set(&mut key, "/x", json!("AQ"));
            set(&mut key, "/y", json!("AQ"));
        }
        let mut bundle = json!({ "key": key, "attributes": self.attributes(), "tags": self.tags });
        if self.managed {
            set(&mut bundle, "/managed", Json::Bool(true));
        }
        bundle
    }
}

fn key_not_found(name: &str) -> Answer {
    refusal(
        404,
        "KeyNotFound",
        &format!(
            "A key with (name/id) {name} was not found in this key vault. If you recently deleted this key you may be able to recover it."
        ),
    )
}

fn domain(vault: &str) -> &'static str {
    if vault == HSM { "managedhsm" } else { "vault" }
}

/// The path to a key with its name and its version in lower case. Source: Key Vault documentation, "About keys, secrets, and certificates":
/// object identifiers are case-insensitive.
fn in_one_case(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let is_key = matches!(parts.first(), Some(&("keys" | "deletedkeys")));
    let is_version = |part: &str| part.len() == 32 && part.chars().all(|c| c.is_ascii_hexdigit());
    let parts = parts.iter().enumerate().map(|(at, part)| match at {
        1 if is_key => part.to_ascii_lowercase(),
        2 if is_key && is_version(part) => part.to_ascii_lowercase(),
        _ => (*part).to_owned(),
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Answers one request to a vault: `NAME/keys/…`.
#[expect(clippy::too_many_lines, reason = "a table: an arm for each operation")]
pub(super) fn answer(shared: &Shared, request: &Request, path: &str) -> Answer {
    let (vault, rest) = path.split_once('/').unwrap_or((path, ""));
    let (vault, rest) = (vault.to_ascii_lowercase(), in_one_case(rest));
    let audience = format!("https://{}.azure.net", domain(&vault));
    let refused = if request.header("authorization").is_empty() {
        Some(refusal(
            401,
            "Unauthorized",
            "AKV10000: Request is missing a Bearer or PoP token.",
        ))
    } else {
        login::is_for(shared, request, &audience).err()
    };
    // Who comes without a token, or with one for something else, learns which one to bring.
    if let Some(mut challenge) = refused {
        challenge.headers.push((
            "www-authenticate".to_owned(),
            format!(
                "Bearer authorization=\"https://login.microsoftonline.com/{}\", resource=\"{audience}\"",
                super::TENANT
            ),
        ));
        return challenge;
    }
    let mut world = shared.world();
    let azure = &mut world.now.azure;
    if !azure
        .vaults
        .contains_key(&vault_id(&vault).to_ascii_lowercase())
    {
        return refusal(
            404,
            "VaultNotFound",
            &format!("The vault {vault} does not exist."),
        );
    }
    if azure.closed.contains(&vault) {
        return refusal_within(
            403,
            "Forbidden",
            "ForbiddenByFirewall",
            &format!(
                "Client address is not authorized and caller is not a trusted service.\r\nClient address: 127.0.0.1\r\nCaller: appid={}\r\nVault: \
                 {vault};location=westeurope",
                super::CLIENT
            ),
        );
    }
    let (method, parts) = (
        request.method.as_str(),
        rest.split('/')
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>(),
    );
    if let Some(at) = parts
        .iter()
        .position(|part| *part == "Microsoft.Authorization")
    {
        return local_roles(
            azure,
            request,
            &vault,
            parts.get(..at).unwrap_or_default(),
            parts.get(at + 1..).unwrap_or_default(),
        );
    }
    let is_write = method != "GET";
    let action = if is_write { "keys/write" } else { "keys/read" };
    if azure.denied.contains(action) {
        return refusal_within(
            403,
            "Forbidden",
            "ForbiddenByRbac",
            &format!(
                "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed \
                 recently, please observe propagation time.\r\nCaller: appid={}\r\nAction: 'Microsoft.KeyVault/vaults/{action}/action'\r\nAssignment: \
                 (not found)",
                super::CLIENT
            ),
        );
    }
    let base = |name: &str| format!("https://{vault}.{}.azure.net/keys/{name}", domain(&vault));
    match (method, parts.as_slice()) {
        ("GET", ["keys"]) => {
            let all: Vec<Json> = azure
                .keys
                .iter()
                .filter(|((own, _), key)| *own == vault && key.deleted.is_none())
                .filter_map(|((_, name), key)| {
                    let newest = key.versions.last()?;
                    Some(json!({ "kid": base(name), "attributes": newest.attributes() }))
                })
                .collect();
            Answer::json(200, &json!({ "value": all, "nextLink": null }))
        }
        ("GET", ["keys", name, "versions"]) => versions(azure, request, &vault, name, &base(name)),
        ("GET", ["keys", name]) => one(azure, &vault, name, None, &base(name)),
        ("GET", ["keys", name, version]) => one(azure, &vault, name, Some(version), &base(name)),
        ("PATCH", ["keys", name]) => patch(azure, request, (&vault, name, None), &base(name)),
        ("PATCH", ["keys", name, version]) => {
            patch(azure, request, (&vault, name, Some(version)), &base(name))
        }
        ("POST", ["keys", name, "create" | "rotate"]) => {
            create(azure, request, &vault, name, &base(name))
        }
        ("POST", ["keys", name, version, operation @ ("wrapkey" | "unwrapkey")]) => {
            let operation = if *operation == "wrapkey" {
                "wrapKey"
            } else {
                "unwrapKey"
            };
            wrap(
                azure,
                request,
                (&vault, name, version),
                operation,
                &base(name),
            )
        }
        ("DELETE", ["keys", name]) => delete(azure, &vault, name, &base(name)),
        ("GET", ["deletedkeys", name]) => deleted(azure, &vault, name, &base(name)),
        ("POST", ["deletedkeys", name, "recover"]) => recover(azure, &vault, name, &base(name)),
        ("DELETE", ["deletedkeys", name]) => purge(azure, &vault, name),
        _ => refusal(404, "NotFound", "There is no such resource in the vault."),
    }
}

fn of<'a>(azure: &'a mut AzureWorld, vault: &str, name: &str) -> Option<&'a mut AzureKey> {
    azure.keys.get_mut(&(vault.to_owned(), name.to_owned()))
}

/// A key that is there, as a read shows it.
fn there<'a>(azure: &'a mut AzureWorld, vault: &str, name: &str) -> Option<&'a mut AzureKey> {
    let key = of(azure, vault, name)?;
    match (key.deleted, key.late) {
        (None, 0) => Some(key),
        // A deletion or a recovery takes some looks until it shows.
        (Some(_), late) if late > 0 => {
            key.late -= 1;
            None
        }
        (None, _) => {
            key.late -= 1;
            None
        }
        _ => None,
    }
}

fn one(
    azure: &mut AzureWorld,
    vault: &str,
    name: &str,
    version: Option<&str>,
    base: &str,
) -> Answer {
    let found = there(azure, vault, name).and_then(|key| match version {
        None => key.versions.last().cloned(),
        Some(version) => key.versions.iter().find(|one| one.name == version).cloned(),
    });
    match found {
        Some(found) => Answer::json(200, &found.bundle(base)),
        None => key_not_found(name),
    }
}

fn versions(
    azure: &mut AzureWorld,
    request: &Request,
    vault: &str,
    name: &str,
    base: &str,
) -> Answer {
    let Some(key) = there(azure, vault, name) else {
        // The real service answers so for a key that never was.
        return Answer::json(200, &json!({ "value": [], "nextLink": null }));
    };
    let skip: usize = request
        .query
        .get("$skiptoken")
        .and_then(|token| token.parse().ok())
        .unwrap_or_default();
    let page: Vec<Json> = key
        .versions
        .iter()
        .skip(skip)
        .take(PAGE)
        .map(|one| json!({ "kid": format!("{base}/{}", one.name), "attributes": one.attributes(), "tags": one.tags }))
        .collect();
    let next = (skip + PAGE < key.versions.len()).then(|| {
        format!(
            "{base}/versions?api-version=2025-07-01&$skiptoken={}",
            skip + PAGE
        )
    });
    Answer::json(200, &json!({ "value": page, "nextLink": next }))
}

fn patch(
    azure: &mut AzureWorld,
    request: &Request,
    (vault, name, version): (&str, &str, Option<&str>),
    base: &str,
) -> Answer {
    let body = request.json();
    let Some(key) = there(azure, vault, name) else {
        return key_not_found(name);
    };
    let newest = key
        .versions
        .last()
        .map(|one| one.name.clone())
        .unwrap_or_default();
    let wanted = version.unwrap_or(&newest);
    let Some(found) = key.versions.iter_mut().find(|one| one.name == wanted) else {
        return key_not_found(name);
    };
    if let Err(refused) = found.take(&body) {
        return refused;
    }
    Answer::json(200, &found.bundle(base))
}

fn create(
    azure: &mut AzureWorld,
    request: &Request,
    vault: &str,
    name: &str,
    base: &str,
) -> Answer {
    if of(azure, vault, name).is_some_and(|key| key.deleted.is_some()) {
        return refusal_within(
            409,
            "Conflict",
            "ObjectIsDeletedButRecoverable",
            &format!("Key {name} is currently in a deleted but recoverable state."),
        );
    }
    let body = request.json();
    let made = azure.next("0e450000");
    let version = format!(
        "{:0>32}",
        made.replace('-', "")
            .chars()
            .filter(char::is_ascii_hexdigit)
            .collect::<String>()
    );
    let is_rotation = request.path.ends_with("/rotate");
    let former = of(azure, vault, name).and_then(|key| key.versions.last().cloned());
    let mut new = match (is_rotation, former) {
        (true, None) => return key_not_found(name),
        // A rotation keeps type, size and operations; the dates of a new version come from the rotation policy. Source: Key Vault
        // documentation, "Configure cryptographic key auto-rotation".
        (true, Some(former)) => VersionOfKey {
            name: version,
            enabled: true,
            not_before: None,
            expires: None,
            ..former
        },
        (false, _) => VersionOfKey::new(vault == HSM, &version),
    };
    new.created = now();
    if let Err(refused) = new.take(&body) {
        return refused;
    }
    if let Some(kind) = body.get("kty").and_then(Json::as_str) {
        new.kind = kind.to_owned();
    }
    if let Some(bits) = body.get("key_size").and_then(Json::as_u64) {
        new.bits = usize::try_from(bits).unwrap_or(2048);
    }
    let key = azure
        .keys
        .entry((vault.to_owned(), name.to_owned()))
        .or_default();
    key.versions.push(new.clone());
    Answer::json(200, &new.bundle(base))
}

/// Wraps and unwraps. There is no cryptography here: what is wrapped comes out as it went in.
fn wrap(
    azure: &mut AzureWorld,
    request: &Request,
    (vault, name, version): (&str, &str, &str),
    operation: &str,
    base: &str,
) -> Answer {
    let found = there(azure, vault, name)
        .and_then(|key| key.versions.iter().find(|one| one.name == version).cloned());
    let Some(found) = found else {
        return key_not_found(name);
    };
    if let Some((code, why)) = found.refuses(operation) {
        return refusal_within(403, "Forbidden", code, &why);
    }
    let value = request.json().get("value").cloned().unwrap_or_default();
    let kid = format!("{base}/{version}");
    Answer::json(200, &json!({ "kid": kid, "value": value }))
}

fn deleted_bundle(key: &AzureKey, vault: &str, name: &str, base: &str) -> Json {
    let mut bundle = key
        .versions
        .last()
        .map(|one| one.bundle(base))
        .unwrap_or_default();
    let at = key.deleted.unwrap_or_default();
    set(
        &mut bundle,
        "/recoveryId",
        Json::from(format!(
            "https://{vault}.{}.azure.net/deletedkeys/{name}",
            domain(vault)
        )),
    );
    set(&mut bundle, "/deletedDate", Json::from(at));
    set(
        &mut bundle,
        "/scheduledPurgeDate",
        Json::from(at + 90 * 24 * 60 * 60),
    );
    bundle
}

fn delete(azure: &mut AzureWorld, vault: &str, name: &str, base: &str) -> Answer {
    // Its role assignments at the key's own scope do not come back when it is recovered from a deleted vault, but a deleted key keeps them.
    match of(azure, vault, name) {
        Some(key) if key.deleted.is_none() => {
            key.deleted = Some(now());
            key.late = 2;
            Answer::json(200, &deleted_bundle(key, vault, name, base))
        }
        _ => key_not_found(name),
    }
}

fn deleted(azure: &mut AzureWorld, vault: &str, name: &str, base: &str) -> Answer {
    match of(azure, vault, name) {
        Some(key) if key.deleted.is_some() && key.late == 0 => {
            Answer::json(200, &deleted_bundle(key, vault, name, base))
        }
        Some(key) if key.deleted.is_some() => {
            key.late -= 1;
            key_not_found(name)
        }
        _ => key_not_found(name),
    }
}

fn recover(azure: &mut AzureWorld, vault: &str, name: &str, base: &str) -> Answer {
    match of(azure, vault, name) {
        Some(key) if key.deleted.is_some() => {
            key.deleted = None;
            key.late = 2;
            let newest = key
                .versions
                .last()
                .map(|one| one.bundle(base))
                .unwrap_or_default();
            Answer::json(200, &newest)
        }
        _ => key_not_found(name),
    }
}

fn purge(azure: &mut AzureWorld, vault: &str, name: &str) -> Answer {
    let is_protected = of(azure, vault, name)
        .and_then(|key| key.versions.last())
        .is_some_and(|one| !one.recovery_level.contains("Purgeable"));
    if is_protected {
        return refusal(
            403,
            "Forbidden",
            "Operation \"purge\" is not allowed because purge protection is enabled for this vault.",
        );
    }
    azure.keys.remove(&(vault.to_owned(), name.to_owned()));
    Answer {
        status: 204,
        headers: Vec::new(),
        body: String::new(),
    }
}

/// The local roles of an HSM: `keys/NAME/providers/Microsoft.Authorization/roleAssignments[/GUID]`. Source: Managed HSM REST API.
fn local_roles(
    azure: &mut AzureWorld,
    request: &Request,
    vault: &str,
    before: &[&str],
    after: &[&str],
) -> Answer {
    if vault != HSM {
        return refusal(404, "NotFound", "Only a Managed HSM has local roles.");
    }
    if azure.denied.contains("hsm/roleAssignments") {
        return refusal(
            403,
            "Forbidden",
            "User does not have permission to perform this action.",
        );
    }
    let scope: Vec<&str> = before
        .iter()
        .copied()
        .filter(|part| *part != "providers")
        .collect();
    let scope = format!("/{}", scope.join("/"));
    let name = after.get(1).map(|name| name.to_ascii_lowercase());
    let id =
        |name: &str| format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}");
    match (request.method.as_str(), name) {
        ("GET", None) => {
            let found: Vec<Json> = azure
                .local_roles
                .iter()
                .filter(|((own, _), _)| own == vault)
                .map(|(_, shown)| shown.clone())
                .filter(|shown| {
                    let own = shown
                        .pointer("/properties/scope")
                        .and_then(Json::as_str)
                        .unwrap_or_default();
                    authorization::is_at_or_above(own, &scope)
                })
                .collect();
            Answer::json(200, &json!({ "value": found }))
        }
        ("GET", Some(name)) => match azure.local_roles.get(&(vault.to_owned(), name)) {
            Some(shown) => Answer::json(200, shown),
            None => refusal(
                404,
                "RoleAssignmentNotFound",
                "The role assignment is not found.",
            ),
        },
        ("PUT", Some(name)) => {
            let body = request.json();
            let mut properties = super::object(body.get("properties").unwrap_or(&Json::Null));
            let principal = properties
                .get("principalId")
                .and_then(Json::as_str)
                .unwrap_or_default()
                .to_ascii_lowercase();
            if !azure.principals.contains(&principal) {
                return refusal(400, "PrincipalNotFound", "The principal does not exist.");
            }
            properties.insert("scope".to_owned(), Json::from(scope.clone()));
            let shown = json!({ "id": id(&name), "name": name, "type": "Microsoft.Authorization/roleAssignments", "properties": properties });
            azure
                .local_roles
                .insert((vault.to_owned(), name), shown.clone());
            Answer::json(201, &shown)
        }
        ("DELETE", Some(name)) => match azure.local_roles.remove(&(vault.to_owned(), name)) {
            Some(gone) => Answer::json(200, &gone),
            None => refusal(
                404,
                "RoleAssignmentNotFound",
                "The role assignment is not found.",
            ),
        },
        _ => refusal(405, "MethodNotAllowed", "The method is not allowed here."),
    }
}
