//! An audit of a large account on each cloud: how many requests it sends, how much processor time and memory it takes, and how large its page is, while
//! services answer now and then that there are too many requests.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use acceptance_tests::google;
use acceptance_tests::stage::{Over, Stage};
use dbxcmk_sandbox::azure::{self, VAULT, VERSION, VersionOfKey};
use dbxcmk_sandbox::faults::{Effect, Fault};
use dbxcmk_sandbox::gcp::{self, CryptoKey};
use dbxcmk_sandbox::unity::{AZURE_METASTORE, GOOGLE_METASTORE, METASTORE, Securable};
use dbxcmk_sandbox::{ACCOUNT_ID, REGION, WORKSPACE};
use serde_json::{Value as Json, json};

/// How large the account is.
#[derive(Clone, Copy)]
pub struct Size {
    pub workspaces: u64,
    pub keys: u64,
    pub catalogs: u64,
    pub locations: u64,
}

/// The account of the goals.
pub const LARGE: Size = Size {
    workspaces: 5_000,
    keys: 500,
    catalogs: 50,
    locations: 2_000,
};

/// The goals: processor time of its own, and resident memory in KiB.
const MOST_TIME: Duration = Duration::from_secs(15);
const MOST_MEMORY: u64 = 60 * 1024;

/// How many catalogs or locations a workspace lists at a time.
const PAGE: usize = 1_000;

/// How many requests of each service are refused as one too many.
const REFUSED: u32 = 40;

/// What an audit of one cloud took.
pub struct Audited {
    pub cloud: &'static str,
    pub wall: Duration,
    pub cpu: Duration,
    /// In KiB.
    pub memory: u64,
    pub requests: usize,
    pub refused: usize,
    pub page: u64,
    pub report: Json,
}

fn number(at: u64) -> String {
    format!("c3000000-0000-4000-8000-{at:012}")
}

/// The configuration, the key and the workspaces of an account on AWS or Google Cloud.
fn fill_account(stage: &Stage, size: Size, template: u64, configuration: impl Fn(u64) -> Json) {
    stage.sandbox.with(|world| {
        for at in 0..size.keys {
            world
                .now
                .configurations
                .insert(number(at), configuration(at));
        }
        let mut one = world.workspace(template).clone();
        one.update = None;
        for at in 0..size.workspaces {
            let mut own = one.clone();
            let id = 10_000 + at;
            own.fields.insert("workspace_id".to_owned(), id.into());
            let name = format!("workspace-{at}");
            // Each has a bucket of its own.
            own.fields.remove("storage_configuration_id");
            for field in ["workspace_name", "deployment_name"] {
                own.fields.insert(field.to_owned(), name.clone().into());
            }
            for field in [
                "managed_services_customer_managed_key_id",
                "storage_customer_managed_key_id",
            ] {
                let key = number(at % size.keys);
                own.fields.insert(field.to_owned(), key.into());
            }
            world.now.workspaces.insert(id, own);
        }
    });
}

/// Catalogs with keys, and external locations, in a metastore.
fn fill_metastore(stage: &Stage, size: Size, metastore: &str, (root, key): (&str, &str)) {
    stage.sandbox.with(|world| {
        world.now.unity.page = PAGE;
        let own = world
            .now
            .unity
            .metastores
            .get_mut(metastore)
            .expect("a metastore");
        for at in 0..size.catalogs {
            own.catalogs.push(Securable::new(&json!({
                "name": format!("catalog_{at}"), "metastore_id": metastore,
                "managed_encryption_settings": { key: number(at % size.keys) },
            })));
        }
        for at in 0..size.locations {
            own.external_locations.push(Securable::new(&json!({
                "name": format!("location_{at}"), "metastore_id": metastore, "url": format!("{root}{at}"),
            })));
        }
    });
}

fn on_aws(size: Size) -> (Stage, Vec<String>) {
    let stage = Stage::new(Over::Sandbox);
    let made = stage.good_key();
    let place = (
        REGION.to_owned(),
        made.rsplit('/').next().unwrap_or_default().to_owned(),
    );
    let arn = |at: u64| format!("arn:aws:kms:{REGION}:123456789012:key/{}", number(at));
    stage.sandbox.with(|world| {
        let one = world.now.keys.get(&place).expect("a key").clone();
        for at in 0..size.keys {
            let mut own = one.clone();
            own.id = number(at);
            own.rotates = true;
            own.move_to("123456789012");
            world
                .now
                .keys
                .insert((REGION.to_owned(), own.id.clone()), own);
        }
    });
    fill_account(&stage, size, WORKSPACE, |at| {
        json!({
            "customer_managed_key_id": number(at), "account_id": ACCOUNT_ID, "creation_time": 1_700_000_000_000_u64 + at,
            "use_cases": ["MANAGED_SERVICES", "STORAGE"], "aws_key_info": { "key_arn": arn(at), "key_region": REGION },
        })
    });
    let tables = ("s3://acme-tables/", "customer_managed_key_id");
    fill_metastore(&stage, size, METASTORE, tables);
    (stage, vec!["--cloud".to_owned(), "aws".to_owned()])
}

