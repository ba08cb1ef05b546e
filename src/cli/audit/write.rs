//! The reports in files: each whole, or not there.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::places::Blocks;
use crate::audit::{
    AuditReport, AuditSubject, Look, Places, csv_data, csv_findings, html, json, markdown, ocsf,
    openmetrics, sarif, text,
};
use kms_policy::nearest;

/// How wide a text in a file is.
const WIDTH: usize = 100;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WrittenFormat {
    Text,
    Markdown,
    Json,
    Html,
    Csv,
    Sarif,
    Ocsf,
    Openmetrics,
}

const FORMATS: [(&str, WrittenFormat); 8] = [
    ("text", WrittenFormat::Text),
    ("markdown", WrittenFormat::Markdown),
    ("json", WrittenFormat::Json),
    ("html", WrittenFormat::Html),
    ("csv", WrittenFormat::Csv),
    ("sarif", WrittenFormat::Sarif),
    ("ocsf", WrittenFormat::Ocsf),
    ("openmetrics", WrittenFormat::Openmetrics),
];

/// A report that the command writes to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Output {
    format: WrittenFormat,
    file: PathBuf,
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, file)) = text.split_once('=') else {
            return Err("write FORMAT=FILE, such as html=audit.html".to_owned());
        };
        let Some((_, format)) = FORMATS.into_iter().find(|(known, _)| *known == name) else {
            let known = FORMATS.map(|(name, _)| name);
            let hint = match nearest(name, &known) {
                Some(near) => format!("; did you mean `{near}`?"),
                None => format!("; there are {}", known.join(", ")),
            };
            return Err(format!("`{name}` is not a format{hint}"));
        };
        match file.is_empty() {
            true => Err(format!("name the file: `{name}=FILE`")),
            false => Ok(Self {
                format,
                file: PathBuf::from(file),
            }),
        }
    }
}

/// The same name with `-findings` before its extension.
fn with_findings(file: &Path) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let name = match file.extension() {
        Some(extension) => format!("{stem}-findings.{}", extension.to_string_lossy()),
        None => format!("{stem}-findings"),
    };
    file.with_file_name(name)
}

impl Output {
    /// The files of this report.
    fn files(&self) -> Vec<PathBuf> {
        match self.format {
            WrittenFormat::Csv => vec![self.file.clone(), with_findings(&self.file)],
            _ => vec![self.file.clone()],
        }
    }

    /// Refuses two reports in one file.
    ///
    /// # Errors
    /// When there are.
    pub(super) fn check(all: &[Self]) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for file in all.iter().flat_map(Self::files) {
            let name = file.display().to_string();
            if !seen.insert(file) {
                return Err(format!("two reports would be written to {name}"));
            }
        }
        Ok(())
    }
}

/// Writes a file and puts it in place as a whole: who reads it at any time reads a whole report, the earlier one or this one.
pub(super) fn whole(
    file: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), String> {
    let failed =
        |error: &dyn std::fmt::Display| format!("{} could not be written: {error}", file.display());
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".audit-");
    // What the umask leaves of it, as for every file that a command makes: a collector of metrics is another user.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let temporary = builder
        .tempfile_in(directory)
        .map_err(|error| failed(&error))?;
    let mut out = BufWriter::new(temporary);
    write(&mut out).map_err(|error| failed(&error))?;
    let temporary = out.into_inner().map_err(|error| failed(&error))?;
    temporary
        .persist(file)
        .map(drop)
        .map_err(|error| failed(&error))
}

/// Writes all reports. `places`: the policy file, and the configuration in which results in SARIF have a place.
///
/// # Errors
/// When one cannot be written; those before it are.
pub(super) fn write_all(
    report: &AuditReport,
    outputs: &[Output],
    places: (&Path, &Blocks),
) -> Result<(), String> {
    for output in outputs {
        write_one(report, output, places)?;
    }
    Ok(())
}

fn write_one(
    report: &AuditReport,
    output: &Output,
    (policy_file, blocks): (&Path, &Blocks),
) -> Result<(), String> {
    let file = output.file.as_path();
    let look = Look {
        width: WIDTH,
        color: false,
    };
    match output.format {
        WrittenFormat::Text => whole(file, |to| to.write_all(text(report, look).as_bytes())),
        WrittenFormat::Markdown => whole(file, |to| to.write_all(markdown(report).as_bytes())),
        WrittenFormat::Json => whole(file, |to| json(report, to)),
        WrittenFormat::Html => whole(file, |to| html(report, to)),
        WrittenFormat::Csv => {
            whole(file, |to| csv_data(report, to))?;
            whole(&with_findings(file), |to| csv_findings(report, to))
        }
        WrittenFormat::Sarif => {
            let otherwise = policy_file.display().to_string();
            let of = |subject: &AuditSubject| blocks.place(subject);
            let places = Places {
                of: &of,
                otherwise: &otherwise,
            };
            whole(file, |to| sarif(report, &places, to))
        }
        WrittenFormat::Ocsf => whole(file, |to| ocsf(report, to)),
        WrittenFormat::Openmetrics => {
            whole(file, |to| to.write_all(openmetrics(report).as_bytes()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: the argument, and the files, or words of the error.
    #[test]
    fn an_output_is_a_format_and_a_file() {
        for (text, expected) in [
            ("html=a.html", Ok(vec!["a.html"])),
            ("csv=out/a.csv", Ok(vec!["out/a.csv", "out/a-findings.csv"])),
            ("csv=a", Ok(vec!["a", "a-findings"])),
            ("json=a=b.json", Ok(vec!["a=b.json"])),
            ("html", Err("write FORMAT=FILE")),
            ("htm=a", Err("did you mean `html`?")),
            ("pdf=a", Err("is not a format")),
            ("json=", Err("name the file")),
        ] {
            let found = text.parse::<Output>();
            match (found, expected) {
                (Ok(found), Ok(files)) => {
                    let files: Vec<PathBuf> = files.into_iter().map(PathBuf::from).collect();
                    assert_eq!(found.files(), files, "{text}");
                }
                (Err(error), Err(words)) => assert!(error.contains(words), "{error}"),
                (found, expected) => panic!("{text}: {found:?} {expected:?}"),
            }
        }
    }

    #[test]
    fn two_reports_do_not_share_a_file() {
        let of = |texts: &[&str]| -> Vec<Output> {
            texts
                .iter()
                .map(|text| text.parse().expect("an output"))
                .collect()
        };
        assert_eq!(Output::check(&of(&["html=a", "json=b"])), Ok(()));
        for texts in [["html=a", "json=a"], ["csv=a.csv", "html=a-findings.csv"]] {
            assert!(Output::check(&of(&texts)).is_err(), "{texts:?}");
        }
    }

    #[test]
    fn a_file_is_whole_or_not_there() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("report");
        whole(&file, |to| to.write_all(b"one")).expect("written");
        let broken = whole(&file, |to| {
            to.write_all(b"half")?;
            Err(io::Error::other("full"))
        });
        assert!(broken.is_err_and(|why| why.contains("full")));
        assert_eq!(std::fs::read(&file).expect("a file"), b"one");
        let left = std::fs::read_dir(directory.path())
            .expect("a directory")
            .count();
        assert_eq!(left, 1, "nothing half is left");
    }
}
