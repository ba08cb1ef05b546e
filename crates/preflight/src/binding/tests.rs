//! What a workspace and a key configuration say against an attach, row by row.

use super::*;

const NUMBER: u64 = 1_234_567_890_123_456;

fn id(text: &str) -> Result<KeyConfigurationId, vocabulary::IdError> {
    text.parse()
}

fn first() -> Result<KeyConfigurationId, vocabulary::IdError> {
    id("c1000000-0000-4000-8000-000000000001")
}

/// A workspace against which nothing speaks.
fn good() -> WorkspaceFacts {
    WorkspaceFacts {
        id: WorkspaceId::from(NUMBER),
        name: "lakehouse".to_owned(),
        status: WorkspaceStatus::Running,
        status_message: String::new(),
        region: Some("eu-central-1".to_owned()),
        pricing_tier: Some(Tier::Enterprise),
        cloud: Some(Cloud::Aws),
        serverless_only: false,
        own_storage: WorkspaceStorage::Customer,
        managed_services: AttachedKey::None,
        storage: AttachedKey::None,
    }
}

type Row<'a> = (&'a str, WorkspaceFacts, UseCase, &'a [(Id, Severity)]);

#[test]
fn what_a_workspace_says_against_an_attach() -> Result<(), Box<dyn std::error::Error>> {
    use Severity::{Error, Warning};
    use UseCase::{ManagedServices, Storage};
    let other = id("c2000000-0000-4000-8000-000000000002")?;
    let with = |change: &dyn Fn(&mut WorkspaceFacts)| {
        let mut facts = good();
        change(&mut facts);
        facts
    };
    let tier = |tier: Option<Tier>| with(&|facts| facts.pricing_tier = tier.clone());
    let cloud = |cloud: Option<Cloud>| with(&|facts| facts.cloud = cloud.clone());
    let storage = |own: WorkspaceStorage| with(&|facts| facts.own_storage = own.clone());
    let unreadable = AttachedKey::Unreadable("?".to_owned());
    let rows: &[Row<'_>] = &[
        ("good", good(), Storage, &[]),
        (
            "no tier",
            tier(None),
            Storage,
            &[(Id::WorkspaceTierUnknown, Warning)],
        ),
        (
            "the word UNKNOWN",
            tier(Some(Tier::from("UNKNOWN"))),
            ManagedServices,
            &[(Id::WorkspaceTierUnknown, Warning)],
        ),
        (
            "a null tier",
            tier(Some(Tier::default())),
            Storage,
            &[(Id::WorkspaceTierUnknown, Warning)],
        ),
        (
            "a lower tier",
            tier(Some(Tier::Premium)),
            Storage,
            &[(Id::WorkspaceTier, Error)],
        ),
        (
            "no cloud",
            cloud(None),
            Storage,
            &[(Id::WorkspaceCloud, Error)],
        ),
        (
            "a new cloud",
            cloud(Some(Cloud::from("moon"))),
            ManagedServices,
            &[(Id::WorkspaceCloud, Error)],
        ),
        ("Google Cloud", cloud(Some(Cloud::Gcp)), Storage, &[]),
        (
            "default storage",
            storage(WorkspaceStorage::Databricks),
            Storage,
            &[(Id::WorkspaceDefaultStorage, Error)],
        ),
        (
            "default storage, other use",
            storage(WorkspaceStorage::Databricks),
            ManagedServices,
            &[],
        ),
        (
            "storage not known",
            storage(WorkspaceStorage::Unknown("new".to_owned())),
            Storage,
            &[(Id::WorkspaceStorageUnknown, Error)],
        ),
        (
            "storage not known, other use",
            storage(WorkspaceStorage::Unknown("new".to_owned())),
            ManagedServices,
            &[],
        ),
        (
            "a storage key",
            with(&|facts| facts.storage = AttachedKey::Known(other.clone())),
            Storage,
            &[(Id::StorageKeyAlreadySet, Error)],
        ),
        (
            "a managed services key",
            with(&|facts| facts.managed_services = AttachedKey::Known(other.clone())),
            ManagedServices,
            &[],
        ),
        (
            "an unreadable key",
            with(&|facts| facts.storage = unreadable.clone()),
            Storage,
            &[(Id::WorkspaceKeyUnreadable, Error)],
        ),
        (
            "a failed workspace",
            with(&|facts| facts.status = WorkspaceStatus::Failed),
            Storage,
            &[(Id::WorkspaceStatus, Error)],
        ),
        (
            "a new status",
            with(&|facts| facts.status = WorkspaceStatus::from("ASLEEP")),
            Storage,
            &[(Id::WorkspaceStatus, Error)],
        ),
        (
            "on its way",
            with(&|facts| facts.status = WorkspaceStatus::Provisioning),
            Storage,
            &[],
        ),
    ];
    for (what, facts, use_case, expected) in rows {
        let wanted = first()?;
        let found = judge_workspace(facts, *use_case, Some(&wanted), Stage::Apply);
        let found: Vec<(Id, Severity)> = found.iter().map(|one| (one.id, one.severity)).collect();
        assert_eq!(found, *expected, "{what}");
    }
    Ok(())
}