fn on_google(size: Size) -> (Stage, Vec<String>) {
    let stage = Stage::on_google();
    stage.configure(&google::resources());
    stage.workdir.apply();
    let name = |at: u64| google::KEY.replace("/main", &format!("/key-{at}"));
    let template = stage.sandbox.with(|world| {
        let policy = world.now.google.policies.get(google::KEY).cloned();
        for at in 0..size.keys {
            let mut key = CryptoKey::new("ENCRYPT_DECRYPT");
            key.fields
                .insert("rotationPeriod".to_owned(), "7776000s".into());
            world.now.google.keys.insert(name(at), key);
            let policy = policy.clone().expect("a policy");
            world.now.google.policies.insert(name(at), policy);
        }
        let mut all = world.now.configurations.values();
        all.next().expect("a configuration").clone()
    });
    fill_account(&stage, size, gcp::WORKSPACE, |at| {
        let mut own = template.clone();
        own["customer_managed_key_id"] = number(at).into();
        own["gcp_key_info"]["kms_key_id"] = name(at).into();
        own
    });
    let tables = ("gs://acme-tables/", "customer_managed_key_id");
    fill_metastore(&stage, size, GOOGLE_METASTORE, tables);
    (stage, vec!["--cloud".to_owned(), "gcp".to_owned()])
}

fn on_azure(size: Size) -> (Stage, Vec<String>) {
    let stage = Stage::on_azure();
    stage.configure_azure(&acceptance_tests::azure::resources(VAULT));
    stage.workdir.apply();
    stage.azure(|azure| {
        let good = azure.workspace().expect("the workspace").shown.to_string();
        for at in 0..size.keys {
            let key = dbxcmk_sandbox::azure::AzureKey {
                versions: vec![VersionOfKey::new(false, VERSION)],
                ..Default::default()
            };
            azure
                .keys
                .insert((VAULT.to_owned(), format!("key-{at}")), key);
        }
        for at in 0..size.workspaces {
            let (name, own) = (format!("workspace-{at}"), 10_000 + at);
            let id = azure::workspace_id().replace("lakehouse-azure", &name);
            azure.add_workspace(&id, own);
            let shown = good
                .replace("lakehouse-azure", &name)
                .replace(&azure::WORKSPACE.to_string(), &own.to_string())
                .replace("\"main\"", &format!("\"key-{}\"", at % size.keys));
            let id = id.to_ascii_lowercase();
            let one = azure.workspaces.get_mut(&id).expect("a workspace");
            one.shown = serde_json::from_str(&shown).expect("JSON");
        }
        // The roles of the one key count for the whole vault.
        for one in azure.role_assignments.values_mut() {
            one["properties"]["scope"] = azure::vault_id(VAULT).into();
        }
    });
    let tables = (
        "abfss://tables@acmetables.dfs.core.windows.net/",
        "azure_key_vault_key_id",
    );
    let none = Size {
        catalogs: 0,
        ..size
    };
    fill_metastore(&stage, none, AZURE_METASTORE, tables);
    let bundle = stage.workdir.path().join("sandbox.pem");
    let url = stage.sandbox.azure_url();
    let arguments = [
        ("--cloud", "azure".to_owned()),
        ("--ca-bundle", bundle.display().to_string()),
        ("--endpoint-resource-manager", format!("{url}/arm")),
        ("--endpoint-login", format!("{url}/login")),
        ("--endpoint-graph", format!("{url}/graph")),
        ("--endpoint-key-vault", format!("{url}/vault")),
    ];
    let arguments = arguments.into_iter();
    let arguments = arguments.flat_map(|(name, value)| [name.to_owned(), value]);
    (stage, arguments.collect())
}

