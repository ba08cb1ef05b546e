//! Who may use a key beside this Databricks account, and how far each is from the owner of the key.

use std::collections::BTreeSet;

use super::report::{Gravity, OtherUser};
use kms_policy::{Condition, Document, Effect, Pattern, Principal, Statement};
use preflight::aws::KmsGrant;
use preflight::azure::RoleHolder;
use preflight::gcp::Binding;
use vocabulary::Deployment;

/// Whose principal may use a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// The AWS account, Google project or tenant of the key.
    Own,
    /// People and groups whose organization their name does not show.
    People,
    /// Another account, project, tenant or domain, by its ID; or another Databricks account.
    Elsewhere(String),
    /// Every principal of the cloud.
    Everybody,
}

/// A principal that may use a key beside this Databricks account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenOther {
    /// Who, with which rights, by what.
    pub user: OtherUser,
    /// Whose principal it is.
    pub reach: Reach,
}

impl SeenOther {
    /// How grave it is; none where it is not a finding.
    pub fn gravity(&self, trusted: &BTreeSet<String>) -> Option<Gravity> {
        match &self.reach {
            Reach::Own | Reach::People => None,
            Reach::Elsewhere(id) if trusted.contains(id) => None,
            Reach::Elsewhere(_) => Some(Gravity::Warning),
            // No list of trusted accounts can cover everybody.
            Reach::Everybody => Some(Gravity::Error),
        }
    }
}

/// What of a key of KMS is its use. Source: AWS KMS key policy documentation, "Allows key users to use a KMS key".
const USES: [&str; 5] = [
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:ReEncryptFrom",
    "kms:CreateGrant",
];

/// The tag by which Databricks says for which of its accounts it asks.
const DATABRICKS_TAG: &str = "aws:principaltag/databricksaccountid";

/// Keys of conditions whose values are AWS accounts.
const ACCOUNT_KEYS: [&str; 3] = [
    "kms:calleraccount",
    "aws:principalaccount",
    "aws:sourceaccount",
];

/// Whose key it is, and which Databricks account is audited.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The AWS account, Google project or tenant of the key.
    pub owner: &'a str,
    /// The Databricks account.
    pub databricks: &'a str,
}

fn rights(statement: &Statement) -> Vec<String> {
    let names = |action: &str| {
        let mut items = statement.actions.items.iter();
        items.any(|item| Pattern::wild(item).matches_ignoring_case(action))
    };
    let granted = USES
        .into_iter()
        .filter(|action| names(action) != statement.actions.negated);
    granted.map(str::to_owned).collect()
}

/// The values to which a condition limits a key of the context; a condition that excludes values, or holds without the key, limits nothing.
fn limits(condition: &Condition, key: &str) -> bool {
    let operator = condition.operator.to_ascii_lowercase();
    let is_open = operator.contains("not") || operator.ends_with("ifexists");
    condition.key.eq_ignore_ascii_case(key) && !is_open && operator.starts_with("string")
}

fn values<'a>(statement: &'a Statement, key: &str) -> Option<Vec<&'a str>> {
    let limiting = statement.conditions.iter().find(|one| limits(one, key))?;
    let values: Vec<&str> = limiting.values.iter().map(String::as_str).collect();
    let is_open = values.iter().any(|value| value.contains(['*', '?', '$']));
    (!is_open).then_some(values)
}

/// Whose account it is; Databricks' own without its tag stands for every Databricks account.
fn of_account(account: &str, whose: Owner<'_>) -> Reach {
    match account == whose.owner {
        true => Reach::Own,
        false => Reach::Elsewhere(account.to_owned()),
    }
}

/// Those of an AWS key: by its policy. A statement that denies takes nothing away here: who is listed may be denied elsewhere.
pub fn of_policy(policy: &Document, whose: Owner<'_>) -> Vec<SeenOther> {
    let mut all = Vec::new();
    for (index, statement) in policy.statements.iter().enumerate() {
        let rights = rights(statement);
        if statement.effect != Effect::Allow || rights.is_empty() {
            continue;
        }
        let by = format!("statement {}", statement.label(index));
        for (principal, reach) in named_by(statement, whose) {
            all.push(SeenOther {
                user: OtherUser {
                    principal,
                    rights: rights.clone(),
                    by: by.clone(),
                },
                reach,
            });
        }
    }
    all.sort();
    all.dedup();
    all
}

