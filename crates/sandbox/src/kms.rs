//! AWS KMS (JSON 1.1): keys, aliases, states, deletion windows, grants and key policies, with AWS's refusals.
//!
//! Key policies are judged as AWS judges them when they are put: malformed, too large, or locking their writer out. What is
//! not here is cryptography: nothing in these tests encrypts.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::faults::Effect;
use crate::http::{Answer, Request};
use crate::policy::{self, Caller, LARGEST, Policy};
use crate::world::{Key, Objects};
use crate::{AWS_ACCOUNT, REGION, Shared, sts};

/// When KMS began to record uses here: 2026-04-01. AWS documents no date for all regions.
const TRACKING: i64 = 1_775_001_600;

struct Refusal(&'static str, String);

type Outcome = Result<Json, Refusal>;

fn refuse<T>(kind: &'static str, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(kind, message.into()))
}

/// Answers a call to this service.
pub fn answer(
    shared: &Shared,
    request: &Request,
    operation: &str,
    effect: Option<&Effect>,
) -> Answer {
    let call = Call {
        shared,
        body: request.json(),
        region: region(request),
        caller: sts::caller(shared, request),
        stale: matches!(effect, Some(Effect::StaleRead)),
    };
    match call.carry_out(operation) {
        Ok(body) => Answer {
            status: 200,
            headers: vec![(
                "content-type".to_owned(),
                "application/x-amz-json-1.1".to_owned(),
            )],
            body: if body.is_null() {
                "{}".to_owned()
            } else {
                body.to_string()
            },
        },
        Err(Refusal(kind, message)) => Answer::aws_refusal(kind, &message),
    }
}

/// The region that a request was signed for.
fn region(request: &Request) -> String {
    let credential = request
        .header("authorization")
        .split("Credential=")
        .nth(1)
        .unwrap_or_default();
    credential
        .split('/')
        .nth(2)
        .filter(|region| !region.is_empty())
        .unwrap_or(REGION)
        .to_owned()
}

struct Call<'a> {
    shared: &'a Shared,
    body: Json,
    region: String,
    caller: String,
    stale: bool,
}

fn arn(region: &str, rest: &str) -> String {
    format!("arn:aws:kms:{region}:{AWS_ACCOUNT}:{rest}")
}

/// Whether something lies in an account: a key where it says, everything else in the one of the sandbox.
fn is_of(objects: &Objects, (region, rest): (&str, &str), account: &str) -> bool {
    let id = rest.strip_prefix("key/").unwrap_or(rest);
    let key = objects.keys.get(&(region.to_owned(), id.to_owned()));
    key.map_or(AWS_ACCOUNT, Key::account) == account
}

fn seconds_now() -> i64 {
    doors::clock::now().unix_timestamp()
}

