//! Where tables lie, and by whose key: external locations, roots of metastores and catalogs, with the buckets of three clouds.

use acceptance_tests::harness::Run;
use acceptance_tests::stage::{Over, Stage};
use dbxcmk_sandbox::unity::{AZURE_METASTORE, GOOGLE_METASTORE, METASTORE, Metastore, Securable};
use dbxcmk_sandbox::{MANAGED_VPC_WORKSPACE, WORKSPACE};
use serde_json::{Value as Json, json};

const SOURCE: &str = "\ndata \"dbxcmk_storage_encryption\" \"all\" {}\n";
const ALL: &str = "data.dbxcmk_storage_encryption.all";

/// The same of one metastore.
fn of(metastore: &str) -> String {
    SOURCE.replace(
        "{}",
        &format!("{{\n  metastore_ids = [\"{metastore}\"]\n}}"),
    )
}

/// Changes a bucket of the sandbox.
fn bucket(stage: &Stage, cloud: &str, name: &str, changes: &Json) {
    let changed = stage
        .sandbox
        .with(|world| world.now.buckets.change(cloud, name, changes));
    changed.unwrap();
}

fn read(stage: &Stage) -> Json {
    stage.workdir.apply();
    stage.workdir.state(ALL)
}

/// A place by its kind and name.
fn place<'a>(state: &'a Json, kind: &str, name: &str) -> &'a Json {
    let all = state["locations"].as_array().unwrap();
    let is_it = |one: &&Json| one["kind"] == kind && one["name"] == name;
    all.iter()
        .find(is_it)
        .unwrap_or_else(|| panic!("no {kind} {name}: {state:#}"))
}

/// What is said of a place: by whose key, which, and why.
fn said(one: &Json) -> (&str, &Json, &str) {
    (
        one["encrypted_by"].as_str().unwrap(),
        &one["key"],
        one["why"].as_str().unwrap(),
    )
}

/// Each row: what a bucket has, by whose key its tables are encrypted, whether the key is shown, and a word of why or of what was not read.
#[test]
fn a_bucket_of_s3_is_read_and_not_guessed() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.kms.create_key(&json!({}));
    let id = key.rsplit('/').next().unwrap().to_owned();
    stage.configure(SOURCE);
    let alias = "arn:aws:kms:eu-central-1:123456789012:alias/aws/s3";
    let rows = [
        (json!({}), "provider_key", false, "SSE-S3"),
        (
            json!({ "algorithm": null }),
            "provider_key",
            false,
            "no default encryption",
        ),
        (
            json!({ "algorithm": "aws:kms", "kms_key": null }),
            "provider_key",
            false,
            "aws/s3",
        ),
        (
            json!({ "kms_key": alias }),
            "provider_key",
            false,
            "AWS manages",
        ),
        (json!({ "kms_key": key }), "own_key", true, "SSE-KMS"),
        (json!({ "kms_key": id }), "own_key", true, "SSE-KMS"),
        (
            json!({ "kms_key": "alias/never" }),
            "not_known",
            true,
            "could not be read",
        ),
        (
            json!({ "kms_key": key, "algorithm": "aws:new" }),
            "not_known",
            false,
            "`aws:new`",
        ),
        (
            json!({ "kms_key": key, "denied": true }),
            "not_known",
            false,
            "s3:GetEncryptionConfiguration",
        ),
    ];
    for (changes, by, has_key, word) in rows {
        bucket(&stage, "aws", "acme-tables", &changes);
        let state = read(&stage);
        let found = said(place(&state, "external_location", "tables"));
        assert_eq!(
            (found.0, !found.1.is_null()),
            (by, has_key),
            "{changes}: {found:?}"
        );
        assert!(found.2.contains(word), "{changes}: {found:?}");
        if by == "own_key" {
            assert_eq!(*found.1, key);
        }
        assert_eq!(state["complete"], json!(by != "not_known"), "{changes}");
    }
    // What may not be read is said with the right that is missing.
    let state = read(&stage);
    let refused = &state["not_read"][0];
    assert_eq!(refused["what"], "The encryption of the bucket acme-tables");
    assert_eq!(refused["permission"], "s3:GetEncryptionConfiguration");
}

