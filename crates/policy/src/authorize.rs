//! Deciding a request from all policies that AWS asks: the key's, and those of the identity that calls.
//!
//! Sources: IAM User Guide, "How AWS enforcement code logic evaluates requests to allow or deny access", "Cross-account policy
//! evaluation logic", "Evaluating effective permissions with boundaries"; KMS Developer Guide, "Key policies" (the statement for
//! an account lets its IAM policies decide). Policies of the organization (SCPs, RCPs) and of VPC endpoints are not part of it.
//!
//! - An explicit Deny in any policy denies.
//! - In the key's own account, the key policy suffices where it allows the caller itself; where it allows the account, the
//!   identity's policies must allow it as well. The role's permissions boundary and session policies limit what the key policy
//!   allows a *role*; nothing limits what it allows a *session* or a *user*.
//! - A boundary does not limit a role that a key policy allows by `Principal: "*"` and a condition on `aws:PrincipalArn`
//!   ("AWS JSON policy elements: Principal", IAM role principals). It counts as limiting one that a bare `"*"` allows: AWS does not
//!   say that it does not. So do the policies of a session.
//! - A Deny with `NotPrincipal` denies every user and role that has a permissions boundary, whether or not the list has it ("AWS JSON
//!   policy elements: NotPrincipal").
//! - Across accounts, the key policy and the identity's policies must both allow it.

use std::collections::BTreeSet;

use super::arn::Arn;
use super::document::{Document, Statement};
use super::evaluate::{Request, StatementMatch, Verdict, statements};
use super::language::Effect;
use super::principal::{Caller, Principal};
use super::truth::Match;

/// What the identity that calls has. Left open, everything that is not known is taken to allow everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Identity<'a> {
    /// Its policies, attached and inline; `None` when they are not known.
    pub policies: Option<&'a [Document]>,
    /// Its permissions boundary, if it has one.
    pub boundary: Option<&'a Document>,
    /// The policies of the session; `None` when it has none.
    pub session: Option<&'a [Document]>,
}

/// One of the policies that decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The key's own.
    Key,
    /// One of the identity's policies, by its position.
    Identity(usize),
    /// The permissions boundary.
    Boundary,
    /// One of the session's policies, by its position.
    Session(usize),
}

/// A side that must allow a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The key policy.
    Key,
    /// The identity's policies, all together.
    Identity,
    /// The permissions boundary.
    Boundary,
    /// The session policies, all together.
    Session,
}

/// A decision from all policies, and what made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// How it was decided.
    pub verdict: Verdict,
    /// Whether the key policy allows it by way of the caller's account, and the identity's policies are not known.
    pub delegated: bool,
    /// The statements that made it, by policy and position: Denies where it is denied or may be, else Allows.
    pub statements: Vec<(Source, usize)>,
    /// The sides that do not allow it, when it is denied implicitly.
    pub lacking: Vec<Part>,
    /// The context keys on which it depends, when it is undetermined.
    pub undetermined_keys: BTreeSet<String>,
}

/// How one policy stands to a request.
struct Stand {
    source: Source,
    findings: Vec<StatementMatch>,
}

impl Stand {
    fn of(source: Source, policy: &Document, request: &Request) -> Self {
        Self {
            source,
            findings: statements(policy, request),
        }
    }

    /// Whether one of the statements of an effect applies. `wanted`: which of them count.
    fn applies(&self, effect: Effect, wanted: impl Fn(&Match) -> bool) -> Match {
        self.findings
            .iter()
            .filter(|one| one.effect == effect)
            .map(StatementMatch::applies)
            .filter(|applies| wanted(applies))
            .fold(Match::no(), Match::or)
    }

    /// The statements of an effect that apply, or that may.
    fn applying(&self, effect: Effect, wanted: fn(&Match) -> bool) -> Vec<(Source, usize)> {
        self.findings
            .iter()
            .filter(|one| one.effect == effect && wanted(&one.applies()))
            .map(|one| (self.source, one.index))
            .collect()
    }
}

