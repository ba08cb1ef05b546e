//! Tests of the formats: as they look, and that no name from outside does harm in any of them.

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::facts::{Attached, AuditFacts, Part, SeenLocation};
use crate::others::{Reach, SeenOther};
use crate::report::{AuditReport, EncryptedBy, OtherUser};
use crate::subject::{AuditSubject, SubjectKind};
use crate::testing::*;
use vocabulary::UseCase;

const LOOK: Look = Look {
    width: 100,
    color: false,
};

/// The planted account, a day after the good one.
fn planted_report() -> AuditReport {
    let baseline = report(good());
    judged_by(planted(), &policy(POLICY), Some(&baseline)).report
}

fn written(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes).expect("a vector takes everything");
    String::from_utf8(bytes).expect("UTF-8")
}

fn place(subject: &AuditSubject) -> Option<(String, u32)> {
    (subject.as_str() == "workspace/3").then(|| ("main.tf".to_owned(), 7))
}

const PLACES: Places<'static> = Places {
    of: &place,
    otherwise: "audit.hcl",
};

/// Every format of a report, by name.
fn all(report: &AuditReport) -> Vec<(&'static str, String)> {
    vec![
        ("text", text(report, LOOK)),
        ("markdown", markdown(report)),
        ("json", written(|to| json(report, to))),
        ("data.csv", written(|to| csv_data(report, to))),
        ("findings.csv", written(|to| csv_findings(report, to))),
        ("sarif", written(|to| sarif(report, &PLACES, to))),
        ("ocsf", written(|to| ocsf(report, to))),
        ("openmetrics", openmetrics(report)),
        ("html", written(|to| html(report, to))),
    ]
}

#[test]
fn the_formats_look_as_they_do() {
    let report = planted_report();
    for (name, text) in all(&report) {
        // The version changes with each release.
        let text = text.replace(env!("CARGO_PKG_VERSION"), "VERSION");
        insta::assert_snapshot!(name, text);
    }
    let narrow = Look {
        width: 60,
        color: true,
    };
    insta::assert_snapshot!("text_narrow", text(&report, narrow));
    insta::assert_snapshot!("text_good", text(&crate::testing::report(good()), LOOK));
}

#[test]
fn a_report_without_anything_is_not_fine() {
    let mut facts = good();
    facts.workspaces = None;
    facts.configurations = None;
    facts.keys.clear();
    facts.locations.clear();
    facts.has_all_catalogs = false;
    for part in [Part::Workspaces, Part::Configurations] {
        facts
            .unread
            .push(unread(SubjectKind::Account, ACCOUNT, part, None));
    }
    let report = report(facts);
    let shown = text(&report, LOOK);
    assert_eq!(shown.matches("NOT KNOWN").count(), 3, "{shown}");
    assert!(!shown.contains("OK "), "{shown}");
    for (name, text) in all(&report)
        .into_iter()
        .filter(|(name, _)| *name != "data.csv")
    {
        let says = text.contains("not_read") || text.to_lowercase().contains("not read");
        assert!(says || text.contains("not-read"), "{name}: {text}");
    }
    // A run that read too little does not count as a success.
    assert!(!openmetrics(&report).contains("last_success"));
}

#[test]
fn json_has_a_line_for_each_key_workspace_and_finding() {
    let report = planted_report();
    let shown = written(|to| json(&report, to));
    let again: AuditReport = serde_json::from_str(&shown).expect("a report");
    assert_eq!(again, report);
    let lines = shown.lines().count();
    let items = report.keys.len()
        + report.workspaces.len()
        + report.findings.len()
        + report.changes.len()
        + report.locations.len()
        + report.configurations.len()
        + report.not_read.len();
    assert!(
        lines > items && lines < items + 60,
        "{lines} lines for {items} things"
    );
}