/// Nothing happens at plan, so what is not known is a warning there.
#[test]
fn what_is_not_known_of_the_storage_stops_only_an_apply() -> Result<(), Box<dyn std::error::Error>>
{
    let facts = WorkspaceFacts {
        own_storage: WorkspaceStorage::Unknown("`compute_mode` is `EDGE`".to_owned()),
        ..good()
    };
    for (stage, severity) in [
        (Stage::Plan, Severity::Warning),
        (Stage::Apply, Severity::Error),
    ] {
        let found = judge_workspace(&facts, UseCase::Storage, Some(&first()?), stage);
        assert!(
            matches!(found.as_slice(), [one] if one.severity == severity && one.found.contains("`EDGE`")),
            "{found:?}"
        );
    }
    Ok(())
}

#[test]
fn what_a_configuration_says_against_an_attach() -> Result<(), Box<dyn std::error::Error>> {
    let key: vocabulary::aws::KeyArn =
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab".parse()?;
    let google: vocabulary::gcp::CryptoKeyName =
        "projects/p/locations/us-east4/keyRings/r/cryptoKeys/k".parse()?;
    let known = |key: Key, location: &str| ConfigurationKey::Known {
        key,
        location: location.to_owned(),
    };
    let both = ["MANAGED_SERVICES", "STORAGE"];
    let rows: [(ConfigurationKey, &[&str], &[Id]); 8] = [
        (known(key.clone().into(), "eu-central-1"), &both, &[]),
        (
            known(key.clone().into(), "us-east-1"),
            &both,
            &[Id::KmsKeyRegion],
        ),
        (
            known(google.into(), "us-east4"),
            &both,
            &[Id::WorkspaceCloud],
        ),
        (
            ConfigurationKey::Elsewhere(Cloud::Azure, "k".to_owned()),
            &both,
            &[Id::WorkspaceCloud],
        ),
        (
            ConfigurationKey::Unreadable("?".to_owned()),
            &both,
            &[Id::KeyConfigurationUnreadable],
        ),
        (
            ConfigurationKey::Missing,
            &both,
            &[Id::KeyConfigurationUnreadable],
        ),
        (
            known(key.clone().into(), "eu-central-1"),
            &["MANAGED_SERVICES"],
            &[Id::KeyConfigurationUseCase],
        ),
        (
            known(key.into(), "eu-central-1"),
            &[],
            &[Id::KeyConfigurationUseCase],
        ),
    ];
    let id = first()?;
    for (key, use_cases, expected) in rows {
        let configuration = ConfigurationFacts {
            id: id.clone(),
            use_cases: use_cases.iter().map(|case| (*case).to_owned()).collect(),
            key: key.clone(),
        };
        let attach = Attachment {
            case: UseCase::Storage,
            id: &id,
            configuration: Some(&configuration),
        };
        let found = judge(&good(), &attach, Stage::Plan);
        let found: Vec<Id> = found.iter().map(|one| one.id).collect();
        assert_eq!(found, *expected, "{key:?} {use_cases:?}");
    }
    let attach = Attachment {
        case: UseCase::Storage,
        id: &id,
        configuration: None,
    };
    let found = judge(&good(), &attach, Stage::Plan);
    assert!(matches!(found.as_slice(), [one] if one.id == Id::KeyConfigurationNotFound));
    Ok(())
}

const SAME: &str = "c1000000-0000-4000-8000-000000000001";
const OTHER: &str = "c2000000-0000-4000-8000-000000000002";

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// The clouds whose keys the account API attaches.
const ACCOUNT_CLOUDS: [Cloud; 2] = [Cloud::Aws, Cloud::Gcp];

fn region_of(cloud: &Cloud) -> &'static str {
    match cloud {
        Cloud::Gcp => "us-east4",
        Cloud::Azure => "westeurope",
        _ => "eu-central-1",
    }
}

fn key_of(cloud: &Cloud) -> Result<Key, Box<dyn std::error::Error>> {
    Ok(match cloud {
        Cloud::Gcp => "projects/p/locations/us-east4/keyRings/r/cryptoKeys/k"
            .parse::<vocabulary::gcp::CryptoKeyName>()?
            .into(),
        Cloud::Azure => "https://v.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef"
            .parse::<vocabulary::azure::VaultKeyId>()?
            .into(),
        _ => "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
            .parse::<vocabulary::aws::KeyArn>()?
            .into(),
    })
}

/// A workspace of a cloud against which nothing speaks.
fn good_on(cloud: &Cloud) -> WorkspaceFacts {
    WorkspaceFacts {
        region: Some(region_of(cloud).to_owned()),
        cloud: Some(cloud.clone()),
        ..good()
    }
}

/// A key configuration of a cloud against which nothing speaks.
fn configuration_on(cloud: &Cloud) -> Result<ConfigurationFacts, Box<dyn std::error::Error>> {
    Ok(ConfigurationFacts {
        id: id(SAME)?,
        use_cases: vec!["MANAGED_SERVICES".to_owned(), "STORAGE".to_owned()],
        key: ConfigurationKey::Known {
            key: key_of(cloud)?,
            location: region_of(cloud).to_owned(),
        },
    })
}

/// What a person reads.
fn read(finding: &Finding) -> String {
    format!(
        "{:?} {}: {}\n\n{}\n\n{}\n\n{}\n",
        finding.severity,
        finding.id,
        finding.summary,
        finding.found,
        finding.why,
        finding.remedy.text(|hint| Some(format!("<{hint:?}>")))
    )
}

