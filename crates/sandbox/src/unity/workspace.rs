//! The workspace's side: a host and tokens of its own, and lists in pages.
//!
//! A client reaches a workspace at `<url>/<host of the workspace>/<path>`, or with its host as that of the request, as through a proxy.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};

use super::{Metastore, Securable, Sight, Unbound, Unity};
use crate::http::{Answer, Request};
use crate::world::World;
use crate::{CLIENT_ID, CLIENT_SECRET, Shared};

/// The ends of the hosts of workspaces. Source: databricks-sdk-go, `config/environments.go`.
const DOMAINS: [&str; 3] = [
    ".cloud.databricks.com",
    ".gcp.databricks.com",
    ".azuredatabricks.net",
];

/// A request to a workspace: which host, and the path there.
pub(crate) struct Meant {
    host: String,
    path: String,
    base: String,
}

/// What a request means, if it is one to a workspace.
pub(crate) fn meant(request: &Request) -> Option<Meant> {
    let is_workspace = |host: &str| {
        !host.starts_with("accounts.") && DOMAINS.iter().any(|domain| host.ends_with(domain))
    };
    let path = request.path.trim_start_matches('/');
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    if is_workspace(first) {
        return Some(Meant {
            host: first.to_owned(),
            path: rest.to_owned(),
            base: format!("https://{first}"),
        });
    }
    let host = request.header("host");
    let name = host.split(':').next().unwrap_or_default();
    is_workspace(name).then(|| Meant {
        host: name.to_owned(),
        path: path.to_owned(),
        base: format!("http://{host}"),
    })
}

/// The host name of the workspace that a request is for; `None` for a request to anything else.
pub(crate) fn host(request: &Request) -> Option<String> {
    meant(request).map(|meant| meant.host)
}

/// The number of the workspace with this host name; `None` for another host.
fn workspace_at(world: &World, host: &str) -> Option<u64> {
    let own = |fields: &Map<String, Json>| {
        let name = fields.get("deployment_name")?.as_str()?;
        let domain = match fields.get("cloud").and_then(Json::as_str) {
            Some("gcp") => "gcp.databricks.com",
            _ => "cloud.databricks.com",
        };
        Some(format!("{name}.{domain}"))
    };
    let mut all = world.now.workspaces.iter();
    if let Some((id, _)) = all.find(|(_, one)| own(&one.fields).as_deref() == Some(host)) {
        return Some(*id);
    }
    let on_azure = world.now.azure.workspaces.values().find(|one| {
        one.shown
            .pointer("/properties/workspaceUrl")
            .is_some_and(|url| url == host)
    });
    let number = on_azure?.shown.pointer("/properties/workspaceId")?;
    number.as_str()?.parse().ok()
}

/// Answers a request to Unity Catalog's API of a workspace.
pub(crate) fn answer(shared: &Shared, request: &Request, meant: &Meant) -> Answer {
    let parts: Vec<&str> = meant
        .path
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let base = &meant.base;
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", [".well-known", "databricks-config"]) => Answer::json(
            200,
            &json!({ "oidc_endpoint": format!("{base}/oidc"), "host_type": "WORKSPACE_HOST" }),
        ),
        ("GET", ["oidc", ".well-known", "oauth-authorization-server"]) => Answer::json(
            200,
            &json!({
                "issuer": format!("{base}/oidc"),
                "authorization_endpoint": format!("{base}/oidc/v1/authorize"),
                "token_endpoint": format!("{base}/oidc/v1/token"),
            }),
        ),
        ("POST", ["oidc", "v1", "token"]) => token(shared, request, &meant.host),
        ("GET", ["api", "2.0", "preview", "scim", "v2", "Me"]) => {
            let world = shared.world();
            let Some(workspace) = workspace_at(&world, &meant.host) else {
                return Answer::refusal(404, "ENDPOINT_NOT_FOUND", "No API found for this path.");
            };
            if !is_authenticated(&world, request, &meant.host) {
                return unauthenticated();
            }
            match world.now.unity.closed.contains(&workspace) {
                true => no_user(),
                false => me(&world.now.unity, workspace),
            }
        }
        (method, ["api", "2.1", "unity-catalog", rest @ ..]) => {
            let world = shared.world();
            let Some(workspace) = workspace_at(&world, &meant.host) else {
                return Answer::refusal(404, "ENDPOINT_NOT_FOUND", "No API found for this path.");
            };
            if !is_authenticated(&world, request, &meant.host) {
                return unauthenticated();
            }
            let unity = &world.now.unity;
            if unity.closed.contains(&workspace) {
                return no_user();
            }
            match unity.of(workspace) {
                Some(metastore) if method == "GET" => {
                    let asked = Asked {
                        unity,
                        metastore,
                        workspace,
                        request,
                    };
                    asked.resource(rest)
                }
                Some(_) => {
                    Answer::refusal(404, "ENDPOINT_NOT_FOUND", "No API found for this path.")
                }
                None => Answer::refusal(
                    404,
                    "METASTORE_DOES_NOT_EXIST",
                    "No metastore assigned for the current workspace.",
                ),
            }
        }
        _ => Answer::refusal(404, "ENDPOINT_NOT_FOUND", "No API found for this path."),
    }
}

