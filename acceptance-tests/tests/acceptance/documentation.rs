//! The documentation holds: what it links to is there, its HCL is HCL, and what it lists is all there is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use acceptance_tests::harness::terraform::{self, has};
use acceptance_tests::harness::{Workdir, checkout};

fn files(directory: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
}

fn pages() -> Vec<(PathBuf, String)> {
    let root = checkout();
    let mut found = Vec::new();
    files(&root.join("docs"), "md", &mut found);
    found.extend(
        [
            "README.md",
            "CONTRIBUTING.md",
            "CHANGELOG.md",
            "SECURITY.md",
        ]
        .iter()
        .map(|name| root.join(name)),
    );
    found.sort();
    found
        .into_iter()
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// The anchors of a page: its headings as GitHub and the registry make them, and what is named by hand.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| {
            let title = line
                .trim_start_matches('#')
                .trim()
                .to_lowercase()
                .replace('`', "");
            title
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                .collect::<String>()
                .replace(' ', "-")
        });
    let named = text
        .split("<a id=\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(id, _)| id.to_owned());
    headings.chain(named).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut broken = Vec::new();
    let mut links = 0;
    for (path, text) in pages() {
        for rest in text.split("](").skip(1) {
            let Some((target, _)) = rest.split_once(')') else {
                continue;
            };
            if target.contains("://") || target.contains(' ') || target.is_empty() {
                continue;
            }
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let place = if file.is_empty() {
                path.clone()
            } else {
                path.parent().unwrap().join(file)
            };
            let Ok(there) = std::fs::read_to_string(&place) else {
                broken.push(format!("{}: {target}", path.display()));
                continue;
            };
            if !anchor.is_empty() && !anchors(&there).contains(anchor) {
                broken.push(format!("{}: {target} (no such heading)", path.display()));
            }
        }
    }
    assert!(links > 80, "only {links} links were found");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// The blocks of a language in a page.
pub fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence)
        .skip(1)
        .filter_map(|rest| rest.split_once("\n```"))
        .map(|(block, _)| format!("{block}\n"))
        .collect()
}

#[test]
fn the_hcl_of_every_page_is_formatted() {
    if !has("formatting of provider functions", (1, 8)) {
        return;
    }
    let workdir = Workdir::without_services();
    let mut count = 0;
    for (path, text) in pages() {
        for block in blocks(&text, "terraform") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            // Query files are HCL of their own ending; for the formatter they are the same.
            workdir.write(&format!("{name}-{count}.tf"), &block);
            count += 1;
        }
    }
    assert!(count > 30, "only {count} blocks were found");
    let output = terraform::command()
        .args(["fmt", "-check", "-diff"])
        .arg(workdir.path())
        .output()
        .unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
}

/// The text of a Rust file without its tests.
fn source(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]")
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// The string literals that follow any of some words, up to the next quote.
fn literals_after(text: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for word in words {
        for rest in text.split(word).skip(1) {
            if let Some(quoted) = rest
                .trim_start()
                .strip_prefix('"')
                .and_then(|rest| rest.split_once('"'))
            {
                found.push(quoted.0.to_owned());
            }
        }
    }
    found
}

/// The page of each resource has every error and warning that the resource can give, and none that it no longer gives.
#[test]
fn every_error_of_a_resource_is_documented() {
    let root = checkout();
    let mut sources = Vec::new();
    files(&root.join("src/provider"), "rs", &mut sources);
    files(&root.join("src/cli/key"), "rs", &mut sources);
    let whole: String = sources.iter().map(|path| source(path)).collect();
    let given: BTreeSet<String> = sources
        .iter()
        .filter(|path| !path.ends_with("config.rs"))
        .filter(|path| {
            !path.components().any(|part| {
                [
                    "config",
                    "data_sources",
                    "diagnose",
                    "functions",
                    "list_resources",
                ]
                .iter()
                .any(|folder| part.as_os_str() == *folder)
            })
        })
        .flat_map(|path| {
            literals_after(
                &source(path),
                &[
                    "Diagnostic::error(",
                    "Diagnostic::warning(",
                    "diagnose::account(",
                    "diagnose::aws(",
                    "diagnose::gcp(",
                    "diagnose::azure(",
                ],
            )
        })
        .collect();
    let pages = [
        "resources/key_configuration",
        "resources/key_policy",
        "resources/workspace_binding",
        "guides/key-command",
    ];
    let documented: BTreeSet<String> = pages
        .iter()
        .flat_map(|name| {
            let page = std::fs::read_to_string(root.join(format!("docs/{name}.md"))).unwrap();
            let (_, section) = page
                .split_once("\n## Errors\n")
                .expect("a section on errors");
            let rows = section
                .lines()
                .filter(|line| line.starts_with("| "))
                .skip(1);
            rows.map(|line| {
                line.split(" | ")
                    .next()
                    .unwrap()
                    .trim_start_matches("| ")
                    .to_owned()
            })
            .collect::<Vec<_>>()
        })
        .collect();
    let missing: Vec<_> = given.difference(&documented).collect();
    assert!(missing.is_empty(), "not documented: {missing:#?}");
    let stale: Vec<_> = documented
        .iter()
        .filter(|summary| !whole.contains(&format!("\"{}\"", summary.replace('…', "{}"))))
        .collect();
    assert!(stale.is_empty(), "no longer given: {stale:#?}");
}

