//! What must be true of every policy and every request, tried on arbitrary ones.

#![allow(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests"
)]

use dbxcmk::requirements::aws::Usage;
use dbxcmk::requirements::aws::{edits, still_there};
use dbxcmk::vocabulary::Deployment;
use dbxcmk::vocabulary::UseCase;
use kms_policy::{Caller, Context, Document, Edit, Request, Verdict, evaluate, lockout};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ACCOUNT: &str = "2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11";

const PRINCIPALS: &[&str] = &[
    r#""*""#,
    r#"{"AWS":"*"}"#,
    r#"{"AWS":"123456789012"}"#,
    r#"{"AWS":"arn:aws:iam::123456789012:root"}"#,
    r#"{"AWS":"arn:aws:iam::414351767826:root"}"#,
    r#"{"AWS":["arn:aws:iam::123456789012:role/admin","414351767826"]}"#,
    r#"{"AWS":"arn:aws:iam::123456789012:role/path/dbx"}"#,
    r#"{"AWS":"AROAABCDEFGHIJKLMNOP"}"#,
    r#"{"Service":"ec2.amazonaws.com"}"#,
    r#"{"Federated":"cognito-identity.amazonaws.com"}"#,
];
const ACTIONS: &[&str] = &[
    r#""*""#,
    r#""kms:*""#,
    r#""kms:Decrypt""#,
    r#"["KMS:encrypt","kms:Decrypt"]"#,
    r#""kms:Generate*Key""#,
    r#"["kms:PutKeyPolicy","kms:Get*"]"#,
    r#"["kms:CreateGrant"]"#,
];
const RESOURCES: &[&str] = &[
    r#""*""#,
    r#"["*"]"#,
    r#""arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab""#,
    r#""arn:aws:kms:*:*:key/0*""#,
];
const CONDITIONS: &[&str] = &[
    "{}",
    r#"{"StringEquals":{"aws:PrincipalTag/DatabricksAccountId":["2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11","x"]}}"#,
    r#"{"StringNotEquals":{"AWS:PrincipalTag/databricksaccountid":"x"}}"#,
    r#"{"ForAnyValue:StringLike":{"kms:ViaService":"ec2.*.amazonaws.com"}}"#,
    r#"{"ForAllValues:StringNotEquals":{"kms:ViaService":["s3.*","x"]}}"#,
    r#"{"Bool":{"kms:GrantIsForAWSResource":true}}"#,
    r#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"StringEqualsIfExists":{"kms:ViaService":"x"}}"#,
    r#"{"Null":{"aws:SourceIp":"true"}}"#,
    r#"{"StringLike":{"aws:PrincipalTag/DatabricksAccountId":"${aws:PrincipalTag/DatabricksAccountId, 'x'}"}}"#,
    r#"{"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/admin"}}"#,
    r#"{"NumericLessThan":{"aws:MultiFactorAuthAge":3600}}"#,
];
const CALLERS: &[&str] = &[
    "arn:aws:iam::123456789012:root",
    "arn:aws:iam::123456789012:role/admin",
    "arn:aws:sts::123456789012:assumed-role/dbx/i-1",
    "arn:aws:iam::414351767826:role/any",
    "arn:aws:iam::999999999999:user/eve",
    "ec2.amazonaws.com",
];
const ASKED: &[&str] = &[
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:PutKeyPolicy",
    "kms:CreateGrant",
];
const VALUES: &[(&str, &[&str])] = &[
    (
        "aws:PrincipalTag/DatabricksAccountId",
        &["2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11", "x", "y"],
    ),
    (
        "kms:ViaService",
        &[
            "ec2.eu-central-1.amazonaws.com",
            "x",
            "s3.eu-central-1.amazonaws.com",
        ],
    ),
    ("kms:GrantIsForAWSResource", &["true", "false"]),
    ("aws:SourceIp", &["10.1.2.3", "192.0.2.1"]),
    (
        "aws:PrincipalArn",
        &[
            "arn:aws:iam::123456789012:role/admin",
            "arn:aws:iam::123456789012:role/other",
        ],
    ),
    ("aws:MultiFactorAuthAge", &["60", "7200"]),
];

fn one_of(choices: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(choices)
}

