//! Cloud KMS: key rings, keys, versions, and their policies.

use serde_json::{Map, Value as Json, json};
use time::format_description::well_known::Rfc3339;

use super::policies::{get_policy, set_policy, test_permissions};
use super::{CryptoKey, Google, Version, allowed, denied, not_found, refusal, refusal_with};
use crate::Shared;
use crate::faults::Effect;
use crate::http::{Answer, Request};

/// How long a version can be restored, unless the key says otherwise. Source: Cloud KMS documentation, "Destroy and restore".
const WINDOW: &str = "2592000s";

fn now() -> String {
    doors::clock::now().format(&Rfc3339).unwrap_or_default()
}

fn after(window: &str) -> String {
    let seconds = window
        .trim_end_matches('s')
        .parse::<i64>()
        .unwrap_or_default();
    (doors::clock::now() + time::Duration::seconds(seconds))
        .format(&Rfc3339)
        .unwrap_or_default()
}

/// A state, as a client may write it: by name, or by number.
fn state_of(value: &Json) -> Option<&'static str> {
    match (value.as_str(), value.as_i64()) {
        (Some("ENABLED"), _) | (_, Some(1)) => Some("ENABLED"),
        (Some("DISABLED"), _) | (_, Some(2)) => Some("DISABLED"),
        _ => None,
    }
}

fn purpose_of(value: Option<&Json>) -> Option<String> {
    match value {
        None => Some("ENCRYPT_DECRYPT".to_owned()),
        Some(Json::String(name)) => Some(name.clone()),
        Some(Json::Number(number)) => match number.as_i64() {
            Some(1) => Some("ENCRYPT_DECRYPT".to_owned()),
            Some(5) => Some("ASYMMETRIC_SIGN".to_owned()),
            Some(6) => Some("ASYMMETRIC_DECRYPT".to_owned()),
            _ => None,
        },
        Some(_) => None,
    }
}

impl CryptoKey {
    /// A key of a purpose, with one enabled version.
    pub fn new(purpose: &str) -> Self {
        let fields = json!({
            "purpose": purpose,
            "createTime": now(),
            "versionTemplate": { "protectionLevel": "SOFTWARE", "algorithm": "GOOGLE_SYMMETRIC_ENCRYPTION" },
            "destroyScheduledDuration": WINDOW,
        });
        Self {
            fields: fields.as_object().cloned().unwrap_or_default(),
            versions: vec![Version {
                state: "ENABLED".to_owned(),
                create_time: now(),
                destroy_time: None,
            }],
            primary: usize::from(purpose == "ENCRYPT_DECRYPT"),
        }
    }

    /// The state of the primary version.
    pub fn primary_state(&self) -> Option<&str> {
        let index = self.primary.checked_sub(1)?;
        self.versions.get(index).map(|one| one.state.as_str())
    }

    fn shown_version(&self, name: &str, number: usize) -> Option<Json> {
        let version = self.versions.get(number.checked_sub(1)?)?;
        let template = self.fields.get("versionTemplate");
        let of = |field: &str| template.and_then(|one| one.get(field)).cloned();
        let mut shown = Map::new();
        shown.insert(
            "name".to_owned(),
            Json::from(format!("{name}/cryptoKeyVersions/{number}")),
        );
        shown.insert("state".to_owned(), Json::from(version.state.clone()));
        shown.insert(
            "createTime".to_owned(),
            Json::from(version.create_time.clone()),
        );
        shown.insert(
            "generateTime".to_owned(),
            Json::from(version.create_time.clone()),
        );
        for field in ["protectionLevel", "algorithm"] {
            shown.extend(of(field).map(|value| (field.to_owned(), value)));
        }
        shown.extend(
            version
                .destroy_time
                .clone()
                .map(|at| ("destroyTime".to_owned(), Json::from(at))),
        );
        Some(Json::Object(shown))
    }

    fn shown(&self, name: &str) -> Json {
        let mut shown = self.fields.clone();
        shown.insert("name".to_owned(), Json::from(name));
        shown.extend(
            self.shown_version(name, self.primary)
                .map(|primary| ("primary".to_owned(), primary)),
        );
        Json::Object(shown)
    }
}

