//! Is this key fit for what it is to be used for? Its state, its kind, its place, and what its policy lets Databricks do.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{Fact, Finding, Id, KeyDescription, KeyFacts, PolicySource, Severity, Stage, Subject, Unreadable};
use crate::policy::pattern::Pattern;
use crate::policy::principal::Principal;
use crate::policy::{Decision, Document, Effect, Verdict, evaluate};
use crate::requirements::aws::{ACCOUNT_TAG, Deployment, Purpose, Usage, User, request};
use crate::vocabulary::{KeyArn, UseCase};

/// What is asked of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What it is to be used for, and by whom.
    pub usage: Usage,
    /// Whether clusters' volumes will be encrypted with it although the role is not known here.
    pub cluster_volumes: bool,
    /// When it is asked.
    pub stage: Stage,
}

/// Everything there is to say about a key, errors first.
pub fn judge(facts: &KeyFacts, question: &Question) -> Vec<Finding> {
    let mut findings = Vec::new();
    place(facts, question, &mut findings);
    match &facts.description {
        Fact::Known(description) => {
            kind_and_state(&facts.arn, description, &mut findings);
            future(facts, description, &mut findings);
        }
        Fact::Unreadable(reason) => findings.push(unreadable_key(&facts.arn, reason, question.stage)),
    }
    match &facts.policy {
        Fact::Known(text) => match Document::parse(text) {
            Ok(policy) => judge_policy(&policy, facts, question, &mut findings),
            Err(error) => findings.push(Finding {
                id: Id::PolicyMalformed,
                severity: Severity::Error,
                subject: Subject::Key,
                summary: "The key policy cannot be read".to_owned(),
                found: format!("The policy of {} is no valid key policy: {error}.", facts.arn),
                why: "What cannot be read cannot be proven to let Databricks use the key.".to_owned(),
                remedy: "Correct the policy at that place, and plan again.".to_owned(),
            }),
        },
        Fact::Unreadable(reason) => findings.push(unreadable_policy(&facts.arn, reason, question.stage)),
    }
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn unread_severity(stage: Stage) -> Severity {
    match stage {
        Stage::Plan => Severity::Warning,
        Stage::Apply => Severity::Error,
    }
}

fn allow_reading(permission: Option<&str>, key: &KeyArn) -> String {
    match permission {
        Some(permission) => format!(
            "Allow the identity that runs Terraform to call {permission}, for example with this statement in one of its IAM \
             policies:\n\n{{\n  \"Effect\": \"Allow\",\n  \"Action\": [\"kms:DescribeKey\", \"kms:GetKeyPolicy\"],\n  \"Resource\": \
             \"{key}\"\n}}"
        ),
        None => "Once the cause is mended, plan again.".to_owned(),
    }
}

fn unreadable_key(key: &KeyArn, reason: &Unreadable, stage: Stage) -> Finding {
    Finding {
        id: Id::KmsKeyUnreadable,
        severity: unread_severity(stage),
        subject: Subject::Key,
        summary: "The key's state could not be read".to_owned(),
        found: format!("{key}: {}.", reason.reason),
        why:
            "Whether the key is enabled and of the right kind is not proven. A plan goes on with this warning; an apply stops \
              before it attaches anything."
                .to_owned(),
        remedy: allow_reading(reason.permission, key),
    }
}

fn unreadable_policy(key: &KeyArn, reason: &Unreadable, stage: Stage) -> Finding {
    Finding {
        id: Id::PolicyUnreadable,
        severity: unread_severity(stage),
        subject: Subject::Key,
        summary: "The key policy could not be read".to_owned(),
        found: format!("{key}: {}.", reason.reason),
        why: "Whether Databricks may use the key is not proven. A plan goes on with this warning; an apply stops before it \
              attaches anything."
            .to_owned(),
        remedy: allow_reading(reason.permission, key),
    }
}

fn place(facts: &KeyFacts, question: &Question, findings: &mut Vec<Finding>) {
    let deployment = question.usage.deployment;
    let (has, needs) = (facts.arn.partition(), deployment.partition());
    if has != needs {
        findings.push(Finding {
            id: Id::KmsKeyPartition,
            severity: Severity::Error,
            subject: Subject::Key,
            summary: "The key is in another AWS partition than Databricks".to_owned(),
            found: format!("{} is in the partition `{has}`; {} runs in `{needs}`.", facts.arn, deployment.in_words()),
            why: "No principal of one partition can use a key of another.".to_owned(),
            remedy: format!("Use a key in `{needs}`, or the account host of the Databricks deployment in `{has}`."),
        });
    }
}

fn kind_and_state(key: &KeyArn, description: &KeyDescription, findings: &mut Vec<Finding>) {
    let mut push = |id, summary: &str, found: String, why: &str, remedy: String| {
        findings.push(Finding {
            id,
            severity: Severity::Error,
            subject: Subject::Key,
            summary: summary.to_owned(),
            found,
            why: why.to_owned(),
            remedy,
        });
    };
    let id = key.key_id();
    let region = key.region();
    match description.state.as_str() {
        "Enabled" => {}
        "Disabled" => push(
            Id::KmsKeyDisabled,
            "The key is disabled",
            format!("{key} is in the state Disabled."),
            "Nobody can encrypt or decrypt with a disabled key: an attach would fail, and a workspace that already uses the key is \
             dark until it is enabled again.",
            format!("Enable it, and plan again:\n\n  aws kms enable-key --key-id {id} --region {region}"),
        ),
        "PendingDeletion" | "PendingReplicaDeletion" => push(
            Id::KmsKeyPendingDeletion,
            "The key is waiting to be deleted",
            format!(
                "{key} is in the state {}{}.",
                description.state,
                description.deletion_date.as_deref().map(|date| format!(" and will be deleted on {date}")).unwrap_or_default()
            ),
            "It cannot be used, and once it is deleted everything that was encrypted with it is lost for good.",
            format!(
                "If the key is still wanted, cancel the deletion and enable it:\n\n  aws kms cancel-key-deletion --key-id {id} \
                 --region {region}\n  aws kms enable-key --key-id {id} --region {region}\n\nOtherwise name another key."
            ),
        ),
        "PendingImport" => push(
            Id::KmsKeyState,
            "The key has no key material yet",
            format!("{key} is in the state PendingImport."),
            "A key whose material is to be imported cannot be used before that, or after the material has expired.",
            "Import the key material (`aws kms import-key-material`), and plan again.".to_owned(),
        ),
        other => push(
            Id::KmsKeyState,
            "The key cannot be used in its present state",
            format!("{key} is in the state {other}."),
            "Databricks can use a key only in the state Enabled.",
            format!("Wait until the key is Enabled, and plan again:\n\n  aws kms describe-key --key-id {id} --region {region}"),
        ),
    }
    if description.usage != "ENCRYPT_DECRYPT" {
        push(
            Id::KmsKeyUsage,
            "The key is not made for encryption",
            format!("{key} has the key usage {}.", description.usage),
            "Databricks encrypts and decrypts with the key; that needs the key usage ENCRYPT_DECRYPT, which cannot be changed \
             after a key was made.",
            "Use a key with `key_usage = \"ENCRYPT_DECRYPT\"`, which is the default of `aws_kms_key`.".to_owned(),
        );
    }
    if description.spec != "SYMMETRIC_DEFAULT" {
        push(
            Id::KmsKeySpec,
            "The key is not a symmetric one",
            format!("{key} has the key spec {}.", description.spec),
            "Databricks needs a symmetric key; the spec cannot be changed after a key was made.",
            "Use a key with `customer_master_key_spec = \"SYMMETRIC_DEFAULT\"`, which is the default of `aws_kms_key`."
                .to_owned(),
        );
    }
    if description.manager != "CUSTOMER" {
        push(
            Id::KmsKeyManager,
            "The key is managed by AWS",
            format!("{key} is managed by {}.", description.manager),
            "The policy of such a key cannot be changed, so Databricks cannot be allowed to use it.",
            "Create a key of your own with `aws_kms_key`, and name that one.".to_owned(),
        );
    }
}

/// What works today and may not tomorrow.
fn future(facts: &KeyFacts, description: &KeyDescription, findings: &mut Vec<Finding>) {
    let mut warn = |id: Id, found: String, why: &str, remedy: String| {
        findings.push(Finding {
            id,
            severity: Severity::Warning,
            subject: Subject::Key,
            summary: id.title().to_owned(),
            found,
            why: why.to_owned(),
            remedy,
        });
    };
    let key = &facts.arn;
    if let Some(date) = &description.material_expires {
        warn(
            Id::KmsKeyExpires,
            format!("The imported key material of {key} expires on {date}."),
            "On that day nobody can use the key any more, and the workspace goes dark until the same material is imported again.",
            "Import the material again without an expiry (`--expiration-model KEY_MATERIAL_DOES_NOT_EXPIRE`), or make sure that somebody \
             renews it in time.".to_owned(),
        );
    }
    if let Some(primary) = &description.replica_of {
        warn(
            Id::KmsKeyReplica,
            format!("{key} is a replica of {primary}."),
            "It works. Its rotation is that of the primary key, and its own deletion is as final as that of any key.",
            "Nothing has to be done; silence this finding if the replica is meant.".to_owned(),
        );
    }
    if facts.rotates == Fact::Known(false) && description.spec == "SYMMETRIC_DEFAULT" && description.replica_of.is_none() {
        warn(
            Id::KmsKeyNoRotation,
            format!("The material of {key} is not rotated automatically."),
            "A workspace keeps its storage key for good. Renewing the material of the same key is the only rotation there is, and Databricks \
             does not notice it.",
            format!(
                "Set `enable_key_rotation = true` on the `aws_kms_key`, or run:\n\n  aws kms enable-key-rotation --key-id {} --region {}",
                key.key_id(),
                key.region()
            ),
        );
    }
}

fn judge_policy(policy: &Document, facts: &KeyFacts, question: &Question, findings: &mut Vec<Finding>) {
    for (purpose, user) in question.usage.purposes() {
        judge_purpose(policy, facts, question, purpose, &user, findings);
    }
    lint(policy, facts, question, findings);
    let presence_only = question.cluster_volumes && question.usage.cross_account_role.is_none();
    if presence_only && question.usage.use_cases.contains(&UseCase::Storage) && !lets_somebody_attach_volumes(policy) {
        findings.push(Finding {
            id: Id::PolicyNoClusterVolumes,
            severity: Severity::Warning,
            subject: Subject::Key,
            summary: "No statement of the key policy is for cluster volumes".to_owned(),
            found: format!(
                "The key will also encrypt the EBS volumes of clusters (`reuse_key_for_cluster_volumes`), but {} of {} lets no role \
                 use it through EC2.",
                named(facts.policy_source),
                facts.arn
            ),
            why: "Clusters of classic compute start only if the workspace's cross-account role may use the key. Which role that is \
                  shows when the configuration is bound to a workspace; there it is checked in full."
                .to_owned(),
            remedy: "Set `cross_account_role_arn` in `dbxcmk_key_policy`, or `reuse_key_for_cluster_volumes = false` if clusters \
                     should not use this key."
                .to_owned(),
        });
    }
}

/// What Databricks never needs to do with a key.
const MANAGING: [&str; 6] = [
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "kms:DisableKey",
    "kms:DeleteImportedKeyMaterial",
    "kms:UpdateAlias",
    "kms:DeleteAlias",
];

/// What works and is worth a word: too much for Databricks, anybody, and principals that are no more.
fn lint(policy: &Document, facts: &KeyFacts, question: &Question, findings: &mut Vec<Finding>) {
    let user = User::Databricks(question.usage.deployment);
    let mut warn = |id: Id, found: String, why: &str, remedy: &str| {
        findings.push(Finding {
            id,
            severity: Severity::Warning,
            subject: Subject::Key,
            summary: id.title().to_owned(),
            found: format!("In {} of {}, {found}.", named(facts.policy_source), facts.arn),
            why: why.to_owned(),
            remedy: remedy.to_owned(),
        });
    };
    let (mut too_much, mut by) = (Vec::new(), BTreeSet::new());
    for account in &question.usage.accounts {
        for action in MANAGING {
            let decision = evaluate(policy, &request(&user, action, &facts.arn, account));
            if decision.verdict == Verdict::Allowed {
                too_much.push(action);
                by.extend(decision.statements);
            }
        }
    }
    if !too_much.is_empty() {
        warn(
            Id::PolicyTooMuch,
            format!("{} lets Databricks also call {}", labels(policy, &by).join(" and "), unique(too_much).join(", ")),
            "Databricks needs to use the key, not to manage it. Whoever gets hold of its role could delete the key, or lock you out.",
            "Put the documented actions in the place of a wildcard such as `kms:*`; `dbxcmk_key_policy` writes them.",
        );
    }
    let is_open = |statement: &&crate::policy::Statement| {
        let says_who = statement.conditions.iter().any(|condition| {
            let key = condition.key.to_ascii_lowercase();
            key.starts_with("aws:principal")
                || ["kms:calleraccount", "aws:sourceaccount", "aws:sourcearn", "aws:userid"].contains(&key.as_str())
        });
        let anyone = statement.principals.negated || statement.principals.items.contains(&Principal::Anyone);
        statement.effect == Effect::Allow && anyone && !says_who
    };
    let open: BTreeSet<usize> =
        policy.statements.iter().enumerate().filter(|(_, statement)| is_open(statement)).map(|(index, _)| index).collect();
    if !open.is_empty() {
        warn(
            Id::PolicyAnyone,
            format!("{} allows everybody, and no condition says who", labels(policy, &open).join(" and ")),
            "Any AWS account could use the key.",
            "Name the principals, or add a condition such as `kms:CallerAccount`.",
        );
    }
    let deleted: Vec<String> = policy
        .statements
        .iter()
        .flat_map(|statement| &statement.principals.items)
        .filter(|principal| matches!(principal, Principal::Deleted(_)))
        .map(ToString::to_string)
        .collect();
    if !deleted.is_empty() {
        warn(
            Id::PolicyDeletedPrincipal,
            format!("{} stands where a role or user was that has been deleted", unique(deleted).join(", ")),
            "It matches nobody, also not a new role of the same name; and KMS refuses to put a policy that names it, so no statement can \
             be added.",
            "Take it out of the policy, or put the ARN of the new role in its place.",
        );
    }
}

fn named(source: PolicySource) -> &'static str {
    match source {
        PolicySource::Live => "the policy",
        PolicySource::Planned => "the planned policy (dbxcmk_key_policy in this configuration)",
    }
}

