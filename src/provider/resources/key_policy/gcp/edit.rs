//! Changing the bindings of an IAM policy, and nothing else of it. Pure: what is not ours goes back as it came.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::clouds::gcp::IamPolicy;
use crate::preflight::gcp::Binding;
use crate::requirements::gcp::{ENCRYPTER_DECRYPTER, rights_of};

/// Whether the bindings of a key let a member encrypt and decrypt without any condition, by roles that are known.
pub(super) fn is_granted(bindings: &[Binding], member: &str) -> bool {
    let own = bindings
        .iter()
        .filter(|binding| binding.condition.is_none())
        .filter(|binding| binding.members.iter().any(|one| one == member))
        .filter_map(|binding| rights_of(&binding.role));
    let (encrypts, decrypts) = own.fold((false, false), |(encrypts, decrypts), rights| {
        (encrypts || rights.encrypt, decrypts || rights.decrypt)
    });
    encrypts && decrypts
}

/// What is changed in a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Edit {
    /// Who gets the role.
    pub(super) add: BTreeSet<String>,
    /// The members that lose the role.
    pub(super) remove: BTreeSet<String>,
}

fn is_ours(binding: &Json) -> bool {
    binding.get("role").and_then(Json::as_str) == Some(ENCRYPTER_DECRYPTER)
        && binding.get("condition").is_none_or(Json::is_null)
}

/// The policy after an edit. Every other binding, every field that is not known here, and the etag stay as they came.
///
/// # Errors
/// When the policy does not have the form of one.
pub(super) fn edited(policy: &IamPolicy, edit: &Edit) -> Result<IamPolicy, String> {
    let mut after = policy.0.clone();
    let all = after.as_object_mut().ok_or("the policy is not an object")?;
    let bindings = all
        .entry("bindings")
        .or_insert_with(|| json!([]))
        .as_array_mut()
        .ok_or("its bindings are not a list")?;
    let mut left: BTreeSet<&String> = edit.add.iter().collect();
    for binding in bindings.iter_mut().filter(|binding| is_ours(binding)) {
        let Some(members) = binding.get_mut("members") else {
            continue;
        };
        let members = members
            .as_array_mut()
            .ok_or("the members of a binding are not a list")?;
        members.retain(|member| {
            member
                .as_str()
                .is_none_or(|member| !edit.remove.contains(member))
        });
        for member in std::mem::take(&mut left) {
            if !members.iter().any(|one| one == member) {
                members.push(json!(member));
            }
        }
    }
    if !left.is_empty() {
        bindings.push(json!({ "role": ENCRYPTER_DECRYPTER, "members": left }));
    }
    bindings.retain(|binding| {
        !is_ours(binding)
            || binding
                .get("members")
                .and_then(Json::as_array)
                .is_none_or(|members| !members.is_empty())
    });
    // Conditions need version 3; without it, Google would drop them. Source: IAM documentation, "Policy versions".
    if bindings
        .iter()
        .any(|binding| binding.get("condition").is_some_and(|one| !one.is_null()))
    {
        all.insert("version".to_owned(), json!(3));
    }
    Ok(IamPolicy(after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn foreign() -> Json {
        json!({
            "version": 1,
            "etag": "BwX=",
            "auditConfigs": [{ "service": "allServices" }],
            "bindings": [
                { "role": "roles/cloudkms.admin", "members": ["user:ann@example.com"] },
                { "role": ENCRYPTER_DECRYPTER, "members": ["serviceAccount:other@p.iam.gserviceaccount.com"],
                  "condition": { "title": "t", "expression": "request.time < timestamp(\"2030-01-01T00:00:00Z\")", "location": "x" } },
            ],
        })
    }

    #[test]
    fn what_is_not_ours_stays() -> Result<(), String> {
        let before = IamPolicy(foreign());
        let member = "serviceAccount:db-1@p.iam.gserviceaccount.com".to_owned();
        let edit = Edit {
            add: [member.clone()].into(),
            remove: BTreeSet::new(),
        };
        let after = edited(&before, &edit)?;
        assert_eq!(after.0["bindings"][0], before.0["bindings"][0]);
        assert_eq!(after.0["bindings"][1], before.0["bindings"][1]);
        assert_eq!(
            after.0["bindings"][2],
            json!({ "role": ENCRYPTER_DECRYPTER, "members": [member] })
        );
        assert_eq!(
            (
                &after.0["version"],
                &after.0["etag"],
                &after.0["auditConfigs"]
            ),
            (&json!(3), &json!("BwX="), &before.0["auditConfigs"])
        );
        assert!(is_granted(&after.bindings()?, &member));
        let back = Edit {
            add: BTreeSet::new(),
            remove: [member].into(),
        };
        let removed = edited(&after, &back)?;
        assert_eq!(removed.0["bindings"], before.0["bindings"]);
        for odd in [
            json!([]),
            json!({ "bindings": 7 }),
            json!({ "bindings": [{ "role": ENCRYPTER_DECRYPTER, "members": 7 }] }),
        ] {
            assert!(edited(&IamPolicy(odd), &edit).is_err());
        }
        Ok(())
    }

    /// The documented pair of roles is as good as the one with both rights; half of it, or a condition, is not.
    #[test]
    fn both_rights_have_to_be_there() {
        let member = "serviceAccount:x@p.iam.gserviceaccount.com";
        let binding = |role: &str| Binding {
            role: role.to_owned(),
            members: vec![member.to_owned()],
            condition: None,
        };
        let encrypter = binding("roles/cloudkms.cryptoKeyEncrypter");
        let decrypter = binding("roles/cloudkms.cryptoKeyDecrypter");
        assert!(is_granted(&[encrypter.clone(), decrypter.clone()], member));
        assert!(!is_granted(&[encrypter], member));
        assert!(!is_granted(&[decrypter], member));
        assert!(!is_granted(&[binding("projects/p/roles/own")], member));
    }

    proptest! {
        /// Whichever members the edit adds and removes, no other member gains or loses anything.
        #[test]
        fn nobody_else_is_touched(add in proptest::collection::btree_set("[a-e]", 0..4), remove in proptest::collection::btree_set("[a-e]", 0..4), there in proptest::collection::vec("[a-h]", 0..6)) {
            let mut policy = foreign();
            if let Some(bindings) = policy.get_mut("bindings").and_then(Json::as_array_mut) {
                bindings.push(json!({ "role": ENCRYPTER_DECRYPTER, "members": there }));
            }
            let after = edited(&IamPolicy(policy.clone()), &Edit { add: add.clone(), remove: remove.clone() });
            prop_assert!(after.is_ok());
            let after = after.unwrap_or(IamPolicy(json!({})));
            let members = |policy: &Json| -> BTreeSet<String> {
                policy["bindings"].as_array().into_iter().flatten()
                    .filter(|binding| is_ours(binding))
                    .flat_map(|binding| binding["members"].as_array().cloned().unwrap_or_default())
                    .filter_map(|member| member.as_str().map(str::to_owned)).collect()
            };
            let mut wanted = members(&policy);
            wanted.retain(|member| !remove.contains(member));
            wanted.extend(add);
            prop_assert_eq!(members(&after.0), wanted);
            prop_assert_eq!(&after.0["bindings"][0], &policy["bindings"][0]);
            prop_assert_eq!(&after.0["bindings"][1], &policy["bindings"][1]);
        }
    }
}