/// Answers one request. `path`: without the version of the API.
#[expect(clippy::too_many_lines, reason = "a table: an arm for each operation")]
pub(super) fn answer(
    shared: &Shared,
    request: &Request,
    path: &str,
    effect: Option<&Effect>,
) -> Answer {
    let (name, verb) = match path.rsplit_once(':') {
        Some((name, verb)) if !verb.contains('/') => (name, Some(verb)),
        _ => (path, None),
    };
    let mut world = shared.world();
    let (api, title) = match path.ends_with("/protectedResourcesSummary") {
        true => ("kmsinventory", "KMS Inventory"),
        false => ("cloudkms", "Cloud Key Management Service (KMS)"),
    };
    if world.now.google.disabled_apis.contains(api) {
        return refusal_with(
            403,
            "PERMISSION_DENIED",
            &format!("{title} API has not been used in project before or it is disabled."),
            json!([{ "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED", "domain": "googleapis.com" }]),
        );
    }
    let is_stale = matches!(effect, Some(Effect::StaleRead));
    let parts: Vec<&str> = name.split('/').collect();
    let resource_exists =
        |google: &Google| google.keys.contains_key(name) || google.rings.contains(name);
    match (request.method.as_str(), verb, parts.as_slice()) {
        ("GET", Some("getIamPolicy"), _) => {
            let google = if is_stale {
                &world.before.google
            } else {
                &world.now.google
            };
            if !resource_exists(google) {
                return denied("cloudkms.cryptoKeys.getIamPolicy", name);
            }
            get_policy(google, "cloudkms.cryptoKeys.getIamPolicy", name)
        }
        ("POST", Some("setIamPolicy"), _) => {
            if !resource_exists(&world.now.google) {
                return denied("cloudkms.cryptoKeys.setIamPolicy", name);
            }
            world.about_to_write();
            set_policy(&mut world.now.google, name, &request.json())
        }
        ("POST", Some("testIamPermissions"), _) => test_permissions(
            &world.now.google,
            &request.json(),
            resource_exists(&world.now.google),
        ),
        ("POST", None, ["projects", _, "locations", _, "keyRings"]) => {
            let id = request.query.get("keyRingId").cloned().unwrap_or_default();
            let ring = format!("{name}/{id}");
            if id.is_empty() {
                return refusal(400, "INVALID_ARGUMENT", "keyRingId is required.");
            }
            if !world.now.google.rings.insert(ring.clone()) {
                return refusal(
                    409,
                    "ALREADY_EXISTS",
                    &format!("KeyRing {ring} already exists."),
                );
            }
            Answer::json(200, &json!({ "name": ring, "createTime": now() }))
        }
        ("GET", None, ["projects", _, "locations", _, "keyRings"]) => {
            let rings: Vec<Json> = world
                .now
                .google
                .rings
                .iter()
                .filter(|ring| ring.starts_with(&format!("{name}/")))
                .map(|ring| json!({ "name": ring }))
                .collect();
            Answer::json(200, &json!({ "keyRings": rings, "totalSize": rings.len() }))
        }
        ("GET", None, ["projects", _, "locations", _, "keyRings", _]) => {
            match world.now.google.rings.contains(name) {
                true => Answer::json(200, &json!({ "name": name, "createTime": now() })),
                false => not_found(name),
            }
        }
        ("POST", None, ["projects", _, "locations", _, "keyRings", _, "cryptoKeys"]) => {
            create(&mut world.now.google, request, name)
        }
        ("GET", None, ["projects", _, "locations", _, "keyRings", _, "cryptoKeys"]) => {
            let all: Vec<Json> = world
                .now
                .google
                .keys
                .iter()
                .filter(|(key, _)| key.starts_with(&format!("{name}/")))
                .map(|(key, found)| found.shown(key))
                .collect();
            Answer::json(200, &json!({ "cryptoKeys": all, "totalSize": all.len() }))
        }
        ("GET", None, [.., "cryptoKeys", _]) => {
            let google = if is_stale {
                &world.before.google
            } else {
                &world.now.google
            };
            if let Err(refused) = allowed(google, "cloudkms.cryptoKeys.get", name) {
                return refused;
            }
            match google.keys.get(name) {
                Some(key) => Answer::json(200, &key.shown(name)),
                None => denied("cloudkms.cryptoKeys.get", name),
            }
        }
        ("GET", None, [.., "cryptoKeys", _, "protectedResourcesSummary"]) => {
            summary(&world.now.google, name)
        }
        ("PATCH", None, [.., "cryptoKeys", _]) => {
            if let Err(refused) = allowed(&world.now.google, "cloudkms.cryptoKeys.update", name) {
                return refused;
            }
            world.about_to_write();
            change(&mut world.now.google, request, name)
        }
        ("POST", Some("updatePrimaryVersion"), [.., "cryptoKeys", _]) => {
            let wanted = request.json();
            let number = wanted
                .get("cryptoKeyVersionId")
                .and_then(Json::as_str)
                .and_then(|number| number.parse::<usize>().ok())
                .unwrap_or_default();
            match world.now.google.keys.get_mut(name) {
                Some(key) if (1..=key.versions.len()).contains(&number) => {
                    key.primary = number;
                    Answer::json(200, &key.shown(name))
                }
                _ => not_found(name),
            }
        }
        ("GET", None, [.., "cryptoKeys", _, "cryptoKeyVersions"]) => {
            versions(&world.now.google, request, name)
        }
        ("POST", None, [.., "cryptoKeys", _, "cryptoKeyVersions"]) => {
            let key_name = name.trim_end_matches("/cryptoKeyVersions");
            let Some(key) = world.now.google.keys.get_mut(key_name) else {
                return not_found(key_name);
            };
            key.versions.push(Version {
                state: "ENABLED".to_owned(),
                create_time: now(),
                destroy_time: None,
            });
            let number = key.versions.len();
            Answer::json(
                200,
                &key.shown_version(key_name, number).unwrap_or_default(),
            )
        }
        (method, verb, [.., "cryptoKeyVersions", number]) => {
            let key_name = name
                .rsplit_once("/cryptoKeyVersions/")
                .map_or(name, |(key, _)| key)
                .to_owned();
            let number = number.parse().unwrap_or_default();
            world.about_to_write();
            version(
                &mut world.now.google,
                request,
                (method, verb),
                (&key_name, number),
            )
        }
        _ => refusal(
            404,
            "NOT_FOUND",
            "The requested URL was not found on this server.",
        ),
    }
}

