//! Setting the stage from outside: metastores and what is in them, as `/_sandbox/metastores` and `/_sandbox/unity` take it.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::{Metastore, Securable, Sight, Unbound, Unity};

/// The metastores as they are, also what the caller does not see.
pub(crate) fn shown(unity: &Unity) -> Json {
    unity.metastores.values().map(metastore).collect()
}

fn metastore(one: &Metastore) -> Json {
    let all = |list: &[Securable]| -> Json {
        let entry = |own: &Securable| {
            let mut fields = own.fields.clone();
            fields.insert("sight".to_owned(), Json::from(own.sight.word()));
            if let Some(bound) = &own.bound_to {
                fields.insert("bound_to".to_owned(), json!(bound));
            }
            (own.name().to_owned(), Json::Object(fields))
        };
        Json::Object(list.iter().map(entry).collect())
    };
    let mut fields = one.fields.clone();
    let more = [
        ("workspaces", json!(one.workspaces)),
        ("catalogs", all(&one.catalogs)),
        ("external_locations", all(&one.external_locations)),
        ("storage_credentials", all(&one.storage_credentials)),
        ("caller_is_no_admin", Json::from(one.caller_is_no_admin)),
    ];
    fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Json::Object(fields)
}

fn numbers(value: &Json, name: &str) -> Result<BTreeSet<u64>, String> {
    serde_json::from_value(value.clone())
        .map_err(|_| format!("expected a list of workspace numbers in `{name}`"))
}

fn flag(value: &Json, name: &str) -> Result<bool, String> {
    value
        .as_bool()
        .ok_or_else(|| format!("expected true or false in `{name}`"))
}

/// Changes a metastore, or makes one. What is in it is named: null removes it, an object changes its fields.
///
/// # Errors
/// What is wrong with the changes; then nothing was changed.
pub(crate) fn patch(
    unity: &mut Unity,
    id: &str,
    changes: Map<String, Json>,
) -> Result<Json, String> {
    let text = |name: &str| changes.get(name).and_then(Json::as_str);
    let mut own = match unity.metastores.get(id) {
        Some(found) => found.clone(),
        None => Metastore::new(
            id,
            text("cloud").unwrap_or("aws"),
            text("region").unwrap_or(crate::REGION),
        ),
    };
    for (name, value) in changes {
        match name.as_str() {
            "workspaces" => own.workspaces = numbers(&value, &name)?,
            "caller_is_no_admin" => own.caller_is_no_admin = flag(&value, &name)?,
            "catalogs" => securables(&mut own.catalogs, &name, &value)?,
            "external_locations" => securables(&mut own.external_locations, &name, &value)?,
            "storage_credentials" => securables(&mut own.storage_credentials, &name, &value)?,
            _ => {
                own.fields.insert(name, value);
            }
        }
    }
    let shown = metastore(&own);
    unity.metastores.insert(id.to_owned(), own);
    Ok(shown)
}

fn securables(all: &mut Vec<Securable>, kind: &str, changes: &Json) -> Result<(), String> {
    let Some(changes) = changes.as_object() else {
        return Err(format!("expected an object with names in `{kind}`"));
    };
    for (name, change) in changes {
        let found = all.iter().position(|one| one.name() == name);
        let mut own = match found {
            Some(at) => all.remove(at),
            None => Securable::new(&json!({ "name": name })),
        };
        let Some(fields) = change.as_object() else {
            if change.is_null() {
                continue;
            }
            return Err(format!(
                "expected an object or null for `{name}` in `{kind}`"
            ));
        };
        for (field, value) in fields {
            match (field.as_str(), value) {
                ("bound_to", Json::Null) => own.bound_to = None,
                ("bound_to", value) => own.bound_to = Some(numbers(value, field)?),
                ("sight", value) => {
                    let sight = value.as_str().and_then(Sight::named);
                    own.sight = sight
                        .ok_or("expected `full`, `browse` or `nothing` in `sight`".to_owned())?;
                }
                (_, Json::Null) => {
                    own.fields.remove(field);
                }
                (_, value) => {
                    own.fields.insert(field.clone(), value.clone());
                }
            }
        }
        // Catalogs have other words for it than locations and credentials.
        let mode = match (own.bound_to.is_some(), kind == "catalogs") {
            (true, true) => "ISOLATED",
            (false, true) => "OPEN",
            (true, false) => "ISOLATION_MODE_ISOLATED",
            (false, false) => "ISOLATION_MODE_OPEN",
        };
        own.fields
            .insert("isolation_mode".to_owned(), Json::from(mode));
        all.push(own);
    }
    Ok(())
}

/// Changes how workspaces answer.
///
/// # Errors
/// What is wrong with the changes; then nothing was changed.
pub(crate) fn patch_answers(unity: &mut Unity, changes: &Map<String, Json>) -> Result<(), String> {
    let mut own = unity.clone();
    for (name, value) in changes {
        match (name.as_str(), value.as_str()) {
            ("closed", _) => own.closed = numbers(value, name)?,
            ("include_unbound", Some("ignored")) => own.unbound = Unbound::Ignored,
            ("include_unbound", Some("refused")) => own.unbound = Unbound::Refused,
            ("first_page_is_empty", _) => own.first_page_is_empty = flag(value, name)?,
            ("page", _) => {
                let page = value.as_u64().and_then(|page| usize::try_from(page).ok());
                own.page = page
                    .filter(|page| *page > 0)
                    .ok_or("expected a number above 0 in `page`".to_owned())?;
            }
            _ => return Err(format!("there is no `{name}` with this value")),
        }
    }
    *unity = own;
    Ok(())
}