fn unauthenticated() -> Answer {
    Answer::refusal(
        401,
        "UNAUTHENTICATED",
        "Request is missing a valid credential for this workspace.",
    )
}

/// The code is a number here. Source: databricks-sdk-go issues 929 and 946.
fn no_user() -> Answer {
    Answer::json(
        403,
        &json!({ "error_code": 403, "message": "Invalid access to Org" }),
    )
}

/// The caller, as SCIM shows a service principal: by its application ID, with its groups. Source: databricks-sdk-go,
/// `service/iam`, `CurrentUser.Me`.
fn me(unity: &Unity, workspace: u64) -> Answer {
    let metastore = unity.of(workspace);
    let is_admin = metastore.is_some_and(|own| !own.caller_is_no_admin);
    let owner = metastore.and_then(|own| own.fields.get("owner"));
    let mut groups = vec![json!({ "display": "users", "type": "direct", "value": "1" })];
    groups.extend(
        owner
            .filter(|_| is_admin)
            .map(|owner| json!({ "display": owner, "type": "direct", "value": "2" })),
    );
    Answer::json(
        200,
        &json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": "4711",
            "userName": CLIENT_ID,
            "displayName": "terraform",
            "active": true,
            "groups": groups,
        }),
    )
}

/// A token that only this workspace takes. It is handed out also to a principal that the workspace does not have.
fn token(shared: &Shared, request: &Request, host: &str) -> Answer {
    let form = request.form();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let basic = STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}"));
    let is_known = request.header("authorization") == format!("Basic {basic}")
        && field("grant_type") == "client_credentials"
        && field("scope") == "all-apis";
    let mut world = shared.world();
    if !is_known || workspace_at(&world, host).is_none() {
        return Answer::json(401, &json!({ "error": "invalid_client" }));
    }
    let token = format!("sandbox-workspace-token-{}", doors::uuid());
    let life = world.token_life;
    world
        .workspace_tokens
        .insert(token.clone(), host.to_owned());
    Answer::json(
        200,
        &json!({ "access_token": token, "token_type": "Bearer", "expires_in": life, "scope": "all-apis" }),
    )
}

fn is_authenticated(world: &World, request: &Request, host: &str) -> bool {
    let token = request.header("authorization").strip_prefix("Bearer ");
    let own = token.and_then(|token| world.workspace_tokens.get(token));
    own.is_some_and(|own| own == host)
}

/// A request about the metastore of a workspace.
struct Asked<'a> {
    unity: &'a Unity,
    metastore: &'a Metastore,
    workspace: u64,
    request: &'a Request,
}