/// One reason against an attach, and all findings that the proof must give for it at plan, each with a piece of
/// its text.
struct Case {
    name: &'static str,
    case: UseCase,
    workspace: fn(&mut WorkspaceFacts),
    configuration: fn(&mut ConfigurationFacts),
    found: &'static [(Id, Severity, Subject, &'static str)],
}

impl Case {
    const GOOD: Self = Self {
        name: "good",
        case: UseCase::Storage,
        workspace: |_| {},
        configuration: |_| {},
        found: &[],
    };
}

/// Each row holds on AWS and on Google Cloud alike, only the words differ.
const CASES: &[Case] = &[
    Case::GOOD,
    Case {
        name: "managed services",
        case: UseCase::ManagedServices,
        ..Case::GOOD
    },
    Case {
        name: "the wanted storage key is there already",
        workspace: |facts| facts.storage = AttachedKey::of(Some(SAME)),
        ..Case::GOOD
    },
    Case {
        name: "another storage key is there",
        workspace: |facts| facts.storage = AttachedKey::of(Some(OTHER)),
        found: &[(
            Id::StorageKeyAlreadySet,
            Severity::Error,
            Subject::StorageConfiguration,
            "has the storage key configuration c2000000-0000-4000-8000-000000000002; this plan sets c1",
        )],
        ..Case::GOOD
    },
    Case {
        name: "another managed services key is there, which can be replaced",
        case: UseCase::ManagedServices,
        workspace: |facts| facts.managed_services = AttachedKey::of(Some(OTHER)),
        ..Case::GOOD
    },
    Case {
        name: "a storage key says nothing about managed services",
        case: UseCase::ManagedServices,
        workspace: |facts| facts.storage = AttachedKey::of(Some("?")),
        ..Case::GOOD
    },
    Case {
        name: "something unreadable in the place of the managed services key",
        case: UseCase::ManagedServices,
        workspace: |facts| facts.managed_services = AttachedKey::of(Some("acct/c1")),
        found: &[(
            Id::WorkspaceKeyUnreadable,
            Severity::Error,
            Subject::ManagedServicesConfiguration,
            "shows `acct/c1` as its key configuration for managed services",
        )],
        ..Case::GOOD
    },
    Case {
        name: "a key for disks, which only the other cloud has",
        case: UseCase::ManagedDisks,
        configuration: |facts| facts.use_cases = vec!["MANAGED_DISKS".to_owned()],
        found: &[(
            Id::KeyConfigurationUseCase,
            Severity::Error,
            Subject::ManagedDisksConfiguration,
            "a workspace has no key of its own for managed disks",
        )],
        ..Case::GOOD
    },
    Case {
        name: "no region",
        workspace: |facts| facts.region = None,
        found: &[(
            Id::KmsKeyRegion,
            Severity::Error,
            Subject::StorageConfiguration,
            "does not show a region for the workspace",
        )],
        ..Case::GOOD
    },
    Case {
        name: "another region",
        case: UseCase::ManagedServices,
        workspace: |facts| facts.region = Some("elsewhere-1".to_owned()),
        found: &[(
            Id::KmsKeyRegion,
            Severity::Error,
            Subject::ManagedServicesConfiguration,
            "is in elsewhere-1; the key ",
        )],
        ..Case::GOOD
    },
    Case {
        name: "an empty region is another one",
        workspace: |facts| facts.region = Some(String::new()),
        found: &[(
            Id::KmsKeyRegion,
            Severity::Error,
            Subject::StorageConfiguration,
            "does not show a region",
        )],
        ..Case::GOOD
    },
    Case {
        name: "the region of a key that is everywhere is no region of the workspace",
        configuration: |facts| {
            if let ConfigurationKey::Known { location, .. } = &mut facts.key {
                *location = "global".to_owned();
            }
        },
        found: &[(
            Id::KmsKeyRegion,
            Severity::Error,
            Subject::StorageConfiguration,
            "is in global.",
        )],
        ..Case::GOOD
    },
    Case {
        name: "a key on Azure by its name alone",
        configuration: |facts| {
            facts.key = ConfigurationKey::Elsewhere(Cloud::Azure, "vault/k".to_owned());
        },
        found: &[(
            Id::WorkspaceCloud,
            Severity::Error,
            Subject::StorageConfiguration,
            "has the key `vault/k` of Azure, and the workspace",
        )],
        ..Case::GOOD
    },
    Case {
        name: "a key on a cloud of the future",
        configuration: |facts| {
            facts.key = ConfigurationKey::Elsewhere(Cloud::from("moon"), "k".to_owned());
        },
        found: &[(
            Id::WorkspaceCloud,
            Severity::Error,
            Subject::StorageConfiguration,
            "of moon, and the workspace",
        )],
        ..Case::GOOD
    },
    Case {
        name: "a key that cannot be read",
        configuration: |facts| {
            facts.key = ConfigurationKey::Unreadable("`x` is not a key".to_owned());
        },
        found: &[(
            Id::KeyConfigurationUnreadable,
            Severity::Error,
            Subject::StorageConfiguration,
            "The key configuration c1000000-0000-4000-8000-000000000001 has this key: `x` is not a key.",
        )],
        ..Case::GOOD
    },
    Case {
        name: "no key",
        case: UseCase::ManagedServices,
        configuration: |facts| facts.key = ConfigurationKey::Missing,
        found: &[(
            Id::KeyConfigurationUnreadable,
            Severity::Error,
            Subject::ManagedServicesConfiguration,
            "The key configuration c1000000-0000-4000-8000-000000000001 shows no key.",
        )],
        ..Case::GOOD
    },
    Case {
        name: "a configuration for the other use case",
        configuration: |facts| facts.use_cases = vec!["MANAGED_SERVICES".to_owned()],
        found: &[(
            Id::KeyConfigurationUseCase,
            Severity::Error,
            Subject::StorageConfiguration,
            "has the use case MANAGED_SERVICES; the plan attaches it for STORAGE.",
        )],
        ..Case::GOOD
    },
    Case {
        name: "a configuration for use cases that this version does not know",
        configuration: |facts| {
            facts.use_cases = vec!["A".to_owned(), "storage".to_owned(), "B".to_owned()];
        },
        found: &[(
            Id::KeyConfigurationUseCase,
            Severity::Error,
            Subject::StorageConfiguration,
            "has the use cases A, storage and B; the plan",
        )],
        ..Case::GOOD
    },
    Case {
        name: "a configuration for nothing",
        case: UseCase::ManagedServices,
        configuration: |facts| facts.use_cases = vec![],
        found: &[(
            Id::KeyConfigurationUseCase,
            Severity::Error,
            Subject::ManagedServicesConfiguration,
            "has no use case; the plan attaches it for MANAGED_SERVICES.",
        )],
        ..Case::GOOD
    },
    Case {
        name: "a tier without customer-managed keys",
        case: UseCase::ManagedServices,
        workspace: |facts| facts.pricing_tier = Some(Tier::Standard),
        found: &[(
            Id::WorkspaceTier,
            Severity::Error,
            Subject::Workspace,
            "has the tier STANDARD.",
        )],
        ..Case::GOOD
    },
    Case {
        name: "the edition of the community",
        workspace: |facts| facts.pricing_tier = Some(Tier::CommunityEdition),
        found: &[(
            Id::WorkspaceTier,
            Severity::Error,
            Subject::Workspace,
            "has the tier COMMUNITY_EDITION.",
        )],
        ..Case::GOOD
    },
    Case {
        name: "a dedicated tier has them",
        workspace: |facts| facts.pricing_tier = Some(Tier::Dedicated),
        ..Case::GOOD
    },
    Case {
        name: "a tier of the future may have them",
        workspace: |facts| facts.pricing_tier = Some(Tier::from("PLATINUM")),
        found: &[(
            Id::WorkspaceTierUnknown,
            Severity::Warning,
            Subject::Workspace,
            "has the tier `PLATINUM`, which this version does not know.",
        )],
        ..Case::GOOD
    },
    Case {
        name: "no tier",
        workspace: |facts| facts.pricing_tier = None,
        found: &[(
            Id::WorkspaceTierUnknown,
            Severity::Warning,
            Subject::Workspace,
            "shows no pricing tier",
        )],
        ..Case::GOOD
    },
    Case {
        name: "serverless compute alone has no storage for the key",
        workspace: |facts| {
            facts.own_storage = WorkspaceStorage::Databricks;
            facts.serverless_only = true;
        },
        found: &[(
            Id::WorkspaceDefaultStorage,
            Severity::Error,
            Subject::StorageConfiguration,
            "has only serverless compute: it has no workspace bucket",
        )],
        ..Case::GOOD
    },
    Case {
        name: "default storage has no storage for the key",
        workspace: |facts| facts.own_storage = WorkspaceStorage::Databricks,
        found: &[(
            Id::WorkspaceDefaultStorage,
            Severity::Error,
            Subject::StorageConfiguration,
            "keeps its data in default storage: it has no workspace bucket",
        )],
        ..Case::GOOD
    },
    Case {
        name: "default storage takes a managed services key",
        case: UseCase::ManagedServices,
        workspace: |facts| facts.own_storage = WorkspaceStorage::Databricks,
        ..Case::GOOD
    },
    Case {
        name: "storage that does not show is a warning at plan",
        workspace: |facts| facts.own_storage = WorkspaceStorage::Unknown("`x` is `y`".to_owned()),
        found: &[(
            Id::WorkspaceStorageUnknown,
            Severity::Warning,
            Subject::StorageConfiguration,
            "in your cloud account: `x` is `y`.",
        )],
        ..Case::GOOD
    },
    Case {
        name: "a workspace that waits",
        workspace: |facts| facts.status = WorkspaceStatus::NotProvisioned,
        ..Case::GOOD
    },
    Case {
        name: "a failed workspace, whose message ends with a period",
        workspace: |facts| {
            facts.status = WorkspaceStatus::Failed;
            facts.status_message = "The network is not valid.".to_owned();
        },
        found: &[(
            Id::WorkspaceStatus,
            Severity::Error,
            Subject::Workspace,
            "(\"lakehouse\") is FAILED: The network is not valid.",
        )],
        ..Case::GOOD
    },
    Case {
        name: "a workspace that is shut off",
        case: UseCase::ManagedServices,
        workspace: |facts| facts.status = WorkspaceStatus::Banned,
        found: &[(
            Id::WorkspaceStatus,
            Severity::Error,
            Subject::Workspace,
            "(\"lakehouse\") is BANNED.",
        )],
        ..Case::GOOD
    },
    Case {
        name: "a workspace that is being deleted",
        workspace: |facts| facts.status = WorkspaceStatus::Cancelling,
        found: &[(
            Id::WorkspaceStatus,
            Severity::Error,
            Subject::Workspace,
            "(\"lakehouse\") is CANCELLING.",
        )],
        ..Case::GOOD
    },
    Case {
        name: "a workspace that is deleted",
        workspace: |facts| facts.status = WorkspaceStatus::Cancelled,
        found: &[(
            Id::WorkspaceStatus,
            Severity::Error,
            Subject::Workspace,
            "(\"lakehouse\") is CANCELLED.",
        )],
        ..Case::GOOD
    },
    Case {
        name: "a workspace without a status",
        workspace: |facts| facts.status = WorkspaceStatus::default(),
        found: &[(
            Id::WorkspaceStatus,
            Severity::Error,
            Subject::Workspace,
            "The account shows no status for the workspace",
        )],
        ..Case::GOOD
    },
    Case {
        name: "everything at once is said in the order of a person's work",
        workspace: |facts| {
            facts.storage = AttachedKey::of(Some(OTHER));
            facts.own_storage = WorkspaceStorage::Databricks;
            facts.pricing_tier = Some(Tier::Premium);
            facts.status = WorkspaceStatus::Failed;
        },
        configuration: |facts| {
            facts.key = ConfigurationKey::Missing;
            facts.use_cases = vec![];
        },
        found: &[
            (
                Id::StorageKeyAlreadySet,
                Severity::Error,
                Subject::StorageConfiguration,
                "",
            ),
            (
                Id::WorkspaceDefaultStorage,
                Severity::Error,
                Subject::StorageConfiguration,
                "",
            ),
            (Id::WorkspaceTier, Severity::Error, Subject::Workspace, ""),
            (Id::WorkspaceStatus, Severity::Error, Subject::Workspace, ""),
            (
                Id::KeyConfigurationUnreadable,
                Severity::Error,
                Subject::StorageConfiguration,
                "",
            ),
            (
                Id::KeyConfigurationUseCase,
                Severity::Error,
                Subject::StorageConfiguration,
                "",
            ),
        ],
        ..Case::GOOD
    },
];

