//! Deny policies: they come before every grant. Sources: IAM documentation, "Deny policies" (principals, permissions, exceptions), and
//! "Permissions supported in deny policies", which lists the two that the use of a key consists of.

use super::Question;
use super::facts::{CryptoKeyFacts, DenyRule};
use crate::{Finding, Id, Remedy, Subject};
use requirements::gcp::Grantee;
use vocabulary::gcp::ServiceAccount;

/// The permissions of which each takes the use of a key away, as deny policies name them.
const USES: [&str; 2] = [
    "cloudkms.googleapis.com/cryptoKeyVersions.useToEncrypt",
    "cloudkms.googleapis.com/cryptoKeyVersions.useToDecrypt",
];

/// Whether a rule takes the use of keys from a service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// It takes nothing.
    No,
    /// It may, and why that cannot be decided.
    Perhaps(String),
    /// It does.
    Yes,
}

/// Whether a list of principals contains a service account.
enum Named {
    No,
    /// Perhaps, as one of this set.
    In(String),
    Yes,
}

/// A pattern of a permission: `*` stands for anything.
fn fits(pattern: &str, permission: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = permission.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

/// How one principal of a deny policy stands to a service account.
fn stands(principal: &str, account: &ServiceAccount) -> Named {
    let open = || Named::In(principal.to_owned());
    if principal == "principalSet://goog/public:all" {
        return Named::Yes;
    }
    if principal.starts_with("deleted:") {
        return Named::No;
    }
    if let Some(one) = principal.strip_prefix("principal://") {
        let own = one
            .rsplit_once("/serviceAccounts/")
            .map(|(_, email)| email)
            .or_else(|| one.strip_prefix("goog/subject/"));
        return match own {
            Some(email) if email.eq_ignore_ascii_case(&account.to_string()) => Named::Yes,
            // By its number, which the e-mail address does not say.
            Some(number) if number.chars().all(|c| c.is_ascii_digit()) => open(),
            _ => Named::No,
        };
    }
    // Identities of other providers are not service accounts.
    let is_federated = ["/workloadIdentityPools/", "/workforcePools/"]
        .iter()
        .any(|pool| principal.contains(pool));
    match principal.starts_with("principalSet://iam.googleapis.com/") && is_federated {
        true => Named::No,
        false => open(),
    }
}

fn named(principals: &[String], account: &ServiceAccount) -> Named {
    let mut found = Named::No;
    for principal in principals {
        match stands(principal, account) {
            Named::Yes => return Named::Yes,
            Named::In(set) => found = Named::In(set),
            Named::No => {}
        }
    }
    found
}

/// The permissions to use a key that a rule denies.
fn denied_uses(rule: &DenyRule) -> Vec<&'static str> {
    let has = |patterns: &[String], use_of: &str| patterns.iter().any(|one| fits(one, use_of));
    USES.into_iter()
        .filter(|one| has(&rule.permissions, one) && !has(&rule.exception_permissions, one))
        .collect()
}

/// Whether a rule takes the use of keys from a service account.
pub fn denial(rule: &DenyRule, account: &ServiceAccount) -> Denial {
    if denied_uses(rule).is_empty() {
        return Denial::No;
    }
    let by = match named(&rule.principals, account) {
        Named::No => return Denial::No,
        Named::In(set) => Some(format!(
            "it denies {set}, whose members the provider does not read"
        )),
        Named::Yes => None,
    };
    let but = match named(&rule.exceptions, account) {
        Named::Yes => return Denial::No,
        Named::In(set) => Some(format!(
            "its exception {set} may include the account: the provider does not read its members"
        )),
        Named::No => None,
    };
    let when = rule
        .condition
        .as_ref()
        .map(|expression| format!("it holds under the condition `{expression}`"));
    let open: Vec<String> = [by, but, when].into_iter().flatten().collect();
    match open.is_empty() {
        true => Denial::Yes,
        false => Denial::Perhaps(open.join("; ")),
    }
}

/// The rules that could be read.
fn rules(facts: &CryptoKeyFacts) -> impl Iterator<Item = &DenyRule> {
    facts.denied.iter().flat_map(|level| &level.rules)
}

