//! AWS: who calls, and what IAM's policy simulator and the policy of a key say of the caller.

use std::collections::BTreeMap;

use super::{Doctor, endpoint, sentence, without_credentials};
use crate::clouds::aws::{AwsError, credentials_remedy};
use crate::doctor::{Access, Outcome, Service, ServiceFacts, Tested, rights_of};
use crate::preflight::aws::{Simulated, SimulatedDecision};
use crate::vocabulary::Key;
use crate::vocabulary::aws::{KeyArn, Partition};
use kms_policy::{Caller, Context, Document, Request, Verdict, evaluate};

/// Whose IAM policies decide about a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Holder {
    /// Those of a role or a user: its ARN, or for a session the name of its role.
    Role { account: String, name: String },
    /// Those of a user, by its ARN.
    User(String),
    /// Nobody's: the root user of an account.
    Root,
    /// It is not known whose.
    Other,
}

/// Who holds the policies of a caller. Source: IAM user guide, "IAM identifiers"; STS API reference, GetCallerIdentity.
fn holder(arn: &str) -> Holder {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, _, service, _, account, resource] = parts.as_slice() else {
        return Holder::Other;
    };
    match (*service, resource.split_once('/')) {
        ("sts", Some(("assumed-role", rest))) => Holder::Role {
            account: (*account).to_owned(),
            name: rest.split('/').next().unwrap_or_default().to_owned(),
        },
        ("iam", Some(("user", _))) => Holder::User(arn.to_owned()),
        ("iam", None) if *resource == "root" => Holder::Root,
        _ => Holder::Other,
    }
}

/// What the policy of a key says of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ByKeyPolicy {
    /// No key is named, or its policy cannot be read.
    NotRead,
    /// It lets the caller itself in.
    Allows,
    /// It leaves the decision to the IAM policies of its account.
    Delegates,
    /// It denies the action, or does not let anybody decide.
    Refuses,
    /// It depends on what only the call has.
    Open,
}

fn by_key_policy(
    policy: Option<&Document>,
    caller: &Caller,
    key: &KeyArn,
    action: &str,
) -> ByKeyPolicy {
    let Some(policy) = policy else {
        return ByKeyPolicy::NotRead;
    };
    let request = Request {
        caller: caller.clone(),
        action: action.to_owned(),
        resource: key.to_string(),
        context: Context::open(),
    };
    let decision = evaluate(policy, &request);
    match decision.verdict {
        Verdict::Allowed if decision.delegated => ByKeyPolicy::Delegates,
        Verdict::Allowed => ByKeyPolicy::Allows,
        Verdict::DeniedExplicitly | Verdict::DeniedImplicitly => ByKeyPolicy::Refuses,
        Verdict::Undetermined => ByKeyPolicy::Open,
    }
}

/// What the simulator said of the IAM policies of the caller.
type ByIam = Result<Option<Simulated>, String>;

/// A right from both sides: the key policy, and the IAM policies of the caller.
fn decided(of_key: ByKeyPolicy, by_iam: &ByIam) -> Outcome {
    let simulated = match by_iam {
        Ok(Some(simulated)) => simulated,
        Ok(None) => {
            return Outcome::NotKnown("The policy simulator of IAM said nothing of it.".to_owned());
        }
        Err(why) => {
            return match of_key {
                ByKeyPolicy::Refuses => Outcome::Missing(
                    "The policy of the key does not let the caller do it.".to_owned(),
                ),
                _ => Outcome::NotKnown(why.clone()),
            };
        }
    };
    let by_organization = simulated.allowed_by_organization == Some(false);
    match (&simulated.decision, of_key) {
        (_, ByKeyPolicy::Refuses) => {
            Outcome::Missing("The policy of the key does not let the caller do it.".to_owned())
        }
        _ if by_organization => Outcome::Missing(
            "A service control policy of the AWS organization does not allow it. Only its administrators can change that.".to_owned(),
        ),
        (SimulatedDecision::ExplicitDeny, _) => {
            Outcome::Missing("An IAM policy, a boundary or a policy of the organization denies it.".to_owned())
        }
        (_, ByKeyPolicy::Open) => Outcome::NotKnown(
            "The policy of the key makes it depend on a condition that only the call itself decides.".to_owned(),
        ),
        (SimulatedDecision::Allowed, _) => {
            Outcome::There("The policy simulator of IAM says so.".to_owned())
        }
        (SimulatedDecision::ImplicitDeny, ByKeyPolicy::Allows) => {
            Outcome::There("The policy of the key names the caller.".to_owned())
        }
        (SimulatedDecision::ImplicitDeny, ByKeyPolicy::Delegates) => {
            Outcome::Missing("The policy of the key leaves it to IAM, and the IAM policies of the caller do not allow it.".to_owned())
        }
        (SimulatedDecision::ImplicitDeny, ByKeyPolicy::NotRead) => Outcome::Missing(
            "The IAM policies of the caller do not allow it on keys in general, says the policy simulator of IAM. The policy of a key can allow \
             it on that key: name one with `--key`."
                .to_owned(),
        ),
        (SimulatedDecision::Other(word), _) => {
            Outcome::NotKnown(format!("The policy simulator of IAM says `{word}`, which this version does not know."))
        }
    }
}