/// The two clouds differ in the name of one finding.
fn on(cloud: &Cloud, id: Id) -> Id {
    match (cloud, id) {
        (Cloud::Gcp, Id::KmsKeyRegion) => Id::GcpKeyRegion,
        (_, id) => id,
    }
}

#[test]
fn each_thing_that_speaks_against_an_attach_is_found_on_each_cloud() -> Outcome {
    for cloud in &ACCOUNT_CLOUDS {
        for row in CASES {
            let (mut workspace, mut configuration) = (good_on(cloud), configuration_on(cloud)?);
            (row.workspace)(&mut workspace);
            (row.configuration)(&mut configuration);
            let attach = Attachment {
                case: row.case,
                id: &id(SAME)?,
                configuration: Some(&configuration),
            };
            let name = format!("{cloud}: {}", row.name);
            for stage in [Stage::Plan, Stage::Apply] {
                let found = judge(&workspace, &attach, stage);
                let is_unread =
                    |id: Id| id.severity_rule() == super::super::SeverityRule::ErrorAtApply;
                let expected: Vec<_> = row
                    .found
                    .iter()
                    .map(|(id, severity, subject, _)| match stage {
                        Stage::Apply if is_unread(*id) => {
                            (on(cloud, *id), Severity::Error, *subject)
                        }
                        _ => (on(cloud, *id), *severity, *subject),
                    })
                    .collect();
                let seen: Vec<_> = found
                    .iter()
                    .map(|one| (one.id, one.severity, one.subject))
                    .collect();
                assert_eq!(seen, expected, "{name} at {stage:?}");
                for (finding, (_, _, _, words)) in found.iter().zip(row.found) {
                    assert!(finding.found.contains(words), "{name}: {}", finding.found);
                    assert_reads_well(cloud, &name, finding);
                }
            }
        }
    }
    Ok(())
}

