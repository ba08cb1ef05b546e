//! `ignore_findings`: which findings are not reported.

use crate::preflight::{Id, Silenced};
use tfplugin::bridge::Attr;
use tfplugin::schema::Attribute;

/// `ignore_findings`, in the provider and in each resource.
pub type IgnoreFindings = Attr<Vec<Attr<Silenced>>>;

/// The attribute `ignore_findings`.
pub fn ignore_findings(whose: &str) -> Attribute {
    Attribute::string_set("ignore_findings").no_null_elements().quiet().format::<Silenced>("Not a finding that can be ignored").describe(format!(
        "IDs of findings that the provider does not report for {whose}. Each message ends with the ID of its finding in \
         brackets; the guide on findings lists them all. A finding that makes an attach fail cannot be ignored."
    ))
}

/// The findings that a set of ids silences; what is unknown silences nothing.
pub fn silenced(ignore: &IgnoreFindings) -> Vec<Id> {
    ignore
        .known()
        .into_iter()
        .flatten()
        .filter_map(|one| one.known().map(|silenced| silenced.0))
        .collect()
}