/// The catalog that Databricks made with a workspace lies in the workspace bucket, which has the storage key, whatever its default says.
#[test]
fn a_catalog_in_the_workspace_bucket_has_the_storage_key() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.good_key();
    stage.configure(SOURCE);
    let state = read(&stage);
    let found = said(place(&state, "catalog", "lakehouse_prod"));
    assert_eq!(found.0, "provider_key");
    let id = "0c0ffee0-0000-4000-8000-000000000001";
    stage.sandbox.with(|world| {
        world.now.configurations.insert(
            id.to_owned(),
            json!({ "customer_managed_key_id": id, "use_cases": ["STORAGE"],
                "aws_key_info": { "key_arn": key, "key_region": "eu-central-1", "reuse_key_for_cluster_volumes": false } }),
        );
        for number in [WORKSPACE, MANAGED_VPC_WORKSPACE] {
            let fields = &mut world.workspace(number).fields;
            fields.insert("storage_customer_managed_key_id".to_owned(), json!(id));
        }
    });
    let state = read(&stage);
    let found = said(place(&state, "catalog", "lakehouse_prod"));
    assert_eq!((found.0, found.1), ("own_key", &json!(key)), "{found:?}");
    // Another workspace with the same bucket has no key: then it is not known which part has one.
    stage.sandbox.with(|world| {
        let fields = &mut world.workspace(MANAGED_VPC_WORKSPACE).fields;
        fields.remove("storage_customer_managed_key_id");
    });
    let state = read(&stage);
    assert_eq!(
        said(place(&state, "catalog", "lakehouse_prod")).0,
        "not_known"
    );
}

/// What an external location makes Databricks send counts more than the default of the bucket.
#[test]
fn what_is_sent_counts_more_than_the_default() {
    let stage = Stage::new(Over::Sandbox);
    let (key, other) = (
        stage.kms.create_key(&json!({})),
        stage.kms.create_key(&json!({})),
    );
    bucket(&stage, "aws", "acme-tables", &json!({ "kms_key": key }));
    stage.configure(SOURCE);
    let kms = |key: &str| json!({ "sse_encryption_details": { "algorithm": "AWS_SSE_KMS", "aws_kms_key_arn": key } });
    let rows = [
        (
            json!({ "sse_encryption_details": { "algorithm": "AWS_SSE_S3" } }),
            "provider_key",
            Json::Null,
            "AWS_SSE_S3",
        ),
        (kms(&key), "own_key", json!(key), "AWS_SSE_KMS"),
        (kms(&other), "own_key", json!(other), "AWS_SSE_KMS"),
        (
            json!({ "sse_encryption_details": { "algorithm": "NEW" } }),
            "not_known",
            Json::Null,
            "not_known",
        ),
    ];
    for (details, by, expected, sent) in rows {
        stage.sandbox.with(|world| {
            let own = world.now.unity.metastores.get_mut(METASTORE).unwrap();
            let fields = &mut own.external_locations[0].fields;
            fields.insert("encryption_details".to_owned(), details.clone());
        });
        let state = read(&stage);
        // The catalog below it has the same.
        for (kind, name) in [("external_location", "tables"), ("catalog", "main")] {
            let one = place(&state, kind, name);
            let found = said(one);
            assert_eq!((found.0, found.1), (by, &expected), "{details}: {found:?}");
            if kind == "external_location" {
                assert_eq!(one["client_encryption"], sent);
            }
        }
    }
}

/// A bucket in another region costs one call more, and is found.
#[test]
fn a_bucket_of_another_region_is_found() {
    let stage = Stage::new(Over::Sandbox);
    bucket(
        &stage,
        "aws",
        "acme-tables",
        &json!({ "region": "us-east-1" }),
    );
    stage.configure(SOURCE);
    let state = read(&stage);
    assert_eq!(
        said(place(&state, "external_location", "tables")).0,
        "provider_key"
    );
}