impl Asked<'_> {
    fn resource(&self, path: &[&str]) -> Answer {
        match path {
            ["metastore_summary"] => {
                Answer::json(200, &Json::Object(self.metastore.fields.clone()))
            }
            ["catalogs"] => self.list("catalogs", &self.metastore.catalogs),
            ["external-locations"] => {
                self.list("external_locations", &self.metastore.external_locations)
            }
            ["storage-credentials"] => {
                self.list("storage_credentials", &self.metastore.storage_credentials)
            }
            ["catalogs", name] => self.one("Catalog", &self.metastore.catalogs, name),
            _ => Answer::refusal(404, "ENDPOINT_NOT_FOUND", "No API found for this path."),
        }
    }

    fn flag(&self, name: &str) -> bool {
        self.request
            .query
            .get(name)
            .is_some_and(|own| own == "true")
    }

    fn is_bound(&self, one: &Securable) -> bool {
        let mut bound = one.bound_to.iter();
        bound.all(|own| own.contains(&self.workspace))
    }

    /// What the caller sees of something; nothing of what it may not see at all.
    fn shown(&self, one: &Securable) -> Option<Json> {
        let sight = match self.metastore.caller_is_no_admin {
            true => one.sight,
            false => Sight::Full,
        };
        let mut fields = one.fields.clone();
        match sight {
            Sight::Full => {}
            // The SDK says "selective metadata" and not which; the key of a catalog is not among it here.
            Sight::Browse if self.flag("include_browse") => {
                fields.retain(|name, _| ["name", "owner", "comment"].contains(&name.as_str()));
                fields.insert("browse_only".to_owned(), Json::from(true));
            }
            Sight::Browse | Sight::Nothing => return None,
        }
        let id = self.metastore.fields.get("metastore_id");
        fields.insert("metastore_id".to_owned(), id.cloned().unwrap_or_default());
        Some(Json::Object(fields))
    }

    fn one(&self, kind: &str, all: &[Securable], name: &str) -> Answer {
        let mut all = all.iter();
        let found = all.find(|one| one.name() == name && self.is_bound(one));
        match found.and_then(|one| self.shown(one)) {
            Some(found) => Answer::json(200, &found),
            None => Answer::refusal(
                404,
                &format!("{}_DOES_NOT_EXIST", kind.to_uppercase()),
                &format!("{kind} '{name}' does not exist."),
            ),
        }
    }

    fn list(&self, name: &str, all: &[Securable]) -> Answer {
        let may_bind = !self.metastore.caller_is_no_admin;
        let wants_unbound = self.flag("include_unbound");
        if wants_unbound && !may_bind && self.unity.unbound == Unbound::Refused {
            return Answer::refusal(
                403,
                "PERMISSION_DENIED",
                "User does not have permission to update workspace bindings.",
            );
        }
        let seen: Vec<Json> = all
            .iter()
            .filter(|one| self.is_bound(one) || (wants_unbound && may_bind))
            .filter_map(|one| self.shown(one))
            .collect();
        match self.page(&seen) {
            Ok((entries, next)) => {
                let mut body = Map::new();
                // An empty page has no list at all, as the API leaves out what is empty.
                if !entries.is_empty() {
                    body.insert(name.to_owned(), Json::from(entries));
                }
                if let Some(next) = next {
                    body.insert("next_page_token".to_owned(), Json::from(next));
                }
                Answer::json(200, &Json::Object(body))
            }
            Err(refused) => refused,
        }
    }

    /// The entries of the page that the request asks for, and the token of the next one. Without `max_results` all of them are on
    /// one page.
    fn page(&self, all: &[Json]) -> Result<(Vec<Json>, Option<String>), Answer> {
        const FIRST: &str = "page-of-";
        let invalid = |what: &str| {
            Err(Answer::refusal(
                400,
                "INVALID_PARAMETER_VALUE",
                &format!("Invalid {what}."),
            ))
        };
        let Some(most) = self.request.query.get("max_results") else {
            return Ok((all.to_vec(), None));
        };
        let size = match most.parse::<i64>() {
            Ok(0) => self.unity.page,
            Ok(most) if most > 0 => usize::try_from(most)
                .unwrap_or(usize::MAX)
                .min(self.unity.page),
            _ => return invalid("max_results"),
        };
        let token = self.request.query.get("page_token");
        let start = match token.map(|token| token.strip_prefix(FIRST).map(str::parse::<usize>)) {
            None if self.unity.first_page_is_empty => {
                return Ok((Vec::new(), Some(format!("{FIRST}0"))));
            }
            None => 0,
            Some(Some(Ok(start))) => start,
            Some(_) => return invalid("page_token"),
        };
        let end = start.saturating_add(size).min(all.len());
        let entries = all.get(start..end).unwrap_or_default().to_vec();
        let next = (end < all.len()).then(|| format!("{FIRST}{end}"));
        Ok((entries, next))
    }
}
