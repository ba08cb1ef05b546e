//! The providers that `crates/plugin` shows to authors of other providers, driven by a real Terraform.

use std::path::PathBuf;

use acceptance_tests::harness::{Workdir, checkout, terraform};
use acceptance_tests::hcl::Hcl as _;
use serde_json::{Value as Json, json};

/// The binary of an example, which is built beside the tests, or in `DBXCMK_EXAMPLES` with other features.
fn example(name: &str) -> PathBuf {
    let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    if let Some(directory) = std::env::var_os("DBXCMK_EXAMPLES") {
        return PathBuf::from(directory).join(name);
    }
    let test = std::env::current_exe().unwrap();
    let file = format!("examples/{name}");
    test.ancestors()
        .map(|directory| directory.join(&file))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!("the example {name} is not built: cargo build --examples --workspace")
        })
}

/// A directory whose Terraform uses an example as `example/NAME`.
fn workdir(name: &str) -> Workdir {
    let mut workdir = Workdir::without_services();
    let own = workdir.path().join("provider");
    std::fs::create_dir(&own).unwrap();
    let binary = own.join(format!(
        "terraform-provider-{name}{}",
        std::env::consts::EXE_SUFFIX
    ));
    std::fs::copy(example(name), binary).unwrap();
    let configuration = format!(
        "provider_installation {{\n  dev_overrides {{\n    \"example/{name}\" = \"{}\"\n  }}\n  direct {{}}\n}}\n",
        own.display()
    );
    workdir.write("example.rc", &configuration);
    let path = workdir.path().join("example.rc").display().to_string();
    workdir.set("TF_CLI_CONFIG_FILE", &path);
    workdir
}

fn required(name: &str, more: &str) -> String {
    format!(
        "terraform {{\n  required_providers {{\n    {name} = {{\n      source = \"example/{name}\"\n    }}\n  }}\n}}\n\n{more}\n"
    )
}

/// The README's provider is the example, and its configuration makes a file.
#[test]
fn the_readme_runs() {
    let readme = std::fs::read_to_string(checkout().join("crates/plugin/README.md")).unwrap();
    let block = |language: &str| {
        let (_, rest) = readme.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    let code = std::fs::read_to_string(checkout().join("crates/plugin/examples/disk.rs")).unwrap();
    let (_, program) = code.split_once("\n\n").unwrap();
    assert_eq!(block("rust"), program);
    let workdir = workdir("disk");
    workdir.configuration(&block("hcl"));
    workdir.apply();
    workdir.empty_plan();
    let file = workdir.path().join("tea.txt");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "green");
    std::fs::write(&file, "black").unwrap();
    assert_eq!(workdir.plan().actions("disk_file.tea"), "update");
    workdir.apply();
    workdir.destroy();
    assert!(!file.exists());
}

#[test]
fn a_function_in_types() {
    if !terraform::has("provider functions", (1, 8)) {
        return;
    }
    let workdir = workdir("hello");
    let greeting = "output \"greeting\" {\n  value = provider::hello::greet(\"Terraform\")\n}\n";
    workdir.configuration(&required("hello", greeting));
    workdir.apply();
    let output = workdir.run(&["output", "-raw", "greeting"]);
    assert_eq!(output.stdout, "Hello, Terraform!");
}

#[test]
fn a_resource_that_does_nothing() {
    let workdir = workdir("null");
    let of = |value: &str| {
        required(
            "null",
            &format!(
                "resource \"null_resource\" \"x\" {{\n  triggers = {{\n    a = \"{value}\"\n  }}\n}}"
            ),
        )
    };
    workdir.configuration(&of("1"));
    workdir.validate();
    workdir.apply();
    workdir.empty_plan();
    let first = workdir.state("null_resource.x");
    workdir.configuration(&of("2"));
    let plan = workdir.plan();
    assert_eq!(plan.actions("null_resource.x"), "delete, create");
    assert!(plan.is_unknown("null_resource.x", "/id"));
    workdir.apply();
    assert_ne!(workdir.state("null_resource.x")["id"], first["id"]);
    // The most common of all configurations: an element that is not known when it is validated, and one that is null.
    let counted = "resource \"null_resource\" \"x\" {\n  count = 1\n  triggers = {\n    a = count.index\n    b = null\n    c = \
                   terraform_data.y.id\n  }\n}\n\nresource \"terraform_data\" \"y\" {}\n";
    workdir.configuration(&required("null", counted));
    workdir.validate();
    workdir.apply();
    workdir.empty_plan();
    workdir.destroy();
}

