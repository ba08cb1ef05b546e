//! The Databricks account: its lists are for account admins, so that they tell who is one.

use super::{Doctor, endpoint, sentence, without_credentials};
use crate::databricks::{AuthError, Error};
use crate::doctor::{Access, Outcome, Service, ServiceFacts, Tested};
use crate::provider::diagnose::{self, Unavailable};
use crate::vocabulary::Cloud;

/// The summary of what [`diagnose::account`] says.
const CANNOT_BE_CALLED: &str = "The Databricks account cannot be called";

/// What a list says of the right to read it.
fn outcome<T>(read: &Result<T, Error>) -> Outcome {
    let Err(error) = read else {
        return Outcome::There("The account answered the list.".to_owned());
    };
    let why = sentence(&error.to_string());
    match error.api() {
        Some(refusal) if matches!(refusal.status, 401 | 403) => Outcome::Missing(why),
        _ => Outcome::NotKnown(why),
    }
}

/// Whether the caller is an account admin, from what became of the lists that only account admins get.
fn admin(lists: &[&Outcome]) -> Outcome {
    if let Some(missing) = lists.iter().find(|one| matches!(one, Outcome::Missing(_))) {
        return (*missing).clone();
    }
    match lists.iter().all(|one| matches!(one, Outcome::There(_))) {
        true => Outcome::There(
            "The account answered the lists that it keeps for account admins. No change was tried."
                .to_owned(),
        ),
        false => Outcome::NotKnown(
            "The account did not answer the lists that it keeps for account admins.".to_owned(),
        ),
    }
}

/// Whether an error is about the credential itself, and not about one list.
fn is_of_credential(error: &Error) -> bool {
    match error {
        Error::Auth(_) | Error::LoginPage | Error::Certificates { .. } => true,
        Error::Api(refusal) => refusal.status == 401,
        Error::Token(inner) => !matches!(**inner, Error::Transport { .. }),
        Error::Transport { .. } | Error::Malformed(_) => false,
    }
}

/// Whether the account could not be reached at all.
fn is_unreached(error: &Error) -> bool {
    match error {
        Error::Transport { .. } => true,
        Error::Token(inner) => is_unreached(inner),
        _ => false,
    }
}

/// Why the account does not know the caller; `None` where it does. `errors`: what became of each list.
fn refused(errors: &[Option<&Error>]) -> Option<Access> {
    let of_credential = errors
        .iter()
        .flatten()
        .find(|error| is_of_credential(error));
    if let Some(error) = of_credential {
        let shown = diagnose::account(CANNOT_BE_CALLED, error);
        return Some(Access::Refused {
            why: sentence(&shown.summary),
            what_to_do: shown.detail,
        });
    }
    let is_silent = errors.iter().all(|error| error.is_some_and(is_unreached));
    let first = errors.iter().flatten().next().filter(|_| is_silent)?;
    Some(Access::NotReached(sentence(&first.to_string())))
}

