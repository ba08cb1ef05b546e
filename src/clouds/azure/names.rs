//! Names of members of what Azure Resource Manager answers: it does not regard their case.

use serde_json::{Map, Value as Json};

/// A member of an object, whatever the case of its name.
pub(super) fn member<'a>(json: &'a Json, name: &str) -> Option<&'a Json> {
    json.as_object()?
        .iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// What stands at a path, whatever the case of the names on the way.
pub(super) fn find<'a>(json: &'a Json, pointer: &str) -> Option<&'a Json> {
    let mut names = pointer.split('/').skip(1);
    names.try_fold(json, member)
}

/// The name that a member of an object has, where it has one; another one beside it would leave two of them.
pub(super) fn own_name(object: &Map<String, Json>, name: &str) -> String {
    let own = object.keys().find(|own| own.eq_ignore_ascii_case(name));
    own.cloned().unwrap_or_else(|| name.to_owned())
}
