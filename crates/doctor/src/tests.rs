//! Tables: what was found out, and what the report and the exit code say.

use super::*;

fn facts(service: Service, who: &str, outcome: &dyn Fn(&str) -> Outcome) -> ServiceFacts {
    ServiceFacts {
        tested: rights_of(service)
            .iter()
            .map(|right| Tested {
                name: right.name,
                on: "x".to_owned(),
                outcome: outcome(right.name),
            })
            .collect(),
        ..ServiceFacts::of(service, Access::As(who.to_owned()))
    }
}

fn there(_: &str) -> Outcome {
    Outcome::There(String::new())
}

fn without(name: &'static str, instead: Outcome) -> impl Fn(&str) -> Outcome {
    move |own| {
        if own == name {
            instead.clone()
        } else {
            there(own)
        }
    }
}

const SERVICES: [Service; 4] = [
    Service::Databricks,
    Service::Aws,
    Service::Google,
    Service::Azure,
];

/// Each row: what was found of a service, and the exit code.
#[test]
fn the_exit_code_says_the_worst_of_what_is_wanted() {
    let missing = || Outcome::Missing("no".to_owned());
    let unknown = || Outcome::NotKnown("?".to_owned());
    let refused = || Access::Refused {
        why: "w".to_owned(),
        what_to_do: "d".to_owned(),
    };
    let aws = |outcome: &dyn Fn(&str) -> Outcome| facts(Service::Aws, "a", outcome);
    let google = |access| ServiceFacts::of(Service::Google, access);
    let rows = [
        (vec![aws(&there)], 0),
        (vec![aws(&without("kms:DisableKey", missing()))], 1),
        (vec![aws(&without("kms:DisableKey", unknown()))], 3),
        // An optional right is a right: it is named, and it counts.
        (vec![aws(&without("kms:ListGrants", missing()))], 1),
        (
            vec![aws(&there), google(Access::NotConfigured("n".to_owned()))],
            0,
        ),
        (vec![aws(&there), google(refused())], 1),
        (
            vec![aws(&there), google(Access::NotReached("n".to_owned()))],
            3,
        ),
        (vec![google(Access::NotConfigured("n".to_owned()))], 1),
        (vec![], 1),
    ];
    for (facts, code) in rows {
        let report = diagnose(facts);
        assert_eq!(report.verdict.exit_code(), code, "{report:?}");
    }
}

/// What nobody tested is not there.
#[test]
fn a_right_that_was_not_tested_is_not_known() {
    for service in SERVICES {
        let report = diagnose(vec![ServiceFacts::of(service, Access::As("a".to_owned()))]);
        assert_eq!(report.verdict, Verdict::NotKnown);
        let one = report.services.first().map(|one| one.rights.len());
        assert_eq!(one, Some(rights_of(service).len()));
    }
}

/// Each right of each service, taken away: it is named with what follows and what helps, and exactly the purposes that require it are missing.
#[test]
fn each_right_that_is_missing_is_named_with_what_helps() {
    for service in SERVICES {
        for right in rights_of(service) {
            let gone = without(
                right.name,
                Outcome::Missing("The service says no.".to_owned()),
            );
            let report = diagnose(vec![facts(service, "somebody", &gone)]);
            let one = &report.services[0];
            let shown = text(&report);
            let about: Vec<&RightReport> = one
                .rights
                .iter()
                .filter(|own| own.state == Verdict::Missing)
                .collect();
            assert_eq!(about.len(), 1, "{}", right.name);
            assert_eq!(about[0].name, right.name);
            assert!(about[0].what_to_do.is_some() && about[0].without == Some(right.without));
            assert!(
                shown.contains(&format!("missing: {}", right.name)),
                "{shown}"
            );
            let can = one.can.unwrap();
            for purpose in Purpose::ALL {
                let expected = match right.is_required && right.purposes.contains(&purpose) {
                    true => Verdict::Missing,
                    false => Verdict::There,
                };
                assert_eq!(can.of(purpose), expected, "{} {purpose:?}", right.name);
            }
        }
    }
}

