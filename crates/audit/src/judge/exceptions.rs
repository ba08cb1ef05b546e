//! Exceptions: findings that the owner accepts until a day. They stay in the report and do not count.

use time::Date;

use crate::catalog::{AuditId, rests_on};
use crate::facts::Unread;
use crate::policy::{AuditPolicy, Exception};
use crate::report::{AuditFinding, Controls, Excepted};
use crate::subject::{AuditSubject, SubjectKind};

impl Exception {
    fn covers(&self, finding: &AuditFinding) -> bool {
        self.id == finding.id && self.subject.matches(finding.subject.as_str())
    }

    fn finding(&self, id: AuditId, found: String, why: &str, remedy: &str) -> AuditFinding {
        let subject = AuditSubject::of(
            SubjectKind::Exception,
            format_args!("{}/{}", self.id, self.subject),
        );
        AuditFinding {
            id: id.name().to_owned(),
            uid: format!("{id}/{subject}"),
            severity: id.gravity(),
            subject,
            title: id.title().to_owned(),
            found,
            why: why.to_owned(),
            remedy: remedy.to_owned(),
            controls: Controls::new(),
            exception: None,
        }
    }
}

/// Marks the findings that are accepted today, and reports the exceptions that have expired or match nothing. An exception whose finding
/// may be missing because something was not read is not called unused.
pub(super) fn apply(
    findings: &mut Vec<AuditFinding>,
    policy: &AuditPolicy,
    today: Date,
    unread: &[Unread],
) {
    let mut of_exceptions = Vec::new();
    for one in &policy.exceptions {
        let is_expired = one.expires < today;
        let mut matched = 0;
        for finding in findings.iter_mut().filter(|finding| one.covers(finding)) {
            matched += 1;
            if !is_expired && finding.exception.is_none() {
                finding.exception = Some(Excepted {
                    reason: one.reason.clone(),
                    owner: one.owner.clone(),
                    expires: one.expires_on(),
                });
            }
        }
        let words = format!(
            "The exception for `{}` of `{}` (line {} of the policy file; owner {}; \"{}\")",
            one.id, one.subject, one.line, one.owner, one.reason
        );
        if is_expired {
            of_exceptions.push(one.finding(
                AuditId::ExceptionExpired,
                format!(
                    "{words} held until {}. {matched} findings that it accepted count again.",
                    one.expires_on()
                ),
                "An exception without an end is a hole that nobody remembers.",
                "Fix what it accepted, or extend it, at most a year ahead.",
            ));
        } else if matched == 0 {
            let rests_on = rests_on(one.id);
            if unread.iter().any(|unread| rests_on.contains(&unread.part)) {
                continue;
            }
            of_exceptions.push(one.finding(
                AuditId::ExceptionUnused,
                format!("{words} matches no finding of this run."),
                "It would accept a finding that comes later, and that nobody has seen.",
                "Remove it from the policy file, or correct its subject.",
            ));
        }
    }
    findings.extend(of_exceptions);
}