impl Doctor {
    /// What the account says of the caller.
    pub(super) async fn databricks(&self, is_wanted: bool, clouds: &[Cloud]) -> ServiceFacts {
        let service = Service::Databricks;
        let account = match self.client.account().await {
            Ok(account) => account,
            Err(reason) => {
                let is_unset = matches!(
                    reason,
                    Unavailable::Auth(
                        AuthError::NoHost | AuthError::NoAccount | AuthError::NoCredential,
                        _
                    )
                );
                let shown = diagnose::unavailable(&reason);
                let is_wanted = is_wanted || !is_unset;
                return without_credentials(service, is_wanted, &shown.summary, &shown.detail);
            }
        };
        let (configurations, workspaces, roles, metastores) = tokio::join!(
            account.key_configurations(),
            account.workspaces(),
            account.cross_account_roles(),
            account.metastores()
        );
        let errors = [
            configurations.as_ref().err(),
            workspaces.as_ref().err(),
            metastores.as_ref().err(),
        ];
        let access = refused(&errors).unwrap_or_else(|| {
            let who = self.client.databricks().identity();
            Access::As(who.unwrap_or_else(|| format!("the identity of `{}`", account.auth_type())))
        });
        let mut facts = ServiceFacts::of(service, access);
        facts.account = Some(account.id().to_string());
        facts.endpoints = vec![endpoint("account API", &account.host().to_string())];
        let lists = [outcome(&configurations), outcome(&workspaces)];
        let [of_configurations, of_workspaces] = &lists;
        let admin = admin(&[of_configurations, of_workspaces]);
        // Only on AWS does a workspace have a role that launches clusters.
        let is_aws = clouds.is_empty() || clouds.contains(&Cloud::Aws);
        let of_roles = match is_aws {
            true => outcome(&roles),
            false => Outcome::NotNeeded,
        };
        let on = format!("account {}", account.id());
        facts.tested = [
            ("list key configurations", of_configurations.clone()),
            ("list workspaces", of_workspaces.clone()),
            ("list credentials configurations", of_roles),
            ("list metastores", outcome(&metastores)),
            ("account admin", admin),
        ]
        .into_iter()
        .map(|(name, outcome)| Tested {
            name,
            on: on.clone(),
            outcome,
        })
        .collect();
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::databricks::ApiError;

    fn status(status: u16) -> Error {
        Error::Api(ApiError::read(status, "{\"message\":\"no\"}"))
    }

    fn lost() -> Error {
        Error::Transport {
            reason: "no answer".to_owned(),
            source: None,
            may_have_been_taken: false,
            is_unreachable: true,
        }
    }

    /// Each row: what became of a list, and what it says.
    #[test]
    fn a_list_tells_of_its_right_and_nothing_else_does() {
        assert!(matches!(outcome(&Ok(())), Outcome::There(_)));
        for (error, is_missing) in [
            (status(403), true),
            (status(500), false),
            (status(404), false),
            (lost(), false),
        ] {
            let found = outcome::<()>(&Err(error));
            assert_eq!(
                matches!(found, Outcome::Missing(_)),
                is_missing,
                "{found:?}"
            );
            assert!(!matches!(found, Outcome::There(_)), "{found:?}");
        }
    }

    #[test]
    fn one_list_that_is_refused_is_enough() {
        let there = Outcome::There(String::new());
        let missing = Outcome::Missing("no".to_owned());
        let unknown = Outcome::NotKnown("?".to_owned());
        assert!(matches!(admin(&[&there, &there]), Outcome::There(_)));
        assert_eq!(admin(&[&there, &missing]), missing);
        assert_eq!(admin(&[&unknown, &missing]), missing);
        assert!(matches!(admin(&[&there, &unknown]), Outcome::NotKnown(_)));
    }

    #[test]
    fn a_credential_is_blamed_only_for_itself() {
        let token = |inner: Error| Error::Token(Box::new(inner));
        for (error, of_credential, unreached) in [
            (status(401), true, false),
            (status(403), false, false),
            (token(status(400)), true, false),
            (token(lost()), false, true),
            (lost(), false, true),
            (Error::LoginPage, true, false),
        ] {
            assert_eq!(is_of_credential(&error), of_credential, "{error:?}");
            assert_eq!(is_unreached(&error), unreached, "{error:?}");
        }
    }

    /// Each row: what became of three lists, and whether the account knows the caller (k), refuses the credential (r) or is silent (s).
    #[test]
    fn one_answer_is_enough_to_be_known() {
        let (denied, secret, silent) = (status(403), status(401), lost());
        for (errors, expected) in [
            ([None, None, None], 'k'),
            ([Some(&denied), Some(&denied), None], 'k'),
            ([Some(&silent), None, None], 'k'),
            ([Some(&silent), Some(&silent), Some(&silent)], 's'),
            ([Some(&silent), Some(&secret), None], 'r'),
        ] {
            let found = match refused(&errors) {
                None => 'k',
                Some(Access::Refused { .. }) => 'r',
                Some(_) => 's',
            };
            assert_eq!(found, expected, "{errors:?}");
        }
    }
}
