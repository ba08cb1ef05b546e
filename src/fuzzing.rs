//! Each parser of what comes from outside, under one name: for fuzzing alone. A target takes any bytes; a panic is a finding, and so is a
//! value that does not come back as it was.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a target says by a panic what it found"
)]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use kms_policy::{Caller, Context, Document, Request, evaluate};
use serde_json::Value as Json;

use crate::clouds::azure::{ArmWorkspace, WantedKeys};
use crate::clouds::gcp::IamPolicy;
use crate::databricks::key_configurations::KeyConfiguration;
use crate::databricks::workspaces::Workspace;
use crate::review::{LARGEST_COMMENT, json, markdown, sarif, text};
use crate::vocabulary::aws::{KeyAlias, KeyArn, RoleArn};
use crate::vocabulary::azure::{PrincipalId, VaultKeyId, VaultResourceId, WorkspaceResourceId};
use crate::vocabulary::gcp::{CryptoKeyName, ServiceAccount};
use crate::vocabulary::{AccountId, KeyConfigurationId, KeyReference, UseCase, WorkspaceId};

/// A parser, and inputs that it takes.
pub struct Target {
    /// The word with which `make fuzz` and a regression test name it.
    pub name: &'static str,
    /// What it does with any bytes; whether it could read them.
    pub run: fn(&[u8]) -> bool,
    /// Inputs that it takes, from which others are made.
    pub seeds: &'static [&'static [u8]],
}