#[test]
fn an_exception_is_a_suppression_and_a_place_is_the_block_that_manages_it() {
    let report = planted_report();
    let log: Json = serde_json::from_str(&written(|to| sarif(&report, &PLACES, to))).expect("JSON");
    let results = log["runs"][0]["results"].as_array().expect("results");
    assert_eq!(results.len(), report.findings.len() + report.not_read.len());
    let of = |uid: &str| {
        let is_it = |one: &&Json| one["partialFingerprints"]["uid/v1"] == uid;
        results.iter().find(is_it).expect(uid)
    };
    let place = |one: &Json| one["locations"][0]["physicalLocation"].clone();
    let managed = of("workspace-data-uncovered/workspace/3");
    assert_eq!(place(managed)["artifactLocation"]["uri"], "main.tf");
    assert_eq!(place(managed)["region"]["startLine"], 7);
    assert_eq!(managed["baselineState"], "new");
    assert!(managed.get("suppressions").is_none());
    let accepted = of("workspace-data-uncovered/workspace/4");
    assert_eq!(place(accepted)["artifactLocation"]["uri"], "audit.hcl");
    assert_eq!(accepted["suppressions"][0]["kind"], "external");
    let rules = log["runs"][0]["tool"]["driver"]["rules"]
        .as_array()
        .expect("rules");
    for rule in rules {
        for part in ["shortDescription", "fullDescription", "help"] {
            let text = rule[part]["text"].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{rule}");
        }
    }
}

#[test]
fn ocsf_has_an_event_for_each_finding_gap_and_workspace() {
    let report = planted_report();
    let shown = written(|to| ocsf(&report, to));
    let events: Vec<Json> = shown
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let judged = report.counts.judged;
    assert_eq!(
        events.len(),
        report.findings.len() + report.not_read.len() + judged
    );
    for event in &events {
        assert_eq!(event["time"], 1_796_104_800_000_i64, "milliseconds");
        assert_eq!(
            event["type_uid"].as_u64(),
            event["activity_id"].as_u64().map(|id| 200_300 + id)
        );
    }
    let status = |uid: &str| {
        let found = events.iter().find(|one| one["finding_info"]["uid"] == uid);
        found.map(|one| one["compliance"]["status_id"].clone())
    };
    assert_eq!(status("workspace/workspace/99"), Some(1.into()));
    assert_eq!(status("workspace/workspace/3"), Some(3.into()));
    let gap = format!("not-read/key/{OF_CATALOG}: policy");
    assert_eq!(status(&gap), Some(0.into()));
    // The other way round, what was found is closed.
    let baseline = report;
    let report = judged_by(good(), &policy(POLICY), Some(&baseline)).report;
    let shown = written(|to| ocsf(&report, to));
    assert!(shown.contains("\"activity_id\":3"), "{shown}");
}

#[test]
fn markdown_fits_whatever_the_account() {
    let mut facts = good();
    let long = "n".repeat(300);
    let all = facts.workspaces.get_or_insert_default();
    for id in 1..=600 {
        all.push(workspace(id, &format!("{long}<b>{id}"), &[], GOOD, 1));
    }
    for number in 0..300 {
        let url = format!("s3://{long}{number}/");
        facts.unread.push(unread(
            SubjectKind::Location,
            &url,
            Part::Encryption,
            Some(&long),
        ));
        facts.notes.push(long.clone());
    }
    let baseline = report(good());
    let shown = markdown(&judged_by(facts, &policy(""), Some(&baseline)).report);
    assert!(shown.len() <= LARGEST_MARKDOWN, "{}", shown.len());
    assert!(shown.contains("#### Not read (300)"), "the end is there");
}

/// Thousands of workspaces are some groups, some lists, and a row each.
#[test]
fn a_page_of_five_thousand_workspaces_stays_small() {
    let mut facts = good();
    let each = (1..=5_000_u64).map(|id| {
        let cases: &[UseCase] = match id % 10 {
            0 => &[],
            1 => &[UseCase::ManagedServices],
            _ => &UseCase::ACCOUNT,
        };
        workspace(id, &format!("team-{id}"), cases, GOOD, 1)
    });
    facts.workspaces = Some(each.collect());
    let report = report(facts);
    let page = written(|to| html(&report, to));
    assert!(page.len() < 8_000_000, "{} bytes", page.len());
    assert_eq!(page.matches("<details class=\"card profile\"").count(), 3);
    assert_eq!(page.matches("<svg").count(), 1);
}