/// What a call that was really made says of its right.
fn called<T>(answer: &Result<T, AwsError>) -> Option<Outcome> {
    match answer {
        Ok(_) => Some(Outcome::There("AWS answered the call.".to_owned())),
        Err(AwsError::AccessDenied { message, .. }) => Some(Outcome::Missing(sentence(message))),
        Err(_) => None,
    }
}

/// The key that stands for all keys of an account, in an ARN.
const SOME_KEY: &str = "key/00000000-0000-0000-0000-000000000000";

/// A call that KMS takes from the account of the key alone. Source: AWS KMS developer guide, "AWS KMS permissions", cross-account use.
fn of_another_account(action: &str, key: &KeyArn, account: &str) -> Option<Outcome> {
    const FROM_ANYWHERE: [&str; 3] = [
        "kms:DescribeKey",
        "kms:ListGrants",
        "kms:GetKeyRotationStatus",
    ];
    let is_elsewhere = key.account() != account && !FROM_ANYWHERE.contains(&action);
    is_elsewhere.then(|| {
        Outcome::Missing(format!(
            "The key is in the account {}, and KMS takes this call from that account alone: use a role there (`--assume-role`).",
            key.account()
        ))
    })
}

/// The ARN that stands for the objects of a right where none is named.
fn resource_of(action: &str, partition: Partition, account: &str, key: &str) -> String {
    match action {
        "iam:GetPolicy" | "iam:GetPolicyVersion" => {
            format!("arn:{partition}:iam::{account}:policy/dbxcmk-doctor")
        }
        action if action.starts_with("iam:") => {
            format!("arn:{partition}:iam::{account}:role/dbxcmk-doctor")
        }
        _ => key.to_owned(),
    }
}

impl Doctor {
    /// The ARN whose IAM policies decide, for the simulator.
    async fn policy_holder(&self, partition: Partition, arn: &str) -> Result<String, String> {
        match holder(arn) {
            Holder::User(arn) => Ok(arn),
            Holder::Role { account, name } => {
                let cloud = self.client.keys().aws().cloud();
                // A session does not show the path of its role. Where IAM does not either, the role is taken to have none.
                let read = cloud.role_arn(partition, &name).await;
                Ok(read.unwrap_or_else(|_| format!("arn:{partition}:iam::{account}:role/{name}")))
            }
            Holder::Root => Err("The caller is the root user of the account. The policy simulator of IAM does not examine it.".to_owned()),
            Holder::Other => Err("The policy simulator of IAM examines roles and users alone, and the caller is neither.".to_owned()),
        }
    }