/// What a person pastes, cloud by cloud.
#[test]
fn what_helps_is_ready_to_paste() {
    let rows = [
        (
            Service::Aws,
            "arn:aws:iam::1:user/ann",
            "kms:PutKeyPolicy",
            "arn:aws:kms:r:1:key/k",
            "\"Action\": \"kms:PutKeyPolicy\", \"Resource\": \"arn:aws:kms:r:1:key/k\"",
        ),
        (
            Service::Google,
            "tf@p.iam.gserviceaccount.com",
            "cloudkms.cryptoKeys.setIamPolicy",
            "projects/p/locations/l/keyRings/r/cryptoKeys/k",
            "gcloud projects add-iam-policy-binding p --member=serviceAccount:tf@p.iam.gserviceaccount.com --role=roles/cloudkms.admin",
        ),
        (
            Service::Google,
            "ann@acme.com",
            "cloudkms.cryptoKeys.get",
            "projects/p",
            "--member=user:ann@acme.com --role=roles/cloudkms.viewer",
        ),
        (
            Service::Google,
            "an identity that its credentials do not name",
            "cloudkms.cryptoKeys.get",
            "",
            "add-iam-policy-binding PROJECT --member=MEMBER",
        ),
        (
            Service::Azure,
            "application a, object o",
            "Microsoft.Databricks/workspaces/write",
            "/subscriptions/s",
            "az role assignment create --assignee o --role \"Contributor\" --scope /subscriptions/s",
        ),
        (
            Service::Azure,
            "application a",
            "read applications in Microsoft Graph",
            "the tenant",
            "the directory role Directory Readers",
        ),
        (
            Service::Databricks,
            "service principal s",
            "account admin",
            "account a",
            "Make service principal s an account admin",
        ),
    ];
    for (service, who, name, on, expected) in rows {
        let one = ServiceFacts {
            tested: vec![Tested {
                name,
                on: on.to_owned(),
                outcome: Outcome::Missing(String::new()),
            }],
            ..ServiceFacts::of(service, Access::As(who.to_owned()))
        };
        let report = diagnose(vec![one]);
        let right = report.services[0]
            .rights
            .iter()
            .find(|right| right.name == name)
            .unwrap();
        let what_to_do = right.what_to_do.clone().unwrap();
        assert!(what_to_do.contains(expected), "{what_to_do}");
    }
}

#[test]
fn a_right_that_nobody_needs_is_left_out() {
    let gone = without("list credentials configurations", Outcome::NotNeeded);
    let report = diagnose(vec![facts(Service::Databricks, "a", &gone)]);
    assert_eq!(report.verdict, Verdict::There);
    assert!(!text(&report).contains("credentials configurations"));
}

/// The text names the caller, the account, each address with its proxy, and why a service was not examined.
#[test]
fn the_text_says_who_where_and_why() {
    let aws = ServiceFacts {
        account: Some("account 1".to_owned()),
        endpoints: vec![
            Endpoint {
                name: "KMS".to_owned(),
                address: "https://kms".to_owned(),
                proxy: Some("http://proxy:3128".to_owned()),
            },
            Endpoint {
                name: "STS".to_owned(),
                address: "https://sts".to_owned(),
                proxy: None,
            },
        ],
        notes: vec!["Name a key.".to_owned()],
        ..facts(Service::Aws, "ann", &there)
    };
    let google = ServiceFacts::of(
        Service::Google,
        Access::NotConfigured("There is no identity.".to_owned()),
    );
    let azure = ServiceFacts::of(
        Service::Azure,
        Access::Refused {
            why: "No login.".to_owned(),
            what_to_do: "Run `az login`.\nOr set ARM_CLIENT_ID.".to_owned(),
        },
    );
    let databricks = ServiceFacts::of(
        Service::Databricks,
        Access::NotReached("No route.".to_owned()),
    );
    let shown = text(&diagnose(vec![databricks, aws, google, azure]));
    insta::assert_snapshot!(shown);
}

#[test]
fn names_are_unique_and_each_purpose_is_required_somewhere() {
    for service in SERVICES {
        let rights = rights_of(service);
        for (at, right) in rights.iter().enumerate() {
            assert!(
                !right.purposes.is_empty() && right.without.ends_with('.'),
                "{}",
                right.name
            );
            assert!(
                rights
                    .iter()
                    .skip(at + 1)
                    .all(|other| other.name != right.name)
            );
        }
        for purpose in Purpose::ALL {
            let is_required = rights
                .iter()
                .any(|right| right.is_required && right.purposes.contains(&purpose));
            assert!(is_required, "{service:?} {purpose:?}");
        }
    }
}

/// What has one cause is one paragraph, with one step that helps against all of it.
#[test]
fn rights_with_one_cause_are_told_together() {
    let gone = |own: &str| match own {
        "kms:EnableKey" | "kms:DisableKey" => Outcome::Missing("The policy says no.".to_owned()),
        "kms:TagResource" => Outcome::Missing("Another cause.".to_owned()),
        "kms:ListGrants" => Outcome::NotKnown("Not asked.".to_owned()),
        own => there(own),
    };
    let shown = text(&diagnose(vec![facts(Service::Aws, "ann", &gone)]));
    for words in [
        "missing: kms:DisableKey, kms:EnableKey on x",
        "\"Action\": [\"kms:DisableKey\", \"kms:EnableKey\"]",
        "missing: kms:TagResource on x",
        "not known: kms:ListGrants (optional) on x",
        "Allow ann iam:SimulatePrincipalPolicy",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert_eq!(shown.matches("The policy says no.").count(), 1, "{shown}");
}