/// The data source reports what the caller cannot see, with the missing right, and does not say that it is complete.
#[test]
fn what_was_not_seen_is_said_with_the_right() {
    let stage = Stage::new(Over::Sandbox);
    stage.configure(SOURCE);
    let state = read(&stage);
    assert_eq!(state["complete"], true, "{:#}", state["not_read"]);
    assert_eq!(
        place(&state, "external_location", "tables")["storage_credential_role_arn"],
        "arn:aws:iam::123456789012:role/acme-tables"
    );
    stage.sandbox.with(|world| {
        let own = world.now.unity.metastores.get_mut(METASTORE).unwrap();
        own.caller_is_no_admin = true;
    });
    let state = read(&stage);
    assert_eq!(state["complete"], false);
    let not_read = state["not_read"].to_string();
    for word in [
        "Catalogs of the metastore",
        "External locations of the metastore",
        "be a member of",
    ] {
        assert!(not_read.contains(word), "{not_read}");
    }
    stage
        .sandbox
        .with(|world| world.now.unity.closed = [WORKSPACE, MANAGED_VPC_WORKSPACE].into());
    let state = read(&stage);
    assert_eq!(state["locations"], json!([]), "{state:#}");
    assert!(
        state["not_read"]
            .to_string()
            .contains("The external locations of the metastore")
    );

    stage.configure(
        "\ndata \"dbxcmk_storage_encryption\" \"all\" {\n  metastore_ids = [\"nope\"]\n}\n",
    );
    let refused = stage.workdir.refused_plan();
    let error = refused.error("The account does not have the metastore");
    assert!(error.detail.contains("nope"), "{}", error.detail);
}

/// Ten locations in a bucket cost as much as one; ten data sources as much as one.
#[test]
fn buckets_are_read_once_for_everything() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.kms.create_key(&json!({}));
    bucket(&stage, "aws", "acme-tables", &json!({ "kms_key": key }));
    stage.sandbox.with(|world| {
        let own = world.now.unity.metastores.get_mut(METASTORE).unwrap();
        for number in 0..10 {
            own.external_locations.push(Securable::new(
                &json!({ "name": format!("more-{number}"), "url": format!("s3://acme-tables/{number}"), "credential_name": "tables" }),
            ));
        }
    });
    stage.configure(&SOURCE.replace(" {}", " {\n  count = 10\n}"));
    stage.sandbox.with(|world| world.record.clear());
    stage.workdir.apply();
    let many = |words: &str| stage.asked(words).len();
    let counts = [
        many("S3 GetBucketEncryption /acme-tables"),
        many("S3 GetBucketEncryption"),
        many("KMS DescribeKey"),
        many("storage-configurations"),
        // An empty first page, and two entries a page.
        many("unity-catalog/external-locations"),
        many("unity-catalog/storage-credentials"),
    ];
    assert_eq!(counts, [1, 2, 1, 1, 7, 2]);
}

/// Cloud Storage: the default key, and the project whose service agent needs it.
#[test]
fn a_bucket_of_cloud_storage_is_read() {
    let stage = Stage::on_google();
    stage.configure(&of(GOOGLE_METASTORE));
    let key = "projects/acme-prod/locations/us-east4/keyRings/lake/cryptoKeys/tables";
    let rows = [
        (json!({}), "provider_key", Json::Null),
        (json!({ "kms_key": key }), "own_key", json!(key)),
        (json!({ "kms_key": "tables" }), "not_known", Json::Null),
        (json!({ "denied": true }), "not_known", Json::Null),
    ];
    for (changes, by, expected) in rows {
        bucket(&stage, "gcp", "acme-tables", &changes);
        let state = read(&stage);
        let one = place(&state, "external_location", "tables");
        let found = said(one);
        assert_eq!((found.0, found.1), (by, &expected), "{changes}: {found:?}");
        let project = dbxcmk_sandbox::gcp::PROJECT_NUMBER.to_string();
        let shown = match changes.get("denied") {
            Some(_) => Json::Null,
            None => json!(project),
        };
        assert_eq!(one["bucket_project_number"], shown, "{changes}");
        assert_eq!(one["metastore_id"], GOOGLE_METASTORE);
    }
    let state = read(&stage);
    assert_eq!(state["not_read"][0]["permission"], "storage.buckets.get");
}

