//! What must be true of every decision from several policies, tried on arbitrary ones.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use kms_policy::{Authorization, Caller, Context, Document, Identity, Request, Verdict, authorize};
use proptest::prelude::*;

const KEY: &str = "arn:aws:kms:eu-central-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const PRINCIPALS: &[&str] = &[
    r#""*""#,
    r#"{"AWS":"arn:aws:iam::111111111111:root"}"#,
    r#"{"AWS":"arn:aws:iam::222222222222:root"}"#,
    r#"{"AWS":"arn:aws:iam::111111111111:role/dbx"}"#,
    r#"{"AWS":"arn:aws:iam::222222222222:role/dbx"}"#,
    r#"{"AWS":"arn:aws:sts::111111111111:assumed-role/dbx/run"}"#,
];
const CALLERS: &[&str] = &[
    "arn:aws:iam::111111111111:role/dbx",
    "arn:aws:iam::222222222222:role/dbx",
    "arn:aws:iam::111111111111:user/ann",
    "arn:aws:sts::111111111111:assumed-role/dbx/run",
    "arn:aws:iam::111111111111:root",
];
const ACTIONS: &[&str] = &[
    r#""kms:*""#,
    r#""kms:Decrypt""#,
    r#""kms:Encrypt""#,
    r#""s3:*""#,
];
const RESOURCES: &[&str] = &[
    r#""*""#,
    r#""arn:aws:kms:eu-central-1:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab""#,
    r#""arn:aws:kms:eu-central-1:111111111111:key/0*""#,
];
const CONDITIONS: &[&str] = &[
    "{}",
    r#"{"StringEquals":{"kms:ViaService":"ec2.eu-central-1.amazonaws.com"}}"#,
    r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}"#,
    r#"{"StringNotEquals":{"aws:PrincipalOrgID":"o-1"}}"#,
];

fn statement(
    principal: Option<&str>,
    deny: bool,
    not: bool,
    picks: (usize, usize, usize),
) -> String {
    let effect = if deny { "Deny" } else { "Allow" };
    let principal = principal
        .map(|one| format!("\"Principal\":{one},"))
        .unwrap_or_default();
    let action = if not { "NotAction" } else { "Action" };
    format!(
        "{{\"Effect\":\"{effect}\",{principal}\"{action}\":{},\"Resource\":{},\"Condition\":{}}}",
        ACTIONS[picks.0], RESOURCES[picks.1], CONDITIONS[picks.2]
    )
}

fn document(statements: &[String]) -> String {
    format!(
        "{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}",
        statements.join(",")
    )
}

fn picks() -> impl Strategy<Value = (usize, usize, usize)> {
    (0..ACTIONS.len(), 0..RESOURCES.len(), 0..CONDITIONS.len())
}

fn of_key() -> impl Strategy<Value = Vec<String>> {
    let one = (0..PRINCIPALS.len(), any::<bool>(), picks()).prop_map(|(principal, deny, picks)| {
        statement(Some(PRINCIPALS[principal]), deny, false, picks)
    });
    prop::collection::vec(one, 1..4)
}

fn of_identity() -> impl Strategy<Value = Vec<String>> {
    let one = (
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        picks(),
    )
        .prop_map(|(deny, not, picks)| statement(None, deny, not, picks));
    prop::collection::vec(one, 0..3)
}

#[derive(Clone, Debug)]
struct Asked {
    key: Vec<String>,
    identity: Vec<String>,
    boundary: Option<Vec<String>>,
    session: Option<Vec<String>>,
    caller: &'static str,
    source: Option<bool>,
}