fn statement(effect: Option<&'static str>) -> impl Strategy<Value = String> {
    let effect = effect.map_or_else(
        || one_of(&["Allow", "Allow", "Deny"]).boxed(),
        |effect| Just(effect).boxed(),
    );
    let negated = || prop::bool::weighted(0.15);
    (effect, one_of(PRINCIPALS), negated(), one_of(ACTIONS), negated(), one_of(RESOURCES), one_of(CONDITIONS)).prop_map(
        |(effect, principal, other_principals, action, other_actions, resource, condition)| {
            let (not_p, not_a) = (if other_principals { "Not" } else { "" }, if other_actions { "Not" } else { "" });
            format!(
                "{{\"Effect\":\"{effect}\",\"{not_p}Principal\":{principal},\"{not_a}Action\":{action},\"Resource\":{resource},\
                 \"Condition\":{condition}}}"
            )
        },
    )
}

fn text(statements: &[String]) -> String {
    format!(
        "{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}",
        statements.join(",")
    )
}

fn policy(statements: &[String]) -> Document {
    Document::parse(&text(statements)).expect("a policy")
}

fn statements() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(statement(None), 1..6)
}

/// For each key: absent, or one of its values, or several.
fn contexts() -> impl Strategy<Value = Vec<Option<Vec<String>>>> {
    let one = |values: &'static [&'static str]| {
        prop::option::of(prop::sample::subsequence(values, 1..=values.len().min(2))).prop_map(
            |values| {
                values.map(|values| {
                    values
                        .into_iter()
                        .map(str::to_owned)
                        .collect::<Vec<String>>()
                })
            },
        )
    };
    VALUES
        .iter()
        .map(|(_, values)| one(values))
        .collect::<Vec<_>>()
}

fn context(values: &[Option<Vec<String>>], unknown: Option<usize>) -> Context {
    let mut context = Context::closed();
    for (index, ((key, _), values)) in VALUES.iter().zip(values).enumerate() {
        match values {
            _ if unknown == Some(index) => context.set_unknown(key),
            Some(values) => context.set(key, values.clone()),
            None => {}
        }
    }
    context
}

fn request(caller: &str, action: &str, context: Context) -> Request {
    Request {
        caller: Caller::parse(caller).expect("a caller"),
        action: action.to_owned(),
        resource: KEY.to_owned(),
        context,
    }
}

fn verdict(statements: &[String], request: &Request) -> Verdict {
    evaluate(&policy(statements), request).verdict
}

fn usage() -> Usage {
    Usage {
        deployment: Deployment::Commercial,
        accounts: vec![ACCOUNT.parse().expect("an account")],
        use_cases: UseCase::ALL.map(Into::into).to_vec(),
        table_roles: Vec::new(),
        grants: true,
        cross_account_role: Some(
            "arn:aws:iam::123456789012:role/path/dbx"
                .parse()
                .expect("a role"),
        ),
    }
}