fn all(stands: &[Stand], effect: Effect) -> Match {
    stands
        .iter()
        .map(|stand| stand.applies(effect, |_| true))
        .fold(Match::no(), Match::or)
}

fn sided(of: fn(usize) -> Source, policies: &[Document], request: &Request) -> Vec<Stand> {
    policies
        .iter()
        .enumerate()
        .map(|(index, policy)| Stand::of(of(index), policy, request))
        .collect()
}

/// Makes every Deny with `NotPrincipal` speak of the caller.
fn deny_whoever_is_listed(key: &mut Stand, policy: &Document) {
    for (found, statement) in key.findings.iter_mut().zip(&policy.statements) {
        if found.effect == Effect::Deny && statement.principals.negated {
            found.principal = Match::yes();
        }
    }
}

/// Whether a key policy names the principals that it allows by a condition on the ARN alone.
fn is_by_condition(statement: &Statement) -> bool {
    let principals = &statement.principals;
    !principals.negated
        && principals.items.contains(&Principal::Anyone)
        && statement
            .conditions
            .iter()
            .any(|condition| condition.key.eq_ignore_ascii_case("aws:PrincipalArn"))
}

/// Whether a caller is a role, whose boundary and session policies limit also what a key policy allows it.
fn is_role(caller: &Caller) -> bool {
    matches!(caller, Caller::Named(arn) if arn.resource.starts_with("role/"))
}

/// What follows from all statements: the verdict, the statements that decide it, and the condition keys on which it depends. `allows`: whether the
/// sides that must allow it do.
fn decided(stands: &[Stand], allows: &Match) -> (Verdict, Vec<(Source, usize)>, BTreeSet<String>) {
    let denies = all(stands, Effect::Deny);
    let open = |applies: &Match| applies.depends_on().is_some();
    let those = |effect, wanted: fn(&Match) -> bool| -> Vec<(Source, usize)> {
        stands
            .iter()
            .flat_map(|stand| stand.applying(effect, wanted))
            .collect()
    };
    let keys = |answer: &Match| answer.depends_on().cloned().unwrap_or_default();
    if denies.is_yes() {
        let denying = those(Effect::Deny, Match::is_yes);
        (Verdict::DeniedExplicitly, denying, BTreeSet::new())
    } else if allows.is_no() {
        (Verdict::DeniedImplicitly, Vec::new(), BTreeSet::new())
    } else if open(&denies) {
        (
            Verdict::Undetermined,
            those(Effect::Deny, open),
            keys(&denies),
        )
    } else if allows.is_yes() {
        let allowing = those(Effect::Allow, Match::is_yes);
        (Verdict::Allowed, allowing, BTreeSet::new())
    } else {
        (
            Verdict::Undetermined,
            those(Effect::Allow, open),
            keys(allows),
        )
    }
}