/// Azure: the storage account is found in a subscription, with its key and the identity that uses it.
#[test]
fn a_storage_account_is_read() {
    let mut stage = Stage::on_azure();
    for (name, value) in stage.sandbox.environment() {
        stage.workdir.set(&name, &value);
    }
    stage.configure_azure(&of(AZURE_METASTORE));
    let key = acceptance_tests::azure::first_version(acceptance_tests::azure::OWN_VAULT);
    let versionless = key.rsplit_once('/').unwrap().0.to_owned();
    let rows = [
        (json!({}), "provider_key", Json::Null),
        (json!({ "kms_key": key }), "own_key", json!(versionless)),
        (json!({ "denied": true }), "not_known", Json::Null),
    ];
    for (changes, by, expected) in rows {
        bucket(&stage, "azure", "acmetables", &changes);
        let state = read(&stage);
        let one = place(&state, "external_location", "tables");
        let found = said(one);
        assert_eq!((found.0, found.1), (by, &expected), "{changes}: {found:?}");
        assert_eq!(
            one["storage_account_principal_id"].is_null(),
            by != "own_key"
        );
        assert_eq!(one["metastore_id"], AZURE_METASTORE);
    }
    let state = read(&stage);
    assert_eq!(
        state["not_read"][0]["permission"],
        "Microsoft.Storage/storageAccounts/read"
    );
}

/// Storage that this version does not read, and default storage, are not known.
#[test]
fn other_storage_is_not_known() {
    let stage = Stage::new(Over::Sandbox);
    let arn = stage.good_key();
    let id = "0c0ffee0-0000-4000-8000-000000000002";
    let metastore = "3a7e0000-0000-4000-8000-000000000009";
    stage.sandbox.with(|world| {
        world.now.configurations.insert(
            id.to_owned(),
            json!({ "customer_managed_key_id": id, "use_cases": ["MANAGED_SERVICES"],
                "aws_key_info": { "key_arn": arn, "key_region": "eu-central-1" } }),
        );
        let mut own = Metastore::new(metastore, "aws", "eu-central-1");
        own.workspaces = [MANAGED_VPC_WORKSPACE].into();
        own.external_locations.push(Securable::new(
            &json!({ "name": "r2", "url": "r2://x@y.r2.cloudflarestorage.com/", "credential_name": "r2" }),
        ));
        own.catalog("plain").unwrap();
        let keyed = own.catalog("keyed").unwrap();
        let settings = json!({ "customer_managed_key_id": id });
        keyed.fields.insert("managed_encryption_settings".to_owned(), settings);
        world.now.unity.metastores.get_mut(METASTORE).unwrap().workspaces.remove(&MANAGED_VPC_WORKSPACE);
        world.now.unity.metastores.insert(metastore.to_owned(), own);
    });
    stage.configure(&SOURCE.replace(
        "{}",
        &format!("{{\n  metastore_ids = [\"{metastore}\"]\n}}"),
    ));
    let state = read(&stage);
    assert!(
        said(place(&state, "external_location", "r2"))
            .2
            .contains("`r2`")
    );
    assert_eq!(
        said(place(&state, "external_location", "r2")).0,
        "not_known"
    );
    assert_eq!(said(place(&state, "catalog", "plain")).0, "not_known");
    let keyed = said(place(&state, "catalog", "keyed"));
    assert_eq!((keyed.0, keyed.1), ("own_key", &json!(arn)));
    assert_eq!(state["locations"].as_array().unwrap().len(), 3);
}

