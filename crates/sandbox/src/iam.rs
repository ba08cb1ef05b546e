//! IAM: roles and their policies. Roles can be made, with inline policies, and taken away.
//!
//! Source: IAM API reference, GetRole, ListAttachedRolePolicies, GetPolicy, GetPolicyVersion, ListRolePolicies, GetRolePolicy, CreateRole,
//! DeleteRole, UpdateAssumeRolePolicy, PutRolePolicy, DeleteRolePolicy, TagRole, UntagRole, ListRoleTags. Policy documents are percent-encoded (RFC 3986).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;

use crate::http::{Answer, Request};
use crate::policy::{Call, Caller, Policy};
use crate::sts::caller;
use crate::{ACCOUNT_ID, ROLE_ARN, Shared};

const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// A role of IAM, with its policies.
#[derive(Clone, Debug)]
pub struct Role {
    /// The ARN, which names the account and the role.
    pub arn: String,
    /// Its trust policy.
    pub trust: String,
    /// Its inline policies by name.
    pub inline: BTreeMap<String, String>,
    /// Its attached policies by ARN.
    pub attached: BTreeMap<String, String>,
    /// Its permissions boundary: ARN and document.
    pub boundary: Option<(String, String)>,
    /// The tags, which conditions of policies read.
    pub tags: BTreeMap<String, String>,
}