/// Decides `request` against the key's policy and those of the identity that calls.
pub fn authorize(
    key_policy: &Document,
    identity: Identity<'_>,
    request: &Request,
) -> Authorization {
    let mut key = Stand::of(Source::Key, key_policy, request);
    if identity.boundary.is_some() && matches!(request.caller, Caller::Named(_)) {
        deny_whoever_is_listed(&mut key, key_policy);
    }
    let own = identity
        .policies
        .map(|policies| sided(Source::Identity, policies, request));
    let boundary: Option<Stand> = identity
        .boundary
        .map(|policy| Stand::of(Source::Boundary, policy, request));
    let session = identity
        .session
        .map(|policies| sided(Source::Session, policies, request));

    let limit = |stands: Option<&[Stand]>| {
        stands.map_or_else(Match::yes, |stands| all(stands, Effect::Allow))
    };
    let boundary_allows = limit(boundary.as_ref().map(std::slice::from_ref));
    let session_allows = limit(session.as_deref());
    let identity_allows = limit(own.as_deref());
    let by_name = key.applies(Effect::Allow, |applies| !applies.delegates());
    let by_account = key.applies(Effect::Allow, Match::delegates);
    let key_allows = by_name.clone().or(by_account.clone());

    let key_account = request.resource.parse::<Arn>().map(|arn| arn.account).ok();
    let is_same_account = request.caller.account() == key_account.as_deref();
    let is_role = is_role(&request.caller);
    let through_identity = key_allows
        .clone()
        .and(identity_allows.clone())
        .and(boundary_allows.clone())
        .and(session_allows.clone());
    let directly = if is_role {
        let by_condition = key
            .findings
            .iter()
            .zip(&key_policy.statements)
            .filter(|(one, statement)| one.effect == Effect::Allow && is_by_condition(statement))
            .map(|(one, _)| one.applies())
            .fold(Match::no(), Match::or);
        by_name
            .clone()
            .and(boundary_allows.clone())
            .or(by_condition)
            .and(session_allows.clone())
    } else {
        by_name.clone()
    };
    let allows = if is_same_account {
        directly.or(through_identity)
    } else {
        through_identity
    };

    let mut stands = vec![key];
    stands.extend(own.into_iter().flatten());
    stands.extend(boundary);
    stands.extend(session.into_iter().flatten());
    let (verdict, statements, undetermined_keys) = decided(&stands, &allows);
    let lacking = if verdict == Verdict::DeniedImplicitly {
        // A side that is not asked is not lacking: in the key's own account, a key policy that names the caller suffices.
        let asks_identity = !is_same_account || by_name.is_no();
        [
            (Part::Key, key_allows.is_no()),
            (Part::Identity, asks_identity && identity_allows.is_no()),
            (Part::Boundary, boundary_allows.is_no()),
            (Part::Session, session_allows.is_no()),
        ]
        .into_iter()
        .filter(|(_, lacks)| *lacks)
        .map(|(part, _)| part)
        .collect()
    } else {
        Vec::new()
    };
    Authorization {
        delegated: verdict == Verdict::Allowed && by_name.is_no() && identity.policies.is_none(),
        verdict,
        statements,
        lacking,
        undetermined_keys,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;
    use crate::document::PolicyError;

    const ROLE: &str = "arn:aws:iam::111111111111:role/dbx";
    const SESSION: &str = "arn:aws:sts::111111111111:assumed-role/dbx/run";
    const USER: &str = "arn:aws:iam::111111111111:user/ann";
    const ELSEWHERE: &str = "arn:aws:iam::222222222222:role/dbx";
    const KEY: &str =
        "arn:aws:kms:eu-central-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    fn key_policy(principal: &str) -> String {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"{principal}"}},"Action":"kms:*","Resource":"*"}}]}}"#
        )
    }

    fn identity(effect: &str, action: &str, resource: &str) -> String {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Action":"{action}","Resource":"{resource}"}}]}}"#
        )
    }

    fn decide(
        principal: &str,
        caller: &str,
        policies: Option<&[String]>,
        boundary: Option<&str>,
        session: Option<&[String]>,
    ) -> Result<Authorization, PolicyError> {
        let read = |texts: Option<&[String]>| -> Result<Option<Vec<Document>>, PolicyError> {
            texts
                .map(|texts| {
                    texts
                        .iter()
                        .map(|text| Document::parse_identity(text))
                        .collect()
                })
                .transpose()
        };
        let (policies, session) = (read(policies)?, read(session)?);
        let boundary = boundary.map(Document::parse_identity).transpose()?;
        let request = Request {
            caller: Caller::parse(caller).expect("a caller"),
            action: "kms:Decrypt".to_owned(),
            resource: KEY.to_owned(),
            context: Context::closed(),
        };
        let identity = Identity {
            policies: policies.as_deref(),
            boundary: boundary.as_ref(),
            session: session.as_deref(),
        };
        Ok(authorize(
            &Document::parse(&key_policy(principal))?,
            identity,
            &request,
        ))
    }

    /// Each row: the principals that the key policy allows, the caller, the identity's policies, the boundary, the session's
    /// policies, and the decision. The rows follow the tables of the IAM User Guide.
    #[test]
    fn every_policy_has_its_say() -> Result<(), PolicyError> {
        use Verdict::{Allowed, DeniedExplicitly, DeniedImplicitly};
        let root = "arn:aws:iam::111111111111:root";
        let allow = || vec![identity("Allow", "kms:Decrypt", "*")];
        let other = || vec![identity("Allow", "kms:Encrypt", "*")];
        let deny = || vec![identity("Deny", "kms:*", "*")];
        let none = Vec::new;
        let another_key = || {
            vec![identity(
                "Allow",
                "kms:*",
                "arn:aws:kms:eu-central-1:111111111111:key/other",
            )]
        };
        #[rustfmt::skip]
        let rows: Vec<(&str, &str, &str, Option<Vec<String>>, Option<String>, Option<Vec<String>>, Verdict, Vec<Part>)> = vec![
            ("delegated, nothing known", root, ROLE, None, None, None, Allowed, vec![]),
            ("delegated and allowed", root, ROLE, Some(allow()), None, None, Allowed, vec![]),
            ("delegated and not allowed", root, ROLE, Some(none()), None, None, DeniedImplicitly, vec![Part::Identity]),
            ("delegated, another action", root, ROLE, Some(other()), None, None, DeniedImplicitly, vec![Part::Identity]),
            ("delegated, another key", root, ROLE, Some(another_key()), None, None, DeniedImplicitly, vec![Part::Identity]),
            ("denied by IAM", root, ROLE, Some([allow(), deny()].concat()), None, None, DeniedExplicitly, vec![]),
            ("named: the key policy suffices", ROLE, ROLE, Some(none()), None, None, Allowed, vec![]),
            ("named, but denied by IAM", ROLE, ROLE, Some(deny()), None, None, DeniedExplicitly, vec![]),
            ("named, but not within the boundary", ROLE, ROLE, Some(allow()), Some(identity("Allow", "s3:*", "*")), None, DeniedImplicitly, vec![Part::Boundary]),
            ("named, within the boundary", ROLE, ROLE, Some(none()), Some(identity("Allow", "kms:*", "*")), None, Allowed, vec![]),
            ("a boundary denies", root, ROLE, Some(allow()), Some(identity("Deny", "kms:*", "*")), None, DeniedExplicitly, vec![]),
            ("a session policy limits", ROLE, ROLE, Some(allow()), None, Some(other()), DeniedImplicitly, vec![Part::Session]),
            ("the session is named: nothing limits it", SESSION, SESSION, Some(none()), Some(identity("Allow", "s3:*", "*")), Some(other()), Allowed, vec![]),
            ("a user is named: no boundary limits it", USER, USER, Some(none()), Some(identity("Allow", "s3:*", "*")), None, Allowed, vec![]),
            ("across accounts, both", ELSEWHERE, ELSEWHERE, Some(allow()), None, None, Allowed, vec![]),
            ("across accounts, the key policy alone", ELSEWHERE, ELSEWHERE, Some(none()), None, None, DeniedImplicitly, vec![Part::Identity]),
            ("across accounts, the account is named", "arn:aws:iam::222222222222:root", ELSEWHERE, Some(allow()), None, None, Allowed, vec![]),
            ("across accounts, IAM alone", root, ELSEWHERE, Some(allow()), None, None, DeniedImplicitly, vec![Part::Key]),
            ("across accounts, outside of the boundary", ELSEWHERE, ELSEWHERE, Some(allow()), Some(identity("Allow", "s3:*", "*")), None, DeniedImplicitly, vec![Part::Boundary]),
            ("neither side", root, ELSEWHERE, Some(none()), None, None, DeniedImplicitly, vec![Part::Key, Part::Identity]),
        ];
        for (what, principal, caller, policies, boundary, session, verdict, lacking) in rows {
            let found = decide(
                principal,
                caller,
                policies.as_deref(),
                boundary.as_deref(),
                session.as_deref(),
            )?;
            assert_eq!((found.verdict, found.lacking), (verdict, lacking), "{what}");
        }
        Ok(())
    }

    #[test]
    fn a_decision_names_its_documents() -> Result<(), PolicyError> {
        let policies = [
            identity("Allow", "s3:*", "*"),
            identity("Allow", "kms:Decrypt", "*"),
        ];
        let found = decide(
            "arn:aws:iam::111111111111:root",
            ROLE,
            Some(&policies),
            None,
            None,
        )?;
        assert_eq!(
            found.statements,
            [(Source::Key, 0), (Source::Identity(1), 0)]
        );
        assert!(!found.delegated);
        let found = decide("arn:aws:iam::111111111111:root", ROLE, None, None, None)?;
        assert!(found.delegated);
        Ok(())
    }

    #[test]
    fn a_policy_of_an_identity_names_nobody() {
        let named =
            identity("Allow", "kms:*", "*").replace("\"Action\"", "\"Principal\":\"*\",\"Action\"");
        assert!(Document::parse_identity(&named).is_err());
        assert!(Document::parse_identity(r#"{"Version":"2012-10-17","Statement":[]}"#).is_ok());
        assert!(Document::parse(r#"{"Version":"2012-10-17","Statement":[]}"#).is_err());
    }

    fn by_text(key_policy: &str, boundary: Option<&str>) -> Result<Verdict, PolicyError> {
        let boundary = boundary.map(Document::parse_identity).transpose()?;
        let request = Request {
            caller: Caller::parse(ROLE).expect("a caller"),
            action: "kms:Decrypt".to_owned(),
            resource: KEY.to_owned(),
            context: Context::closed().with("aws:PrincipalArn", ROLE),
        };
        let identity = Identity {
            policies: Some(&[]),
            boundary: boundary.as_ref(),
            session: None,
        };
        Ok(authorize(&Document::parse(key_policy)?, identity, &request).verdict)
    }

    /// "The NotPrincipal element with a Deny effect will always deny any IAM principal that has a permissions boundary."
    #[test]
    fn who_has_a_boundary_is_never_left_out_of_a_deny() -> Result<(), PolicyError> {
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"{ROLE}"}},"Action":"kms:*","Resource":"*"}},
            {{"Effect":"Deny","NotPrincipal":{{"AWS":["{ROLE}","arn:aws:iam::111111111111:root"]}},"Action":"kms:*","Resource":"*"}}]}}"#
        );
        let boundary = identity("Allow", "kms:*", "*");
        assert_eq!(by_text(&policy, None)?, Verdict::Allowed);
        assert_eq!(
            by_text(&policy, Some(&boundary))?,
            Verdict::DeniedExplicitly
        );
        Ok(())
    }

    /// No boundary limits a principal that a condition on `aws:PrincipalArn` allows, unless the boundary denies.
    #[test]
    fn a_principal_by_condition_is_not_limited() -> Result<(), PolicyError> {
        let policy = |condition: &str| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"{condition}}}]}}"#
            )
        };
        let named = policy(&format!(
            r#","Condition":{{"ArnEquals":{{"aws:PrincipalArn":"{ROLE}"}}}}"#
        ));
        let outside = identity("Allow", "s3:*", "*");
        let denying = identity("Deny", "kms:*", "*");
        assert_eq!(by_text(&named, Some(&outside))?, Verdict::Allowed);
        assert_eq!(by_text(&named, Some(&denying))?, Verdict::DeniedExplicitly);
        assert_eq!(
            by_text(&policy(""), Some(&outside))?,
            Verdict::DeniedImplicitly
        );
        Ok(())
    }
}