impl Asked {
    fn decide(&self) -> Authorization {
        let read =
            |statements: &Vec<String>| Document::parse_identity(&document(statements)).unwrap();
        let (identity, boundary) = ([read(&self.identity)], self.boundary.as_ref().map(read));
        let session = self.session.as_ref().map(|one| [read(one)]);
        let mut context =
            Context::closed().with("kms:ViaService", "ec2.eu-central-1.amazonaws.com");
        match self.source {
            Some(true) => context.set("aws:SourceIp", vec!["10.1.1.1".to_owned()]),
            Some(false) => context.set("aws:SourceIp", vec!["192.0.2.1".to_owned()]),
            None => context.set_unknown("aws:SourceIp"),
        }
        let request = Request {
            caller: Caller::parse(self.caller).unwrap(),
            action: "kms:Decrypt".to_owned(),
            resource: KEY.to_owned(),
            context,
        };
        let key = Document::parse(&document(&self.key)).unwrap();
        let identity = Identity {
            policies: Some(&identity),
            boundary: boundary.as_ref(),
            session: session.as_ref().map(|one| one.as_slice()),
        };
        authorize(&key, identity, &request)
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    (
        of_key(),
        of_identity(),
        prop::option::of(of_identity()),
        prop::option::of(of_identity()),
        0..CALLERS.len(),
        prop::option::of(any::<bool>()),
    )
        .prop_map(|(key, identity, boundary, session, caller, source)| Asked {
            key,
            identity,
            boundary,
            session,
            caller: CALLERS[caller],
            source,
        })
}

fn deny_all(principal: Option<&str>) -> String {
    statement(principal, true, false, (0, 0, 0))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A Deny that certainly applies wins, wherever it stands.
    #[test]
    fn a_deny_anywhere_denies(asked in asked(), place in 0..4) {
        let mut denied = asked;
        match place {
            0 => denied.key.push(deny_all(Some(r#""*""#))),
            1 => denied.identity.push(deny_all(None)),
            2 => denied.boundary.get_or_insert_default().push(deny_all(None)),
            _ => denied.session.get_or_insert_default().push(deny_all(None)),
        }
        prop_assert_eq!(denied.decide().verdict, Verdict::DeniedExplicitly);
    }

    /// A Deny that may apply never makes anything allowed.
    #[test]
    fn adding_a_deny_never_allows(asked in asked(), more in picks(), place in 0..2) {
        let before = asked.decide().verdict;
        let mut with = asked;
        match place {
            0 => with.key.push(statement(Some(r#""*""#), true, false, more)),
            _ => with.identity.push(statement(None, true, false, more)),
        }
        let after = with.decide().verdict;
        prop_assert!(after != Verdict::Allowed || before == Verdict::Allowed, "{before:?} -> {after:?}");
    }

    /// A boundary and a session policy only take away.
    #[test]
    fn taking_a_limit_away_never_denies(asked in asked()) {
        let mut free = asked.clone();
        free.boundary = None;
        free.session = None;
        if asked.decide().verdict == Verdict::Allowed {
            prop_assert_eq!(free.decide().verdict, Verdict::Allowed);
        }
    }

    /// What is allowed across accounts is allowed by each side.
    #[test]
    fn across_accounts_each_side_allows(asked in asked()) {
        let across = Asked { caller: CALLERS[1], ..asked };
        if across.decide().verdict == Verdict::Allowed {
            let anyone = statement(Some(r#""*""#), false, false, (0, 0, 0));
            let everything = statement(None, false, false, (0, 0, 0));
            let key_alone = Asked { identity: vec![everything], boundary: None, session: None, ..across.clone() };
            let identity_alone = Asked { key: vec![anyone], ..across };
            prop_assert_eq!(key_alone.decide().verdict, Verdict::Allowed);
            prop_assert_eq!(identity_alone.decide().verdict, Verdict::Allowed);
        }
    }

    /// What is undetermined names the keys on which it depends, and what is not, none.
    #[test]
    fn an_open_question_names_its_keys(asked in asked()) {
        let found = asked.decide();
        prop_assert_eq!(found.verdict == Verdict::Undetermined, !found.undetermined_keys.is_empty());
        prop_assert_eq!(found.verdict == Verdict::DeniedImplicitly, !found.lacking.is_empty());
    }
}
