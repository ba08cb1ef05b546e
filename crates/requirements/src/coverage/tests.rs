use std::collections::BTreeSet;

use super::*;
use crate::kinds;
use vocabulary::Cloud;

const CLOUDS: [Cloud; 3] = [Cloud::Aws, Cloud::Gcp, Cloud::Azure];

fn managed() -> WorkspaceKeys {
    WorkspaceKeys {
        managed_services: true,
        ..WorkspaceKeys::classic()
    }
}

fn both() -> WorkspaceKeys {
    WorkspaceKeys {
        storage: true,
        cluster_volumes: Some(true),
        ..managed()
    }
}

fn answer(cloud: &Cloud, name: &str, keys: WorkspaceKeys) -> Option<Coverage> {
    let kind = kinds(cloud).iter().find(|kind| kind.name == name)?;
    Some(kind.in_workspace(keys))
}

fn covered(cloud: &Cloud, name: &str, keys: WorkspaceKeys) -> Option<&'static str> {
    answer(cloud, name, keys).map(|answer| answer.covered.word())
}

fn count(cloud: &Cloud, keys: WorkspaceKeys, case: UseCase) -> usize {
    let all = kinds(cloud).iter();
    all.filter(|kind| kind.in_workspace(keys).by == Some(case))
        .count()
}

#[test]
fn each_row_has_its_own_kind_and_a_page_of_the_vendor() {
    for cloud in &CLOUDS {
        let page = match cloud {
            Cloud::Aws => "https://docs.databricks.com/aws/en/",
            Cloud::Gcp => "https://docs.databricks.com/gcp/en/",
            _ => "https://learn.microsoft.com/azure/databricks/",
        };
        let mut names = BTreeSet::new();
        for kind in kinds(cloud) {
            assert!(names.insert(kind.name), "{cloud}: two rows `{}`", kind.name);
            assert!(
                kind.source
                    .strip_prefix(page)
                    .is_some_and(|rest| !rest.is_empty()),
                "{cloud}: {}: {}",
                kind.name,
                kind.source
            );
            // Names stand in lists, and cells of tables.
            assert!(!kind.name.contains([',', '|']), "{}", kind.name);
            assert!(!kind.place.is_empty(), "{}", kind.name);
        }
    }
}

/// What every cloud has in common stands in each table, in the same order, and is covered by the same.
#[test]
fn a_kind_that_every_cloud_has_is_the_same_on_each() {
    let [aws, gcp, azure] = CLOUDS.each_ref().map(kinds);
    for kind in aws {
        for others in [gcp, azure] {
            let Some(other) = others.iter().find(|other| other.name == kind.name) else {
                let is_own = kind.name.contains("EBS") || kind.name.contains("buckets");
                assert!(is_own, "{} is only on AWS", kind.name);
                continue;
            };
            assert_eq!(
                std::mem::discriminant(&other.cover),
                std::mem::discriminant(&kind.cover),
                "{}",
                kind.name
            );
            assert_eq!((other.only, other.classic), (kind.only, kind.classic));
        }
    }
}

#[test]
fn a_workspace_without_keys_has_nothing_covered() {
    for cloud in &CLOUDS {
        for keys in [
            WorkspaceKeys::classic(),
            WorkspaceKeys::serverless(),
            WorkspaceKeys::default(),
        ] {
            for kind in kinds(cloud) {
                let answer = kind.in_workspace(keys);
                let is_covered = matches!(answer.covered, Covered::Yes | Covered::Partly);
                assert!(!is_covered && answer.by.is_none(), "{cloud}: {}", kind.name);
                assert!(!answer.why.is_empty(), "{cloud}: {}", kind.name);
            }
        }
    }
}