/// Which resources a key protects. A count of 0 is absent, as in all JSON of Google's APIs. Source: discovery document of kmsinventory v1; the
/// permission: Cloud KMS documentation, audit logging.
fn summary(google: &Google, name: &str) -> Answer {
    let key = name.trim_end_matches("/protectedResourcesSummary");
    if let Err(refused) = allowed(google, "cloudkms.cryptoKeys.get", key) {
        return refused;
    }
    if !google.keys.contains_key(key) {
        return denied("cloudkms.cryptoKeys.get", key);
    }
    let listed = google.protected.get(key).and_then(Json::as_object);
    let mut shown = listed.cloned().unwrap_or_default();
    shown.insert("name".to_owned(), Json::from(name));
    Answer::json(200, &Json::Object(shown))
}

fn create(google: &mut Google, request: &Request, name: &str) -> Answer {
    let ring = name.trim_end_matches("/cryptoKeys");
    let id = request
        .query
        .get("cryptoKeyId")
        .cloned()
        .unwrap_or_default();
    if !google.rings.contains(ring) {
        return not_found(ring);
    }
    let key = format!("{name}/{id}");
    if google.keys.contains_key(&key) {
        return refusal(
            409,
            "ALREADY_EXISTS",
            &format!("CryptoKey {key} already exists."),
        );
    }
    let body = request.json();
    let Some(purpose) = purpose_of(body.get("purpose")) else {
        return refusal(400, "INVALID_ARGUMENT", "The purpose is not valid.");
    };
    let mut made = CryptoKey::new(&purpose);
    for field in [
        "rotationPeriod",
        "nextRotationTime",
        "labels",
        "destroyScheduledDuration",
        "versionTemplate",
        "importOnly",
        "keyAccessJustificationsPolicy",
    ] {
        made.fields.extend(
            body.get(field)
                .map(|value| (field.to_owned(), value.clone())),
        );
    }
    let shown = made.shown(&key);
    google.keys.insert(key, made);
    Answer::json(200, &shown)
}

fn change(google: &mut Google, request: &Request, name: &str) -> Answer {
    let Some(key) = google.keys.get_mut(name) else {
        return not_found(name);
    };
    let mask = request.query.get("updateMask").cloned().unwrap_or_default();
    if mask.is_empty() {
        return refusal(400, "INVALID_ARGUMENT", "updateMask is required.");
    }
    let body = request.json();
    for field in mask.split(',') {
        let field = match field {
            "rotation_period" => "rotationPeriod",
            "next_rotation_time" => "nextRotationTime",
            other => other,
        };
        if !["labels", "rotationPeriod", "nextRotationTime"].contains(&field) {
            return refusal(
                400,
                "INVALID_ARGUMENT",
                &format!("Field {field} cannot be updated."),
            );
        }
        if field == "labels" && !labels_are_valid(body.get("labels")) {
            return refusal(400, "INVALID_ARGUMENT", "Invalid value for labels.");
        }
        match body.get(field) {
            Some(value) => key.fields.insert(field.to_owned(), value.clone()),
            None => key.fields.remove(field),
        };
    }
    Answer::json(200, &key.shown(name))
}