/// The proof of a key for tables: whether it is ready, and its findings.
fn readiness(stage: &Stage) -> (bool, Vec<Json>) {
    stage.workdir.apply();
    let state = stage.workdir.state("data.dbxcmk_key_readiness.tables");
    let findings = state["findings"].as_array().unwrap().clone();
    (state["ready"].as_bool().unwrap(), findings)
}

/// AWS: the role of the storage credential lacks the key of its bucket. Plan finds it before a job does, and the remedy fixes it.
#[test]
fn a_role_without_the_key_of_its_bucket_is_found_at_plan() {
    let stage = Stage::new(Over::Sandbox);
    let key = stage.kms.create_key(&json!({}));
    bucket(&stage, "aws", "acme-tables", &json!({ "kms_key": key }));
    let roles = "distinct([for one in data.dbxcmk_storage_encryption.all.locations : one.storage_credential_role_arn if one.credential == \"tables\"])";
    let proof = format!(
        "{SOURCE}\ndata \"dbxcmk_key_readiness\" \"tables\" {{\n  use_cases = [\"UNITY_CATALOG\"]\n  aws = {{\n    key_arn = \"{key}\"\n    \
         storage_credential_role_arns = {roles}\n  }}\n}}\n"
    );
    stage.configure(&proof);
    let (ready, findings) = readiness(&stage);
    let text = json!(findings).to_string();
    assert!(
        !ready && text.contains("acme-tables") && text.contains("kms:GenerateDataKey"),
        "{text}"
    );
    let policy = format!(
        "\nresource \"dbxcmk_key_policy\" \"tables\" {{\n  use_cases = [\"UNITY_CATALOG\"]\n  aws = {{\n    key_arn = \"{key}\"\n    \
         storage_credential_role_arns = {roles}\n  }}\n}}\n"
    );
    stage.configure(&format!("{SOURCE}{policy}"));
    stage.workdir.apply();
    stage.configure(&format!("{proof}{policy}"));
    let (ready, findings) = readiness(&stage);
    assert!(ready, "{findings:#?}");
    still_needed(&stage, "aws", "acme-tables", &key, "role/acme-tables");
}

/// As long as tables lie under the key, the provider does not take it from those who read them.
fn still_needed(stage: &Stage, cloud: &str, name: &str, key: &str, who: &str) {
    let says_who = |refused: &Run| {
        let error = refused.error("Tables need this access to the key");
        for word in [who, "external location tables"] {
            assert!(error.detail.contains(word), "{word}: {}", error.detail);
        }
    };
    says_who(&stage.workdir.refused_destroy());
    bucket(stage, cloud, name, &json!({ "kms_key": null }));
    // The bucket gets the key after the plan: the apply sees it.
    let planned = stage.workdir.run(&[
        "plan",
        "-destroy",
        "-json",
        "-input=false",
        "-out=gone.tfplan",
    ]);
    assert!(planned.success, "{}", planned.shown());
    bucket(stage, cloud, name, &json!({ "kms_key": key }));
    let applied = stage
        .workdir
        .run(&["apply", "-json", "-input=false", "gone.tfplan"]);
    assert!(!applied.success, "{}", applied.shown());
    says_who(&applied);
    bucket(stage, cloud, name, &json!({ "kms_key": null }));
    stage.workdir.destroy();
}

