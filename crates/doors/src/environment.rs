//! The variables that this process was given.

use std::ffi::OsString;
use std::path::PathBuf;

/// A variable; `None` when it is not set.
pub fn variable_os(name: &str) -> Option<OsString> {
    #[cfg(feature = "simulation")]
    if let Some(value) = crate::machine::of(|machine| machine.variables.get(name).cloned()) {
        return value.map(OsString::from);
    }
    std::env::var_os(name)
}

/// A variable; `None` when it is not set, or is not UTF-8.
pub fn variable(name: &str) -> Option<String> {
    variable_os(name)?.into_string().ok()
}

/// A variable as a path; `None` when it is not set, or empty.
pub fn path(name: &str) -> Option<PathBuf> {
    variable_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}
