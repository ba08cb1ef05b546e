//! Google Cloud: who calls, and what `testIamPermissions` says of a key and of its project.

use super::{Doctor, endpoint, rest, sentence, without_credentials};
use crate::clouds::gcp::GcpError;
use crate::doctor::{Access, Outcome, Service, ServiceFacts, Tested, rights_of};
use crate::vocabulary::Key;

/// Where hashicorp/google and the tools of Google look for a project, in their order.
const PROJECTS: [&str; 4] = [
    "GOOGLE_PROJECT",
    "GOOGLE_CLOUD_PROJECT",
    "GCLOUD_PROJECT",
    "CLOUDSDK_CORE_PROJECT",
];

/// Whether a right is one on keys, so that a key can have a grant of its own.
fn is_of_key(name: &str) -> bool {
    name.starts_with("cloudkms.cryptoKeys.") || name.starts_with("cloudkms.cryptoKeyVersions.")
}

/// What a test of permissions says of each right.
fn outcomes(
    names: &[&'static str],
    on: &str,
    answer: &Result<Vec<String>, GcpError>,
) -> Vec<Tested> {
    let of = |name: &'static str| {
        match answer {
        Ok(own) if own.iter().any(|one| one == name) => {
            Outcome::There("Google Cloud says so (testIamPermissions).".to_owned())
        }
        Ok(own) if own.is_empty() => Outcome::Missing(
            "Google Cloud says that the caller has none of the rights there (testIamPermissions). It answers the same where the resource does \
             not exist."
                .to_owned(),
        ),
        Ok(_) => Outcome::Missing(
            "Google Cloud says that the caller does not have it there (testIamPermissions).".to_owned(),
        ),
        Err(error) => Outcome::NotKnown(format!(
            "Google Cloud did not answer the test of permissions: {}",
            sentence(&error.to_string())
        )),
    }
    };
    names
        .iter()
        .map(|name| Tested {
            name,
            on: on.to_owned(),
            outcome: of(name),
        })
        .collect()
}

impl Doctor {
    /// What Google Cloud says of the caller.
    pub(super) async fn google(&self, key: Option<&Key>, is_wanted: bool) -> ServiceFacts {
        let service = Service::Google;
        let cloud = self.client.keys().gcp().cloud();
        let who = match cloud.principal().await {
            Ok(who) => who,
            Err(error) => {
                let advice = error.advice().unwrap_or_else(|| {
                    "Run `gcloud auth application-default login`, or set GOOGLE_CREDENTIALS."
                        .to_owned()
                });
                let is_wanted = is_wanted || !matches!(error, GcpError::NoIdentity);
                return match error {
                    GcpError::Unreachable(why) => {
                        ServiceFacts::of(service, Access::NotReached(sentence(&why)))
                    }
                    error => without_credentials(service, is_wanted, &error.to_string(), &advice),
                };
            }
        };
        let mut facts = ServiceFacts::of(
            service,
            Access::As(
                who.unwrap_or_else(|| "an identity that its credentials do not name".to_owned()),
            ),
        );
        facts.endpoints = cloud
            .endpoints()
            .into_iter()
            .map(|(name, address)| endpoint(name, &address))
            .collect();
        let key = match key {
            Some(Key::Gcp(key)) => Some(key),
            _ => None,
        };
        let variable = || {
            let mut all = PROJECTS
                .iter()
                .filter_map(|name| doors::environment::variable(name));
            all.find(|value| !value.is_empty())
        };
        let Some(project) = key.map(|key| key.project().to_owned()).or_else(variable) else {
            let why = "No project is known: name a key with `--key`, or set GOOGLE_PROJECT.";
            rest(&mut facts, "", &Outcome::NotKnown(why.to_owned()));
            return facts;
        };
        facts.account = Some(format!("project {project}"));
        let names: Vec<&'static str> = rights_of(service).iter().map(|one| one.name).collect();
        let (of_key, of_project): (Vec<_>, Vec<_>) = names
            .into_iter()
            .partition(|name| is_of_key(name) && key.is_some());
        let on_project = cloud.own_project_rights(&project, &of_project);
        match key {
            Some(key) => {
                let (on_key, on_project) = tokio::join!(cloud.own_rights(key, &of_key), on_project);
                facts.tested = outcomes(&of_key, &key.to_string(), &on_key);
                facts.tested.extend(outcomes(
                    &of_project,
                    &format!("projects/{project}"),
                    &on_project,
                ));
            }
            None => {
                let on_project = on_project.await;
                facts.tested = outcomes(&of_project, &format!("projects/{project}"), &on_project);
                let note = "Rights on keys were tested on the project. A key can have grants of its own: name one with `--key`.";
                facts.notes.push(note.to_owned());
            }
        }
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_among_the_rights_is_missing() {
        let names = ["cloudkms.cryptoKeys.get", "cloudkms.cryptoKeys.update"];
        let some = outcomes(&names, "k", &Ok(vec![names[0].to_owned()]));
        assert!(matches!(some[0].outcome, Outcome::There(_)));
        assert!(matches!(some[1].outcome, Outcome::Missing(_)));
        for one in outcomes(&names, "k", &Ok(Vec::new())) {
            let said = matches!(&one.outcome, Outcome::Missing(why) if why.contains("does not exist") || why.contains("not exist"));
            assert!(said, "{one:?}");
        }
        for one in outcomes(&names, "k", &Err(GcpError::Denied("no".to_owned()))) {
            assert!(matches!(one.outcome, Outcome::NotKnown(_)), "{one:?}");
        }
    }
}