    /// What the simulator says of each action on the object that stands for it.
    async fn simulated(
        &self,
        partition: Partition,
        holder: &str,
        actions: &[(&'static str, String)],
    ) -> BTreeMap<&'static str, ByIam> {
        let cloud = self.client.keys().aws().cloud();
        let mut by_resource: BTreeMap<&str, Vec<&'static str>> = BTreeMap::new();
        for (action, resource) in actions {
            by_resource.entry(resource).or_default().push(action);
        }
        let mut all = BTreeMap::new();
        for (resource, actions) in by_resource {
            let answer = cloud
                .own_rights(partition, holder, resource, &actions)
                .await;
            for action in actions {
                let one = match &answer {
                    Ok(found) => Ok(found.iter().find(|one| one.action == action).cloned()),
                    Err(error) => Err(format!(
                        "The policy simulator of IAM (iam:SimulatePrincipalPolicy) could not be asked: {} Nothing else tells without a change.",
                        sentence(&error.to_string())
                    )),
                };
                all.insert(action, one);
            }
        }
        all
    }

    /// What AWS says of the caller.
    pub(super) async fn aws(&self, key: Option<&Key>, is_wanted: bool) -> ServiceFacts {
        let service = Service::Aws;
        let cloud = self.client.keys().aws().cloud();
        let key = match key {
            Some(Key::Aws(key)) => Some(key),
            _ => None,
        };
        let region = key.map(KeyArn::region).or(self.region.as_deref());
        let region = region.unwrap_or("us-east-1");
        let endpoints = cloud.endpoints(region).await;
        let endpoints: Vec<_> = endpoints
            .into_iter()
            .map(|(name, address)| endpoint(name, &address))
            .collect();
        let caller = match cloud.caller(region).await {
            Ok(caller) => caller,
            Err(AwsError::Unreachable { reason, .. }) => {
                let access = Access::NotReached(sentence(&reason));
                return ServiceFacts {
                    endpoints,
                    ..ServiceFacts::of(service, access)
                };
            }
            Err(error) => {
                let profile = match &error {
                    AwsError::Credentials { profile, .. } => profile.as_deref(),
                    _ => None,
                };
                let what_to_do = credentials_remedy(profile);
                let facts =
                    without_credentials(service, is_wanted, &error.to_string(), &what_to_do);
                return ServiceFacts { endpoints, ..facts };
            }
        };
        let account = caller.account().unwrap_or_default();
        let mut facts = ServiceFacts {
            account: Some(format!("account {account}")),
            endpoints,
            ..ServiceFacts::of(service, Access::As(caller.to_string()))
        };
        if key.is_none() {
            let note = "Rights on keys were tested on keys of the account in general. The policy of a key decides, too: name one with `--key`.";
            facts.notes.push(note.to_owned());
        }
        facts.tested = self
            .aws_rights(&caller, key, region, &mut facts.notes)
            .await;
        facts
    }

    /// Every right, by IAM and, where a key is named, by its policy and by the reads themselves.
    /// What the key itself leaves open is added to `notes`.
    async fn aws_rights(
        &self,
        caller: &Caller,
        key: Option<&KeyArn>,
        region: &str,
        notes: &mut Vec<String>,
    ) -> Vec<Tested> {
        let cloud = self.client.keys().aws().cloud();
        let arn = caller.to_string();
        let account = caller.account().unwrap_or_default();
        // The simulator of a partition that is not known refuses, which is then said.
        let partition = Partition::of_arn(&arn).unwrap_or(Partition::Aws);
        let some_key = format!("arn:{partition}:kms:{region}:{account}:{SOME_KEY}");
        let name = key.map_or(some_key, ToString::to_string);
        let actions: Vec<(&'static str, String)> = rights_of(Service::Aws)
            .iter()
            .map(|right| {
                let resource = resource_of(right.name, partition, account, &name);
                (right.name, resource)
            })
            .collect();
        let by_iam = match self.policy_holder(partition, &arn).await {
            Ok(holder) => self.simulated(partition, &holder, &actions).await,
            Err(why) => actions
                .iter()
                .map(|(action, _)| (*action, Err(why.clone())))
                .collect(),
        };
        let mut tried: BTreeMap<&str, Outcome> = BTreeMap::new();
        let mut policy = None;
        if let Some(key) = key {
            let (description, read) = tokio::join!(cloud.describe(key), cloud.policy(key));
            if matches!(description, Err(AwsError::NotFound(_))) {
                notes.push(format!(
                    "AWS KMS has no key {key}. Check its ID, its Region and its account. No key policy was read, so what it would allow is not known."
                ));
            }
            tried.extend(called(&description).map(|one| ("kms:DescribeKey", one)));
            tried.extend(called(&read).map(|one| ("kms:GetKeyPolicy", one)));
            policy = read.ok().and_then(|text| Document::parse(&text).ok());
        }
        let outcome = |action: &'static str| {
            let key = key.filter(|_| action.starts_with("kms:"));
            if let Some(elsewhere) = key.and_then(|key| of_another_account(action, key, account)) {
                return elsewhere;
            }
            let of_key = key.map_or(ByKeyPolicy::NotRead, |key| {
                by_key_policy(policy.as_ref(), caller, key, action)
            });
            let by_iam = by_iam.get(action).cloned().unwrap_or(Ok(None));
            let tried = tried.get(action).cloned();
            tried.unwrap_or_else(|| decided(of_key, &by_iam))
        };
        actions
            .into_iter()
            .map(|(name, resource)| Tested {
                name,
                on: general(&resource),
                outcome: outcome(name),
            })
            .collect()
    }
}

/// The object as a policy names it: what stands for all of a kind, and the region where all are meant, are stars.
fn general(resource: &str) -> String {
    let parts: Vec<&str> = resource.split(':').collect();
    match parts.as_slice() {
        [arn, partition, service, _, account, own] if *own == SOME_KEY => {
            format!("{arn}:{partition}:{service}:*:{account}:key/*")
        }
        _ => resource.replace("/dbxcmk-doctor", "/*"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_policies_decide_is_read_from_the_arn() {
        let role = |account: &str, name: &str| Holder::Role {
            account: account.to_owned(),
            name: name.to_owned(),
        };
        for (arn, expected) in [
            (
                "arn:aws:sts::1:assumed-role/terraform/ci",
                role("1", "terraform"),
            ),
            ("arn:aws-us-gov:sts::2:assumed-role/r/s/t", role("2", "r")),
            (
                "arn:aws:iam::1:user/path/ann",
                Holder::User("arn:aws:iam::1:user/path/ann".to_owned()),
            ),
            ("arn:aws:iam::1:root", Holder::Root),
            ("arn:aws:sts::1:federated-user/ann", Holder::Other),
            ("nonsense", Holder::Other),
        ] {
            assert_eq!(holder(arn), expected, "{arn}");
        }
    }

    /// Each row: the key policy, the simulator, and what follows: there (t), missing (m), not known (?).
    #[test]
    fn a_right_needs_both_sides() {
        use ByKeyPolicy::{Allows, Delegates, NotRead, Open, Refuses};
        let says = |decision: SimulatedDecision| -> ByIam {
            Ok(Some(Simulated {
                action: "kms:DisableKey".to_owned(),
                decision,
                allowed_by_organization: None,
            }))
        };
        let allowed = || says(SimulatedDecision::Allowed);
        let implicit = || says(SimulatedDecision::ImplicitDeny);
        let explicit = || says(SimulatedDecision::ExplicitDeny);
        let organization = || -> ByIam {
            Ok(Some(Simulated {
                action: String::new(),
                decision: SimulatedDecision::ImplicitDeny,
                allowed_by_organization: Some(false),
            }))
        };
        let unasked = || -> ByIam { Err("denied".to_owned()) };
        for (of_key, by_iam, expected) in [
            (NotRead, allowed(), 't'),
            (NotRead, implicit(), 'm'),
            (NotRead, unasked(), '?'),
            (NotRead, Ok(None), '?'),
            (Allows, implicit(), 't'),
            (Allows, explicit(), 'm'),
            (Allows, organization(), 'm'),
            (Allows, unasked(), '?'),
            (Delegates, allowed(), 't'),
            (Delegates, implicit(), 'm'),
            (Refuses, allowed(), 'm'),
            (Refuses, unasked(), 'm'),
            (Open, allowed(), '?'),
            (Open, explicit(), 'm'),
            (
                Delegates,
                says(SimulatedDecision::Other("new".to_owned())),
                '?',
            ),
        ] {
            let found = decided(of_key, &by_iam);
            let letter = match found {
                Outcome::There(_) => 't',
                Outcome::Missing(_) => 'm',
                Outcome::NotKnown(_) | Outcome::NotNeeded => '?',
            };
            assert_eq!(letter, expected, "{of_key:?} {by_iam:?}: {found:?}");
        }
    }

    #[test]
    fn what_stands_for_all_objects_is_not_shown() {
        for (action, shown) in [
            ("kms:DisableKey", "arn:aws:kms:*:1:key/*"),
            ("iam:GetRole", "arn:aws:iam::1:role/*"),
            ("iam:GetPolicyVersion", "arn:aws:iam::1:policy/*"),
        ] {
            let key = "arn:aws:kms:r:1:key/00000000-0000-0000-0000-000000000000";
            assert_eq!(
                general(&resource_of(action, Partition::Aws, "1", key)),
                shown
            );
        }
    }

    #[test]
    fn a_key_of_another_account_is_changed_from_there_alone()
    -> Result<(), Box<dyn std::error::Error>> {
        let key: KeyArn =
            "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
                .parse()?;
        for (action, account, is_missing) in [
            ("kms:DisableKey", "123456789012", false),
            ("kms:DisableKey", "210987654321", true),
            ("kms:GetKeyPolicy", "210987654321", true),
            ("kms:DescribeKey", "210987654321", false),
        ] {
            let found = of_another_account(action, &key, account);
            assert_eq!(found.is_some(), is_missing, "{action} {account}");
        }
        Ok(())
    }
}
