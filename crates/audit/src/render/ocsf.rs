//! The report as OCSF 1.8.0 Compliance Findings (class 2003), one object a line: each finding, each thing that was not read, and each
//! judged workspace, also one that passes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use serde_json::{Value as Json, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{TOOL, cloud_in_words};
use crate::catalog::{AuditId, NOT_READ};
use crate::changes::finding_of;
use crate::controls::ControlMap;
use crate::report::{AuditReport, ChangeKind, Controls, Gravity};
use crate::subject::{AuditSubject, SubjectKind};

const CLASS: u32 = 2003;

/// What became of a finding since the baseline.
#[derive(Clone, Copy)]
enum Activity {
    Create,
    Update,
    Close,
}

impl Activity {
    fn id(self) -> u32 {
        match self {
            Self::Create => 1,
            Self::Update => 2,
            Self::Close => 3,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Create => "Create",
            Self::Update => "Update",
            Self::Close => "Close",
        }
    }
}

/// What a check came to. A check that could not be made is unknown, which is not a failure and no pass.
#[derive(Clone, Copy)]
enum Status {
    Unknown,
    Pass,
    Fail,
}

impl Status {
    fn id(self) -> u32 {
        match self {
            Self::Unknown => 0,
            Self::Pass => 1,
            Self::Fail => 3,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Pass => "Pass",
            Self::Fail => "Fail",
        }
    }
}

/// An event before it has the form of OCSF.
struct Event<'a> {
    activity: Activity,
    status: Status,
    severity: (u32, &'static str),
    id: &'a str,
    uid: String,
    title: &'a str,
    text: String,
    remedy: &'a str,
    subject: &'a str,
    region: Option<&'a str>,
    controls: Controls,
    suppressed: bool,
    unmapped: Json,
}

fn severity(gravity: Gravity) -> (u32, &'static str) {
    match gravity {
        Gravity::Error => (4, "High"),
        Gravity::Warning => (3, "Medium"),
        Gravity::Note => (1, "Informational"),
    }
}

struct Writer<'a> {
    report: &'a AuditReport,
    milliseconds: i64,
    to: &'a mut dyn Write,
}

impl Writer<'_> {
    fn event(&mut self, one: &Event<'_>) -> io::Result<()> {
        let run = &self.report.run;
        let standards: Vec<&String> = one.controls.keys().collect();
        let requirements: Vec<String> = one
            .controls
            .iter()
            .flat_map(|(standard, all)| all.iter().map(move |one| format!("{standard} {one}")))
            .collect();
        let (kind, name) = one.subject.split_once('/').unwrap_or(("", one.subject));
        let (life, life_name) = match (one.suppressed, one.activity, one.status) {
            (true, ..) => (3, "Suppressed"),
            (_, Activity::Close, _) | (_, _, Status::Pass) => (4, "Resolved"),
            (_, Activity::Update, _) => (2, "In Progress"),
            (_, Activity::Create, _) => (1, "New"),
        };
        let mut event = json!({
            "activity_id": one.activity.id(),
            "activity_name": one.activity.name(),
            "category_uid": 2,
            "category_name": "Findings",
            "class_uid": CLASS,
            "class_name": "Compliance Finding",
            "type_uid": CLASS * 100 + one.activity.id(),
            "type_name": format!("Compliance Finding: {}", one.activity.name()),
            "time": self.milliseconds,
            "severity_id": one.severity.0,
            "severity": one.severity.1,
            "status_id": life,
            "status": life_name,
            "message": one.text,
            "metadata": {
                "version": "1.8.0",
                "profiles": ["cloud"],
                "product": { "name": TOOL, "vendor_name": "dbxcmk", "version": env!("CARGO_PKG_VERSION") },
            },
            "cloud": { "provider": cloud_in_words(&run.cloud) },
            "finding_info": { "uid": one.uid, "title": one.title, "desc": one.text, "types": [one.id] },
            "compliance": {
                "control": one.id,
                "standards": standards,
                "requirements": requirements,
                "status_id": one.status.id(),
                "status": one.status.name(),
            },
            "resources": [{ "uid": one.subject, "name": name, "type": kind, "region": one.region.unwrap_or_default() }],
            "unmapped": one.unmapped,
        });
        if let Some(object) = event.as_object_mut() {
            if !one.remedy.is_empty() {
                object.insert("remediation".to_owned(), json!({ "desc": one.remedy }));
            }
            if let (Some(id), Some(cloud)) = (&run.account_id, object.get_mut("cloud"))
                && let Some(cloud) = cloud.as_object_mut()
            {
                cloud.insert(
                    "account".to_owned(),
                    json!({ "uid": id, "type_id": 99, "type": "Databricks Account" }),
                );
            }
        }
        serde_json::to_writer(&mut *self.to, &event)?;
        self.to.write_all(b"\n")
    }
}

/// The report as OCSF, one event a line.
///
/// # Errors
/// When it cannot be written.
pub fn ocsf(report: &AuditReport, to: &mut dyn Write) -> io::Result<()> {
    let at = OffsetDateTime::parse(&report.run.time, &Rfc3339);
    let milliseconds = at.map_or(0, |at| at.unix_timestamp().saturating_mul(1000));
    let mut writer = Writer {
        report,
        milliseconds,
        to,
    };
    findings(&mut writer)?;
    closed(&mut writer)?;
    not_read(&mut writer)?;
    workspaces(&mut writer)
}

