//! The report as text for people and as JSON for programs.

use std::fmt::Write as _;

use super::report::{DoctorReport, RightReport, ServiceReport, Status, Verdict, remedy};
use super::rights::Purpose;

/// The report as JSON, indented.
///
/// # Errors
/// None that a report can cause; serde reports them all the same.
pub fn json(report: &DoctorReport) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(report).map(|text| format!("{text}\n"))
}

/// The report for people.
pub fn text(report: &DoctorReport) -> String {
    let mut text = String::new();
    for one in &report.services {
        service(&mut text, one);
        text.push('\n');
    }
    let last = match report.verdict {
        Verdict::There => "Every right is there.",
        Verdict::Missing if report.services.iter().all(|one| one.verdict().is_none()) => {
            "No service is configured. Set the credentials of the Databricks account and of your cloud."
        }
        Verdict::Missing => "Something is missing; see above.",
        Verdict::NotKnown => {
            "Nothing is known to be missing, and not everything could be told; see above."
        }
    };
    text.push_str(last);
    text.push('\n');
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "  {name:<14}{value}");
}

fn service(text: &mut String, report: &ServiceReport) {
    let status = match report.status {
        Status::Examined => "",
        Status::NotConfigured => ": not configured",
        Status::Refused => ": no usable credentials",
        Status::NotReached => ": not reached",
    };
    let _ = writeln!(text, "{}{status}", report.service.in_words());
    if let Some(who) = &report.identity {
        line(text, "who", who);
    }
    if let Some(account) = &report.account {
        line(text, "account", account);
    }
    for (at, one) in report.endpoints.iter().enumerate() {
        let by = match &one.proxy {
            Some(proxy) => format!(" by the proxy {proxy}"),
            None => String::new(),
        };
        let name = if at == 0 { "endpoints" } else { "" };
        line(text, name, &format!("{}: {}{by}", one.name, one.address));
    }
    for (name, value) in [("why", &report.why), ("to do", &report.what_to_do)] {
        paragraph(text, name, value.as_deref());
    }
    if let Some(can) = &report.can {
        for purpose in Purpose::ALL {
            let all = |state: Verdict| named(&report.rights, purpose, state);
            let value = match can.of(purpose) {
                Verdict::There => "all required rights are there".to_owned(),
                Verdict::Missing => format!("missing: {}", all(Verdict::Missing)),
                Verdict::NotKnown => format!("not known: {}", all(Verdict::NotKnown)),
            };
            line(text, purpose.in_words(), &value);
        }
    }
    for rights in alike(&report.rights) {
        open(text, report, &rights);
    }
    for note in &report.notes {
        paragraph(text, "note", Some(note));
    }
}

/// The required rights of a purpose in a state.
fn named(rights: &[RightReport], purpose: Purpose, state: Verdict) -> String {
    let all = rights
        .iter()
        .filter(|one| one.is_required && one.state == state && one.purposes.contains(&purpose));
    let names: Vec<&str> = all.map(|one| one.name).collect();
    names.join(", ")
}

/// The rights that are not there, those together that have the same cause on the same thing: one step helps against all of them.
fn alike(rights: &[RightReport]) -> Vec<Vec<&RightReport>> {
    let mut groups: Vec<Vec<&RightReport>> = Vec::new();
    for right in rights.iter().filter(|one| one.state != Verdict::There) {
        let is_same = |other: &&RightReport| {
            (other.state, &other.why, &other.on) == (right.state, &right.why, &right.on)
        };
        let known = groups
            .iter_mut()
            .find(|group| group.first().is_some_and(is_same));
        match known {
            Some(group) => group.push(right),
            None => groups.push(vec![right]),
        }
    }
    groups
}

/// Rights that are not there for one cause, with what follows and what helps.
fn open(text: &mut String, report: &ServiceReport, rights: &[&RightReport]) {
    let Some(first) = rights.first() else {
        return;
    };
    let on = match first.on.as_str() {
        "" => String::new(),
        on => format!(" on {on}"),
    };
    let name = |right: &RightReport| match right.is_required {
        true => right.name.to_owned(),
        false => format!("{} (optional)", right.name),
    };
    let names: Vec<String> = rights.iter().map(|one| name(one)).collect();
    let state = first.state.in_words();
    let _ = writeln!(text, "\n  {state}: {}{on}", names.join(", "));
    paragraph(text, "  why", Some(&first.why));
    let mut without: Vec<&str> = Vec::new();
    for one in rights.iter().filter_map(|one| one.without) {
        if !without.contains(&one) {
            without.push(one);
        }
    }
    paragraph(text, "  without it", Some(&without.join("\n")));
    let who = report.identity.as_deref().unwrap_or_default();
    let what_to_do = remedy(report.service, who, rights);
    paragraph(text, "  to do", Some(&what_to_do));
}

/// A text of several lines, the name before the first.
fn paragraph(text: &mut String, name: &str, value: Option<&str>) {
    let lines = value.into_iter().flat_map(str::lines);
    for (at, row) in lines.filter(|row| !row.trim().is_empty()).enumerate() {
        let name = if at == 0 { name } else { "" };
        let _ = writeln!(text, "  {name:<14}{row}");
    }
}