/// Names that an attacker may have chosen.
fn hostile() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "<img src=x onerror=alert(1)>".to_owned(),
        "</script><script>alert(1)</script>".to_owned(),
        "\"><svg/onload=alert(1)>".to_owned(),
        "=cmd|'/c calc'!A1".to_owned(),
        "+1+cmd()".to_owned(),
        "@SUM(1)".to_owned(),
        "\t=1".to_owned(),
        "\u{1b}[31mred\u{1b}]0;title\u{7}".to_owned(),
        "\u{202e}gnp.exe\u{2066}".to_owned(),
        "\u{200b}\u{feff}".to_owned(),
        "x".repeat(300),
        "a\r\nb,\"c\"\n| d | `e`".to_owned(),
        "![x](http://evil.example/x) [y](javascript:alert(1)) <!-- ".to_owned(),
        "name\\\"} 1\n# EOF".to_owned(),
        "same".to_owned(),
        String::new(),
    ]);
    prop_oneof![3 => known, 1 => any::<String>()]
}

/// The planted account with these names wherever a name comes from outside.
fn named(names: &[String; 6]) -> AuditFacts {
    let [one, two, three, four, five, six] = names;
    let mut facts = planted();
    facts.identity = one.clone();
    facts.notes.push(two.clone());
    for (at, workspace) in facts.workspaces.iter_mut().flatten().enumerate() {
        workspace.name = names[at % 6].clone();
        workspace.region = Some(two.clone());
        workspace.status = three.clone();
        workspace.pricing_tier = Some(four.clone());
    }
    let mut odd = workspace(8, five, &UseCase::ACCOUNT, GOOD, 1);
    odd.attached
        .insert(UseCase::Storage, Attached::Unreadable(six.clone()));
    let odd_key = Attached::Key {
        configuration: Some(three.clone()),
        key: one.clone(),
    };
    odd.attached.insert(UseCase::ManagedServices, odd_key);
    facts.workspaces.get_or_insert_default().push(odd);
    let mut key = key(two);
    key.state = Some(vocabulary::KeyState::Other(three.clone()));
    key.others = Some(vec![SeenOther {
        user: OtherUser {
            principal: four.clone(),
            rights: vec![five.clone()],
            by: six.clone(),
        },
        reach: Reach::Elsewhere(one.clone()),
    }]);
    facts.keys.insert(one.clone(), key);
    facts.locations.push(SeenLocation {
        url: three.clone(),
        metastore: Some(four.clone()),
        encrypted_by: EncryptedBy::ProviderKey,
        note: five.clone(),
        key: Some(six.clone()),
        ..facts.locations[0].clone()
    });
    facts.unread.push(unread(
        SubjectKind::Location,
        six,
        Part::Encryption,
        Some(one),
    ));
    facts
}

/// The names of the elements of a page, and what stands outside of them.
fn elements(page: &str) -> Vec<&str> {
    page.split('<')
        .skip(1)
        .map(|after| {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '/' && c != '!');
            after.get(..end.unwrap_or(after.len())).unwrap_or_default()
        })
        .collect()
}