/// Now and then, each service has too many requests.
fn refuse_some(stage: &Stage) {
    let refused = Effect::Status {
        status: 429,
        body: json!({ "error": { "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "too many" } }).to_string(),
        content_type: None,
        retry_after: Some("1".to_owned()),
    };
    let throttled = Effect::aws("ThrottlingException", "Rate exceeded");
    stage.sandbox.with(|world| {
        for (operation, effect) in [
            ("KMS", &throttled),
            ("GET /v1/projects", &refused),
            ("/arm/", &refused),
            ("/vault/", &refused),
        ] {
            for at in 0..REFUSED {
                let mut fault = Fault::new(operation, effect.clone());
                // Not at once: faults come one after the other, each after some requests that pass.
                fault.skip = 1 + at % 12;
                world.faults.push(fault);
            }
        }
    });
}

/// Audits a stage, and measures it.
fn measured(
    binary: &Path,
    cloud: &'static str,
    (stage, arguments): (Stage, Vec<String>),
) -> Audited {
    let file = |name: &str| stage.workdir.path().join(name);
    let (used, page, report) = (file("used.txt"), file("audit.html"), file("audit.json"));
    std::fs::write(
        file("audit.hcl"),
        "require {\n  cluster_volumes = false\n}\n",
    )
    .expect("a file");
    refuse_some(&stage);
    let before = stage.sandbox.requests().len();
    let script = "import os, resource, sys\npid = os.fork()\nif pid == 0:\n    os.execv(sys.argv[2], sys.argv[2:])\n_, status, used = os.wait4(pid, 0)\n\
                  open(sys.argv[1], 'w').write(f'{used.ru_utime + used.ru_stime} {used.ru_maxrss}')\nsys.exit(os.waitstatus_to_exitcode(status) & 255)";
    let writes = [
        format!("html={}", page.display()),
        format!("json={}", report.display()),
    ];
    let begun = Instant::now();
    let output = Command::new("python3")
        .args(["-IS", "-c", script])
        .arg(&used)
        .arg(binary)
        .args(["audit", "--quiet", "--fail-on", "never", "--policy"])
        .arg(file("audit.hcl"))
        .args(&arguments)
        .args(["--write", &writes[0], "--write", &writes[1]])
        .envs(stage.sandbox.environment())
        .env("HOME", stage.workdir.path())
        .stdin(Stdio::null())
        .output()
        .expect("an audit");
    let wall = begun.elapsed();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(report.exists(), "{cloud}: {said}");
    let text = std::fs::read_to_string(used).expect("what it used");
    let (cpu, memory) = text.split_once(' ').expect("two numbers");
    let text = std::fs::read_to_string(&report).expect("a report");
    let records = stage.sandbox.requests();
    let own = records.get(before..).unwrap_or_default();
    Audited {
        cloud,
        wall,
        cpu: Duration::from_secs_f64(cpu.parse().expect("seconds")),
        memory: memory.trim().parse().expect("KiB"),
        requests: own.len(),
        refused: own
            .iter()
            .filter(|one| one.status == 429 || one.status == 400)
            .count(),
        page: std::fs::metadata(&page).expect("a page").len(),
        report: serde_json::from_str(&text).expect("JSON"),
    }
}

/// Audits a large account on each cloud. Prints a table, and says whether the goals are met.
pub fn run(binary: &Path, size: Size) -> Vec<Json> {
    println!(
        "\naudit of {} workspaces, {} keys, {} catalogs and {} external locations, while each service refuses {REFUSED} requests as too many\n\n\
         | cloud | requests | refused | wall clock | processor time | memory | page | covered | not read |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|",
        size.workspaces, size.keys, size.catalogs, size.locations
    );
    let mut rows = Vec::new();
    for (cloud, make) in [
        ("aws", on_aws as fn(Size) -> (Stage, Vec<String>)),
        ("gcp", on_google),
        ("azure", on_azure),
    ] {
        let one = measured(binary, cloud, make(size));
        let counts = &one.report["counts"];
        println!(
            "| {} | {} | {} | {:.1} s | {:.1} s | {:.0} MiB | {:.1} MB | {} | {} |",
            one.cloud,
            one.requests,
            one.refused,
            one.wall.as_secs_f64(),
            one.cpu.as_secs_f64(),
            one.memory as f64 / 1024.0,
            one.page as f64 / 1e6,
            counts["covered"],
            counts["not_read"]
        );
        for line in one.report["not_read"].as_array().into_iter().flatten() {
            println!("{cloud}: not read: {}: {}", line["what"], line["why"]);
        }
        if one.cpu > MOST_TIME || one.memory > MOST_MEMORY {
            println!(
                "{cloud}: more than {MOST_TIME:?} or {} MiB",
                MOST_MEMORY / 1024
            );
        }
        rows.push(json!({
            "cloud": one.cloud, "requests": one.requests, "refused": one.refused, "wall_seconds": one.wall.as_secs_f64(),
            "cpu_seconds": one.cpu.as_secs_f64(), "peak_memory_kib": one.memory, "page_bytes": one.page, "counts": counts,
        }));
    }
    rows
}