fn article(price: i64, pieces: i64) -> String {
    format!(
        r#"resource "shop_article" "tea" {{
  name  = "tea"
  price = {price}

  label {{
    text = "green"
  }}

  stock {{
    place  = "cellar"
    pieces = {pieces}
  }}

  stock {{
    place  = "attic"
    pieces = 7
  }}

  reviews = [{{ stars = 5 }}, {{ stars = 4 }}]
  prices = {{
    EUR = {{ amount = 3 }}
  }}
}}"#
    )
}

fn shop(workdir: &Workdir, more: &str) {
    let directory = workdir.path().join("shop");
    std::fs::create_dir_all(&directory).unwrap();
    let provider = format!(
        "provider \"shop\" {{\n  directory = \"{}\"\n}}\n\n{more}",
        directory.display()
    );
    workdir.configuration(&required("shop", &provider));
}

/// Blocks in lists and sets, and objects in lists and maps: what the provider computes in them stays while nothing changes, and is
/// unknown while something does.
#[test]
fn objects_inside_keep_what_was_computed() {
    const TEA: &str = "shop_article.tea";
    let workdir = workdir("shop");
    shop(&workdir, &article(4, 1));
    workdir.validate();
    workdir.apply();
    workdir.empty_plan();
    let state = workdir.state(TEA);
    let shelves = |state: &Json| -> Vec<Json> {
        let stock = state["stock"].as_array().unwrap();
        let mut shelves: Vec<Json> = stock.iter().map(|one| one["shelf"].clone()).collect();
        shelves.sort_by_key(Json::to_string);
        shelves
    };
    assert_eq!(shelves(&state), [json!("attic-tea"), json!("cellar-tea")]);
    assert_eq!(state["reviews"][1]["id"], "review-1");
    assert_eq!(state["prices"]["EUR"]["code"], "eur");
    shop(&workdir, &article(4, 2));
    let plan = workdir.plan();
    assert_eq!(plan.actions(TEA), "update");
    assert_eq!(plan.after(TEA, "/number"), "no-tea", "it is stable");
    for computed in ["/reviews/0/id", "/prices/EUR/code"] {
        assert!(plan.is_unknown(TEA, computed), "{computed}");
    }
    workdir.apply();
    workdir.empty_plan();
    // Another program changes the price.
    std::fs::write(
        workdir.path().join("shop/tea.json"),
        r#"{"name":"tea","price":9}"#,
    )
    .unwrap();
    assert_eq!(workdir.plan().actions(TEA), "update");
    workdir.apply();
    shop(&workdir, &article(0, 2));
    let refused = workdir.validated();
    let error = refused.error("Value out of range");
    assert!(
        error.detail.contains("from 1 to 1000000"),
        "{}",
        error.detail
    );
    shop(
        &workdir,
        "resource \"shop_article\" \"tea\" {\n  name = \"tea\"\n}\n",
    );
    workdir.validated().error("Missing argument");
    shop(&workdir, "");
    workdir.apply();
    assert!(!workdir.path().join("shop/tea.json").exists());
}

#[test]
fn a_data_source_and_a_function() {
    if !terraform::has("provider functions", (1, 8)) {
        return;
    }
    let workdir = workdir("shop");
    let more = format!(
        "{}\n\ndata \"shop_price\" \"tea\" {{\n  name = shop_article.tea.name\n}}\n\noutput \"gross\" {{\n  value = \
         provider::shop::gross(data.shop_price.tea.price, 19)\n}}\n",
        article(100, 1)
    );
    shop(&workdir, &more);
    workdir.apply();
    assert_eq!(workdir.run(&["output", "-raw", "gross"]).stdout, "119");
    workdir.empty_plan();
}