/// Whether some Allow lets a role attach volumes, by name or through EC2; whether it is the right role is judged where the role
/// is known. An Allow for a whole account only delegates to IAM, and shows nothing.
fn lets_somebody_attach_volumes(policy: &Document) -> bool {
    policy.statements.iter().any(|statement| {
        let grants =
            statement.actions.items.iter().any(|action| Pattern::wild(action).matches_ignoring_case("kms:CreateGrant"));
        let names_a_role = statement.principals.items.iter().any(|principal| matches!(principal, Principal::Arn(_)));
        let through_ec2 = statement.conditions.iter().any(|condition| {
            condition.key.eq_ignore_ascii_case("kms:ViaService")
                && condition.values.iter().any(|value| value.starts_with("ec2."))
        });
        statement.effect == Effect::Allow && grants != statement.actions.negated && (names_a_role || through_ec2)
    })
}

/// The decisions on every call that a purpose needs, for every Databricks account.
fn judge_purpose(
    policy: &Document,
    facts: &KeyFacts,
    question: &Question,
    purpose: Purpose,
    user: &User,
    findings: &mut Vec<Finding>,
) {
    let (mut missing, mut denied, mut open, mut granted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut denying, mut deciding, mut keys) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut nearly: Option<(usize, Decision)> = None;
    let (mut delegated, mut for_anybody) = (false, BTreeSet::new());
    for account in &question.usage.accounts {
        for (action, what_for) in purpose.needed_actions() {
            let asked = request(user, action, &facts.arn, account);
            let decision = evaluate(policy, &asked);
            match decision.verdict {
                Verdict::Allowed => {
                    delegated |= decision.delegated && matches!(user, User::CrossAccountRole(_));
                    let other = request(user, action, &facts.arn, &somebody_else());
                    if matches!(user, User::Databricks(_)) && evaluate(policy, &other).verdict == Verdict::Allowed {
                        for_anybody.extend(decision.statements.iter().copied());
                    }
                }
                Verdict::DeniedExplicitly => {
                    denied.push(*action);
                    denying.extend(decision.statements.iter().copied());
                }
                Verdict::Undetermined => {
                    open.push(*action);
                    deciding.extend(decision.statements.iter().copied());
                    keys.extend(decision.undetermined_keys.iter().cloned());
                }
                Verdict::DeniedImplicitly if is_granted(facts, user, action) => granted.push(*action),
                Verdict::DeniedImplicitly => {
                    missing.push((*action, *what_for));
                    let near = decision.findings.iter().position(crate::policy::evaluate::Finding::fails_by_conditions_only);
                    if let (None, Some(index)) = (&nearly, near) {
                        nearly = Some((index, decision));
                    }
                }
            }
        }
    }
    let statement = pretty(&question.usage.statement(purpose, user));
    let add = match facts.policy_source {
        PolicySource::Live => format!(
            "Let `dbxcmk_key_policy` manage the statement (use_cases with \"{}\"), or add it to the policy where you keep it:\n\n{statement}",
            purpose.use_case()
        ),
        PolicySource::Planned => format!("Extend the `dbxcmk_key_policy` of this key so that it grants this:\n\n{statement}"),
    };
    missing.dedup();
    if !missing.is_empty() {
        let names: Vec<&str> = unique(missing.iter().map(|(action, _)| *action));
        let actions = missing.iter().map(|(action, what_for)| format!("  - {action}, {what_for}"));
        let near = nearly.map(|(index, decision)| almost(policy, index, &decision)).unwrap_or_default();
        let near = if near.is_empty() { somebody_near(policy, user) } else { near };
        findings.push(Finding {
            id: Id::PolicyMissingAction,
            severity: Severity::Error,
            subject: Subject::Key,
            summary: format!("The key policy does not let {} use the key for {}", who(user), purpose.in_words()),
            found: format!(
                "In {} of {}, nothing allows {} to {}:\n{}{near}",
                named(facts.policy_source),
                facts.arn,
                user.principal(),
                if names.len() == 1 { "call this action" } else { "call these actions" },
                unique(actions).join("\n"),
            ),
            why: format!("Without them {}.", purpose.without_it()),
            remedy: add.clone(),
        });
    }
    if !denied.is_empty() {
        let statements = labels(policy, &denying);
        findings.push(Finding {
            id: Id::PolicyExplicitDeny,
            severity: Severity::Error,
            subject: Subject::Key,
            summary: format!("The key policy denies {} the use of the key for {}", who(user), purpose.in_words()),
            found: format!(
                "In {} of {}, {} to {} is denied by {}.",
                named(facts.policy_source),
                facts.arn,
                unique(denied).join(", "),
                user.principal(),
                statements.join(" and ")
            ),
            why: format!("A Deny wins over every Allow, so no further statement can help: {}.", purpose.without_it()),
            remedy: format!(
                "Except {} from the Deny: add this to its \"Condition\", within the operator if it is there already:\n\n{}",
                who(user),
                exception(user, question)
            ),
        });
    }
    if !open.is_empty() {
        findings.push(Finding {
            id: Id::PolicyUndetermined,
            severity: Severity::Error,
            subject: Subject::Key,
            summary: format!("It cannot be proven that {} may use the key for {}", who(user), purpose.in_words()),
            found: format!(
                "In {} of {}, whether {} applies to {} by {} depends on values that only the call itself shows: {}.",
                named(facts.policy_source),
                facts.arn,
                labels(policy, &deciding).join(" and "),
                unique(open).join(", "),
                user.principal(),
                keys.into_iter().collect::<Vec<_>>().join(", ")
            ),
            why: format!(
                "Those values are not known here, so the statement may shut {} out. If you know that it does not, set `preflight = \
                 \"warn\"` in the provider for this apply.",
                who(user)
            ),
            remedy: format!(
                "Take {} out of that condition. For a Deny, add this to its \"Condition\", within the operator if it is there already:\n\n{}\n\nFor an Allow, use the documented \
                 statement instead:\n\n{statement}",
                who(user),
                exception(user, question)
            ),
        });
    }
    if !granted.is_empty() {
        findings.push(Finding {
            id: Id::PolicyGrantOnly,
            severity: Severity::Warning,
            subject: Subject::Key,
            summary: format!("A grant, not the key policy, lets {} use the key for {}", who(user), purpose.in_words()),
            found: format!(
                "Nothing in {} of {} allows {} to {}, but a grant on the key does.",
                named(facts.policy_source),
                facts.arn,
                unique(granted).join(", "),
                user.principal()
            ),
            why: "It works, but a grant can be revoked or retired without a trace in the policy, and then it works no longer."
                .to_owned(),
            remedy: format!("Name the role in the key policy, as the documentation shows it:\n\n{statement}"),
        });
    }
    if !for_anybody.is_empty() {
        findings.push(Finding {
            id: Id::PolicyAnyDatabricksAccount,
            severity: Severity::Warning,
            subject: Subject::Key,
            summary: "The key policy lets every Databricks account use the key".to_owned(),
            found: format!(
                "In {} of {}, Databricks is allowed by {} without being asked for which Databricks account it calls.",
                named(facts.policy_source),
                facts.arn,
                labels(policy, &for_anybody).join(" and ")
            ),
            why: "It works, but any other customer of Databricks who learns the key's ARN could have Databricks use it (a confused \
                  deputy). The older Databricks documentation shows the statement in this form."
                .to_owned(),
            remedy: format!("Add the account tag, as the documentation shows it today:\n\n{statement}"),
        });
    }
    if delegated {
        findings.push(Finding {
            id: Id::PolicyDelegatedOnly,
            severity: Severity::Warning,
            subject: Subject::Key,
            summary: "The cross-account role may use the key only as far as its IAM policies allow".to_owned(),
            found: format!(
                "In {} of {}, {} is allowed by way of its account, not by name.",
                named(facts.policy_source),
                facts.arn,
                user.principal()
            ),
            why: "Whether the role may really use the key is decided by its IAM policies, which are not looked at here. If they do \
                  not allow it, clusters do not start."
                .to_owned(),
            remedy: format!("Name the role in the key policy, as the documentation shows it:\n\n{statement}"),
        });
    }
}