#[test]
fn every_finding_of_a_review_is_documented() {
    let root = checkout();
    let is_id = |text: &String| {
        text.contains('-') && text.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    };
    // An acceptance that meets nothing is explained where acceptances are.
    let given: BTreeSet<String> = dbxcmk::review::Rule::ALL
        .iter()
        .map(|rule| rule.name().to_owned())
        .filter(|name| name != "accepted-nothing")
        .collect();
    let page = std::fs::read_to_string(root.join("docs/guides/pull-request-review.md")).unwrap();
    let documented: BTreeSet<String> = page
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| `")?
                .split_once('`')
                .map(|(id, _)| id.to_owned())
        })
        .filter(is_id)
        .filter(|id| !id.starts_with("--"))
        .collect();
    assert_eq!(given, documented);
    assert!(given.len() > 15, "{given:?}");
}

/// The permissions that a guide shows are policies that AWS would take, and each action is one that there is.
#[test]
fn the_permissions_of_the_guide_are_what_the_provider_calls() {
    let text = std::fs::read_to_string(checkout().join("docs/guides/permissions.md")).unwrap();
    let documents = blocks(&text, "json");
    assert_eq!(documents.len(), 3);
    let listed = |document: &str| -> BTreeSet<String> {
        let json: serde_json::Value = serde_json::from_str(document).unwrap();
        let all = json["Statement"][0]["Action"].as_array().unwrap().iter();
        all.map(|action| action.as_str().unwrap().to_owned())
            .collect()
    };
    let actions = |document: &str| -> BTreeSet<String> {
        let json: serde_json::Value = serde_json::from_str(document).unwrap();
        let all = json["Statement"][0]["Action"].as_array().unwrap().iter();
        all.map(|action| kms_policy::kms_action(action.as_str().unwrap()).unwrap())
            .collect()
    };
    // The policy does not let the role in, so that grants count.
    let of_a_role = |key: &str| {
        format!(
            "\ndata \"dbxcmk_key_readiness\" \"x\" {{\n  use_cases = [\"STORAGE\"]\n  aws = {{\n    key_arn = \"{key}\"\n    \
             cross_account_role_arn = \"{}\"\n  }}\n}}\n",
            dbxcmk_sandbox::ROLE_ARN
        )
    };
    // The requests to KMS of a plan and an apply that have everything.
    let stage = acceptance_tests::stage::Stage::new(acceptance_tests::stage::Over::Sandbox);
    let key = stage.kms.create_key(&serde_json::json!({}));
    stage.configure(&format!(
        "\nresource \"dbxcmk_key_policy\" \"x\" {{\n  use_cases = [\"STORAGE\"]\n  aws = {{\n    key_arn = \"{key}\"\n  }}\n}}\n\nresource \
         \"dbxcmk_key_configuration\" \"x\" {{\n  use_cases = [\"STORAGE\"]\n  aws = {{\n    key_arn = dbxcmk_key_policy.x.aws.key_arn\n  }}\n}}\n{}",
        of_a_role(&key)
    ));
    let asked = |since: usize| -> BTreeSet<String> {
        let all = stage.sandbox.requests().into_iter().skip(since);
        all.filter_map(|one| {
            one.operation
                .strip_prefix("KMS ")
                .map(|action| format!("kms:{action}"))
        })
        .collect()
    };
    let before = stage.sandbox.requests().len();
    stage.workdir.plan();
    assert_eq!(asked(before), actions(&documents[0]), "for plans");
    stage.workdir.apply();
    assert_eq!(asked(before), actions(&documents[1]), "for applies");

    // A role that has a policy of every kind.
    let everything =
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    stage.sandbox.with(|world| {
        for role in &mut world.now.roles {
            let arn = |name: &str| format!("arn:aws:iam::123456789012:policy/{name}");
            role.attached.insert(arn("a"), everything.to_owned());
            role.boundary = Some((arn("b"), everything.to_owned()));
        }
    });
    let before = stage.sandbox.requests().len();
    stage.configure(&of_a_role(&key));
    stage.workdir.plan();
    let of_iam: BTreeSet<String> = stage
        .sandbox
        .requests()
        .into_iter()
        .skip(before)
        .filter_map(|one| {
            one.operation
                .strip_prefix("IAM ")
                .map(|action| format!("iam:{action}"))
        })
        .collect();
    assert_eq!(of_iam, listed(&documents[2]), "for roles");
}

/// Each promise of the threat model names tests that there are.
#[test]
fn every_promise_of_the_threat_model_has_its_test() {
    fn sources(directory: &Path, all: &mut String) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                sources(&path, all);
            } else if name.ends_with(".rs") {
                all.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut all = String::new();
    sources(&checkout(), &mut all);
    let page = std::fs::read_to_string(checkout().join("docs/guides/threat-model.md")).unwrap();
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'));
    let mut promises = 0;
    for row in rows {
        let tests = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap();
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test: {row}");
        for test in named {
            promises += 1;
            assert!(
                all.contains(&format!("fn {test}(")),
                "there is no test {test}"
            );
        }
    }
    assert!(promises > 15, "{promises}");
}

/// The first sentences of a file's own documentation, up to the first empty line.
fn said_of(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    let said = lines.map(str::trim).take_while(|line| !line.is_empty());
    said.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_of_the_acceptance_tests_has_a_line_for_each_file() {
    let root = checkout().join("acceptance-tests");
    let page = std::fs::read_to_string(root.join("README.md")).unwrap();
    let rows: BTreeSet<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    let mut found = Vec::new();
    files(&root.join("src"), "rs", &mut found);
    files(&root.join("tests"), "rs", &mut found);
    let row = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        format!("| `{name}` | {} |", said_of(path))
    };
    let expected: BTreeSet<String> = found.iter().map(row).collect();
    let expected: BTreeSet<&str> = expected.iter().map(String::as_str).collect();
    let wrong: Vec<_> = rows.symmetric_difference(&expected).collect();
    assert!(wrong.is_empty(), "acceptance-tests/README.md: {wrong:#?}");
}