/// Source: Cloud KMS documentation, "Creating and managing labels".
fn labels_are_valid(labels: Option<&Json>) -> bool {
    let fits = |text: &str| {
        text.len() <= 63
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
    };
    labels.and_then(Json::as_object).is_none_or(|labels| {
        labels.len() <= 64
            && labels
                .iter()
                .all(|(name, value)| fits(name) && value.as_str().is_some_and(fits))
    })
}

fn versions(google: &Google, request: &Request, name: &str) -> Answer {
    let key_name = name.trim_end_matches("/cryptoKeyVersions");
    if let Err(refused) = allowed(google, "cloudkms.cryptoKeyVersions.list", key_name) {
        return refused;
    }
    let Some(key) = google.keys.get(key_name) else {
        return denied("cloudkms.cryptoKeyVersions.list", key_name);
    };
    // Pages are small here, so that a client that reads only the first shows.
    let size = 2;
    let first: usize = request
        .query
        .get("pageToken")
        .and_then(|token| token.parse().ok())
        .unwrap_or_default();
    let shown: Vec<Json> = (first + 1..=key.versions.len())
        .take(size)
        .filter_map(|number| key.shown_version(key_name, number))
        .collect();
    let next = match first + size < key.versions.len() {
        true => (first + size).to_string(),
        false => String::new(),
    };
    Answer::json(
        200,
        &json!({
            "cryptoKeyVersions": shown,
            "totalSize": key.versions.len(),
            "nextPageToken": next,
        }),
    )
}

fn version(
    google: &mut Google,
    request: &Request,
    (method, verb): (&str, Option<&str>),
    (key_name, number): (&str, usize),
) -> Answer {
    let name = format!("{key_name}/cryptoKeyVersions/{number}");
    let permission = match (method, verb) {
        ("GET", None) => "cloudkms.cryptoKeyVersions.get",
        ("PATCH", None) => "cloudkms.cryptoKeyVersions.update",
        ("POST", Some("destroy")) => "cloudkms.cryptoKeyVersions.destroy",
        ("POST", Some("restore")) => "cloudkms.cryptoKeyVersions.restore",
        _ => {
            return refusal(
                404,
                "NOT_FOUND",
                "The requested URL was not found on this server.",
            );
        }
    };
    if let Err(refused) = allowed(google, permission, &name) {
        return refused;
    }
    let Some(key) = google.keys.get_mut(key_name) else {
        return denied(permission, &name);
    };
    let window = key
        .fields
        .get("destroyScheduledDuration")
        .and_then(Json::as_str)
        .unwrap_or(WINDOW)
        .to_owned();
    let Some(found) = number
        .checked_sub(1)
        .and_then(|index| key.versions.get_mut(index))
    else {
        return not_found(&name);
    };
    let wrong_state = |state: &str| {
        refusal(
            400,
            "FAILED_PRECONDITION",
            &format!(
                "The request cannot be fulfilled. Resource {name} has value {state} in field crypto_key_version.state."
            ),
        )
    };
    match (method, verb) {
        ("PATCH", None) => {
            if request.query.get("updateMask").map(String::as_str) != Some("state") {
                return refusal(400, "INVALID_ARGUMENT", "updateMask is required.");
            }
            let body = request.json();
            let Some(wanted) = body.get("state").and_then(state_of) else {
                return refusal(400, "INVALID_ARGUMENT", "The state is not valid.");
            };
            if !["ENABLED", "DISABLED"].contains(&found.state.as_str()) {
                return wrong_state(&found.state.clone());
            }
            found.state = wanted.to_owned();
        }
        ("POST", Some("destroy")) => {
            if !["ENABLED", "DISABLED"].contains(&found.state.as_str()) {
                return wrong_state(&found.state.clone());
            }
            found.state = "DESTROY_SCHEDULED".to_owned();
            found.destroy_time = Some(after(&window));
        }
        ("POST", Some("restore")) => {
            if found.state != "DESTROY_SCHEDULED" {
                return wrong_state(&found.state.clone());
            }
            found.state = "DISABLED".to_owned();
            found.destroy_time = None;
        }
        _ => {}
    }
    Answer::json(
        200,
        &key.shown_version(key_name, number).unwrap_or_default(),
    )
}
