//! Reading the catalogs of a metastore through one of its workspaces, and saying what of them was not seen.
//!
//! A list that is shorter for who may not see all does not say so. So whether it is whole is a proof of its own: see [`left_unseen`].

use std::time::Duration;

use super::{Caller, Catalog, CatalogKey, Metastore};
use crate::databricks::auth::WorkspaceHost;
use crate::databricks::errors::Error;
use crate::databricks::transport::{Account, WorkspaceApi};
use crate::vocabulary::WorkspaceId;

/// The most workspaces of a metastore through which the provider asks for its catalogs, one after the other.
const WORKSPACES: usize = 3;
/// How long a call to a workspace may go on trying. The account has minutes: without it, nothing can be done.
const PATIENCE: Duration = Duration::from_secs(15);
/// The time limit of one workspace for all its answers: one behind a private network may never answer.
const LIMIT: Duration = Duration::from_secs(40);

/// A workspace through which a metastore can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Through {
    /// The number of the workspace.
    pub workspace: WorkspaceId,
    /// Its number and its name, as texts name it.
    pub in_words: String,
    /// The host of the workspace, to which requests go.
    pub host: WorkspaceHost,
}

/// Something that was not seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What could not be read, as the subject of a sentence.
    pub what: String,
    /// The reason, as a sentence.
    pub why: String,
    /// What the caller would need to see it.
    pub permission: Option<String>,
}

impl Gap {
    /// What the caller would need, as a sentence that follows another one; nothing where that is not known.
    pub fn needs(&self) -> String {
        match self.permission.as_deref() {
            None => String::new(),
            Some(own) if own.starts_with("be ") => {
                format!(" To see it, the caller would need to {own}.")
            }
            Some(own) => format!(" To see it, the caller would need {own}."),
        }
    }
}

/// The catalogs of a metastore, as far as the caller sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetastoreCatalogs {
    /// The metastore that was read.
    pub metastore: Metastore,
    /// The catalogs that the caller sees in it.
    pub catalogs: Vec<Catalog>,
    /// What was not seen; empty only where it is certain that all was.
    pub gaps: Vec<Gap>,
    /// The workspaces through which the metastore can be read.
    pub ways: Vec<Through>,
}

/// What became of the question for catalogs that are bound to other workspaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unbound {
    /// It was answered; for who may not change bindings, without effect.
    Answered,
    /// It was refused, and the list is one without them.
    Refused,
}

/// What of the catalogs of a metastore a list does not show. The admin of the metastore sees all, also those that are bound to other workspaces; for
/// everybody else a list has what the caller may see, and says nothing of the rest. Source: databricks-sdk-go, `service/catalog`, `Catalogs.List`.
/// `caller`: `None` where the provider does not know its own name.
pub fn left_unseen(
    metastore: &Metastore,
    caller: Option<&Caller>,
    unbound: Unbound,
    catalogs: &[Catalog],
) -> Vec<Gap> {
    let name = metastore.in_words();
    let mut gaps = unseen_by("Catalogs", metastore, caller, unbound);
    for catalog in catalogs {
        let what = format!(
            "The key of the catalog {} of the metastore {name}",
            catalog.name
        );
        match catalog.key() {
            CatalogKey::NotShown => gaps.push(Gap {
                what,
                why: "The caller may only browse the catalog.".to_owned(),
                permission: Some(format!("USE CATALOG on {}", catalog.name)),
            }),
            CatalogKey::Unreadable(why) => gaps.push(Gap {
                what,
                why: format!("This version cannot read its `managed_encryption_settings`: {why}."),
                permission: None,
            }),
            CatalogKey::None | CatalogKey::Set(_) => {}
        }
    }
    gaps
}

/// What a list may leave out that it does not name. `what`: what it lists, as `Catalogs`.
pub(super) fn unseen_by(
    what: &str,
    metastore: &Metastore,
    caller: Option<&Caller>,
    unbound: Unbound,
) -> Vec<Gap> {
    let list = what.to_lowercase();
    let owner = metastore.owner.as_deref().unwrap_or_default();
    let is_admin = caller.is_some_and(|caller| caller.is(owner));
    let name = metastore.in_words();
    let mut gaps = Vec::new();
    if !is_admin {
        let (who, permission) = match owner {
            "" => (
                "The account does not show who its admin is".to_owned(),
                "be the admin of the metastore".to_owned(),
            ),
            owner => (
                format!("The caller is not known to be its admin (`{owner}`)"),
                format!("be a member of `{owner}`, the admin of the metastore"),
            ),
        };
        gaps.push(Gap {
            what: format!("{what} of the metastore {name} that the caller does not see"),
            why: format!("{who}, and a list has only the {list} that the caller may see."),
            permission: Some(permission),
        });
    }
    if unbound == Unbound::Refused {
        gaps.push(Gap {
            what: format!("{what} of the metastore {name} that are bound to other workspaces"),
            why: "The workspace refused to list them.".to_owned(),
            permission: Some("be the admin of the metastore".to_owned()),
        });
    }
    gaps
}

/// Something that is read of a metastore through one of its workspaces.
pub trait Reader: Sync {
    /// What it comes to.
    type Found: Send;

    /// What, as `catalogs`.
    fn what(&self) -> &'static str;

    /// Reads through the API of one workspace.
    fn read(&self, api: &WorkspaceApi) -> impl Future<Output = Result<Self::Found, Error>> + Send;
}