/// What is opened is closed, and is in no state.
#[test]
fn an_ephemeral_resource() {
    if !terraform::has("ephemeral resources", (1, 10)) {
        return;
    }
    let workdir = workdir("shop");
    let open = "ephemeral \"shop_discount\" \"x\" {\n  percent = 15\n}\n\nprovider \"shop\" {\n  alias     = \"inner\"\n  directory = \
                ephemeral.shop_discount.x.code == \"15-percent-off\" ? \"DIRECTORY\" : \"/nowhere\"\n}\n\nresource \"shop_article\" \"tea\" {\n  \
                provider = shop.inner\n  name     = \"tea\"\n  price    = 1\n}\n";
    let directory = workdir.path().join("shop").display().to_string();
    shop(&workdir, &open.but("DIRECTORY", &directory));
    workdir.apply();
    let files: Vec<_> = std::fs::read_dir(workdir.path().join("shop"))
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    assert_eq!(files, ["tea.json"], "the lease is closed");
    let state = std::fs::read_to_string(workdir.path().join("terraform.tfstate")).unwrap();
    assert!(!state.contains("percent-off"));
}

#[test]
fn an_action() {
    if !terraform::has("actions", (1, 14)) || terraform::is_opentofu() {
        return;
    }
    let workdir = workdir("shop");
    shop(
        &workdir,
        "action \"shop_ring\" \"x\" {\n  config {\n    times = 2\n  }\n}\n",
    );
    let run = workdir.run(&[
        "apply",
        "-auto-approve",
        "-input=false",
        "-no-color",
        "-invoke=action.shop_ring.x",
    ]);
    assert!(
        run.success && run.output.contains("ring 2"),
        "{}",
        run.output
    );
    assert!(workdir.path().join("shop/bell.json").exists());
}

#[test]
fn a_list_and_an_import() {
    let workdir = workdir("shop");
    shop(
        &workdir,
        "resource \"shop_article\" \"tea\" {\n  name  = \"tea\"\n  price = 3\n}\n",
    );
    std::fs::write(
        workdir.path().join("shop/tea.json"),
        r#"{"name":"tea","price":3}"#,
    )
    .unwrap();
    workdir.import("shop_article.tea", "tea");
    workdir.empty_plan();
    if !terraform::has("terraform query", (1, 14)) {
        return;
    }
    for name in ["oil", "salt"] {
        let text = format!(r#"{{"name":"{name}","price":1}}"#);
        std::fs::write(workdir.path().join(format!("shop/{name}.json")), text).unwrap();
    }
    workdir.write(
        "all.tfquery.hcl",
        "list \"shop_article\" \"all\" {\n  provider = shop\n  limit    = 2\n}\n",
    );
    let run = workdir.run(&["query", "-no-color"]);
    assert!(run.success, "{}", run.output);
    let shown = ["oil", "salt", "tea"]
        .iter()
        .filter(|name| run.output.contains(&format!("name={name}")));
    assert_eq!(shown.count(), 2, "as many as asked for: {}", run.output);
}

/// Values of any type, decimals, null and unknown elements, and blocks over what is not known.
#[test]
fn any_value_is_kept() {
    const KEPT: &str = "corner_kept.x";
    let workdir = workdir("corner");
    let of = |any: &str, ratio: &str| {
        let resource = format!(
            r#"resource "terraform_data" "y" {{
  input = "late"
}}

resource "corner_kept" "x" {{
  any      = {any}
  object   = {{ any = [1, "two", null] }}
  ratio    = {ratio}
  small    = 0.1
  exact    = 123456789012345678901234567890.5
  big      = 18446744073709551615
  texts    = ["a", null, terraform_data.y.output]
  plain    = ["b", terraform_data.y.output]
  triggers = {{ a = terraform_data.y.output }}

  dynamic "rule" {{
    for_each = [terraform_data.y.output]
    content {{
      name = rule.value
    }}
  }}
}}"#
        );
        required("corner", &resource)
    };
    workdir.configuration(&of("\"value1\"", "0.1"));
    workdir.validate();
    workdir.apply();
    workdir.empty_plan();
    let state = workdir.state(KEPT);
    assert_eq!(
        (&state["any"], &state["copy"]),
        (&json!("value1"), &json!("value1"))
    );
    assert_eq!(
        (&state["ratio"], &state["texts"][1]),
        (&json!(0.1), &Json::Null)
    );
    assert_eq!(
        (&state["texts"][2], &state["rule"][0]["name"]),
        (&json!("late"), &json!("late"))
    );
    for (any, ratio) in [
        ("tolist([1, 2])", "1 - 0.99"),
        ("{ a = 0.1, b = [true] }", "1234.5"),
        ("tostring(null)", "1 / 3"),
        ("null", "-1e-7"),
    ] {
        workdir.configuration(&of(any, ratio));
        let plan = workdir.plan();
        assert_eq!(plan.actions(KEPT), "update", "{any}");
        workdir.apply();
        workdir.empty_plan();
    }
    workdir.configuration(&of("null", "1e400"));
    workdir.validated().error("Value out of range");
}

