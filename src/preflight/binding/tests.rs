//! What a workspace and a key configuration say against an attach, row by row.

use super::*;

const NUMBER: u64 = 1_234_567_890_123_456;

fn id(text: &str) -> Result<KeyConfigurationId, crate::vocabulary::IdError> {
    text.parse()
}

fn first() -> Result<KeyConfigurationId, crate::vocabulary::IdError> {
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
    let key: crate::vocabulary::aws::KeyArn =
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab".parse()?;
    let google: crate::vocabulary::gcp::CryptoKeyName =
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