/// Google Cloud: the Cloud Storage service agent of the bucket's project lacks its key.
#[test]
fn a_service_agent_without_the_key_of_its_bucket_is_found_at_plan() {
    use acceptance_tests::google::{KEY, ROLE, STORAGE};
    let stage = Stage::on_google();
    bucket(&stage, "gcp", "acme-tables", &json!({ "kms_key": KEY }));
    let source = of(GOOGLE_METASTORE);
    let gcp = format!(
        "  use_cases = [\"UNITY_CATALOG\"]\n  gcp = {{\n    kms_key_id = \"{KEY}\"\n    bucket_project_numbers = \
         distinct(data.dbxcmk_storage_encryption.all.locations[*].bucket_project_number)\n  }}\n"
    );
    let proof = format!("{source}\ndata \"dbxcmk_key_readiness\" \"tables\" {{\n{gcp}}}\n");
    stage.configure(&proof);
    let (ready, findings) = readiness(&stage);
    assert!(
        !ready && findings[0]["id"] == "gcp-member-missing",
        "{findings:#?}"
    );
    let text = findings[0].to_string();
    for word in [
        "gs-project-accounts",
        "nobody can read or write tables",
        "bucket_project_numbers      = [",
        "UNITY_CATALOG",
        "add-iam-policy-binding",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(!text.contains("workspace_project_number"), "{text}");
    let policy = format!("\nresource \"dbxcmk_key_policy\" \"tables\" {{\n{gcp}}}\n");
    stage.configure(&format!("{source}{policy}"));
    stage.workdir.apply();
    assert_eq!(stage.members(KEY, ROLE), [STORAGE]);
    stage.configure(&format!("{proof}{policy}"));
    let (ready, findings) = readiness(&stage);
    assert!(ready, "{findings:#?}");
    let state = stage.workdir.state("data.dbxcmk_key_readiness.tables");
    assert_eq!(state["requirements"][0]["use_case"], "UNITY_CATALOG");
    stage.workdir.empty_plan();
    still_needed(&stage, "gcp", "acme-tables", KEY, "gs-project-accounts");
    // What belongs together is said together.
    let alone = proof.replace("[\"UNITY_CATALOG\"]", "[\"STORAGE\"]");
    stage.configure(&alone);
    let refused = stage.workdir.refused_plan();
    refused.error("Identities for tables belong to the use case UNITY_CATALOG");
}

/// Azure: the identity of the storage account lacks its key.
#[test]
fn a_storage_account_without_its_key_is_found_at_plan() {
    use acceptance_tests::azure::OWN_VAULT;
    use dbxcmk_sandbox::azure::vault_id;
    let mut stage = Stage::on_azure();
    for (name, value) in stage.sandbox.environment() {
        stage.workdir.set(&name, &value);
    }
    let key = acceptance_tests::azure::first_version(OWN_VAULT);
    let versionless = key.rsplit_once('/').unwrap().0.to_owned();
    bucket(&stage, "azure", "acmetables", &json!({ "kms_key": key }));
    let principal = "b0c4e700-0000-4000-8000-000000000001";
    stage.azure(|azure| azure.principals.insert(principal.to_owned()));
    let source = of(AZURE_METASTORE);
    let azure = format!(
        "  use_cases = [\"UNITY_CATALOG\"]\n  azure = {{\n    key_vault_key_id = \"{versionless}\"\n    vault_resource_id = \"{}\"\n    \
         storage_account_principal_ids = \
         distinct(data.dbxcmk_storage_encryption.all.locations[*].storage_account_principal_id)\n  }}\n",
        vault_id(OWN_VAULT)
    );
    let proof = format!("{source}\ndata \"dbxcmk_key_readiness\" \"tables\" {{\n{azure}}}\n");
    stage.configure_azure(&proof);
    let (ready, findings) = readiness(&stage);
    let text = json!(findings).to_string();
    assert!(
        !ready && findings[0]["id"] == "azure-principal-missing",
        "{text}"
    );
    for word in [
        principal,
        "storage account with tables",
        "answers every request with 403",
        "role assignment create",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let policy = format!("\nresource \"dbxcmk_key_policy\" \"tables\" {{\n{azure}}}\n");
    stage.configure_azure(&format!("{source}{policy}"));
    stage.workdir.apply();
    assert!(stage.can_use(OWN_VAULT, principal));
    stage.configure_azure(&format!("{proof}{policy}"));
    let (ready, findings) = readiness(&stage);
    assert!(ready, "{findings:#?}");
    stage.workdir.empty_plan();
    still_needed(&stage, "azure", "acmetables", &key, principal);
    assert!(!stage.can_use(OWN_VAULT, principal));
}