/// How the deny policies stand to a service account: the worst of them, and the names of the policies that deny it or may do so.
pub fn denied_by(facts: &CryptoKeyFacts, account: &ServiceAccount) -> (Denial, Vec<String>) {
    let (mut worst, mut policies) = (Denial::No, Vec::new());
    for rule in rules(facts) {
        match denial(rule, account) {
            Denial::No => continue,
            Denial::Perhaps(why) if worst == Denial::No => worst = Denial::Perhaps(why),
            Denial::Perhaps(_) => {}
            Denial::Yes => worst = Denial::Yes,
        }
        if !policies.contains(&rule.policy) {
            policies.push(rule.policy.clone());
        }
    }
    (worst, policies)
}

/// The command that shows a policy: `policies/{attachment point}/denypolicies/{ID}`.
fn show(policy: &str) -> Option<String> {
    let rest = policy.strip_prefix("policies/")?;
    let (point, id) = rest.split_once("/denypolicies/")?;
    Some(format!(
        "gcloud iam policies get {id} --kind denypolicies --attachment-point {point}"
    ))
}

/// The parts of a finding about one kind of denial.
#[derive(Default)]
struct Told {
    lines: Vec<String>,
    accounts: Vec<ServiceAccount>,
    policies: Vec<String>,
}

impl Told {
    fn add(&mut self, rule: &DenyRule, grantee: &Grantee, why: Option<&str>) {
        let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
        let denied = denied_uses(rule).join(" and ");
        self.lines.push(format!(
            "  - {}, which needs the key for {}: {} denies {denied}{why}. Without it, {}.",
            grantee.account, grantee.what_for, rule.policy, grantee.without_it
        ));
        if !self.accounts.contains(&grantee.account) {
            self.accounts.push(grantee.account.clone());
        }
        if !self.policies.contains(&rule.policy) {
            self.policies.push(rule.policy.clone());
        }
    }

    fn finding(self, finding: Finding, found: &str, why: &str) -> Option<Finding> {
        if self.lines.is_empty() {
            return None;
        }
        let principals = self.accounts.iter().map(|account| {
            format!("principal://iam.googleapis.com/projects/-/serviceAccounts/{account}")
        });
        let commands: Vec<String> = self.policies.iter().filter_map(|one| show(one)).collect();
        let mut remedy = Remedy::say("Add these principals to `exceptionPrincipals` of the rule:")
            .run(principals);
        if !commands.is_empty() {
            remedy = remedy.and_say("To see the policy, run:").run(commands);
        }
        Some(
            finding
                .found(format!("{found}\n{}", self.lines.join("\n")))
                .why(why)
                .remedy(remedy),
        )
    }
}

/// What the deny policies above the key say against its use.
pub(super) fn judge(facts: &CryptoKeyFacts, question: &Question) -> Vec<Finding> {
    let (mut sure, mut perhaps) = (Told::default(), Told::default());
    for grantee in question.usage.grantees() {
        for rule in rules(facts) {
            match denial(rule, &grantee.account) {
                Denial::No => {}
                Denial::Perhaps(why) => perhaps.add(rule, &grantee, Some(&why)),
                Denial::Yes => sure.add(rule, &grantee, None),
            }
        }
    }
    let key = &facts.name;
    let sure = sure.finding(
        Id::GcpMemberDenied.error(Subject::Key),
        &format!("Deny policies take the use of {key} from:"),
        "A deny policy comes before every grant.",
    );
    let perhaps = perhaps.finding(
        Id::GcpMemberPerhapsDenied.warning(Subject::Key),
        &format!("Deny policies may take the use of {key} from:"),
        "A deny policy comes before every grant. Whether this one holds for the account cannot be decided here.",
    );
    let unread = match question.usage.grantees().is_empty() {
        true => None,
        false => not_read(facts),
    };
    sure.into_iter().chain(perhaps).chain(unread).collect()
}