/// Sentences, without the words of another cloud than those that are involved.
fn assert_reads_well(cloud: &Cloud, name: &str, finding: &Finding) {
    let text = read(finding);
    for wrong in ["..", " ;", "  is", "``", " ."] {
        let plain = text.replace("\n  ", "\n");
        assert!(!plain.contains(wrong), "{name}: `{wrong}` in {text}");
    }
    assert!(!finding.why.is_empty(), "{name}: {text}");
    assert_ne!(finding.remedy, Remedy::default(), "{name}: {text}");
    if finding.id != Id::WorkspaceCloud && finding.id != Id::KeyConfigurationUseCase {
        let foreign = vocabulary::words::foreign(cloud, &text);
        assert!(foreign.is_empty(), "{name}: {foreign:?} in {text}");
    }
}

/// Each row: the cloud of the workspace, that of the key, and what is found; everything else is good.
#[test]
fn a_workspace_takes_only_a_key_of_its_own_cloud() -> Outcome {
    let (aws, gcp, azure) = (Some(Cloud::Aws), Some(Cloud::Gcp), Some(Cloud::Azure));
    let moon = Some(Cloud::from("moon"));
    let of_key = (
        Subject::StorageConfiguration,
        "and the plan attaches the key `",
    );
    let of_workspace = (Subject::Workspace, "runs in the cloud `");
    let unknown = (Subject::Workspace, "does not show in which cloud");
    type Found = Option<(Subject, &'static str)>;
    let rows: [(&Option<Cloud>, Cloud, Found); 15] = [
        (&aws, Cloud::Aws, None),
        (&aws, Cloud::Gcp, Some(of_key)),
        (&aws, Cloud::Azure, Some(of_key)),
        (&gcp, Cloud::Aws, Some(of_key)),
        (&gcp, Cloud::Gcp, None),
        (&gcp, Cloud::Azure, Some(of_key)),
        (&azure, Cloud::Aws, Some(of_workspace)),
        (&azure, Cloud::Gcp, Some(of_workspace)),
        (&azure, Cloud::Azure, Some(of_workspace)),
        (&moon, Cloud::Aws, Some(of_workspace)),
        (&moon, Cloud::Gcp, Some(of_workspace)),
        (&moon, Cloud::Azure, Some(of_workspace)),
        (&None, Cloud::Aws, Some(unknown)),
        (&None, Cloud::Gcp, Some(unknown)),
        (&None, Cloud::Azure, Some(unknown)),
    ];
    for (of_workspace, of_key, expected) in rows {
        // The region is that of the key, so that the cloud alone is wrong.
        let workspace = WorkspaceFacts {
            cloud: of_workspace.clone(),
            ..good_on(&of_key)
        };
        let configuration = configuration_on(&of_key)?;
        let attach = Attachment {
            case: UseCase::Storage,
            id: &id(SAME)?,
            configuration: Some(&configuration),
        };
        let found = judge(&workspace, &attach, Stage::Plan);
        let name = format!("{of_workspace:?} {of_key}: {found:?}");
        match (found.as_slice(), expected) {
            ([], None) => {}
            ([one], Some((subject, words))) => {
                assert_eq!(
                    (one.id, one.severity),
                    (Id::WorkspaceCloud, Severity::Error),
                    "{name}"
                );
                assert_eq!(one.subject, subject, "{name}");
                assert!(one.found.contains(words), "{name}");
            }
            _ => panic!("{name}"),
        }
        // While the same plan creates the configuration, the key says the same as far as the cloud is known.
        let planned = judge_planned_key(&workspace, UseCase::Storage, &configuration.key);
        let is_of_key = expected.is_some_and(|(subject, _)| subject != Subject::Workspace);
        assert_eq!(planned.is_some(), is_of_key, "{name}");
    }
    Ok(())
}

/// A workspace whose cloud is not known has no storage key that could be compared, and gets no advice of another cloud.
#[test]
fn an_unknown_cloud_is_said_once_whatever_is_attached() -> Outcome {
    for cloud in [None, Some(Cloud::Azure), Some(Cloud::from("moon"))] {
        for case in UseCase::ALL {
            let workspace = WorkspaceFacts {
                cloud: cloud.clone(),
                storage: AttachedKey::of(Some(OTHER)),
                managed_services: AttachedKey::of(Some(OTHER)),
                ..good()
            };
            let found = judge_workspace(&workspace, case, Some(&id(SAME)?), Stage::Apply);
            assert!(
                matches!(found.as_slice(), [one] if one.id == Id::WorkspaceCloud),
                "{cloud:?} {case}: {found:?}"
            );
        }
    }
    Ok(())
}

/// Good facts are good in every combination, and one wrong fact is enough: Databricks must accept an attach without findings.
#[test]
fn nothing_is_said_exactly_where_everything_agrees() -> Outcome {
    let clouds = [Some(Cloud::Aws), Some(Cloud::Gcp), Some(Cloud::Azure), None];
    let keys = [
        ConfigurationKey::Missing,
        ConfigurationKey::Unreadable("?".to_owned()),
        ConfigurationKey::Elsewhere(Cloud::Azure, "k".to_owned()),
        configuration_on(&Cloud::Aws)?.key,
        configuration_on(&Cloud::Gcp)?.key,
        configuration_on(&Cloud::Azure)?.key,
    ];
    let attached = [None, Some(SAME), Some(OTHER), Some("?")].map(AttachedKey::of);
    let storages = [
        WorkspaceStorage::Customer,
        WorkspaceStorage::Databricks,
        WorkspaceStorage::Unknown("?".to_owned()),
    ];
    let regions = [None, Some("eu-central-1"), Some("us-east4")];
    let (mut silent, mut all) = (0, 0);
    for cloud in &clouds {
        for key in &keys {
            for own in &attached {
                for storage in &storages {
                    for region in regions {
                        for case in UseCase::ALL {
                            let workspace = WorkspaceFacts {
                                cloud: cloud.clone(),
                                region: region.map(str::to_owned),
                                own_storage: storage.clone(),
                                managed_services: own.clone(),
                                storage: own.clone(),
                                ..good()
                            };
                            let configuration = ConfigurationFacts {
                                id: id(SAME)?,
                                use_cases: UseCase::ALL.map(|case| case.to_string()).to_vec(),
                                key: key.clone(),
                            };
                            let attach = Attachment {
                                case,
                                id: &id(SAME)?,
                                configuration: Some(&configuration),
                            };
                            let found = judge(&workspace, &attach, Stage::Apply);
                            let key_fits = matches!(key, ConfigurationKey::Known { key, location }
                                if Some(key.cloud()) == cloud.as_ref() && Some(location.as_str()) == region);
                            let takes_it = match case {
                                UseCase::ManagedServices => *own != AttachedKey::of(Some("?")),
                                UseCase::Storage => {
                                    *storage == WorkspaceStorage::Customer
                                        && [None, Some(SAME)].map(AttachedKey::of).contains(own)
                                }
                                UseCase::ManagedDisks => false,
                            };
                            let is_ours = matches!(cloud, Some(Cloud::Aws | Cloud::Gcp));
                            assert_eq!(
                                found.is_empty(),
                                is_ours && key_fits && takes_it,
                                "{workspace:?} {case} {key:?}: {found:?}"
                            );
                            assert!(found.iter().all(|one| one.severity == Severity::Error));
                            silent += usize::from(found.is_empty());
                            all += 1;
                        }
                    }
                }
            }
        }
    }
    // Two clouds, and of each: three attached keys × three kinds of storage for managed services, two attached keys for storage.
    assert_eq!((silent, all), (2 * (9 + 2), 4 * 6 * 4 * 3 * 3 * 3));
    Ok(())
}

/// Each row: the use cases of the configurations that a plan creates, and what is found of an attach for storage.
#[test]
fn a_configuration_of_the_same_plan_has_to_be_for_the_use_case() {
    use UseCase::{ManagedServices, Storage};
    let rows: [(&[&[UseCase]], Option<&str>); 6] = [
        // This plan does not create it: Terraform does not know its ID for another reason.
        (&[], None),
        (&[&[Storage]], None),
        (&[&[ManagedServices], &[ManagedServices, Storage]], None),
        (
            &[&[ManagedServices]],
            Some(": one has the use case MANAGED_SERVICES."),
        ),
        (
            &[&[ManagedServices], &[]],
            Some(": one has the use case MANAGED_SERVICES; one has no use case."),
        ),
        (&[&[]], Some(": one has no use case.")),
    ];
    for (planned, expected) in rows {
        let cases: Vec<Vec<UseCase>> = planned.iter().map(|one| one.to_vec()).collect();
        let found = judge_planned(Storage, &cases);
        assert_eq!(found.is_some(), expected.is_some(), "{planned:?}");
        if let (Some(found), Some(words)) = (found, expected) {
            assert_eq!(
                (found.id, found.severity, found.subject),
                (
                    Id::KeyConfigurationUseCase,
                    Severity::Error,
                    Subject::StorageConfiguration
                )
            );
            assert!(found.found.ends_with(words), "{}", found.found);
        }
    }
}

/// Each row: the key of a configuration that the same plan creates, and a piece of what is found.
#[test]
fn the_key_of_a_planned_configuration_is_judged_as_that_of_another() -> Outcome {
    for cloud in &ACCOUNT_CLOUDS {
        let known = |location: &str| -> Result<ConfigurationKey, Box<dyn std::error::Error>> {
            Ok(ConfigurationKey::Known {
                key: key_of(cloud)?,
                location: location.to_owned(),
            })
        };
        let region = on(cloud, Id::KmsKeyRegion);
        let rows: [(ConfigurationKey, Option<(Id, &str)>); 5] = [
            (known(region_of(cloud))?, None),
            (known("moon-1")?, Some((region, "is in moon-1."))),
            (
                ConfigurationKey::Elsewhere(Cloud::Azure, "k".to_owned()),
                Some((
                    Id::WorkspaceCloud,
                    "The key configuration that this plan creates has the key `k` of Azure, and",
                )),
            ),
            (
                ConfigurationKey::Unreadable("`x` is not a key".to_owned()),
                Some((
                    Id::KeyConfigurationUnreadable,
                    "The key configuration that this plan creates has this key: `x` is not a key.",
                )),
            ),
            (
                ConfigurationKey::Missing,
                Some((
                    Id::KeyConfigurationUnreadable,
                    "The key configuration that this plan creates shows no key.",
                )),
            ),
        ];
        for (key, expected) in rows {
            let found = judge_planned_key(&good_on(cloud), UseCase::Storage, &key);
            let seen = found.as_ref().map(|one| (one.id, one.severity));
            assert_eq!(
                seen,
                expected.map(|(id, _)| (id, Severity::Error)),
                "{cloud}: {key:?}"
            );
            if let (Some(found), Some((_, words))) = (found, expected) {
                assert!(found.found.contains(words), "{}", found.found);
            }
        }
    }
    Ok(())
}

/// Each row: what is found of each candidate (upper case: an error, lower case: a warning), and what holds of them together.
#[test]
fn what_is_found_of_some_candidates_is_a_warning() {
    let one = |letter: char| match letter {
        'K' => Id::KmsKeyDisabled.error(Subject::Key).found("K"),
        'P' => Id::PolicyMissingAction.error(Subject::Key).found("P"),
        _ => Id::KmsKeyReplica.warning(Subject::Key).found("r"),
    };
    let rows: [(&[&str], &str); 9] = [
        (&[], ""),
        (&[""], ""),
        (&["K"], "K"),
        (&["K", "K"], "KK"),
        (&["K", ""], "k"),
        (&["KP", "P"], "kPP"),
        (&["Kr", "P"], "krp"),
        (&["r", ""], "r"),
        (&["", "", "K"], "k"),
    ];
    for (candidates, expected) in rows {
        let all = candidates
            .iter()
            .map(|letters| letters.chars().map(one).collect())
            .collect();
        let together: String = of_candidates(all)
            .iter()
            .map(|finding| {
                let letter = finding.found.chars().next_back().unwrap_or('?');
                let is_softened = finding
                    .found
                    .starts_with("This plan creates several key configurations");
                assert_eq!(is_softened, finding.found.len() > 1);
                match finding.severity {
                    Severity::Error => letter,
                    Severity::Warning => letter.to_ascii_lowercase(),
                }
            })
            .collect();
        assert_eq!(together, expected, "{candidates:?}");
    }
}

/// Each row: why the role is not known, its severity at plan and at apply, and a piece of what is found.
#[test]
fn a_role_that_is_not_known_stops_an_apply() {
    use Severity::{Error, Warning};
    let rows = [
        (
            UnknownRole::Unreadable("`x` is not the ARN of a role".to_owned()),
            [Error, Error],
            "(\"lakehouse\"): `x` is not the ARN of a role.",
        ),
        (
            UnknownRole::Refused("403".to_owned()),
            [Warning, Error],
            "did not show the credentials configuration of the workspace",
        ),
        (
            UnknownRole::None,
            [Warning, Error],
            "shows no credentials configuration for the workspace",
        ),
    ];
    for (why, severities, words) in rows {
        for (stage, severity) in [Stage::Plan, Stage::Apply].into_iter().zip(severities) {
            let found = role_unknown(&good(), &why, stage);
            assert_eq!(
                (found.id, found.severity, found.subject),
                (Id::WorkspaceRoleUnreadable, severity, Subject::Workspace),
                "{why:?}"
            );
            assert!(found.found.contains(words), "{}", found.found);
            assert_reads_well(&Cloud::Aws, words, &found);
        }
    }
}

/// A workspace that is being deleted never becomes RUNNING, and a new storage key may be the one that a lost state had.
#[test]
fn the_advice_fits_the_case() -> Outcome {
    let remedy =
        |change: fn(&mut WorkspaceFacts), wanted: Option<&KeyConfigurationId>, cloud: &Cloud| {
            let mut workspace = good_on(cloud);
            change(&mut workspace);
            judge_workspace(&workspace, UseCase::Storage, wanted, Stage::Plan)
                .iter()
                .map(read)
                .collect::<String>()
        };
    let wanted = id(SAME)?;
    let going = remedy(
        |facts| facts.status = WorkspaceStatus::Cancelling,
        Some(&wanted),
        &Cloud::Aws,
    );
    assert!(
        going.contains("Remove it from the configuration"),
        "{going}"
    );
    assert!(!going.contains("RUNNING"), "{going}");
    let failed = remedy(
        |facts| facts.status = WorkspaceStatus::Failed,
        Some(&wanted),
        &Cloud::Gcp,
    );
    assert!(failed.contains("Plan again when it is RUNNING"), "{failed}");
    let has_another: fn(&mut WorkspaceFacts) = |facts| facts.storage = AttachedKey::of(Some(OTHER));
    for (cloud, stays) in [
        (Cloud::Aws, "its ARN stays the same"),
        (Cloud::Gcp, "its name stays the same"),
    ] {
        let known = remedy(has_another, Some(&wanted), &cloud);
        let created = remedy(has_another, None, &cloud);
        assert!(
            known.contains(stays) && created.contains(stays),
            "{known} {created}"
        );
        let import = format!("id = \"{OTHER}\"");
        assert!(!known.contains(&import), "{known}");
        assert!(created.contains(&import), "{created}");
        assert!(
            created.contains("this plan sets one that it creates"),
            "{created}"
        );
    }
    Ok(())
}

/// Each row: what the workspace has, and what the plan wants; on Google Cloud alone, an attach to what exists is not documented.
#[test]
fn an_attach_to_an_existing_workspace_is_documented_on_aws_alone()
-> Result<(), Box<dyn std::error::Error>> {
    use UseCase::{ManagedServices, Storage};
    let (same, other) = (first()?, id("c2000000-0000-4000-8000-000000000002")?);
    let has = |cloud: Cloud, attached: Option<&KeyConfigurationId>| WorkspaceFacts {
        cloud: Some(cloud),
        managed_services: attached.map_or(AttachedKey::None, |id| AttachedKey::Known(id.clone())),
        ..good()
    };
    let rows = [
        (has(Cloud::Gcp, None), ManagedServices, Some(&same), true),
        (
            has(Cloud::Gcp, Some(&other)),
            ManagedServices,
            Some(&same),
            true,
        ),
        (
            has(Cloud::Gcp, Some(&same)),
            ManagedServices,
            Some(&same),
            false,
        ),
        (has(Cloud::Gcp, Some(&same)), ManagedServices, None, true),
        (has(Cloud::Gcp, Some(&same)), Storage, Some(&same), true),
        (has(Cloud::Aws, None), ManagedServices, Some(&same), false),
        (has(Cloud::Azure, None), ManagedServices, Some(&same), false),
        // A use case that it has no key for is an error of its own.
        (
            has(Cloud::Gcp, None),
            UseCase::ManagedDisks,
            Some(&same),
            false,
        ),
    ];
    for (workspace, case, wanted, expected) in rows {
        let found = undocumented_attach(&workspace, case, wanted);
        assert_eq!(found.is_some(), expected, "{workspace:?} {case} {wanted:?}");
        if let Some(found) = found {
            assert!(
                found.is_advice() && found.found.contains("\"lakehouse\""),
                "{found:?}"
            );
        }
    }
    // Both use cases say the same words, so that a plan says them once.
    let workspace = has(Cloud::Gcp, None);
    let [one, two] =
        [ManagedServices, Storage].map(|case| undocumented_attach(&workspace, case, None));
    assert_eq!(one, two);
    Ok(())
}