fn findings(writer: &mut Writer<'_>) -> io::Result<()> {
    let report = writer.report;
    let new: BTreeSet<String> = report
        .changes
        .iter()
        .filter(|one| one.kind == ChangeKind::FindingNew && one.was.is_none())
        .filter_map(|one| Some(format!("{}/{}", finding_of(one)?, one.subject)))
        .collect();
    for one in &report.findings {
        let is_known = report.run.baseline.is_some() && !new.contains(&one.uid);
        // OCSF has a status "Warning" for what yielded no result. A finding is a result; how grave it is, its severity says.
        let status = match one.id == AuditId::WorkspaceDataUnknown.name() {
            true => Status::Unknown,
            false => Status::Fail,
        };
        writer.event(&Event {
            activity: match is_known {
                true => Activity::Update,
                false => Activity::Create,
            },
            status,
            severity: severity(one.severity),
            id: &one.id,
            uid: one.uid.clone(),
            title: &one.title,
            text: [one.found.as_str(), &one.why].join("\n\n"),
            remedy: &one.remedy,
            subject: one.subject.as_str(),
            region: None,
            controls: one.controls.clone(),
            suppressed: !one.counts(),
            unmapped: json!({ "exception": one.exception }),
        })?;
    }
    Ok(())
}

/// What was found last time and is not there anymore.
fn closed(writer: &mut Writer<'_>) -> io::Result<()> {
    let report = writer.report;
    let controls = ControlMap::read();
    let gone = report.changes.iter();
    for change in gone.filter(|one| one.kind == ChangeKind::FindingGone) {
        let Some(id) = finding_of(change) else {
            continue;
        };
        writer.event(&Event {
            activity: Activity::Close,
            status: Status::Pass,
            severity: (1, "Informational"),
            id,
            uid: format!("{id}/{}", change.subject),
            title: &change.text,
            text: change.text.clone(),
            remedy: "",
            subject: change.subject.as_str(),
            region: None,
            controls: controls.of(id),
            suppressed: false,
            unmapped: json!({}),
        })?;
    }
    Ok(())
}

fn not_read(writer: &mut Writer<'_>) -> io::Result<()> {
    let report = writer.report;
    for one in &report.not_read {
        let (subject, _) = one.what.rsplit_once(": ").unwrap_or((&one.what, ""));
        let remedy = one.permission.as_ref();
        let remedy = remedy.map(|permission| format!("Grant {permission}."));
        writer.event(&Event {
            activity: Activity::Create,
            status: Status::Unknown,
            severity: (0, "Unknown"),
            id: NOT_READ,
            uid: format!("{NOT_READ}/{}", one.what),
            title: "Something could not be read",
            text: format!("{}: {} {}", one.what, one.why, one.leaves_open),
            remedy: remedy.as_deref().unwrap_or_default(),
            subject,
            region: None,
            controls: Controls::new(),
            suppressed: false,
            unmapped: json!({ "permission": one.permission, "leaves_open": one.leaves_open }),
        })?;
    }
    Ok(())
}

/// Each judged workspace as one check: whether its data is under an own key.
fn workspaces(writer: &mut Writer<'_>) -> io::Result<()> {
    let report = writer.report;
    let controls = ControlMap::read().of(AuditId::WorkspaceDataUncovered.name());
    let standing = |id: AuditId| -> BTreeMap<&str, bool> {
        let of = report.findings.iter().filter(|one| one.id == id.name());
        of.map(|one| (one.subject.as_str(), one.counts())).collect()
    };
    let uncovered = standing(AuditId::WorkspaceDataUncovered);
    let unknown = standing(AuditId::WorkspaceDataUnknown);
    for one in report.workspaces.iter().filter(|one| one.judged) {
        let subject = AuditSubject::of(SubjectKind::Workspace, &one.id);
        let (is_uncovered, is_unknown) = (
            uncovered.get(subject.as_str()),
            unknown.get(subject.as_str()),
        );
        let (status, severity, words) = match (is_uncovered, is_unknown) {
            (Some(_), _) => (
                Status::Fail,
                (4, "High"),
                "has data that is not under an own key",
            ),
            (None, Some(_)) => (
                Status::Unknown,
                (0, "Unknown"),
                "has data of which it is not known whether it is under an own key",
            ),
            (None, None) => (
                Status::Pass,
                (1, "Informational"),
                "has an own key wherever a key of the workspace can encrypt",
            ),
        };
        let data: BTreeMap<&str, &str> = one
            .data
            .iter()
            .map(|row| (row.kind.as_ref(), row.covered.word()))
            .collect();
        writer.event(&Event {
            activity: match report.run.baseline {
                Some(_) => Activity::Update,
                None => Activity::Create,
            },
            status,
            severity,
            id: "workspace",
            uid: format!("workspace/{subject}"),
            title: "Data of the workspace is under an own key",
            text: format!("The workspace {} (\"{}\") {words}.", one.id, one.name),
            remedy: "",
            subject: subject.as_str(),
            region: one.region.as_deref(),
            controls: controls.clone(),
            suppressed: is_uncovered.or(is_unknown) == Some(&false),
            unmapped: json!({ "data": data, "pricing_tier": one.pricing_tier, "status": one.status }),
        })?;
    }
    Ok(())
}