/// Each row: a cloud, the keys of a workspace, and what some kinds of data are.
#[test]
fn each_key_covers_its_own() {
    let (aws, gcp, azure) = (Cloud::Aws, Cloud::Gcp, Cloud::Azure);
    let storage = WorkspaceKeys {
        storage: true,
        ..WorkspaceKeys::classic()
    };
    let serverless = WorkspaceKeys {
        managed_services: true,
        ..WorkspaceKeys::serverless()
    };
    let disks = WorkspaceKeys {
        managed_disks: true,
        ..WorkspaceKeys::classic()
    };
    let rows = [
        (&aws, managed(), "notebooks", "yes"),
        (&aws, managed(), "DBFS root", "no"),
        (
            &aws,
            managed(),
            "interactive notebook results in the control plane",
            "yes",
        ),
        (
            &aws,
            managed(),
            "interactive notebook results in the workspace storage",
            "no",
        ),
        (
            &aws,
            storage,
            "interactive notebook results in the control plane",
            "no",
        ),
        (
            &aws,
            storage,
            "interactive notebook results in the workspace storage",
            "yes",
        ),
        (&aws, storage, "EBS volumes of classic compute", "no"),
        (&aws, both(), "EBS volumes of classic compute", "yes"),
        (&aws, both(), "local disks of classic compute", "no"),
        (&aws, both(), "disks of serverless compute", "no"),
        (&aws, both(), "/databricks-datasets", "no"),
        (&aws, both(), "workspace catalog of Unity Catalog", "yes"),
        (
            &aws,
            both(),
            "Hive metastore tables in the DBFS root",
            "yes",
        ),
        (&aws, both(), "Unity Catalog secrets", "not_known"),
        (
            &aws,
            both(),
            "Unity Catalog tables in other buckets",
            "not_known",
        ),
        (&aws, serverless, "DBFS root", "yes"),
        (
            &aws,
            serverless,
            "workspace catalog of Unity Catalog",
            "not_known",
        ),
        (
            &aws,
            serverless,
            "EBS volumes of classic compute",
            "not_offered",
        ),
        (
            &aws,
            serverless,
            "local disks of classic compute",
            "not_offered",
        ),
        (&gcp, storage, "persistent disks of classic compute", "yes"),
        (&gcp, managed(), "persistent disks of classic compute", "no"),
        (
            &gcp,
            serverless,
            "persistent disks of classic compute",
            "not_offered",
        ),
        (&azure, storage, "DBFS root", "yes"),
        (&azure, storage, "data disks of classic compute", "no"),
        (&azure, disks, "data disks of classic compute", "yes"),
        (
            &azure,
            disks,
            "operating system disks of classic compute",
            "no",
        ),
        (&azure, serverless, "DBFS root", "yes"),
    ];
    for (cloud, keys, name, wanted) in rows {
        assert_eq!(covered(cloud, name, keys), Some(wanted), "{cloud}: {name}");
    }
    for cloud in &CLOUDS {
        assert_eq!(
            count(cloud, managed(), UseCase::ManagedServices),
            9,
            "{cloud}"
        );
        assert_eq!(count(cloud, managed(), UseCase::Storage), 0, "{cloud}");
        assert_eq!(
            count(cloud, disks, UseCase::ManagedDisks),
            usize::from(*cloud == azure)
        );
    }
}

/// What has a date is in part at most, whatever keys there are.
#[test]
fn a_row_with_a_date_is_partly_covered_at_most() {
    for cloud in &CLOUDS {
        for (name, date) in [
            ("dashboards", "2024-11-01"),
            ("Lakebase projects", "2026-04-20"),
            ("online feature stores", "2026-03-23"),
        ] {
            let answer = answer(cloud, name, both());
            let answer = answer.map(|one| (one.covered, one.by, one.why.contains(date)));
            let wanted = (Covered::Partly, Some(UseCase::ManagedServices), true);
            assert_eq!(answer, Some(wanted), "{cloud}: {name}");
            assert_eq!(covered(cloud, name, WorkspaceKeys::classic()), Some("no"));
        }
        for kind in kinds(cloud) {
            let has_date = kind.only.is_some_and(|only| only.contains("20"));
            assert_eq!(has_date, kind.only.is_some(), "{}", kind.name);
        }
    }
}