impl Role {
    /// The cross-account role as the Databricks documentation sets it up: it trusts Databricks for this account, and its IAM
    /// policies say nothing about keys.
    pub fn cross_account() -> Self {
        Self {
            arn: ROLE_ARN.to_owned(),
            trust: format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::414351767826:root"}},"Action":"sts:AssumeRole","Condition":{{"StringEquals":{{"sts:ExternalId":"{ACCOUNT_ID}"}}}}}}]}}"#
            ),
            inline: BTreeMap::from([(
                "databricks".to_owned(),
                r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ec2:RunInstances","ec2:CreateVolume","ec2:AttachVolume"],"Resource":"*"}]}"#.to_owned(),
            )]),
            attached: BTreeMap::new(),
            boundary: None,
            tags: BTreeMap::new(),
        }
    }

    /// The role of the storage credential of the tables: its IAM policies say nothing about keys. Source: Databricks documentation, "Create a
    /// storage credential for connecting to AWS S3".
    pub fn tables() -> Self {
        let mut role = Self::named(&format!(
            "arn:aws:iam::{}:role/acme-tables",
            crate::AWS_ACCOUNT
        ));
        role.inline.insert(
            "tables".to_owned(),
            r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:DeleteObject","s3:ListBucket","s3:GetBucketLocation"],"Resource":["arn:aws:s3:::acme-tables","arn:aws:s3:::acme-tables/*"]}]}"#.to_owned(),
        );
        role
    }

    /// A role that may do nothing, and that no caller may assume.
    pub fn named(arn: &str) -> Self {
        Self {
            arn: arn.to_owned(),
            trust: r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned(),
            inline: BTreeMap::new(),
            attached: BTreeMap::new(),
            boundary: None,
            tags: BTreeMap::new(),
        }
    }

    /// The role's name.
    pub fn name(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }
}

/// What stays as it is in a document that IAM answers (RFC 3986).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

fn encoded(document: &str) -> String {
    utf8_percent_encode(document, ESCAPED).to_string()
}

fn result(action: &str, inner: &str) -> Answer {
    Answer::xml(
        200,
        format!(
            "<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result>{inner}</{action}Result></{action}Response>"
        ),
    )
}

fn refusal(status: u16, code: &str, message: &str) -> Answer {
    Answer::xml(
        status,
        format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             </ErrorResponse>"
        ),
    )
}

/// Whether the statements of one effect cover a call, without regard to the caller. IAM policies have no Principal; Resource decides.
fn covers(document: &str, effect: &str, call: &Call) -> bool {
    let Ok(Json::Object(mut policy)) = serde_json::from_str::<Json>(document) else {
        return false;
    };
    let statements = match policy.remove("Statement") {
        Some(Json::Array(all)) => all,
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let of_effect = statements.into_iter().filter_map(|statement| {
        let Json::Object(mut statement) = statement else {
            return None;
        };
        let fits = statement.get("Effect").and_then(Json::as_str) == Some(effect);
        statement.insert("Effect".to_owned(), Json::from("Allow"));
        statement.insert("Principal".to_owned(), Json::from("*"));
        fits.then_some(Json::Object(statement))
    });
    policy.insert("Statement".to_owned(), of_effect.collect());
    let text = Json::Object(policy).to_string();
    Policy::parse(&text).is_ok_and(|policy| policy.allows(call))
}

/// `SimulatePrincipalPolicy` for a role, an action at a time.
///
/// Source: IAM API reference, SimulatePrincipalPolicy and EvaluationResult: an explicit deny wins; the role's policies must
/// allow, and so must its permissions boundary and every service control policy. "Simulation of resource-based policies isn't
/// supported for IAM roles", and actions may have no wildcards.
fn simulate(role: &Role, organization: &[String], form: &BTreeMap<String, String>) -> Answer {
    if form.contains_key("ResourcePolicy") {
        return refusal(
            400,
            "InvalidInput",
            "Simulation of resource-based policies isn't supported for IAM roles.",
        );
    }
    let list = |name: &str| -> Vec<String> {
        (1..)
            .map_while(|at| form.get(&format!("{name}.member.{at}")).cloned())
            .collect()
    };
    let resource = list("ResourceArns").into_iter().next();
    let resource = resource.unwrap_or_else(|| "*".to_owned());
    let mut members = String::new();
    for action in list("ActionNames") {
        if action.contains('*') {
            return refusal(400, "InvalidInput", "An action has a wildcard.");
        }
        let mut call = Call::new(Caller::of(&role.arn), &action, &resource);
        for at in 1.. {
            let entry = |field: &str| form.get(&format!("ContextEntries.member.{at}.{field}"));
            let Some(name) = entry("ContextKeyName") else {
                break;
            };
            let value = entry("ContextKeyValues.member.1");
            call = call.with(name, value.map(String::as_str).unwrap_or_default());
        }
        let own = || role.inline.values().chain(role.attached.values());
        let limits = || role.boundary.iter().map(|(_, document)| document);
        let denies = |document: &String| covers(document, "Deny", &call);
        let allows = |document: &String| covers(document, "Allow", &call);
        let allowed_by_organization = organization.iter().all(|one| allows(one) && !denies(one));
        let decision =
            if own().any(denies) || limits().any(denies) || organization.iter().any(denies) {
                "explicitDeny"
            } else if own().any(allows) && limits().all(allows) && allowed_by_organization {
                "allowed"
            } else {
                "implicitDeny"
            };
        let detail = if organization.is_empty() {
            String::new()
        } else {
            format!(
                "<OrganizationsDecisionDetail><AllowedByOrganizations>{allowed_by_organization}</AllowedByOrganizations>\
                 </OrganizationsDecisionDetail>"
            )
        };
        let _ = write!(
            members,
            "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName><EvalDecision>{decision}\
             </EvalDecision>{detail}</member>"
        );
    }
    result(
        "SimulatePrincipalPolicy",
        &format!(
            "<IsTruncated>false</IsTruncated><EvaluationResults>{members}</EvaluationResults>"
        ),
    )
}

/// What a role is, as GetRole and CreateRole show it.
fn shown(role: &Role) -> String {
    let boundary = role
        .boundary
        .iter()
        .map(|(arn, _)| {
            format!(
                "<PermissionsBoundary><PermissionsBoundaryType>Policy</PermissionsBoundaryType><PermissionsBoundaryArn>{arn}\
                 </PermissionsBoundaryArn></PermissionsBoundary>"
            )
        })
        .collect::<String>();
    let path = role
        .arn
        .split_once(":role")
        .and_then(|(_, rest)| rest.strip_suffix(role.name()))
        .unwrap_or("/");
    format!(
        "<Role><Path>{path}</Path><RoleName>{}</RoleName><RoleId>AROASANDBOXSANDBOX00</RoleId><Arn>{}</Arn><CreateDate>\
         2024-01-01T00:00:00Z</CreateDate><AssumeRolePolicyDocument>{}</AssumeRolePolicyDocument><MaxSessionDuration>3600\
         </MaxSessionDuration>{boundary}<Tags>{}</Tags></Role>",
        role.name(),
        role.arn,
        encoded(&role.trust),
        tags(role)
    )
}

fn tags(role: &Role) -> String {
    let shown = |(name, value): (&String, &String)| {
        format!("<member><Key>{name}</Key><Value>{value}</Value></member>")
    };
    role.tags.iter().map(shown).collect()
}

/// The tags of a request.
fn tags_of(form: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let part = |at: u32, name: &str| form.get(&format!("Tags.member.{at}.{name}")).cloned();
    (1..)
        .map_while(|at| Some((part(at, "Key")?, part(at, "Value").unwrap_or_default())))
        .collect()
}

/// Makes a role.
fn create(roles: &mut Vec<Role>, account: &str, form: &BTreeMap<String, String>) -> Answer {
    let given = |name: &str| form.get(name).cloned().unwrap_or_default();
    let path = form.get("Path").map_or("/", String::as_str);
    let name = given("RoleName");
    let trust = given("AssumeRolePolicyDocument");
    if name.is_empty() || serde_json::from_str::<Json>(&trust).is_err() {
        return refusal(
            400,
            "MalformedPolicyDocument",
            "A role needs a name and a trust policy in JSON.",
        );
    }
    let arn = format!("arn:aws:iam::{account}:role{path}{name}");
    let role = Role {
        trust,
        tags: tags_of(form),
        ..Role::named(&arn)
    };
    // Names are unique within the account, whatever the path.
    let is_taken = |own: &Role| own.name() == name && own.arn.split(':').nth(4) == Some(account);
    if roles.iter().any(is_taken) {
        return refusal(
            409,
            "EntityAlreadyExists",
            &format!("Role with name {name} already exists."),
        );
    }
    let answer = result("CreateRole", &shown(&role));
    roles.push(role);
    answer
}

/// Changes a role, or takes it away; `None` for a call that changes nothing.
fn change(
    roles: &mut Vec<Role>,
    account: &str,
    action: &str,
    form: &BTreeMap<String, String>,
) -> Option<Answer> {
    let given = |name: &str| form.get(name).cloned().unwrap_or_default();
    const CHANGES: [&str; 6] = [
        "DeleteRole",
        "UpdateAssumeRolePolicy",
        "PutRolePolicy",
        "DeleteRolePolicy",
        "TagRole",
        "UntagRole",
    ];
    if action == "CreateRole" {
        return Some(create(roles, account, form));
    }
    if !CHANGES.contains(&action) {
        return None;
    }
    let name = given("RoleName");
    let own = |role: &Role| role.name() == name && role.arn.split(':').nth(4) == Some(account);
    let Some(at) = roles.iter().position(own) else {
        let message = format!("The role with name {name} cannot be found.");
        return Some(refusal(404, "NoSuchEntity", &message));
    };
    let role = roles.get_mut(at)?;
    match action {
        "DeleteRole" if !(role.inline.is_empty() && role.attached.is_empty()) => {
            return Some(refusal(
                409,
                "DeleteConflict",
                "Cannot delete entity, must delete policies first.",
            ));
        }
        "DeleteRole" => {
            roles.remove(at);
        }
        "TagRole" => role.tags.extend(tags_of(form)),
        "UntagRole" => {
            let gone: Vec<String> = (1..)
                .map_while(|at: u32| form.get(&format!("TagKeys.member.{at}")).cloned())
                .collect();
            role.tags.retain(|name, _| !gone.contains(name));
        }
        "UpdateAssumeRolePolicy" => role.trust = given("PolicyDocument"),
        "PutRolePolicy" => {
            role.inline
                .insert(given("PolicyName"), given("PolicyDocument"));
        }
        "DeleteRolePolicy" if role.inline.remove(&given("PolicyName")).is_none() => {
            return Some(refusal(
                404,
                "NoSuchEntity",
                "The role policy cannot be found.",
            ));
        }
        _ => {}
    }
    Some(result(action, ""))
}

/// Answers one call.
#[expect(clippy::too_many_lines, reason = "a table: an arm for each operation")]
pub fn answer(shared: &Shared, request: &Request, action: &str) -> Answer {
    let form = request.form();
    let given = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let own = caller(shared, request);
    let account = own.split(':').nth(4).unwrap_or_default().to_owned();
    let mut world = shared.world();
    if world.now.iam_denies.contains(action) {
        let message = format!("User: {own} is not authorized to perform: iam:{action}");
        return refusal(403, "AccessDenied", &message);
    }
    if let Some(answer) = change(&mut world.now.roles, &account, action, &form) {
        return answer;
    }
    // Names are those of the caller's own account.
    let role = world.now.roles.iter().find(|role| {
        role.name() == given("RoleName") && role.arn.split(':').nth(4) == Some(account.as_str())
    });
    let policy = |arn: &str| {
        world.now.roles.iter().find_map(|role| {
            let boundary = role.boundary.iter().find(|(own, _)| own == arn);
            let attached = role.attached.get(arn);
            attached.or(boundary.map(|(_, document)| document))
        })
    };
    match (action, role) {
        (
            "GetRole"
            | "ListAttachedRolePolicies"
            | "ListRolePolicies"
            | "GetRolePolicy"
            | "ListRoleTags"
            | "ListInstanceProfilesForRole",
            None,
        ) => {
            let message = format!("The role with name {} cannot be found.", given("RoleName"));
            refusal(404, "NoSuchEntity", &message)
        }
        ("GetRole", Some(role)) => result(action, &shown(role)),
        ("ListRoleTags", Some(role)) => result(
            action,
            &format!(
                "<Tags>{}</Tags><IsTruncated>false</IsTruncated>",
                tags(role)
            ),
        ),
        ("ListInstanceProfilesForRole", Some(_)) => result(
            action,
            "<InstanceProfiles/><IsTruncated>false</IsTruncated>",
        ),
        ("ListAttachedRolePolicies", Some(role)) => {
            let members = role.attached.keys().map(|arn| {
                format!(
                    "<member><PolicyName>{0}</PolicyName><PolicyArn>{arn}</PolicyArn></member>",
                    arn.rsplit('/').next().unwrap_or_default()
                )
            });
            result(
                action,
                &format!(
                    "<AttachedPolicies>{}</AttachedPolicies><IsTruncated>false</IsTruncated>",
                    members.collect::<String>()
                ),
            )
        }
        ("ListRolePolicies", Some(role)) => {
            let members = role
                .inline
                .keys()
                .map(|name| format!("<member>{name}</member>"));
            result(
                action,
                &format!(
                    "<PolicyNames>{}</PolicyNames><IsTruncated>false</IsTruncated>",
                    members.collect::<String>()
                ),
            )
        }
        ("GetRolePolicy", Some(role)) => match role.inline.get(given("PolicyName")) {
            Some(document) => result(
                action,
                &format!(
                    "<RoleName>{}</RoleName><PolicyName>{}</PolicyName><PolicyDocument>{}</PolicyDocument>",
                    role.name(),
                    given("PolicyName"),
                    encoded(document)
                ),
            ),
            None => refusal(404, "NoSuchEntity", "The role policy cannot be found."),
        },
        ("GetPolicy", _) => match policy(given("PolicyArn")) {
            Some(_) => result(
                action,
                &format!(
                    "<Policy><PolicyName>policy</PolicyName><Arn>{}</Arn><DefaultVersionId>v1</DefaultVersionId></Policy>",
                    given("PolicyArn")
                ),
            ),
            None => refusal(404, "NoSuchEntity", "The policy does not exist."),
        },
        ("GetPolicyVersion", _) => match policy(given("PolicyArn")) {
            Some(document) => result(
                action,
                &format!(
                    "<PolicyVersion><Document>{}</Document><VersionId>v1</VersionId><IsDefaultVersion>true</IsDefaultVersion>\
                     </PolicyVersion>",
                    encoded(document)
                ),
            ),
            None => refusal(404, "NoSuchEntity", "The policy version does not exist."),
        },
        ("SimulatePrincipalPolicy", _) => {
            let source = given("PolicySourceArn");
            match world.now.roles.iter().find(|role| role.arn == source) {
                Some(role) => simulate(role, &world.now.service_control_policies, &form),
                None => refusal(404, "NoSuchEntity", &format!("{source} cannot be found.")),
            }
        }
        (other, _) => refusal(400, "InvalidAction", &format!("The sandbox has no {other}")),
    }
}