fn is_denied(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::DeniedExplicitly | Verdict::DeniedImplicitly
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn a_decision_does_not_depend_on_order(all in statements(), caller in one_of(CALLERS), action in one_of(ASKED), values in contexts(), seed in any::<prop::sample::Index>()) {
        let request = request(caller, action, context(&values, None));
        let mut turned = all.clone();
        let by = seed.index(turned.len());
        turned.rotate_left(by);
        turned.reverse();
        prop_assert_eq!(verdict(&all, &request), verdict(&turned, &request));
    }

    #[test]
    fn a_decision_does_not_depend_on_form(all in statements(), caller in one_of(CALLERS), action in one_of(ASKED), values in contexts()) {
        let request = request(caller, action, context(&values, None));
        // Every string as a list of one, keys in another order, white space everywhere.
        let listed = |statement: &String| {
            let mut json: Json = serde_json::from_str(statement).expect("JSON");
            for name in ["Action", "NotAction", "Resource"] {
                if let Some(value) = json.get_mut(name).filter(|value| value.is_string()) {
                    *value = json!([value.clone()]);
                }
            }
            serde_json::to_string_pretty(&json).expect("JSON")
        };
        let other: Vec<String> = all.iter().map(listed).collect();
        prop_assert_eq!(evaluate(&policy(&all), &request).verdict, evaluate(&policy(&other), &request).verdict);
        prop_assert!(policy(&all).means_the_same_as(&policy(&other)));
    }

    #[test]
    fn adding_a_deny_never_allows(mut all in statements(), deny in statement(Some("Deny")), caller in one_of(CALLERS), action in one_of(ASKED), values in contexts(), unknown in prop::option::of(0..VALUES.len())) {
        let request = request(caller, action, context(&values, unknown));
        let before = verdict(&all, &request);
        all.push(deny);
        let after = verdict(&all, &request);
        prop_assert!(before == Verdict::Allowed || after != Verdict::Allowed, "{before:?} became {after:?}");
    }

    #[test]
    fn adding_an_allow_never_denies(mut all in statements(), allow in statement(Some("Allow")), caller in one_of(CALLERS), action in one_of(ASKED), values in contexts(), unknown in prop::option::of(0..VALUES.len())) {
        let request = request(caller, action, context(&values, unknown));
        let before = verdict(&all, &request);
        all.push(allow);
        let after = verdict(&all, &request);
        prop_assert!(before != Verdict::Allowed || after == Verdict::Allowed);
        prop_assert!(after != Verdict::DeniedExplicitly || before == Verdict::DeniedExplicitly);
    }

    #[test]
    fn knowing_less_gives_the_same_decision_or_none(all in statements(), caller in one_of(CALLERS), action in one_of(ASKED), values in contexts(), unknown in 0..VALUES.len()) {
        let known = verdict(&all, &request(caller, action, context(&values, None)));
        let less = verdict(&all, &request(caller, action, context(&values, Some(unknown))));
        // Where nothing can allow it, it is denied; by which Deny as well may be open.
        let still_denied = is_denied(less) && is_denied(known);
        prop_assert!(less == known || less == Verdict::Undetermined || still_denied, "{known:?} became {less:?}");
    }

    #[test]
    fn without_a_possible_allow_the_decision_is_denied(all in prop::collection::vec(statement(Some("Deny")), 1..6), caller in one_of(CALLERS), action in one_of(ASKED), values in contexts(), unknown in prop::option::of(0..VALUES.len())) {
        let found = verdict(&all, &request(caller, action, context(&values, unknown)));
        prop_assert!(is_denied(found), "{found:?}");
    }

    #[test]
    fn what_is_printed_is_what_was_read(all in statements()) {
        let document = policy(&all);
        prop_assert_eq!(document.text(), text(&all));
        let unedited = document.edited(&[]).expect("a policy");
        prop_assert_eq!(unedited.text(), text(&all));
        prop_assert_eq!(&Document::parse(document.text()).expect("a policy"), &document);
    }

    #[test]
    fn what_is_merged_and_taken_out_again_leaves_no_trace(all in statements()) {
        let (before, grants) = (policy(&all), usage().grants());
        let own: Vec<String> = grants.iter().map(|grant| grant.statement.clone()).collect();
        prop_assume!(still_there(&before, &own).expect("statements").is_empty());
        let after = before.edited(&edits(&before, &grants, &[]).expect("edits")).expect("a policy");
        prop_assert_eq!(still_there(&after, &own).expect("statements"), own.clone());
        prop_assert_eq!(edits(&after, &grants, &[]).expect("edits"), Vec::<Edit>::new(), "merging twice is merging once");
        let back = after.edited(&edits(&after, &[], &own).expect("edits")).expect("a policy");
        prop_assert_eq!(back.text(), before.text());
    }

    #[test]
    fn what_the_lockout_check_is_sure_of_holds_whatever_the_circumstances(all in statements(), caller in one_of(&["arn:aws:iam::123456789012:root", "arn:aws:iam::123456789012:role/admin", "arn:aws:sts::123456789012:assumed-role/dbx/i-1"]), values in contexts()) {
        let document = policy(&all);
        let found = lockout(&document, &KEY.parse().expect("a key"), &Caller::parse(caller).expect("a caller"));
        // The circumstances of a later PutKeyPolicy by the same caller, as far as the check could not know them.
        let mut context = context(&values, None);
        context.set_absent("kms:ViaService");
        if caller.ends_with(":root") {
            context.set("aws:PrincipalArn", vec![caller.to_owned()]);
        }
        let later = verdict(&all, &request(caller, "kms:PutKeyPolicy", context));
        match found.caller.verdict {
            Verdict::Undetermined => {}
            Verdict::Allowed => prop_assert_eq!(later, Verdict::Allowed),
            Verdict::DeniedExplicitly | Verdict::DeniedImplicitly => prop_assert!(is_denied(later), "{:?}", later),
        }
    }

    #[test]
    fn any_text_is_read_or_refused_with_a_place(text in "\\PC{0,200}") {
        if let Err(error) = Document::parse(&text) {
            prop_assert!(error.place.line >= 1 && error.place.column >= 1);
        }
    }

    #[test]
    fn a_damaged_policy_is_read_or_refused(all in statements(), at in any::<prop::sample::Index>(), with in "[\\[\\]{}\",:a*0 ]") {
        let mut damaged = text(&all);
        let at = at.index(damaged.len());
        if damaged.is_char_boundary(at) && damaged.is_char_boundary(at + 1) {
            damaged.replace_range(at..=at, &with);
        }
        if let Ok(document) = Document::parse(&damaged) {
            prop_assert_eq!(document.text(), damaged);
        }
    }
}