/// The principals that a statement names, without this Databricks account.
fn named_by(statement: &Statement, whose: Owner<'_>) -> Vec<(String, Reach)> {
    if let Some(accounts) = values(statement, DATABRICKS_TAG) {
        let others = accounts.into_iter().filter(|one| *one != whose.databricks);
        return others
            .map(|one| {
                (
                    format!("Databricks account {one}"),
                    Reach::Elsewhere(one.to_owned()),
                )
            })
            .collect();
    }
    if statement.principals.negated {
        return vec![("everybody but some".to_owned(), Reach::Everybody)];
    }
    let mut all = Vec::new();
    for principal in &statement.principals.items {
        match principal {
            Principal::Anyone => all.extend(anyone(statement, whose)),
            Principal::Account { account, .. } => {
                all.push((principal.to_string(), of_account(account, whose)));
            }
            Principal::Arn(arn) => {
                all.push((principal.to_string(), of_account(&arn.account, whose)));
            }
            // A service acts for the principals that its configuration names, and for no others.
            Principal::Service(_) => all.push((principal.to_string(), Reach::Own)),
            Principal::Federated(name) => {
                all.push((principal.to_string(), Reach::Elsewhere(name.clone())));
            }
            // They match no principal.
            Principal::Deleted(_) | Principal::CanonicalUser(_) => {}
        }
    }
    all
}

/// Everybody, as far as conditions do not say who. A service through which they ask says nothing of who they are.
fn anyone(statement: &Statement, whose: Owner<'_>) -> Vec<(String, Reach)> {
    for key in ACCOUNT_KEYS {
        if let Some(accounts) = values(statement, key) {
            let each = accounts.into_iter();
            return each
                .map(|account| (format!("account {account}"), of_account(account, whose)))
                .collect();
        }
    }
    if let Some(organizations) = values(statement, "aws:principalorgid") {
        let each = organizations.into_iter();
        return each
            .map(|id| {
                (
                    format!("organization {id}"),
                    Reach::Elsewhere(id.to_owned()),
                )
            })
            .collect();
    }
    if let Some(arns) = values(statement, "aws:principalarn") {
        let each = arns.into_iter();
        return each
            .map(|arn| {
                let account = arn.split(':').nth(4).unwrap_or_default();
                (arn.to_owned(), of_account(account, whose))
            })
            .collect();
    }
    vec![("*".to_owned(), Reach::Everybody)]
}

/// The Databricks accounts that the policy of an AWS key lets use it: none where it names no account from which Databricks calls, and an
/// empty list where it names one without the tag, which stands for all of them. A statement for everybody does not speak of Databricks.
pub fn databricks_in(policy: &Document) -> Option<Vec<String>> {
    let calls_from = |account: &str| Deployment::ALL.iter().any(|one| one.account() == account);
    let names_databricks = |statement: &Statement| {
        if statement.principals.negated {
            return false;
        }
        statement.principals.items.iter().any(|one| match one {
            Principal::Account { account, .. } => calls_from(account),
            Principal::Arn(arn) => calls_from(&arn.account),
            Principal::Anyone => ACCOUNT_KEYS.into_iter().any(|key| {
                let accounts = values(statement, key).unwrap_or_default();
                accounts.into_iter().any(calls_from)
            }),
            Principal::Service(_)
            | Principal::Federated(_)
            | Principal::Deleted(_)
            | Principal::CanonicalUser(_) => false,
        })
    };
    let letting_in: Vec<Option<Vec<&str>>> = policy
        .statements
        .iter()
        .filter(|one| one.effect == Effect::Allow && !rights(one).is_empty())
        .filter(|one| names_databricks(one))
        .map(|one| values(one, DATABRICKS_TAG))
        .collect();
    if letting_in.is_empty() {
        return None;
    }
    let named: Option<Vec<Vec<&str>>> = letting_in.into_iter().collect();
    let named: BTreeSet<&str> = named.into_iter().flatten().flatten().collect();
    Some(named.into_iter().map(str::to_owned).collect())
}