/// Where the vendor says nothing, the answer is "not known", never "no".
#[test]
fn what_no_vendor_says_is_not_known() {
    let all = WorkspaceKeys {
        managed_disks: true,
        ..both()
    };
    for cloud in &CLOUDS {
        for name in [
            "model serving images and disks",
            "Delta Sharing",
            "Databricks Apps",
            "Genie",
        ] {
            for keys in [all, WorkspaceKeys::classic(), WorkspaceKeys::serverless()] {
                assert_eq!(
                    covered(cloud, name, keys),
                    Some("not_known"),
                    "{cloud}: {name}"
                );
            }
        }
    }
}

/// Each row: what is not known of a workspace, a kind of data, and the answer.
#[test]
fn what_depends_on_something_unknown_is_not_known() {
    let aws = Cloud::Aws;
    let no_mode = WorkspaceKeys {
        default_storage: None,
        serverless_only: None,
        ..both()
    };
    let no_configuration = WorkspaceKeys {
        cluster_volumes: None,
        ..both()
    };
    let no_storage = WorkspaceKeys {
        storage: false,
        cluster_volumes: Some(false),
        ..no_mode
    };
    let rows = [
        (no_mode, "notebooks", "yes", Some(UseCase::ManagedServices)),
        // One of the two keys covers it, whichever storage it is.
        (no_mode, "DBFS root", "yes", None),
        (no_storage, "DBFS root", "not_known", None),
        (no_mode, "EBS volumes of classic compute", "not_known", None),
        (
            no_configuration,
            "EBS volumes of classic compute",
            "not_known",
            None,
        ),
        (no_configuration, "DBFS root", "yes", Some(UseCase::Storage)),
        (no_mode, "disks of serverless compute", "no", None),
    ];
    for (keys, name, wanted, by) in rows {
        let answer = answer(&aws, name, keys).map(|one| (one.covered.word(), one.by));
        assert_eq!(answer, Some((wanted, by)), "{name}");
    }
    let why = answer(&aws, "EBS volumes of classic compute", no_configuration);
    assert!(why.is_some_and(|one| one.why.contains("does not list")));
}

/// What a key of a workspace covers says how data from before gets under it, and nothing else does.
#[test]
fn data_from_before_the_key_is_accounted_for() {
    for cloud in &CLOUDS {
        for kind in kinds(cloud) {
            let is_said = kind.existing.word().is_some() && !kind.existing.how().is_empty();
            assert_eq!(
                is_said,
                kind.cover.is_of_workspace(),
                "{cloud}: {}",
                kind.name
            );
        }
        let word = |name: &str, keys: WorkspaceKeys| {
            let kind = kinds(cloud).iter().find(|kind| kind.name == name);
            kind.and_then(|kind| kind.existing_in(keys).word())
        };
        let classic = WorkspaceKeys::classic();
        assert_eq!(word("notebooks", classic), Some("save_again"));
        assert_eq!(word("Lakebase projects", classic), Some("never"));
        let stored = match cloud {
            Cloud::Azure => "at_once",
            _ => "copy_in_place",
        };
        assert_eq!(word("DBFS root", classic), Some(stored), "{cloud}");
        assert_eq!(
            word("DBFS root", WorkspaceKeys::serverless()),
            Some("save_again")
        );
        assert_eq!(word("Genie", classic), None);
    }
}

#[test]
fn nobody_reads_the_words_of_another_cloud() {
    for cloud in &CLOUDS {
        for kind in kinds(cloud) {
            let keys = [WorkspaceKeys::classic(), WorkspaceKeys::default(), both()];
            let answers = keys.map(|keys| kind.in_workspace(keys));
            let said = answers
                .iter()
                .flat_map(|one| [one.why, one.instead.unwrap_or_default()]);
            let own = [kind.name, kind.place, kind.note, kind.existing.how()];
            for text in said.chain(own) {
                let foreign = vocabulary::words::foreign(cloud, text);
                assert!(
                    foreign.is_empty(),
                    "{cloud}: {}: {foreign:?} in: {text}",
                    kind.name
                );
            }
        }
    }
}