/// What a reader comes to through the first of these workspaces that answers; else why none did.
///
/// # Errors
/// When none answers.
pub async fn through_one<R: Reader>(
    account: &Account,
    metastore: &Metastore,
    ways: &[Through],
    reader: R,
) -> Result<R::Found, Gap> {
    let read = reader.what();
    let what = format!("The {read} of the metastore {}", metastore.in_words());
    let mut refusals = Vec::new();
    let mut is_refused = false;
    for way in ways.iter().take(WORKSPACES) {
        let api = account.workspace_api(way.host.clone(), PATIENCE);
        let error = match tokio::time::timeout(LIMIT, reader.read(&api)).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => error,
            Err(_) => {
                refusals.push(format!("{} did not answer in time", way.in_words));
                continue;
            }
        };
        tracing::debug!(workspace = %way.workspace, %error, "the workspace does not show its metastore");
        is_refused |= is_no_right(&error);
        refusals.push(format!("{}: {error}", way.in_words));
    }
    Err(match refusals.as_slice() {
        [] => Gap {
            what,
            why: format!(
                "The account shows no running workspace of the metastore whose host is known, and only a workspace shows {read}."
            ),
            permission: None,
        },
        _ => Gap {
            what,
            why: format!("These workspaces were asked: {}.", refusals.join("; ")),
            permission: is_refused.then(|| {
                "be a user of one of these workspaces, and the admin of the metastore".to_owned()
            }),
        },
    })
}

/// Whether a right is missing: the API of a workspace refuses an identity that is not its user, and so does the service
/// that gives out its tokens.
fn is_no_right(error: &Error) -> bool {
    match error {
        Error::Api(refusal) => matches!(refusal.status, 401 | 403),
        Error::Token(error) => is_no_right(error),
        Error::LoginPage => true,
        _ => false,
    }
}

impl MetastoreCatalogs {
    /// Reads the catalogs of a metastore through one of these workspaces. What the caller cannot see is a gap.
    pub async fn read(account: &Account, metastore: Metastore, ways: Vec<Through>) -> Self {
        let read = through_one(account, &metastore, &ways, AllCatalogs(&metastore)).await;
        let (catalogs, gaps) = read.unwrap_or_else(|gap| (Vec::new(), vec![gap]));
        Self {
            metastore,
            catalogs,
            gaps,
            ways,
        }
    }
}

/// Reads the catalogs of a metastore.
struct AllCatalogs<'a>(&'a Metastore);

impl Reader for AllCatalogs<'_> {
    type Found = (Vec<Catalog>, Vec<Gap>);

    fn what(&self) -> &'static str {
        "catalogs"
    }

    async fn read(&self, api: &WorkspaceApi) -> Result<Self::Found, Error> {
        seen_through(api, self.0).await
    }
}

async fn seen_through(
    api: &WorkspaceApi,
    metastore: &Metastore,
) -> Result<(Vec<Catalog>, Vec<Gap>), Error> {
    let (catalogs, unbound) = match api.catalogs(true).await {
        Ok(all) => (all, Unbound::Answered),
        Err(Error::Api(refusal)) if matches!(refusal.status, 400 | 403) => {
            (api.catalogs(false).await?, Unbound::Refused)
        }
        Err(error) => return Err(error),
    };
    let stranger = catalogs.iter().find_map(|one| {
        let own = one.metastore_id.as_deref()?;
        (!own.is_empty() && own != metastore.metastore_id).then_some(own)
    });
    if let Some(own) = stranger {
        let why = format!("it shows catalogs of the metastore {own}");
        return Err(Error::Malformed(why));
    }
    // Not knowing who calls hides no catalog: then it is not known whether there are others.
    let caller = api.caller().await.ok();
    let gaps = left_unseen(metastore, caller.as_ref(), unbound, &catalogs);
    Ok((catalogs, gaps))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    /// Each row: who owns the metastore, who calls, what became of the unbound catalogs, a catalog, and how much is not certain.
    #[test]
    fn only_the_admin_of_a_metastore_sees_all_catalogs() -> Result<(), serde_json::Error> {
        use Unbound::{Answered, Refused};
        let (admin, other) = (json!({ "groups": [{ "display": "admins" }] }), json!({}));
        let (plain, hidden) = (json!({}), json!({ "browse_only": true }));
        let strange = json!({ "managed_encryption_settings": "x" });
        let rows: [(&str, Option<&Json>, Unbound, &Json, usize); 9] = [
            ("admins", Some(&admin), Answered, &plain, 0),
            ("admins", Some(&admin), Answered, &strange, 1),
            ("admins", Some(&admin), Answered, &hidden, 1),
            ("admins", Some(&admin), Refused, &plain, 1),
            ("admins", Some(&other), Answered, &plain, 1),
            ("admins", Some(&other), Refused, &plain, 2),
            ("admins", None, Answered, &plain, 1),
            ("", Some(&admin), Answered, &plain, 1),
            ("System user", Some(&admin), Answered, &hidden, 2),
        ];
        for (owner, caller, unbound, catalog, expected) in rows {
            let metastore: Metastore =
                serde_json::from_value(json!({ "metastore_id": "m", "owner": owner }))?;
            let caller = caller.map(|caller| serde_json::from_value(caller.clone()));
            let caller: Option<Caller> = caller.transpose()?;
            let mut catalog = catalog.clone();
            let fields = catalog.as_object_mut();
            fields.and_then(|fields| fields.insert("name".to_owned(), json!("main")));
            let catalogs = [serde_json::from_value(catalog)?];
            let gaps = left_unseen(&metastore, caller.as_ref(), unbound, &catalogs);
            assert_eq!(gaps.len(), expected, "{owner} {unbound:?}: {gaps:?}");
        }
        Ok(())
    }
}