/// Those of an AWS key: by its grants.
pub fn of_grants(grants: &[KmsGrant], whose: Owner<'_>) -> Vec<SeenOther> {
    let mut all: Vec<SeenOther> = grants
        .iter()
        .map(|grant| {
            let account = grant.grantee.split(':').nth(4).unwrap_or_default();
            let is_service = grant.grantee.ends_with(".amazonaws.com");
            SeenOther {
                user: OtherUser {
                    principal: grant.grantee.clone(),
                    rights: grant.operations.clone(),
                    by: format!("grant {}", grant.id),
                },
                reach: match is_service {
                    true => Reach::Own,
                    false => of_account(account, whose),
                },
            }
        })
        .collect();
    all.sort();
    all
}

/// Whose a member of an IAM policy of Google Cloud is.
fn of_member(member: &str, project: &str) -> Option<Reach> {
    let elsewhere = |id: &str| Some(Reach::Elsewhere(id.to_owned()));
    let (kind, name) = match member {
        "allUsers" | "allAuthenticatedUsers" => return Some(Reach::Everybody),
        _ => member.split_once(':').unwrap_or((member, "")),
    };
    let (_, domain) = name.rsplit_once('@').unwrap_or(("", name));
    match kind {
        "deleted" => None,
        "serviceAccount" => {
            let home = domain.strip_suffix(".iam.gserviceaccount.com");
            match home {
                Some(home) if home == project => Some(Reach::Own),
                Some(home) => elsewhere(home),
                None => elsewhere(domain),
            }
        }
        // Accounts of consumers belong to no organization.
        "user" | "group" => match domain {
            "gmail.com" | "googlemail.com" | "googlegroups.com" => elsewhere(domain),
            _ => Some(Reach::People),
        },
        "projectOwner" | "projectEditor" | "projectViewer" if name == project => Some(Reach::Own),
        "domain" => elsewhere(name),
        _ => elsewhere(member),
    }
}

/// Those of a key of Azure: a role that lets use it. `expected`: the object IDs that need it for Databricks. A role whose rights could not be read
/// is not known to let do nothing.
pub fn of_assignment(holder: &RoleHolder, expected: &BTreeSet<String>) -> Option<SeenOther> {
    let rights: Vec<String> = match holder.rights {
        Some(rights) => [(rights.wrap, "wrap"), (rights.unwrap, "unwrap")]
            .into_iter()
            .filter(|(has, _)| *has)
            .map(|(_, word)| word.to_owned())
            .collect(),
        None => vec![format!("what {} allows", holder.role)],
    };
    let is_expected = expected
        .iter()
        .any(|one| one.eq_ignore_ascii_case(&holder.principal));
    if rights.is_empty() || is_expected {
        return None;
    }
    let is = |kind: &str| {
        let own = holder.kind.as_deref();
        own.is_some_and(|own| own.eq_ignore_ascii_case(kind))
    };
    let condition = match &holder.condition {
        Some(condition) => format!(", if {condition}"),
        None => String::new(),
    };
    let scope = match holder.scope.as_str() {
        "" => "a scope that is not shown",
        scope => scope,
    };
    Some(SeenOther {
        user: OtherUser {
            principal: holder.principal.clone(),
            rights,
            by: format!("{} on {scope}{condition}", holder.role),
        },
        // Source: Azure RBAC documentation, "principalType": ForeignGroup is a group of another tenant.
        reach: match is("ForeignGroup") {
            true => Reach::Elsewhere(holder.principal.clone()),
            false => Reach::People,
        },
    })
}