/// Whether a grant allows a named role what the policy does not. (Which role of Databricks' account will call is not known, so no
/// grant proves anything for Databricks itself.)
fn is_granted(facts: &KeyFacts, user: &User, action: &str) -> bool {
    let (User::CrossAccountRole(role), Fact::Known(grants)) = (user, &facts.grants) else { return false };
    let operation = action.trim_start_matches("kms:");
    grants.iter().any(|grant| {
        !grant.constrained && grant.grantee == role.to_string() && grant.operations.iter().any(|one| one == operation)
    })
}

/// A Databricks account that nobody has.
fn somebody_else() -> crate::vocabulary::AccountId {
    crate::vocabulary::AccountId::nobody()
}

fn who(user: &User) -> &'static str {
    match user {
        User::Databricks(_) => "Databricks",
        User::CrossAccountRole(_) => "the cross-account role",
    }
}

fn labels(policy: &Document, indexes: &BTreeSet<usize>) -> Vec<String> {
    indexes.iter().filter_map(|index| policy.statements.get(*index).map(|statement| statement.label(*index))).collect()
}

fn unique<T: PartialEq>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut unique = Vec::new();
    for item in items {
        if !unique.contains(&item) {
            unique.push(item);
        }
    }
    unique
}

/// The statement that would have allowed it but for a condition.
fn almost(policy: &Document, index: usize, decision: &Decision) -> String {
    let (Some(statement), Some(finding)) = (policy.statements.get(index), decision.findings.get(index)) else {
        return String::new();
    };
    let failing = statement.conditions.iter().zip(&finding.conditions).find(|(_, holds)| holds.is_no());
    match failing {
        Some((condition, _)) if condition.key.eq_ignore_ascii_case(ACCOUNT_TAG) => format!(
            "\n\n{} would allow it, but only for the Databricks account {}.",
            statement.label(index),
            condition.values.join(" or ")
        ),
        Some((condition, _)) => {
            format!("\n\n{} would allow it, but its condition does not hold: {condition}.", statement.label(index))
        }
        None => String::new(),
    }
}

