//! The documentation, the data source and the impact of a revocation say the same of each kind of data, on each cloud.

use std::collections::BTreeMap;

use super::super::data_sources::workspace_encryption::{Data, rows};
use super::super::kill_switch::{left_open, stopping};
use super::*;
use crate::vocabulary::Cloud;
use tfplugin::bridge::Attr;

const CLOUDS: [Cloud; 3] = [Cloud::Aws, Cloud::Gcp, Cloud::Azure];
const PAGE: &str = include_str!("../../../docs/guides/what-is-encrypted.md");

/// The rows of the first table below a line.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let after = PAGE.split_once(&format!("\n{heading}\n"));
    let lines = after.map_or("", |(_, after)| after).lines();
    let lines = lines.skip_while(|line| !line.starts_with("|---"));
    let lines = lines.skip(1).take_while(|line| line.starts_with('|'));
    lines
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

/// Every workspace that there can be, with what is not known of it.
fn workspaces() -> Vec<WorkspaceKeys> {
    let mut all = vec![WorkspaceKeys::default()];
    let bools = [false, true];
    let facts = [Some(false), Some(true), None];
    let mut each = |change: &dyn Fn(WorkspaceKeys) -> Vec<WorkspaceKeys>| {
        all = all.iter().copied().flat_map(change).collect();
    };
    each(&|one| {
        bools
            .map(|managed_services| WorkspaceKeys {
                managed_services,
                ..one
            })
            .to_vec()
    });
    each(&|one| {
        bools
            .map(|storage| WorkspaceKeys { storage, ..one })
            .to_vec()
    });
    each(&|one| {
        bools
            .map(|managed_disks| WorkspaceKeys {
                managed_disks,
                ..one
            })
            .to_vec()
    });
    each(&|one| {
        facts
            .map(|cluster_volumes| WorkspaceKeys {
                cluster_volumes,
                ..one
            })
            .to_vec()
    });
    each(&|one| {
        facts
            .map(|default_storage| WorkspaceKeys {
                default_storage,
                ..one
            })
            .to_vec()
    });
    each(&|one| {
        facts
            .map(|serverless_only| WorkspaceKeys {
                serverless_only,
                ..one
            })
            .to_vec()
    });
    all
}

fn data_of(cloud: &Cloud, keys: WorkspaceKeys) -> Vec<Data> {
    let key = |case: UseCase| (Attr::Null, Attr::Known(case.name().to_owned()));
    let Attr::Known(rows) = rows(cloud, keys, key) else {
        return Vec::new();
    };
    let rows = rows.into_iter();
    rows.filter_map(|row| row.known().cloned()).collect()
}

fn word(attribute: &Attr<String>) -> Option<&str> {
    attribute.known().map(String::as_str)
}

/// What the page allows a row of the data source to say, by its column "Key": the words, and the use cases.
fn allowed(key: &str) -> (&'static [Option<&'static str>], &'static [&'static str]) {
    let whole: &[Option<&str>] = &[Some("yes"), Some("no"), Some("not_known"), None];
    let part: &[Option<&str>] = &[Some("partly"), Some("no")];
    match key {
        "managed services" => (whole, &["MANAGED_SERVICES"]),
        "managed services, in part" => (part, &["MANAGED_SERVICES"]),
        // The managed services key, where the storage is Databricks' own.
        "storage" => (whole, &["STORAGE", "MANAGED_SERVICES"]),
        "storage, with `reuse_key_for_cluster_volumes`" => (whole, &["STORAGE"]),
        "managed disks" => (whole, &["MANAGED_DISKS"]),
        "**none**" => (&[Some("no"), Some("not_known"), None], &[]),
        "**key of the catalog**" | "**key of its storage**" | "**not known**" => {
            (&[Some("not_known")], &[])
        }
        _ => (&[], &[]),
    }
}