/// What a plan and a state may not have, reaches the provider.
#[test]
fn a_write_only_attribute_is_seen_and_not_kept() {
    const SECRET: &str = "corner_secret.x";
    let workdir = workdir("corner");
    let of = |name: &str, password: &str| {
        let resource = format!(
            "resource \"corner_secret\" \"x\" {{\n  name        = \"{name}\"\n  password_wo = \"{password}\"\n  inside      = {{ \
             token_wo = \"t0ken\" }}\n}}"
        );
        required("corner", &resource)
    };
    workdir.configuration(&of("a", "s3cret"));
    if !terraform::has("write-only attributes", (1, 11)) {
        let refused = workdir.validated();
        refused.error("Write-only attributes need Terraform 1.11");
        return;
    }
    workdir.apply();
    workdir.empty_plan();
    assert_eq!(workdir.state(SECRET)["length"], 6);
    workdir.configuration(&of("b", "longer-one"));
    workdir.apply();
    workdir.empty_plan();
    assert_eq!(workdir.state(SECRET)["length"], 10);
    let state = std::fs::read_to_string(workdir.path().join("terraform.tfstate")).unwrap();
    assert!(!state.contains("s3cret") && !state.contains("t0ken") && !state.contains("longer-one"));
}

/// Another spelling does not show as a change, after an apply and after a refresh.
#[test]
fn what_means_the_same_shows_no_change() {
    let workdir = workdir("corner");
    let resource = "resource \"corner_spelled\" \"x\" {\n  text = \"Abc\"\n  all  = [\"x\", \"Y\"]\n}\n\noutput \"text\" {\n  value = \
                    corner_spelled.x.text\n}\n";
    workdir.configuration(&required("corner", resource));
    workdir.apply();
    workdir.empty_plan();
    let state = workdir.state("corner_spelled.x");
    assert_eq!(
        (&state["text"], &state["all"]),
        (&json!("Abc"), &json!(["Y", "x"]))
    );
}

/// An identity that the state does not have is kept, and one that changes is an error.
#[test]
fn an_identity_is_kept() {
    let workdir = workdir("corner");
    let of = |name: &str| {
        let resource = format!("resource \"corner_pet\" \"x\" {{\n  name = \"{name}\"\n}}");
        required("corner", &resource)
    };
    workdir.configuration(&of("Kit"));
    workdir.apply();
    workdir.empty_plan();
    if !terraform::has("resource identity", (1, 12)) || terraform::is_opentofu() {
        return;
    }
    let state = std::fs::read_to_string(workdir.path().join("terraform.tfstate")).unwrap();
    let state: Json = serde_json::from_str(&state).unwrap();
    assert_eq!(
        state["resources"][0]["instances"][0]["identity"]["number"],
        7
    );
    workdir.configuration(&of("Tom"));
    workdir.apply();
    let refused = workdir.refused_plan();
    refused.error("Unexpected identity change of corner_pet");
}