/// A statement that speaks of somebody whom a person may have mistaken for the caller.
fn somebody_near(policy: &Document, user: &User) -> String {
    let own = user.principal();
    let allows = policy.statements.iter().enumerate().filter(|(_, statement)| statement.effect == Effect::Allow);
    for (index, statement) in allows {
        let through_ec2 = statement.conditions.iter().any(|condition| condition.key.eq_ignore_ascii_case("kms:ViaService"));
        for principal in &statement.principals.items {
            let other = match (user, principal) {
                (User::Databricks(deployment), Principal::Account { account, partition }) => {
                    let all = [Deployment::Commercial, Deployment::GovCloud, Deployment::Dod];
                    let named = all.into_iter().find(|other| other.account() == account);
                    named.and_then(|named| {
                        let elsewhere = named != *deployment;
                        let abroad = partition.as_deref().is_some_and(|partition| partition != named.partition().name());
                        match (elsewhere, abroad) {
                            (true, _) => Some(format!("{account}, which is {}; here {own} is needed", named.in_words())),
                            (false, true) => Some(format!("{principal}, which is in another partition; here {own} is needed")),
                            (false, false) => None,
                        }
                    })
                }
                (User::CrossAccountRole(_), Principal::Arn(arn)) if through_ec2 && arn.to_string() != own => {
                    Some(format!("another role, {arn}; the workspace launches its clusters with {own}"))
                }
                _ => None,
            };
            if let Some(other) = other {
                return format!("\n\n{} names {other}.", statement.label(index));
            }
        }
    }
    String::new()
}