#[test]
fn docs_data_source_and_impact_have_the_same_rows() {
    for cloud in &CLOUDS {
        let page = table(&format!("## On {}", cloud.in_words()));
        let before = table(&format!("On {}:", cloud.in_words()));
        let before: BTreeMap<&str, (&str, &str)> = before
            .iter()
            .filter_map(|row| match row.as_slice() {
                [kinds, word, how] => Some((*kinds, (*word, *how))),
                _ => None,
            })
            .flat_map(|(kinds, said)| kinds.split(", ").map(move |kind| (kind, said)))
            .collect();
        assert!(
            page.len() > 30 && before.len() > 20,
            "{cloud}: {}",
            page.len()
        );
        for keys in workspaces() {
            let data = data_of(cloud, keys);
            let stop = stopping(cloud, keys);
            assert_eq!(data.len(), page.len(), "{cloud}");
            for (row, data) in page.iter().zip(&data) {
                let [kind, place, key, _, source] = row.as_slice() else {
                    panic!("{cloud}: {row:?} does not have five cells");
                };
                let says = format!("{cloud}: {kind}: {keys:?}");
                assert_eq!(word(&data.kind), Some(*kind), "{says}");
                let link = word(&data.source).map(|link| format!("[page]({link})"));
                assert_eq!(link.as_deref(), Some(*source), "{says}");
                assert!(data.why.known().is_some(), "{says}");
                let covered = word(&data.covered);
                let by = word(&data.covered_by);
                let (words, cases) = allowed(key);
                assert!(words.contains(&covered), "{says}: {covered:?}");
                assert!(by.is_none_or(|by| cases.contains(&by)), "{says}: {by:?}");
                assert_eq!(word(&data.key), by, "{says}");
                let is_covered = matches!(covered, Some("yes" | "partly"));
                assert_eq!(
                    stop.data_that_stops.iter().any(|one| one == kind),
                    is_covered,
                    "{says}"
                );
                let is_open = stop.not_known.iter().any(|one| one.name == *kind);
                assert!(!is_open || covered == Some("not_known"), "{says}");
                if keys.default_storage == Some(false) {
                    assert_eq!(word(&data.place), Some(*place), "{says}");
                    let existing = word(&data.existing_data).map(|word| word.replace('_', " "));
                    let existing = existing.as_deref().zip(word(&data.existing_data_how));
                    assert_eq!(existing, before.get(kind).copied(), "{says}");
                }
                let is_known = keys.default_storage.is_some() && keys.serverless_only.is_some();
                if is_known && keys.cluster_volumes.is_some() {
                    assert_eq!(is_open, covered == Some("not_known"), "{says}");
                }
            }
        }
    }
}

/// The impact lists what the provider does not know about the users of a key.
#[test]
fn what_is_not_known_is_among_what_is_not_visible() {
    let managed = WorkspaceKeys {
        managed_services: true,
        ..WorkspaceKeys::classic()
    };
    let unknown = WorkspaceKeys {
        default_storage: None,
        ..managed
    };
    for cloud in &CLOUDS {
        let lines = |keys| {
            let workspaces = [stopping(cloud, keys), stopping(cloud, keys)];
            let open = left_open(cloud, &workspaces).into_iter();
            open.map(|one| one.what).collect::<Vec<_>>()
        };
        let said = lines(managed);
        assert_eq!(said.len(), 2, "{cloud}: {said:?}");
        assert!(
            said.iter().any(|one| one.contains("DBFS mounts")),
            "{said:?}"
        );
        let silent = "model serving images and disks, Delta Sharing, Databricks Apps, Genie";
        assert!(said.iter().any(|one| one == silent), "{said:?}");
        // What a serverless workspace has is known, but for the key of its catalog.
        let serverless = WorkspaceKeys {
            managed_services: true,
            ..WorkspaceKeys::serverless()
        };
        let said = lines(serverless);
        assert_eq!(said.len(), 2, "{cloud}: {said:?}");
        let said = lines(unknown);
        assert!(
            said.iter().any(|one| one.starts_with("DBFS root, ")),
            "{said:?}"
        );
        // Without a user only other storage can have the key.
        assert_eq!(left_open(cloud, &[]).len(), 1);
    }
}

/// Each row: the fields of a workspace, and whether it has default storage and serverless compute alone.
#[test]
fn what_a_workspace_does_not_show_is_not_known() -> Result<(), Box<dyn std::error::Error>> {
    let rows = [
        (r#""compute_mode": "HYBRID""#, Some(false), Some(false)),
        (r#""compute_mode": "SERVERLESS""#, Some(true), Some(true)),
        (
            r#""compute_mode": "HYBRID", "storage_mode": "DEFAULT_STORAGE""#,
            Some(true),
            Some(false),
        ),
        (r#""storage_mode": "DEFAULT_STORAGE""#, Some(true), None),
        (r#""credentials_id": "c""#, Some(false), Some(false)),
        (
            r#""compute_mode": "QUANTUM", "credentials_id": "c""#,
            None,
            None,
        ),
        (
            r#""storage_mode": "TAPE", "compute_mode": "HYBRID""#,
            None,
            Some(false),
        ),
        (r#""workspace_name": "w""#, None, None),
    ];
    for (fields, default_storage, serverless_only) in rows {
        let json = format!(r#"{{"workspace_id": 1, "cloud": "aws", {fields}}}"#);
        let workspace: Workspace = serde_json::from_str(&json)?;
        let keys = keys_of(&workspace, true, StorageKey::NotListed);
        assert_eq!(
            (
                keys.default_storage,
                keys.serverless_only,
                keys.cluster_volumes
            ),
            (default_storage, serverless_only, None),
            "{fields}"
        );
        assert!(keys.managed_services && keys.storage, "{fields}");
    }
    Ok(())
}