/// The levels whose deny policies could not be read: one of them may take the key from everybody.
fn not_read(facts: &CryptoKeyFacts) -> Option<Finding> {
    let lines: Vec<String> = facts
        .denied
        .iter()
        .flat_map(|level| {
            let each = level.unread.iter();
            each.map(|why| format!("\n  - {}: {}", level.of, why.reason))
        })
        .collect();
    if lines.is_empty() {
        return None;
    }
    Some(
        Id::GcpDenyNotRead
            .warning(Subject::Key)
            .found(format!(
                "The deny policies of these levels above {} could not be read:{}",
                facts.name,
                lines.concat()
            ))
            .why("A deny policy comes before every grant. One that was not read can take the key from Databricks.")
            .remedy(
                "Allow the identity that runs Terraform to call iam.denypolicies.list and iam.denypolicies.get on these levels \
                 (roles/iam.denyReviewer).",
            ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "principalSet://goog/public:all";
    const OWN: &str =
        "principal://iam.googleapis.com/projects/-/serviceAccounts/a@p.iam.gserviceaccount.com";
    const USE: &str = "cloudkms.googleapis.com/cryptoKeyVersions.useToDecrypt";

    fn rule(permission: &str, principal: &str, exception: &str) -> DenyRule {
        let list = |one: &str| match one {
            "" => Vec::new(),
            one => vec![one.to_owned()],
        };
        DenyRule {
            policy: "policies/x".to_owned(),
            permissions: list(permission),
            principals: list(principal),
            exceptions: list(exception),
            exception_permissions: Vec::new(),
            condition: None,
        }
    }

    /// Each row: the denied permissions, the principals that the rule hits and spares, and whether the account
    /// loses the key (`None`: perhaps).
    #[test]
    fn whom_a_deny_policy_hits_is_decided() -> Result<(), Box<dyn std::error::Error>> {
        let account: ServiceAccount = "a@p.iam.gserviceaccount.com".parse()?;
        let other = OWN.replace("/a@", "/b@");
        let pool = "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/*";
        let group = "principalSet://goog/group/keys@example.com";
        let rows = [
            (USE, OWN, "", Some(true)),
            (USE, ALL, "", Some(true)),
            (
                USE,
                "principal://iam.googleapis.com/projects/p/serviceAccounts/A@p.iam.gserviceaccount.com",
                "",
                Some(true),
            ),
            (
                "cloudkms.googleapis.com/cryptoKeyVersions.*",
                ALL,
                "",
                Some(true),
            ),
            ("cloudkms.googleapis.com/*", ALL, "", Some(true)),
            (
                "cloudkms.googleapis.com/*.useToDecrypt",
                ALL,
                "",
                Some(true),
            ),
            (
                "cloudkms.googleapis.com/cryptoKeyVersions.useToSign",
                ALL,
                "",
                Some(false),
            ),
            ("cloudkms.googleapis.com/cryptoKeys.*", ALL, "", Some(false)),
            (USE, &other, "", Some(false)),
            (USE, pool, "", Some(false)),
            (USE, "deleted:principal://goog/subject/a@p", "", Some(false)),
            (USE, ALL, OWN, Some(false)),
            (USE, ALL, ALL, Some(false)),
            (USE, ALL, &other, Some(true)),
            (USE, ALL, pool, Some(true)),
            (USE, ALL, group, None),
            (USE, group, "", None),
            (
                USE,
                "principalSet://cloudresourcemanager.googleapis.com/projects/1",
                "",
                None,
            ),
            (
                USE,
                "principal://iam.googleapis.com/projects/-/serviceAccounts/123456789012345678901",
                "",
                None,
            ),
            (USE, "something new", "", None),
        ];
        for (permission, principal, exception, expected) in rows {
            let found = match denial(&rule(permission, principal, exception), &account) {
                Denial::No => Some(false),
                Denial::Perhaps(_) => None,
                Denial::Yes => Some(true),
            };
            assert_eq!(found, expected, "{permission} {principal} {exception}");
        }
        let mut conditional = rule(USE, ALL, "");
        conditional.condition = Some("resource.matchTag('1/env', 'prod')".to_owned());
        assert!(
            matches!(denial(&conditional, &account), Denial::Perhaps(why) if why.contains("1/env"))
        );
        let mut excepted = rule("cloudkms.googleapis.com/*", ALL, "");
        excepted.exception_permissions = USES.map(str::to_owned).to_vec();
        assert_eq!(denial(&excepted, &account), Denial::No);
        excepted.exception_permissions.pop();
        assert_eq!(denial(&excepted, &account), Denial::Yes);
        Ok(())
    }
}