/// A condition that takes the caller out of a Deny.
fn exception(user: &User, question: &Question) -> String {
    match user {
        User::Databricks(_) => {
            let accounts: Vec<String> = question.usage.accounts.iter().map(|account| format!("\"{account}\"")).collect();
            format!("\"StringNotEquals\": {{ \"{ACCOUNT_TAG}\": [{}] }}", accounts.join(", "))
        }
        User::CrossAccountRole(role) => format!("\"ArnNotEquals\": {{ \"aws:PrincipalArn\": \"{role}\" }}"),
    }
}

/// A statement over several lines, its elements still in the order in which people read them.
pub fn pretty(statement: &str) -> String {
    let Ok(Json::Object(elements)) = serde_json::from_str(statement) else { return statement.to_owned() };
    let order = ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"];
    let lines: Vec<String> =
        order.iter().filter_map(|name| elements.get(*name).map(|value| format!("  \"{name}\": {}", spaced(value)))).collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

/// One line of JSON with spaces where a person would put them.
fn spaced(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(spaced).collect::<Vec<_>>().join(", ")),
        Json::Object(fields) => {
            let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\": {}", spaced(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::{Fact, Grant};
    use crate::vocabulary::AccountId;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    const ADMIN: &str =
        r#"{"Sid":"Admin","Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"kms:*","Resource":"*"}"#;

    fn question() -> Result<Question, Box<dyn std::error::Error>> {
        let account: AccountId = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11".parse()?;
        let usage = Usage {
            deployment: Deployment::Commercial,
            accounts: vec![account],
            use_cases: UseCase::ALL.to_vec(),
            grants: false,
            cross_account_role: Some("arn:aws:iam::123456789012:role/dbx".parse()?),
        };
        Ok(Question { usage, cluster_volumes: false, stage: Stage::Plan })
    }

    /// A good key whose policy has these statements beside the administrator's.
    fn facts(statements: &[String]) -> Result<KeyFacts, Box<dyn std::error::Error>> {
        let mut all = vec![ADMIN.to_owned()];
        all.extend_from_slice(statements);
        Ok(KeyFacts {
            arn: "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab".parse()?,
            description: Fact::Known(KeyDescription {
                state: "Enabled".to_owned(),
                usage: "ENCRYPT_DECRYPT".to_owned(),
                spec: "SYMMETRIC_DEFAULT".to_owned(),
                manager: "CUSTOMER".to_owned(),
                deletion_date: None,
                material_expires: None,
                replica_of: None,
            }),
            policy: Fact::Known(format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}", all.join(","))),
            policy_source: PolicySource::Live,
            grants: Fact::Known(Vec::new()),
            rotates: Fact::Known(true),
        })
    }

    fn documented() -> Result<Vec<String>, Box<dyn std::error::Error>> {
        Ok(question()?.usage.grants().into_iter().map(|grant| grant.statement).collect())
    }

    /// What a person reads.
    fn read(findings: &[Finding]) -> String {
        let one = |finding: &Finding| {
            format!(
                "{:?} {}: {}\n\n{}\n\n{}\n\n{}\n",
                finding.severity, finding.id, finding.summary, finding.found, finding.why, finding.remedy
            )
        };
        findings.iter().map(one).collect::<Vec<_>>().join("\n----\n\n")
    }

    #[test]
    fn the_documented_statements_leave_nothing_to_say() -> Outcome {
        assert_eq!(judge(&facts(&documented()?)?, &question()?), []);
        Ok(())
    }

    #[test]
    fn an_empty_policy_is_told_use_case_by_use_case() -> Outcome {
        insta::assert_snapshot!(read(&judge(&facts(&[])?, &question()?)));
        Ok(())
    }

    #[test]
    fn the_older_documentation_works_with_a_warning() -> Outcome {
        let untagged = documented()?
            .into_iter()
            .map(|statement| match statement.find(",\"Condition\":{\"StringEquals\"") {
                Some(at) => format!("{}}}", statement.get(..at).unwrap_or_default()),
                None => statement,
            })
            .collect::<Vec<_>>();
        insta::assert_snapshot!(read(&judge(&facts(&untagged)?, &question()?)));
        Ok(())
    }

    #[test]
    fn a_deny_names_its_statement_and_the_way_out() -> Outcome {
        let mut statements = documented()?;
        statements.push(r#"{"Sid":"No strangers","Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalAccount":"123456789012"}}}"#.to_owned());
        insta::assert_snapshot!(read(&judge(&facts(&statements)?, &question()?)));
        Ok(())
    }

    #[test]
    fn a_condition_that_nobody_can_decide_is_no_proof() -> Outcome {
        let mut statements = documented()?;
        statements.push(r#"{"Sid":"Our organisation","Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}}"#.to_owned());
        insta::assert_snapshot!(read(&judge(&facts(&statements)?, &question()?)));
        Ok(())
    }

    #[test]
    fn a_key_in_a_bad_state_is_told_with_the_command_that_helps() -> Outcome {
        let mut text = String::new();
        let rows = [
            ("Disabled", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "CUSTOMER", None),
            ("PendingDeletion", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "CUSTOMER", Some("2026-12-24T00:00:00Z")),
            ("PendingImport", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "CUSTOMER", None),
            ("Unavailable", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "CUSTOMER", None),
            ("Enabled", "SIGN_VERIFY", "RSA_2048", "CUSTOMER", None),
            ("Enabled", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT", "AWS", None),
        ];
        for (state, usage, spec, manager, deletion) in rows {
            let mut facts = facts(&documented()?)?;
            facts.description = Fact::Known(KeyDescription {
                state: state.to_owned(),
                usage: usage.to_owned(),
                spec: spec.to_owned(),
                manager: manager.to_owned(),
                deletion_date: deletion.map(str::to_owned),
                material_expires: None,
                replica_of: None,
            });
            text.push_str(&read(&judge(&facts, &question()?)));
            text.push_str("\n====\n\n");
        }
        insta::assert_snapshot!(text);
        Ok(())
    }

    /// Each row: what it is, what is changed in the facts, and the finding.
    #[test]
    fn what_works_and_is_worth_a_word_is_a_warning() -> Outcome {
        let extra = |statement: &str| -> Result<KeyFacts, Box<dyn std::error::Error>> {
            let mut all = documented()?;
            all.push(statement.to_owned());
            facts(&all)
        };
        let described = |change: fn(&mut KeyDescription)| -> Result<KeyFacts, Box<dyn std::error::Error>> {
            let mut facts = facts(&documented()?)?;
            if let Fact::Known(description) = &mut facts.description {
                change(description);
            }
            Ok(facts)
        };
        let rows = [
            (
                "material that expires",
                described(|key| key.material_expires = Some("2027-01-01T00:00:00Z".to_owned()))?,
                Id::KmsKeyExpires,
            ),
            ("a replica", described(|key| key.replica_of = Some("arn:…".to_owned()))?, Id::KmsKeyReplica),
            ("no rotation", KeyFacts { rotates: Fact::Known(false), ..facts(&documented()?)? }, Id::KmsKeyNoRotation),
            (
                "a wildcard for Databricks",
                extra(
                    r#"{"Effect":"Allow","Principal":{"AWS":"414351767826"},"Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/DatabricksAccountId":"2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11"}}}"#,
                )?,
                Id::PolicyTooMuch,
            ),
            (
                "everybody",
                extra(r#"{"Effect":"Allow","Principal":"*","Action":"kms:DescribeKey","Resource":"*"}"#)?,
                Id::PolicyAnyone,
            ),
            (
                "a deleted role",
                extra(
                    r#"{"Effect":"Allow","Principal":{"AWS":"AROAABCDEFGHIJKLMNOP"},"Action":"kms:Decrypt","Resource":"*"}"#,
                )?,
                Id::PolicyDeletedPrincipal,
            ),
        ];
        for (what, facts, id) in rows {
            let findings = judge(&facts, &question()?);
            assert!(findings.iter().all(|finding| finding.severity == Severity::Warning), "{what}: {}", read(&findings));
            assert!(findings.iter().any(|finding| finding.id == id), "{what}: {}", read(&findings));
        }
        Ok(())
    }

    #[test]
    fn a_grant_makes_up_for_the_policy_with_a_warning() -> Outcome {
        let mut statements = documented()?;
        statements.pop();
        let mut facts = facts(&statements)?;
        facts.policy = Fact::Known(match &facts.policy {
            // Without the account's own statement nothing is delegated to IAM.
            Fact::Known(text) => text.replace(&format!("{ADMIN},"), ""),
            Fact::Unreadable(_) => String::new(),
        });
        assert!(judge(&facts, &question()?).iter().any(|finding| finding.id == Id::PolicyMissingAction));
        let operations = ["Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "CreateGrant", "DescribeKey"];
        facts.grants = Fact::Known(vec![Grant {
            grantee: "arn:aws:iam::123456789012:role/dbx".to_owned(),
            operations: operations.map(str::to_owned).to_vec(),
            constrained: false,
        }]);
        let findings = judge(&facts, &question()?);
        assert_eq!(findings.iter().map(|finding| finding.id).collect::<Vec<_>>(), [Id::PolicyGrantOnly], "{}", read(&findings));
        Ok(())
    }

    /// Each row: what was mistaken, in the documented statements, and the hint.
    #[test]
    fn a_mistaken_principal_is_pointed_out() -> Outcome {
        let rows = [
            (
                "arn:aws:iam::414351767826:root",
                "arn:aws-us-gov:iam::044793339203:root",
                "044793339203, which is Databricks on AWS GovCloud",
            ),
            ("arn:aws:iam::414351767826:root", "arn:aws-us-gov:iam::414351767826:root", "which is in another partition"),
            ("role/dbx", "role/other", "names another role, arn:aws:iam::123456789012:role/other"),
        ];
        for (right, wrong, hint) in rows {
            let statements: Vec<String> = documented()?.iter().map(|statement| statement.replace(right, wrong)).collect();
            let mut facts = facts(&statements)?;
            if let Fact::Known(text) = &mut facts.policy {
                *text = text.replace(&format!("{ADMIN},"), "");
            }
            let text = read(&judge(&facts, &question()?));
            assert!(text.contains(hint), "{hint} is missing in:\n{text}");
        }
        Ok(())
    }

    #[test]
    fn what_cannot_be_read_warns_at_plan_and_stops_at_apply() -> Outcome {
        let mut facts = facts(&[])?;
        let denied = |permission| Unreadable { permission: Some(permission), reason: format!("you may not call {permission}") };
        facts.description = Fact::Unreadable(denied("kms:DescribeKey"));
        facts.policy = Fact::Unreadable(denied("kms:GetKeyPolicy"));
        let at = |stage| -> Result<Vec<(Id, Severity)>, Box<dyn std::error::Error>> {
            let findings = judge(&facts, &Question { stage, ..question()? });
            Ok(findings.iter().map(|finding| (finding.id, finding.severity)).collect())
        };
        let unread = |severity| vec![(Id::KmsKeyUnreadable, severity), (Id::PolicyUnreadable, severity)];
        assert_eq!(at(Stage::Plan)?, unread(Severity::Warning));
        assert_eq!(at(Stage::Apply)?, unread(Severity::Error));
        Ok(())
    }

    #[test]
    fn a_key_of_another_partition_is_refused() -> Outcome {
        let mut facts = facts(&documented()?)?;
        facts.arn = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab".parse()?;
        assert!(judge(&facts, &question()?).iter().any(|finding| finding.id == Id::KmsKeyPartition));
        Ok(())
    }
}
