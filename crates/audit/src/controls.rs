//! Which controls of which standard a finding supports evidence for, from a data file. It supports a control; whether an organization
//! complies is for its auditor to say.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::report::Controls;

/// The data file. A test reads it, so that it is one.
const FILE: &str = include_str!("controls.json");

#[derive(Deserialize)]
struct Group {
    findings: Vec<String>,
    controls: Controls,
}

/// The controls of each finding, by its ID.
pub struct ControlMap(BTreeMap<String, Controls>);

impl ControlMap {
    /// Reads the data file.
    pub fn read() -> Self {
        let groups: Vec<Group> = serde_json::from_str(FILE).unwrap_or_default();
        let mut all: BTreeMap<String, Controls> = BTreeMap::new();
        for group in groups {
            for id in group.findings {
                all.entry(id).or_default().extend(group.controls.clone());
            }
        }
        Self(all)
    }

    /// The controls of a finding; empty where none is known.
    pub fn of(&self, id: &str) -> Controls {
        self.0.get(id).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{AuditId, all_ids};

    #[test]
    fn the_data_file_names_findings_that_exist_each_once() {
        let groups: Vec<Group> = serde_json::from_str(FILE).expect("the data file is JSON");
        let mut named: Vec<&String> = groups.iter().flat_map(|group| &group.findings).collect();
        let count = named.len();
        named.sort();
        named.dedup();
        assert_eq!(named.len(), count);
        for id in named {
            assert!(all_ids().any(|known| known == id), "{id}");
        }
        assert!(
            groups
                .iter()
                .all(|group| group.controls.values().all(|all| !all.is_empty()))
        );
    }

    /// What is about keys and data has controls; what is about the audit itself has none.
    #[test]
    fn every_finding_about_keys_and_data_has_controls() {
        let map = ControlMap::read();
        let about_the_audit = [
            AuditId::SubscriptionNotVisible,
            AuditId::MetastoreWithoutWorkspace,
            AuditId::ScopeMatchesNothing,
            AuditId::ExceptionExpired,
            AuditId::ExceptionUnused,
        ];
        for id in AuditId::ALL {
            assert_eq!(
                map.of(id.name()).is_empty(),
                about_the_audit.contains(id),
                "{id}"
            );
        }
        let all = map.of("workspace-data-uncovered");
        assert_eq!(all.get("NIST 800-53").map(Vec::len), Some(2));
    }
}