/// Every parser.
pub const TARGETS: &[Target] = &[
    Target {
        name: "wire",
        run: wire,
        seeds: &[
            b"\x08\"string\"\"abc\"",
            b"\x08\"string\"\xa3abc",
            b"\x19[\"list\",[\"set\",\"number\"]][[1,2],[3]]",
            b"\x19[\"list\",[\"set\",\"number\"]]\x92\x92\x01\x02\x91\xcb?\xf8\x00\x00\x00\x00\x00\x00",
            b"\x2c[\"object\",{\"a\":\"string\",\"b\":[\"map\",\"bool\"]}]{\"a\":\"x\",\"b\":{\"c\":true}}",
            b"\x2c[\"object\",{\"a\":\"string\",\"b\":[\"map\",\"bool\"]}]\x82\xa1a\xd4\x00\x00\xa1b\x81\xa1c\xc3",
            b"\x09\"dynamic\"{\"type\":\"string\",\"value\":\"x\"}",
            b"\x09\"dynamic\"\x92\xc4\x08\"string\"\xa1x",
            b"\x1b[\"tuple\",[\"number\",\"bool\"]]\x92\xa31e3\xc0",
            b"\x08\"string\"\xc7\x0b\x0c\x82\x01\xc2\x02\xa6prefix",
        ],
    },
    Target {
        name: "policy",
        run: policy,
        seeds: &[
            br#"{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::414351767826:root"},"Action":["kms:Encrypt","kms:Decrypt"],"Resource":"*","Condition":{"StringEquals":{"aws:PrincipalTag/DatabricksAccountId":["x"]}}}]}"#,
            br#"{"Statement":{"Effect":"Deny","NotPrincipal":"*","NotAction":"kms:*","Resource":["*"],"Condition":{"ForAllValues:StringLike":{"kms:ViaService":"ec2.*"},"Null":{"kms:GrantIsForAWSResource":"false"},"NumericLessThan":{"aws:MultiFactorAuthAge":"3600"},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"},"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}}}}"#,
        ],
    },
    Target {
        name: "evaluate",
        run: evaluated,
        seeds: &[
            br#"{"policy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"kms:*","Resource":"*"}]},"request":{"principal":"arn:aws:iam::123456789012:role/admin","action":"kms:Decrypt","resource":"arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab","context":{"aws:SourceIp":"10.0.0.1","aws:PrincipalTag/x":null}}}"#,
            br#"{"policy":{"Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}},"request":{"principal":"arn:aws:iam::123456789012:role/admin","action":"kms:Decrypt","resource":"arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab","context":{}},"identity_policies":[{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"kms:*","Resource":"*"}}],"permissions_boundary":{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}}"#,
        ],
    },
    Target {
        name: "review",
        run: reviewed,
        seeds: &[
            br#"{"format_version":"1.2","terraform_version":"1.11.4","resource_changes":[{"address":"dbxcmk_workspace_binding.x","mode":"managed","type":"dbxcmk_workspace_binding","name":"x","provider_name":"registry.terraform.io/dbxcmk/dbxcmk","change":{"actions":["update"],"before":{"workspace_id":"1","storage_key_configuration_id":"a"},"after":{"workspace_id":"1","storage_key_configuration_id":"b"},"after_unknown":{}}}],"configuration":{"root_module":{}}}"#,
            br#"{"format_version":"1.2","resource_changes":[{"address":"azurerm_databricks_workspace.x","mode":"managed","type":"azurerm_databricks_workspace","change":{"actions":["delete","create"],"before":{"name":"w","managed_services_cmk_key_vault_key_id":"https://v.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef"},"after":{"name":"w"},"after_unknown":{"id":true}}},{"address":"google_kms_crypto_key.k","type":"google_kms_crypto_key","change":{"actions":["delete"],"before":{"id":"projects/p/locations/l/keyRings/r/cryptoKeys/k"},"after":null}}],"prior_state":{"values":{"root_module":{"resources":[]}}}}"#,
        ],
    },
    Target {
        name: "names",
        run: names,
        seeds: &[
            b"arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1234abcd12ab34cd56ef1234567890ab",
            b"arn:aws:iam::123456789012:role/path/name",
            b"alias/lakehouse",
            b"projects/p/locations/us-east4/keyRings/r/cryptoKeys/k",
            b"keys-of-databricks@project-1.iam.gserviceaccount.com",
            b"https://vault.vault.azure.net/keys/name/0123456789abcdef0123456789abcdef",
            b"https://hsm.managedhsm.usgovcloudapi.net/keys/name",
            b"/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/g/providers/Microsoft.Databricks/workspaces/w",
            b"/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v",
            b"7f1b3c52-0000-4000-8000-000000000000",
            b"1234567890123456",
        ],
    },
    Target {
        name: "databricks",
        run: databricks,
        seeds: &[
            br#"{"workspace_id":1234567890123456,"workspace_name":"prod","workspace_status":"RUNNING","aws_region":"eu-central-1","pricing_tier":"ENTERPRISE","storage_customer_managed_key_id":"c1000000-0000-4000-8000-000000000001","network_id":null,"custom_tags":{"a":"b"}}"#,
            br#"{"customer_managed_key_id":"c1000000-0000-4000-8000-000000000001","account_id":"7f1b3c52-0000-4000-8000-000000000000","creation_time":1600000000000,"use_cases":["STORAGE"],"aws_key_info":{"key_arn":"arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab","key_region":"eu-central-1","reuse_key_for_cluster_volumes":true}}"#,
        ],
    },
    Target {
        name: "google",
        run: google,
        seeds: &[
            br#"{"version":3,"etag":"BwX","bindings":[{"role":"roles/cloudkms.cryptoKeyEncrypterDecrypter","members":["serviceAccount:a@p.iam.gserviceaccount.com","group:g@x.com"],"condition":{"title":"t","expression":"request.time < timestamp('2026-01-01T00:00:00Z')"}}],"auditConfigs":[]}"#,
        ],
    },
    Target {
        name: "azure",
        run: azure,
        seeds: &[
            br#"{"id":"/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/g/providers/Microsoft.Databricks/workspaces/w","location":"westeurope","sku":{"name":"premium"},"properties":{"workspaceId":"123","provisioningState":"Succeeded","diskEncryptionSetId":"/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/m/providers/Microsoft.Compute/diskEncryptionSets/d","managedDiskIdentity":{"principalId":"11111111-2222-4333-8444-555555555555"},"storageAccountIdentity":{"principalId":"11111111-2222-4333-8444-555555555556"},"encryption":{"entities":{"managedServices":{"keySource":"Microsoft.Keyvault","keyVaultProperties":{"keyVaultUri":"https://v.vault.azure.net/","keyName":"k","keyVersion":"0123456789abcdef0123456789abcdef"}},"managedDisk":{"keySource":"Microsoft.Keyvault","rotationToLatestKeyVersionEnabled":true,"keyVaultProperties":{"keyVaultUri":"https://v.vault.azure.net","keyName":"k","keyVersion":"0123456789abcdef0123456789abcdef"}}}},"parameters":{"prepareEncryption":{"type":"Bool","value":true},"encryption":{"type":"Object","value":{"keySource":"Default"}},"customVirtualNetworkId":{"value":""}}}}"#,
        ],
    },
];