/// Those of a key of Google Cloud: a binding of a role that lets use it. `expected`: the service accounts that need it for Databricks.
pub fn of_binding(
    binding: &Binding,
    level: &str,
    rights: Vec<String>,
    (project, expected): (&str, &BTreeSet<String>),
) -> Vec<SeenOther> {
    let condition = match &binding.condition {
        Some(condition) => format!(", if {}", condition.title),
        None => String::new(),
    };
    let members = binding
        .members
        .iter()
        .filter(|member| !expected.contains(*member));
    members
        .filter_map(|member| {
            Some(SeenOther {
                user: OtherUser {
                    principal: member.clone(),
                    rights: rights.clone(),
                    by: format!("{} on {level}{condition}", binding.role),
                },
                reach: of_member(member, project)?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use requirements::azure::Rights;

    const OWN: &str = "111122223333";
    const DATABRICKS: &str = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11";
    const WHOSE: Owner<'static> = Owner {
        owner: OWN,
        databricks: DATABRICKS,
    };

    fn statement(principal: &str, conditions: &str) -> Document {
        let text = format!(
            r#"{{"Version": "2012-10-17", "Statement": [{{"Sid": "S", "Effect": "Allow", "Principal": {principal}, "Action": "kms:*",
                "Resource": "*"{conditions}}}]}}"#
        );
        Document::parse(&text).expect("a policy")
    }

    /// Each row: a principal, its conditions, and how far it is.
    #[test]
    fn whom_a_statement_lets_in() {
        let elsewhere = |id: &str| vec![Reach::Elsewhere(id.to_owned())];
        let when = |condition: &str| format!(r#", "Condition": {condition}"#);
        let any = r#"{"AWS": "*"}"#;
        let databricks = r#"{"AWS": "arn:aws:iam::414351767826:root"}"#;
        let tag = |id: &str| {
            when(&format!(
                r#"{{"StringEquals": {{"aws:PrincipalTag/DatabricksAccountId": "{id}"}}}}"#
            ))
        };
        for (principal, conditions, reach) in [
            (any, String::new(), vec![Reach::Everybody]),
            // A service says nothing of who asks.
            (
                any,
                when(r#"{"StringEquals": {"kms:ViaService": "ec2.eu-central-1.amazonaws.com"}}"#),
                vec![Reach::Everybody],
            ),
            (
                any,
                when(
                    r#"{"StringEquals": {"kms:ViaService": "ec2.eu-central-1.amazonaws.com", "kms:CallerAccount": "111122223333"}}"#,
                ),
                vec![Reach::Own],
            ),
            (
                any,
                when(r#"{"StringEquals": {"kms:CallerAccount": "444455556666"}}"#),
                elsewhere("444455556666"),
            ),
            (
                any,
                when(r#"{"StringNotEquals": {"kms:CallerAccount": "444455556666"}}"#),
                vec![Reach::Everybody],
            ),
            (
                any,
                when(r#"{"StringLike": {"kms:CallerAccount": "4444*"}}"#),
                vec![Reach::Everybody],
            ),
            (
                any,
                when(r#"{"StringEqualsIfExists": {"kms:CallerAccount": "444455556666"}}"#),
                vec![Reach::Everybody],
            ),
            (
                any,
                when(r#"{"StringEquals": {"aws:PrincipalOrgID": "o-1"}}"#),
                elsewhere("o-1"),
            ),
            (
                r#"{"AWS": "111122223333"}"#,
                String::new(),
                vec![Reach::Own],
            ),
            (
                r#"{"AWS": "arn:aws:iam::444455556666:role/x"}"#,
                String::new(),
                elsewhere("444455556666"),
            ),
            (
                r#"{"Service": "logs.eu-central-1.amazonaws.com"}"#,
                String::new(),
                vec![Reach::Own],
            ),
            (databricks, tag(DATABRICKS), vec![]),
            (databricks, tag("other"), elsewhere("other")),
            (databricks, String::new(), elsewhere("414351767826")),
        ] {
            let found = of_policy(&statement(principal, &conditions), WHOSE);
            let found: Vec<Reach> = found.into_iter().map(|one| one.reach).collect();
            assert_eq!(found, reach, "{principal} {conditions}");
        }
    }

    /// Each row: a principal, its conditions, and the Databricks accounts that it lets in.
    #[test]
    fn which_databricks_accounts_a_policy_lets_in() {
        let databricks = r#"{"AWS": "arn:aws:iam::414351767826:root"}"#;
        let tag = |id: &str| {
            format!(
                r#", "Condition": {{"StringEquals": {{"aws:PrincipalTag/DatabricksAccountId": ["{id}"]}}}}"#
            )
        };
        let caller = r#", "Condition": {"StringEquals": {"kms:CallerAccount": "414351767826"}}"#;
        let some = |ids: &[&str]| Some(ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
        for (principal, conditions, expected) in [
            (databricks, String::new(), some(&[])),
            (databricks, tag("a"), some(&["a"])),
            (
                r#"{"AWS": "arn:aws:iam::414351767826:role/unity-catalog"}"#,
                tag("a"),
                some(&["a"]),
            ),
            (
                r#"{"AWS": "arn:aws-us-gov:iam::044793339203:root"}"#,
                tag("a"),
                some(&["a"]),
            ),
            (r#"{"AWS": "*"}"#, caller.to_owned(), some(&[])),
            (r#"{"AWS": "*"}"#, String::new(), None),
            (r#"{"AWS": "111122223333"}"#, tag("a"), None),
        ] {
            let found = databricks_in(&statement(principal, &conditions));
            assert_eq!(found, expected, "{principal} {conditions}");
        }
    }

    #[test]
    fn what_does_not_let_use_a_key_is_not_listed() {
        let text = r#"{"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "kms:DescribeKey", "Resource": "*"},
            {"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*"}]}"#;
        let policy = Document::parse(text).expect("a policy");
        assert_eq!(of_policy(&policy, WHOSE), []);
    }

    /// Each row: a member, and how far it is from the project `p`.
    #[test]
    fn whose_a_member_is() {
        let elsewhere = |id: &str| Some(Reach::Elsewhere(id.to_owned()));
        for (member, reach) in [
            ("allUsers", Some(Reach::Everybody)),
            ("allAuthenticatedUsers", Some(Reach::Everybody)),
            (
                "serviceAccount:x@p.iam.gserviceaccount.com",
                Some(Reach::Own),
            ),
            ("serviceAccount:x@q.iam.gserviceaccount.com", elsewhere("q")),
            (
                "serviceAccount:1-compute@developer.gserviceaccount.com",
                elsewhere("developer.gserviceaccount.com"),
            ),
            ("user:a@acme.example", Some(Reach::People)),
            ("user:a@gmail.com", elsewhere("gmail.com")),
            ("domain:acme.example", elsewhere("acme.example")),
            ("projectOwner:p", Some(Reach::Own)),
            ("projectOwner:q", elsewhere("projectOwner:q")),
            (
                "principalSet://iam.googleapis.com/x",
                elsewhere("principalSet://iam.googleapis.com/x"),
            ),
            ("deleted:user:a@acme.example?uid=1", None),
        ] {
            assert_eq!(of_member(member, "p"), reach, "{member}");
        }
    }

    /// Each row: what holds a role, the rights of the role, and what is listed.
    #[test]
    fn whose_a_role_assignment_is() {
        let all = Some(Rights::ALL);
        let expected = BTreeSet::from(["Needed".to_owned()]);
        for (principal, kind, rights, found) in [
            ("p", "User", all, Some((Reach::People, "wrap, unwrap"))),
            (
                "p",
                "ForeignGroup",
                all,
                Some((Reach::Elsewhere("p".to_owned()), "wrap, unwrap")),
            ),
            ("p", "User", Some(Rights::READ), None),
            ("p", "User", None, Some((Reach::People, "what R allows"))),
            ("needed", "ServicePrincipal", all, None),
        ] {
            let holder = RoleHolder {
                principal: principal.to_owned(),
                kind: Some(kind.to_owned()),
                scope: "/".to_owned(),
                role: "R".to_owned(),
                rights,
                condition: None,
            };
            let one = of_assignment(&holder, &expected);
            let one = one.map(|one| (one.reach, one.user.rights.join(", ")));
            let found = found.map(|(reach, words)| (reach, words.to_owned()));
            assert_eq!(one, found, "{principal} {kind}");
        }
    }

    #[test]
    fn a_grant_is_as_far_as_its_grantee() {
        let grant = |grantee: &str| KmsGrant {
            id: "g".to_owned(),
            grantee: grantee.to_owned(),
            operations: vec!["Decrypt".to_owned()],
            constrained: false,
        };
        let all = [
            grant("arn:aws:iam::111122223333:role/x"),
            grant("arn:aws:iam::444455556666:role/x"),
            grant("ebs.amazonaws.com"),
        ];
        let mut reaches: Vec<Reach> = of_grants(&all, WHOSE)
            .into_iter()
            .map(|one| one.reach)
            .collect();
        reaches.sort();
        assert_eq!(
            reaches,
            [
                Reach::Own,
                Reach::Own,
                Reach::Elsewhere("444455556666".to_owned())
            ]
        );
    }
}