const ELEMENTS: [&str; 66] = [
    "!DOCTYPE", "html", "/html", "head", "/head", "meta", "title", "/title", "style", "/style",
    "body", "/body", "a", "/a", "header", "/header", "h1", "/h1", "h2", "/h2", "h3", "/h3", "dl",
    "/dl", "div", "/div", "dt", "/dt", "dd", "/dd", "bdi", "/bdi", "main", "/main", "section",
    "/section", "ul", "/ul", "li", "/li", "span", "/span", "p", "/p", "b", "/b", "table", "/table",
    "thead", "/thead", "tbody", "/tbody", "tr", "/tr", "th", "/th", "td", "/td", "code", "/code",
    "details", "/details", "summary", "/summary", "pre", "/pre",
];
const FORMS: [&str; 24] = [
    "label",
    "/label",
    "input",
    "fieldset",
    "/fieldset",
    "legend",
    "/legend",
    "output",
    "/output",
    "footer",
    "/footer",
    "script",
    "/script",
    "svg",
    "/svg",
    "desc",
    "/desc",
    "text",
    "/text",
    "g",
    "/g",
    "rect",
    "path",
    "",
];

fn acts(c: char) -> bool {
    (c.is_control() && c != '\n')
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
}

fn harmless(report: &AuditReport) {
    for (name, shown) in all(report) {
        match name {
            "text" => assert!(!shown.contains(acts), "{name}: {shown:?}"),
            "markdown" => {
                assert!(!shown.contains(acts), "{name}: {shown:?}");
                assert!(shown.len() <= LARGEST_MARKDOWN);
                // A renderer shows what stands in a code span as text, never as an element.
                let spans = shown.replace("\\`", "");
                let outside: String = spans.split('`').step_by(2).collect();
                for element in elements(&outside) {
                    let known = [
                        "details", "/details", "summary", "/summary", "b", "/b", "br/",
                    ];
                    assert!(known.contains(&element), "{element}: {outside}");
                }
            }
            "html" => {
                assert!(!shown.contains(acts), "{name}");
                // The script has a comparison; everything else that begins like an element is one of ours.
                for element in elements(&shown) {
                    assert!(
                        ELEMENTS.contains(&element) || FORMS.contains(&element),
                        "<{element}"
                    );
                }
                assert_eq!(shown.matches("<script").count(), 1);
                assert_eq!(shown.matches("href=\"http").count(), 0);
            }
            "json" => {
                let again: AuditReport = serde_json::from_str(&shown).expect("JSON");
                assert_eq!(&again, report, "names stay as they are");
            }
            "data.csv" | "findings.csv" => {
                let mut reader = ::csv::Reader::from_reader(shown.as_bytes());
                let columns = reader.headers().expect("a header").len();
                assert_eq!(columns, 15);
                for row in reader.records() {
                    let row = row.expect("a row of as many cells");
                    for cell in row.iter() {
                        assert!(!cell.contains(acts) && !cell.contains('\n'), "{cell:?}");
                        assert!(
                            !cell.trim_start().starts_with(['=', '+', '-', '@']),
                            "{cell:?}"
                        );
                    }
                }
            }
            "sarif" => {
                let log: Json = serde_json::from_str(&shown).expect("JSON");
                for one in log["runs"][0]["results"].as_array().expect("results") {
                    let place = &one["locations"][0]["physicalLocation"];
                    assert!(place["artifactLocation"]["uri"].is_string(), "{one}");
                    assert!(place["region"]["startLine"].as_u64() >= Some(1), "{one}");
                }
            }
            "ocsf" => {
                for line in shown.lines() {
                    let event: Json = serde_json::from_str(line).expect("JSON");
                    assert_eq!(event["class_uid"], 2003);
                }
            }
            _ => {
                assert_eq!(shown.matches("\n# EOF").count(), 1, "{shown}");
                assert!(shown.ends_with("\n# EOF\n"));
                for line in shown.lines().filter(|line| !line.starts_with('#')) {
                    let value = line.rsplit_once(' ').map(|(_, value)| value.parse::<i64>());
                    assert!(matches!(value, Some(Ok(_))), "{line}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_hostile_name_does_no_harm_in_any_format(names in prop::array::uniform6(hostile())) {
        let baseline = report(good());
        let report = judged_by(named(&names), &policy(POLICY), Some(&baseline)).report;
        harmless(&report);
    }
}