/// The first byte says how long the type is; the rest is a value of it, in either form.
fn wire(input: &[u8]) -> bool {
    let Some((length, rest)) = input.split_first() else {
        return false;
    };
    let (ty, value) = rest.split_at(usize::from(*length).min(rest.len()));
    tfplugin::fuzzing::both_forms(ty, value)
}

fn policy(input: &[u8]) -> bool {
    let shown = String::from_utf8_lossy(input);
    let Ok(policy) = Document::parse(&shown) else {
        return false;
    };
    let again = Document::parse(policy.text()).expect("a policy");
    assert!(again.means_the_same_as(&policy));
    assert_eq!(policy.edited(&[]).expect("a policy").text(), shown);
    let request = Request {
        caller: Caller::parse("arn:aws:iam::414351767826:role/x").expect("a caller"),
        action: "kms:Decrypt".to_owned(),
        resource: "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
            .to_owned(),
        context: Context::open(),
    };
    let _ = evaluate(&policy, &request);
    true
}

fn evaluated(input: &[u8]) -> bool {
    crate::cli::policy::decide(&String::from_utf8_lossy(input)).is_ok()
}

fn reviewed(input: &[u8]) -> bool {
    let Ok(report) = crate::review::review(&String::from_utf8_lossy(input)) else {
        return false;
    };
    assert!(markdown(&report).chars().count() <= LARGEST_COMMENT);
    let _ = (
        json(&report),
        sarif(&report, &|_| None, "main.tf"),
        text(&report),
    );
    true
}

/// What can be read is written in a way that can be read again as the same.
fn comes_back<T: FromStr + Display + PartialEq + Debug>(input: &str) -> bool {
    let Ok(read) = input.parse::<T>() else {
        return false;
    };
    let written = read.to_string();
    let again = written.parse::<T>().ok();
    assert_eq!(again.as_ref(), Some(&read), "{written}");
    true
}

fn names(input: &[u8]) -> bool {
    let input = String::from_utf8_lossy(input);
    let read = [
        comes_back::<KeyArn>(&input),
        comes_back::<RoleArn>(&input),
        comes_back::<KeyAlias>(&input),
        comes_back::<CryptoKeyName>(&input),
        comes_back::<ServiceAccount>(&input),
        comes_back::<VaultKeyId>(&input),
        comes_back::<VaultResourceId>(&input),
        comes_back::<WorkspaceResourceId>(&input),
        comes_back::<PrincipalId>(&input),
        comes_back::<AccountId>(&input),
        comes_back::<KeyConfigurationId>(&input),
        comes_back::<KeyReference>(&input),
        comes_back::<WorkspaceId>(&input),
    ];
    read.contains(&true)
}

fn databricks(input: &[u8]) -> bool {
    let workspace = serde_json::from_slice::<Workspace>(input);
    if let Ok(workspace) = &workspace {
        for case in UseCase::ALL {
            let _ = workspace.key(case);
        }
        let _ = (workspace.region(), workspace.is_serverless_only());
    }
    let configuration = serde_json::from_slice::<KeyConfiguration>(input);
    if let Ok(configuration) = &configuration {
        let _ = (configuration.cloud_and_key(), configuration.is_whole());
    }
    workspace.is_ok() || configuration.is_ok()
}

fn google(input: &[u8]) -> bool {
    serde_json::from_slice::<Json>(input).is_ok_and(|json| IamPolicy(json).bindings().is_ok())
}

fn azure(input: &[u8]) -> bool {
    let Ok(json) = serde_json::from_slice::<Json>(input) else {
        return false;
    };
    let id: WorkspaceResourceId =
        "/subscriptions/11111111-2222-4333-8444-555555555555/resourceGroups/g/providers/\
                                   Microsoft.Databricks/workspaces/w"
            .parse()
            .expect("an ID");
    let Ok(workspace) = ArmWorkspace::new(id, json) else {
        return false;
    };
    let _ = (
        workspace.facts(),
        workspace.prepared(),
        workspace.progress(),
    );
    let key: VaultKeyId = "https://v.vault.azure.net/keys/k/0123456789abcdef0123456789abcdef"
        .parse()
        .expect("a key");
    let wanted = WantedKeys {
        set: UseCase::ALL
            .into_iter()
            .map(|case| (case, key.clone()))
            .collect(),
        ..WantedKeys::default()
    };
    if let Ok(changed) = workspace.with_keys(&wanted) {
        let changed = ArmWorkspace::new(workspace.id().clone(), changed).expect("a workspace");
        assert!(changed.has_all(&wanted), "what was set is there");
    }
    true
}