impl Call<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Json::as_str)
    }

    /// The region and ID of the key that the request names: by ID, ARN, alias or alias ARN.
    fn resolve(&self, objects: &Objects, named: &str) -> Result<(String, String), Refusal> {
        let not_found = |what: &str| refuse("NotFoundException", format!("{what} is not found."));
        let (region, rest) = match named.strip_prefix("arn:") {
            None => (
                self.region.clone(),
                if named.starts_with("alias/") {
                    named.to_owned()
                } else {
                    format!("key/{named}")
                },
            ),
            Some(arn) => {
                let parts: Vec<&str> = arn.splitn(5, ':').collect();
                match parts.as_slice() {
                    // Source: ansible issue 60773 and terraform-provider-aws issue 30272, which have the text for a key that the account in
                    // the ARN does not have.
                    [_, "kms", region, account, rest]
                        if *region == self.region && !is_of(objects, (*region, *rest), account) =>
                    {
                        return refuse(
                            "NotFoundException",
                            format!("Key '{named}' does not exist"),
                        );
                    }
                    [_, "kms", region, _, rest] if *region == self.region => {
                        ((*region).to_owned(), (*rest).to_owned())
                    }
                    [_, "kms", _, _, _] => return not_found(&format!("Key '{named}'")),
                    _ => return refuse("InvalidArnException", format!("Invalid arn {named}")),
                }
            }
        };
        let id = if rest.starts_with("alias/") {
            match objects.aliases.get(&(region.clone(), rest.clone())) {
                Some(id) => id.clone(),
                None => return not_found(&format!("Alias {}", arn(&region, &rest))),
            }
        } else {
            rest.trim_start_matches("key/").to_owned()
        };
        let key = (region, id);
        if objects.keys.contains_key(&key) {
            Ok(key)
        } else {
            not_found(&format!("Key '{}'", arn(&key.0, &format!("key/{}", key.1))))
        }
    }

    fn named(&self) -> Result<String, Refusal> {
        match self.text("KeyId") {
            Some(named) => Ok(named.to_owned()),
            None => refuse(
                "ValidationException",
                "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null",
            ),
        }
    }

    fn read<T>(&self, f: impl FnOnce(&Key) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let world = self.shared.world();
        let objects = if self.stale {
            &world.before
        } else {
            &world.now
        };
        let id = self.resolve(objects, &self.named()?)?;
        match objects.keys.get(&id) {
            Some(key) => f(key),
            None => refuse("NotFoundException", "Key is not found."),
        }
    }

    fn write<T>(&self, f: impl FnOnce(&mut Key) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let mut world = self.shared.world();
        let id = self.resolve(&world.now, &self.named()?)?;
        world.about_to_write();
        match world.now.keys.get_mut(&id) {
            Some(key) => f(key),
            None => refuse("NotFoundException", "Key is not found."),
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table: an arm for each operation")]
    fn carry_out(&self, operation: &str) -> Outcome {
        match operation {
            "CreateKey" => self.create_key(),
            "DescribeKey" => self.read(|key| Ok(json!({ "KeyMetadata": key.metadata }))),
            "ListKeys" => self.list_keys(),
            "GetKeyPolicy" => {
                self.policy_name()?;
                self.read(|key| self.is_own(key, operation).map(|()| json!({ "Policy": key.policy, "PolicyName": "default" })))
            }
            "GetKeyLastUsage" => self.last_usage(),
            "ListKeyPolicies" => self.read(|_| Ok(json!({ "PolicyNames": ["default"], "Truncated": false }))),
            "PutKeyPolicy" => self.put_key_policy(),
            "EnableKey" => self.write(|key| {
                must_not_be_pending(key)?;
                set_state(key, "Enabled");
                Ok(Json::Null)
            }),
            "DisableKey" => self.write(|key| {
                must_not_be_pending(key)?;
                set_state(key, "Disabled");
                Ok(Json::Null)
            }),
            "ScheduleKeyDeletion" => self.schedule_deletion(),
            "CancelKeyDeletion" => self.write(|key| {
                if state(key) != "PendingDeletion" {
                    return refuse("KMSInvalidStateException", format!("{} is not pending deletion.", key_arn(key)));
                }
                // AWS leaves the key disabled: the user must enable it on purpose.
                set_state(key, "Disabled");
                key.metadata.remove("DeletionDate");
                Ok(json!({ "KeyId": key_arn(key) }))
            }),
            "UpdateKeyDescription" => {
                let description = self.text("Description").unwrap_or_default().to_owned();
                self.write(|key| {
                    must_not_be_pending(key)?;
                    key.metadata.insert("Description".to_owned(), Json::from(description));
                    Ok(Json::Null)
                })
            }
            "GetKeyRotationStatus" => self.read(|key| {
                let period = key.rotates.then_some(365);
                Ok(json!({ "KeyId": key_arn(key), "KeyRotationEnabled": key.rotates, "RotationPeriodInDays": period }))
            }),
            "EnableKeyRotation" | "DisableKeyRotation" => self.write(|key| {
                must_not_be_pending(key)?;
                key.rotates = operation == "EnableKeyRotation";
                Ok(Json::Null)
            }),
            "TagResource" => {
                let tags = tags(&self.body);
                self.write(|key| {
                    key.tags.extend(tags);
                    Ok(Json::Null)
                })
            }
            "UntagResource" => {
                let names: Vec<Json> = self.body.get("TagKeys").and_then(Json::as_array).cloned().unwrap_or_default();
                self.write(|key| {
                    key.tags.retain(|name, _| !names.iter().any(|gone| gone == name));
                    Ok(Json::Null)
                })
            }
            "ListResourceTags" => self.read(|key| {
                let tags: Vec<Json> =
                    key.tags.iter().map(|(name, value)| json!({ "TagKey": name, "TagValue": value })).collect();
                Ok(json!({ "Tags": tags, "Truncated": false }))
            }),
            "CreateAlias" | "UpdateAlias" => self.put_alias(operation == "CreateAlias"),
            "DeleteAlias" => self.delete_alias(),
            "ListAliases" => self.list_aliases(),
            "CreateGrant" => self.create_grant(),
            "ListGrants" => self.read(|key| Ok(json!({ "Grants": key.grants, "Truncated": false }))),
            "RevokeGrant" | "RetireGrant" => {
                let id = self.text("GrantId").unwrap_or_default().to_owned();
                self.write(|key| {
                    let before = key.grants.len();
                    key.grants.retain(|grant| grant.get("GrantId").is_none_or(|own| *own != id));
                    if key.grants.len() == before {
                        return refuse("NotFoundException", format!("Grant ID {id} not found"));
                    }
                    Ok(Json::Null)
                })
            }
            other => refuse("UnknownOperationException", format!("The sandbox has no {other}.")),
        }
    }

    /// Source: AWS KMS API Reference, GetKeyLastUsage: an alias is not supported, a key of another account neither; without a use since
    /// tracking began, `KeyLastUsage` is an empty object; tracking begins with the creation of a key, or later.
    fn last_usage(&self) -> Outcome {
        let named = self.named()?;
        if named.contains("alias/") {
            return refuse("InvalidArnException", format!("Invalid arn {named}"));
        }
        let world = self.shared.world();
        let id = self.resolve(&world.now, &named)?;
        let Some(key) = world.now.keys.get(&id) else {
            return refuse("NotFoundException", "Key is not found.");
        };
        self.is_own(key, "GetKeyLastUsage")?;
        let created = key.metadata.get("CreationDate").and_then(Json::as_i64);
        let created = created.unwrap_or_default();
        let usage = world.now.last_uses.get(&id).map(|(operation, at)| {
            json!({ "Operation": operation, "Timestamp": at, "CloudTrailEventId": id.1, "KmsRequestId": id.1 })
        });
        Ok(json!({
            "KeyId": key.id,
            "KeyLastUsage": usage.unwrap_or_else(|| json!({})),
            "TrackingStartDate": created.max(TRACKING),
            "KeyCreationDate": created,
        }))
    }

    /// What KMS shows to the account of a key alone. Source: AWS KMS API Reference, "Cross-account use" of each operation.
    fn is_own(&self, key: &Key, operation: &str) -> Result<(), Refusal> {
        let own = self.caller.split(':').nth(4).unwrap_or_default();
        match own == key.account() {
            true => Ok(()),
            false => refuse(
                "AccessDeniedException",
                format!(
                    "User: {} is not authorized to perform: kms:{operation} on resource: {}",
                    self.caller,
                    key.arn()
                ),
            ),
        }
    }

    fn policy_name(&self) -> Result<(), Refusal> {
        match self.text("PolicyName") {
            None | Some("default") => Ok(()),
            Some(other) => refuse(
                "NotFoundException",
                format!("No such policy exists: {other}"),
            ),
        }
    }

    fn create_key(&self) -> Outcome {
        let id = if self.body.get("MultiRegion") == Some(&Json::Bool(true)) {
            format!("mrk-{}", doors::uuid().replace('-', ""))
        } else {
            doors::uuid()
        };
        let key_arn = arn(&self.region, &format!("key/{id}"));
        let usage = self.text("KeyUsage").unwrap_or("ENCRYPT_DECRYPT");
        let spec = self
            .text("KeySpec")
            .or_else(|| self.text("CustomerMasterKeySpec"))
            .unwrap_or("SYMMETRIC_DEFAULT");
        if spec == "SYMMETRIC_DEFAULT" && usage != "ENCRYPT_DECRYPT" {
            return refuse(
                "ValidationException",
                format!(
                    "The operation failed because the KeyUsage value of the KMS key is {usage}."
                ),
            );
        }
        let policy = match self.text("Policy") {
            Some(policy) => {
                self.accept_policy(policy, &key_arn)?;
                policy.to_owned()
            }
            None => default_policy(),
        };
        let metadata = json!({
            "AWSAccountId": AWS_ACCOUNT,
            "Arn": key_arn,
            "CreationDate": seconds_now(),
            "CustomerMasterKeySpec": spec,
            "Description": self.text("Description").unwrap_or_default(),
            "Enabled": true,
            "EncryptionAlgorithms": if spec == "SYMMETRIC_DEFAULT" { json!([spec]) } else { json!(["RSAES_OAEP_SHA_256"]) },
            "KeyId": id,
            "KeyManager": "CUSTOMER",
            "KeySpec": spec,
            "KeyState": "Enabled",
            "KeyUsage": usage,
            "MultiRegion": id.starts_with("mrk-"),
            "Origin": self.text("Origin").unwrap_or("AWS_KMS"),
        });
        let metadata: Map<String, Json> = metadata.as_object().cloned().unwrap_or_default();
        let key = Key {
            region: self.region.clone(),
            id: id.clone(),
            metadata: metadata.clone(),
            policy,
            tags: tags(&self.body),
            rotates: false,
            grants: Vec::new(),
        };
        let mut world = self.shared.world();
        world.about_to_write();
        world.now.keys.insert((self.region.clone(), id), key);
        Ok(json!({ "KeyMetadata": metadata }))
    }

    /// The keys of the account of the caller, 100 a page. Source: AWS KMS API Reference, ListKeys.
    fn list_keys(&self) -> Outcome {
        const PAGE: usize = 100;
        let world = self.shared.world();
        let own = self.caller.split(':').nth(4).unwrap_or_default();
        let all = world.now.keys.values();
        let mut keys = all.filter(|key| key.region == self.region && key.account() == own);
        let begin: usize = self.text("Marker").unwrap_or_default().parse().unwrap_or(0);
        let page: Vec<Json> = keys
            .by_ref()
            .skip(begin)
            .take(PAGE)
            .map(|key| json!({ "KeyId": key.id, "KeyArn": key_arn(key) }))
            .collect();
        Ok(match keys.next() {
            None => json!({ "Keys": page, "Truncated": false }),
            Some(_) => {
                let next = (begin + PAGE).to_string();
                json!({ "Keys": page, "Truncated": true, "NextMarker": next })
            }
        })
    }

    /// The refusals that AWS has for a policy (AWS KMS API Reference, PutKeyPolicy).
    fn accept_policy(&self, text: &str, key_arn: &str) -> Result<(), Refusal> {
        const MALFORMED: &str = "MalformedPolicyDocumentException";
        if text.len() > LARGEST {
            return refuse(
                "LimitExceededException",
                format!(
                    "Policy size limit exceeded: {} bytes, limit {LARGEST}.",
                    text.len()
                ),
            );
        }
        let is_allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{ff}');
        if !text.chars().all(is_allowed) {
            return refuse(
                "ValidationException",
                "1 validation error detected: Value at 'policy' failed to satisfy constraint: Member must satisfy regular expression \
                 pattern: [\\u0009\\u000A\\u000D\\u0020-\\u00FF]+",
            );
        }
        let policy =
            Policy::parse(text).map_err(|malformed| Refusal(MALFORMED, malformed.to_string()))?;
        // "The principals in the key policy must exist and be visible to AWS KMS": AWS KMS API Reference, PutKeyPolicy.
        if policy
            .principals()
            .any(|principal| policy::is_gone(principal) || !self.exists(principal))
        {
            return refuse(
                MALFORMED,
                "Policy contains a statement with one or more invalid principals.",
            );
        }
        let bypass = self.body.get("BypassPolicyLockoutSafetyCheck") == Some(&Json::Bool(true));
        let again = policy::Call::new(Caller::of(&self.caller), "kms:PutKeyPolicy", key_arn)
            .with("kms:BypassPolicyLockoutSafetyCheck", "false");
        if !bypass && !policy.allows(&again) {
            return refuse(
                MALFORMED,
                "The new key policy will not allow you to update the key policy in the future.",
            );
        }
        Ok(())
    }

    /// Whether IAM has a principal. The sandbox does not know other accounts, and assumes that they have it.
    fn exists(&self, principal: &str) -> bool {
        let Some(own) = principal.strip_prefix(&format!("arn:aws:iam::{AWS_ACCOUNT}:")) else {
            return true;
        };
        let world = self.shared.world();
        let is_role = || world.now.roles.iter().any(|role| role.arn == principal);
        let is_caller = || Caller::of(&self.caller).arn == principal;
        !(own.starts_with("role/") || own.starts_with("user/")) || is_role() || is_caller()
    }

    fn put_key_policy(&self) -> Outcome {
        self.policy_name()?;
        let policy = self.text("Policy").unwrap_or_default().to_owned();
        let key = self.read(|key| {
            must_not_be_pending(key)?;
            Ok(key_arn(key))
        })?;
        self.accept_policy(&policy, &key)?;
        self.write(|key| {
            key.policy = policy;
            Ok(Json::Null)
        })
    }

    fn schedule_deletion(&self) -> Outcome {
        let days = self
            .body
            .get("PendingWindowInDays")
            .and_then(Json::as_i64)
            .unwrap_or(30);
        if !(7..=30).contains(&days) {
            return refuse(
                "ValidationException",
                format!("PendingWindowInDays must be between 7 and 30 (inclusive), got {days}"),
            );
        }
        self.write(|key| {
            must_not_be_pending(key)?;
            let date = seconds_now() + days * 86_400;
            set_state(key, "PendingDeletion");
            key.metadata.insert("DeletionDate".to_owned(), Json::from(date));
            Ok(json!({ "KeyId": key_arn(key), "DeletionDate": date, "KeyState": "PendingDeletion", "PendingWindowInDays": days }))
        })
    }

    fn put_alias(&self, create: bool) -> Outcome {
        let name = self.text("AliasName").unwrap_or_default().to_owned();
        if !name.starts_with("alias/") || name.starts_with("alias/aws/") {
            return refuse(
                "InvalidAliasNameException",
                "Alias must start with the prefix \"alias/\".",
            );
        }
        let target = self.text("TargetKeyId").unwrap_or_default().to_owned();
        let mut world = self.shared.world();
        let (region, id) = self.resolve(&world.now, &target)?;
        let alias = (region.clone(), name.clone());
        match (create, world.now.aliases.contains_key(&alias)) {
            (true, true) => {
                return refuse(
                    "AlreadyExistsException",
                    format!(
                        "An alias with the name {} already exists",
                        arn(&region, &name)
                    ),
                );
            }
            (false, false) => {
                return refuse(
                    "NotFoundException",
                    format!("Alias {} is not found.", arn(&region, &name)),
                );
            }
            _ => {}
        }
        world.about_to_write();
        world.now.aliases.insert(alias, id);
        Ok(Json::Null)
    }

    fn delete_alias(&self) -> Outcome {
        let name = self.text("AliasName").unwrap_or_default().to_owned();
        let mut world = self.shared.world();
        world.about_to_write();
        match world
            .now
            .aliases
            .remove(&(self.region.clone(), name.clone()))
        {
            Some(_) => Ok(Json::Null),
            None => refuse(
                "NotFoundException",
                format!("Alias {} is not found.", arn(&self.region, &name)),
            ),
        }
    }

    fn list_aliases(&self) -> Outcome {
        let world = self.shared.world();
        let wanted = self
            .text("KeyId")
            .map(|named| self.resolve(&world.now, named))
            .transpose()?;
        let own = world.now.aliases.iter().filter(|((region, _), id)| {
            *region == self.region && wanted.as_ref().is_none_or(|(_, wanted)| wanted == *id)
        });
        let aliases: Vec<Json> = own
            .map(|((region, name), id)| json!({ "AliasName": name, "AliasArn": arn(region, name), "TargetKeyId": id }))
            .collect();
        Ok(json!({ "Aliases": aliases, "Truncated": false }))
    }

    fn create_grant(&self) -> Outcome {
        let id = doors::uuid().replace('-', "").repeat(2);
        let mut grant = self.body.as_object().cloned().unwrap_or_default();
        grant.insert("GrantId".to_owned(), Json::from(id.clone()));
        grant.insert("CreationDate".to_owned(), Json::from(seconds_now()));
        self.write(|key| {
            must_not_be_pending(key)?;
            grant.insert("KeyId".to_owned(), Json::from(key_arn(key)));
            key.grants.push(Json::Object(grant));
            Ok(json!({ "GrantId": id, "GrantToken": "sandbox" }))
        })
    }
}

fn tags(body: &Json) -> BTreeMap<String, String> {
    let all = body
        .get("Tags")
        .and_then(Json::as_array)
        .cloned()
        .unwrap_or_default();
    let text = |tag: &Json, name: &str| {
        tag.get(name)
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    all.iter()
        .map(|tag| (text(tag, "TagKey"), text(tag, "TagValue")))
        .collect()
}

fn state(key: &Key) -> &str {
    key.metadata
        .get("KeyState")
        .and_then(Json::as_str)
        .unwrap_or_default()
}

fn set_state(key: &mut Key, state: &str) {
    key.metadata
        .insert("KeyState".to_owned(), Json::from(state));
    key.metadata
        .insert("Enabled".to_owned(), Json::from(state == "Enabled"));
}

fn key_arn(key: &Key) -> String {
    key.arn().to_owned()
}

fn must_not_be_pending(key: &Key) -> Result<(), Refusal> {
    if state(key) == "PendingDeletion" {
        return refuse(
            "KMSInvalidStateException",
            format!("{} is pending deletion.", key_arn(key)),
        );
    }
    Ok(())
}

/// The policy of a key that was created without one.
fn default_policy() -> String {
    json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": { "AWS": format!("arn:aws:iam::{AWS_ACCOUNT}:root") },
            "Action": "kms:*",
            "Resource": "*",
        }],
    })
    .to_string()
}
