//! The tables of the page: all rows stand in the file, so that they print and show without scripts.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::{badge, escaped};
use crate::baseline::{KeyFor, keys_for};
use crate::report::{
    AuditReport, AuditedData, AuditedKey, AuditedWorkspace, EncryptedBy, Proof, Rotates, Used,
};
use crate::verdict::Mood;
use requirements::coverage::Covered;
use vocabulary::{Key, UseCase};

/// How many workspaces of a key its row names.
const NAMED: usize = 8;

/// The bar that filters a list: shown by the script, since it does nothing without.
pub(super) fn filters(
    of: &str,
    label: &str,
    states: &[(&str, &str)],
    to: &mut dyn Write,
) -> io::Result<()> {
    write!(
        to,
        "<div class=\"filters\" data-of=\"{of}\" hidden><label>{label} <input type=\"search\" autocomplete=\"off\"></label>"
    )?;
    if !states.is_empty() {
        to.write_all(b"<fieldset><legend>Show</legend>")?;
        for (state, word) in states {
            write!(
                to,
                "<label><input type=\"checkbox\" value=\"{state}\" checked> {word}</label>"
            )?;
        }
        to.write_all(b"</fieldset>")?;
    }
    to.write_all(b"<output class=\"muted\" aria-live=\"polite\"></output></div>")
}

/// The beginning of a section with a table.
fn begin(id: &str, title: &str, to: &mut dyn Write) -> io::Result<()> {
    write!(
        to,
        "<section id=\"{id}\" aria-labelledby=\"{id}-head\"><h2 id=\"{id}-head\">{title}</h2>"
    )
}

fn head(id: &str, label: &str, columns: &[&str], to: &mut dyn Write) -> io::Result<()> {
    write!(
        to,
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{label} as a table\"><table id=\"{id}-list\"><thead><tr>"
    )?;
    for column in columns {
        write!(to, "<th scope=\"col\">{column}</th>")?;
    }
    to.write_all(b"</tr></thead><tbody>")
}

const END: &[u8] = b"</tbody></table></div></section>\n";

fn short(key: &str) -> String {
    key.parse::<Key>()
        .map_or_else(|_| key.to_owned(), |key| key.short())
}

/// The name of a key: what tells it apart, and the whole of it.
fn named(key: &str) -> String {
    format!(
        "<span title=\"{}\"><code>{}</code></span>",
        escaped(key),
        escaped(&short(key))
    )
}

/// What could not be read, beside the numbers.
pub(super) fn not_read(report: &AuditReport, to: &mut dyn Write) -> io::Result<()> {
    begin("not-read", "What could not be read", to)?;
    if report.not_read.is_empty() {
        return to.write_all(b"<p class=\"card empty\">Everything was read.</p></section>\n");
    }
    head(
        "not-read",
        "What could not be read",
        &[
            "What",
            "Why",
            "Missing permission",
            "Not known because of it",
        ],
        to,
    )?;
    for one in &report.not_read {
        let permission = match &one.permission {
            Some(permission) => format!("<code>{}</code>", escaped(permission)),
            None => "<span class=\"muted\">none</span>".to_owned(),
        };
        write!(
            to,
            "<tr><th scope=\"row\"><bdi>{}</bdi></th><td>{}</td><td>{permission}</td><td>{}</td></tr>",
            escaped(&one.what),
            escaped(&one.why),
            escaped(&one.leaves_open)
        )?;
    }
    to.write_all(END)
}

fn state_of(key: &AuditedKey) -> (Mood, &'static str) {
    match (key.is_known(), key.is_in_danger()) {
        (_, true) => (Mood::Bad, "danger"),
        (false, false) => (Mood::NotKnown, "unknown"),
        (true, false) => (Mood::Good, "fine"),
    }
}

/// Writes the section with a card for each key.
pub(super) fn keys(report: &AuditReport, to: &mut dyn Write) -> io::Result<()> {
    begin("keys", "Keys", to)?;
    if report.keys.is_empty() {
        return to.write_all(b"<p class=\"card empty\">There are no keys.</p></section>\n");
    }
    let states = [
        ("danger", "in danger"),
        ("unknown", "not known"),
        ("fine", "others"),
    ];
    filters("keys-list", "Search keys", &states, to)?;
    head(
        "keys",
        "Keys",
        &[
            "Key", "State", "Proof", "Rotation", "Last use", "Who else", "Used by",
        ],
        to,
    )?;
    for key in &report.keys {
        row_of_key(key, to)?;
    }
    to.write_all(END)
}

fn row_of_key(key: &AuditedKey, to: &mut dyn Write) -> io::Result<()> {
    let (mood, state) = state_of(key);
    let until = key
        .until
        .as_ref()
        .map(|until| format!("<span class=\"sub\">until {}</span>", escaped(until)));
    let place = [key.owner.as_deref(), key.location.as_deref()];
    let place: Vec<String> = place.into_iter().flatten().map(escaped).collect();
    let word = match key.is_known() {
        true => key.state.as_str(),
        false => "not known",
    };
    let proof = match key.proof {
        Proof::Ready => badge(Mood::Good, "ready"),
        Proof::NotReady => badge(Mood::Bad, "not ready"),
        Proof::NotKnown => badge(Mood::NotKnown, "not known"),
    };
    let rotation = match key.rotation {
        Rotates::On => badge(Mood::Good, "on"),
        Rotates::Off => badge(Mood::NotAsked, "off"),
        Rotates::NotKnown => badge(Mood::NotKnown, "not known"),
    };
    write!(
        to,
        "<tr data-state=\"{state}\"><th scope=\"row\"><code><bdi>{}</bdi></code><span class=\"sub\">{}</span></th><td>{}{}</td><td>{proof}</td><td>{rotation}</td>",
        escaped(key.key.as_str()),
        place.join(" · "),
        badge(mood, word),
        until.unwrap_or_default()
    )?;
    write!(
        to,
        "<td>{}</td><td>{}</td><td>{}</td></tr>",
        last_use(key),
        others(key),
        users(key)
    )
}

fn last_use(key: &AuditedKey) -> String {
    let Some(last) = &key.last_used else {
        return badge(Mood::NotKnown, "not known");
    };
    let since = last.tracked_since.as_deref().map(|since| {
        format!(
            "<span class=\"sub\">tracked since {}</span>",
            escaped(since)
        )
    });
    let words = match (&last.at, &last.by) {
        (Some(at), by) => {
            let how = [last.operation.as_deref(), by.as_deref()];
            let how: Vec<String> = how.into_iter().flatten().map(escaped).collect();
            format!(
                "{}<span class=\"sub\">{}</span>",
                escaped(at),
                how.join(", ")
            )
        }
        (None, Some(by)) => escaped(by),
        (None, None) => "no use recorded".to_owned(),
    };
    format!("{words}{}", since.unwrap_or_default())
}

fn others(key: &AuditedKey) -> String {
    let Some(all) = &key.others else {
        return badge(Mood::NotKnown, "not known");
    };
    if all.is_empty() {
        return "nobody".to_owned();
    }
    let lines: Vec<String> = all
        .iter()
        .map(|one| {
            format!(
                "<li><bdi>{}</bdi> <span class=\"muted\">({}; {})</span></li>",
                escaped(&one.principal),
                escaped(&one.rights.join(", ")),
                escaped(&one.by)
            )
        })
        .collect();
    format!(
        "<details class=\"more\"><summary>{}</summary><ul>{}</ul></details>",
        all.len(),
        lines.concat()
    )
}

fn users(key: &AuditedKey) -> String {
    let used = &key.used_by;
    let named: Vec<String> = used
        .workspaces
        .iter()
        .take(NAMED)
        .map(|id| escaped(id.as_str()))
        .collect();
    let more = match used.workspaces.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let catalogs = match &used.catalogs {
        None => "catalogs not known".to_owned(),
        Some(all) => format!("{} catalogs", all.len()),
    };
    let tables = match &used.locations {
        None => "where tables lie not known".to_owned(),
        Some(all) => format!("{} places of tables", all.len()),
    };
    format!(
        "{} workspaces<span class=\"sub\">{}{more}</span><span class=\"sub\">{catalogs}, {} key configurations, {tables}</span>",
        used.workspaces.len(),
        named.join(", "),
        used.configurations.len()
    )
}

/// The kinds of data that several workspaces have in common, each with the letter of its profile.
struct Profiles<'a> {
    numbers: BTreeMap<Vec<(&'a str, Covered, &'a str)>, usize>,
    rows: Vec<(&'a [AuditedData], usize)>,
}

impl<'a> Profiles<'a> {
    fn of(report: &'a AuditReport) -> (Self, Vec<usize>) {
        let mut all = Self {
            numbers: BTreeMap::new(),
            rows: Vec::new(),
        };
        let each = report.workspaces.iter().map(|one| {
            let pattern = one
                .data
                .iter()
                .map(|row| (row.kind.as_ref(), row.covered, row.note.as_ref()))
                .collect();
            let next = all.rows.len();
            let number = *all.numbers.entry(pattern).or_insert(next);
            match all.rows.get_mut(number) {
                Some((_, count)) => *count += 1,
                None => all.rows.push((&one.data, 1)),
            }
            number
        });
        let numbers = each.collect();
        (all, numbers)
    }
}

fn cover(covered: Covered) -> String {
    let (mood, word) = match covered {
        Covered::Yes => (Mood::Good, "own key"),
        Covered::Partly => (Mood::Good, "partly"),
        Covered::No => (Mood::Bad, "no own key"),
        Covered::NotKnown => (Mood::NotKnown, "not known"),
        Covered::NotOffered => (Mood::NotAsked, "not there"),
    };
    badge(mood, word)
}

/// The workspaces, and what of their data is under which key.
pub(super) fn workspaces(report: &AuditReport, to: &mut dyn Write) -> io::Result<()> {
    begin("workspaces", "Workspaces", to)?;
    if report.workspaces.is_empty() {
        return to.write_all(b"<p class=\"card empty\">No workspace was read.</p></section>\n");
    }
    let states = [
        ("uncovered", "uncovered"),
        ("unknown", "not known"),
        ("covered", "covered"),
        ("unjudged", "not judged"),
    ];
    filters("workspaces-list", "Search workspaces", &states, to)?;
    let (profiles, numbers) = Profiles::of(report);
    let standing = standings(report);
    let cases = UseCase::ALL.map(UseCase::in_words);
    let [managed, storage, disks] = cases;
    head(
        "workspaces",
        "Workspaces",
        &["Workspace", "Own keys", managed, storage, disks, "Data"],
        to,
    )?;
    for (one, profile) in report.workspaces.iter().zip(numbers) {
        let found = standing.get(one.id.as_str()).copied();
        row_of_workspace(one, found, profile, to)?;
    }
    to.write_all(b"</tbody></table></div>")?;
    to.write_all(b"<h3>Kinds of data</h3>")?;
    for (number, (rows, count)) in profiles.rows.iter().enumerate() {
        profile(number, rows, *count, to)?;
    }
    to.write_all(b"</section>\n")
}

/// What was found of each workspace: uncovered, or not known.
fn standings(report: &AuditReport) -> BTreeMap<&str, (Mood, &'static str, &'static str)> {
    let each = report.findings.iter().filter_map(|one| {
        let state = match one.id.as_str() {
            "workspace-data-uncovered" => (Mood::Bad, "uncovered", "uncovered"),
            "workspace-data-unknown" => (Mood::NotKnown, "unknown", "not known"),
            _ => return None,
        };
        Some((one.subject.id(), state))
    });
    each.collect()
}

fn row_of_workspace(
    one: &AuditedWorkspace,
    found: Option<(Mood, &'static str, &'static str)>,
    profile: usize,
    to: &mut dyn Write,
) -> io::Result<()> {
    let (mood, state, word) = match (one.judged, found) {
        (false, _) => (Mood::NotAsked, "unjudged", "not judged"),
        (true, Some(found)) => found,
        (true, None) => (Mood::Good, "covered", "covered"),
    };
    let about = [
        Some(one.id.as_str()),
        one.region.as_deref(),
        one.pricing_tier.as_deref(),
        Some(one.status.as_str()),
    ];
    let about: Vec<String> = about.into_iter().flatten().map(escaped).collect();
    write!(
        to,
        "<tr data-state=\"{state}\"><th scope=\"row\"><bdi>{}</bdi><span class=\"sub\">{}</span></th><td>{}</td>",
        escaped(&one.name),
        about.join(" · "),
        badge(mood, word)
    )?;
    let keys = keys_for(one);
    for case in UseCase::ALL {
        let cell = match keys.get(case.name()) {
            Some(KeyFor::Key(key)) => named(key.as_str()),
            Some(KeyFor::None) => badge(Mood::Bad, "none"),
            Some(KeyFor::NotKnown) => badge(Mood::NotKnown, "not known"),
            None => "<span class=\"muted\">not there</span>".to_owned(),
        };
        write!(to, "<td>{cell}</td>")?;
    }
    write!(
        to,
        "<td><a href=\"#data-{0}\">list {0}</a></td></tr>",
        profile + 1
    )
}

fn profile(
    number: usize,
    rows: &[AuditedData],
    count: usize,
    to: &mut dyn Write,
) -> io::Result<()> {
    let number = number + 1;
    let of = match count {
        1 => "1 workspace".to_owned(),
        many => format!("{many} workspaces"),
    };
    write!(
        to,
        "<details class=\"card profile\" id=\"data-{number}\"><summary>List {number}: the data of {of}</summary>\
         <table><thead><tr><th scope=\"col\">Kind</th><th scope=\"col\">Where</th><th scope=\"col\">Own key</th><th scope=\"col\">Note</th></tr></thead><tbody>"
    )?;
    for row in rows {
        write!(
            to,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&row.kind),
            escaped(&row.location),
            cover(row.covered),
            escaped(&row.note)
        )?;
    }
    to.write_all(b"</tbody></table></details>")
}

/// Where tables lie.
pub(super) fn locations(report: &AuditReport, to: &mut dyn Write) -> io::Result<()> {
    begin("locations", "Where tables lie", to)?;
    if report.locations.is_empty() {
        return to.write_all(b"<p class=\"card empty\">No location was read.</p></section>\n");
    }
    let states = [
        ("provider_key", "without an own key"),
        ("not_known", "not known"),
        ("own_key", "with an own key"),
    ];
    filters("locations-list", "Search locations", &states, to)?;
    head(
        "locations",
        "Locations",
        &["Location", "Kind", "Encrypted by", "Key", "Note"],
        to,
    )?;
    for one in &report.locations {
        let (mood, word) = match one.encrypted_by {
            EncryptedBy::OwnKey => (Mood::Good, "own key"),
            EncryptedBy::ProviderKey => (Mood::Bad, "no own key"),
            EncryptedBy::NotKnown => (Mood::NotKnown, "not known"),
        };
        write!(
            to,
            "<tr data-state=\"{}\"><th scope=\"row\"><bdi>{}</bdi><span class=\"sub\">{}</span></th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            one.encrypted_by.word(),
            escaped(&one.url),
            escaped(one.metastore.as_deref().unwrap_or_default()),
            one.kind.word().replace('_', " "),
            badge(mood, word),
            one.key
                .as_ref()
                .map(|key| named(key.as_str()))
                .unwrap_or_default(),
            escaped(&one.note)
        )?;
    }
    to.write_all(END)
}

/// The key configurations.
pub(super) fn configurations(report: &AuditReport, to: &mut dyn Write) -> io::Result<()> {
    if report.configurations.is_empty() {
        return Ok(());
    }
    begin("configurations", "Key configurations", to)?;
    filters(
        "configurations-list",
        "Search key configurations",
        &[
            ("yes", "used"),
            ("no", "unused"),
            ("not_known", "not known"),
        ],
        to,
    )?;
    head(
        "configurations",
        "Key configurations",
        &["ID", "Key", "Use cases", "Used", "Twin of"],
        to,
    )?;
    for one in &report.configurations {
        let (mood, word) = match one.used {
            Used::Yes => (Mood::Good, "yes"),
            Used::No => (Mood::NotAsked, "no"),
            Used::NotKnown => (Mood::NotKnown, "not known"),
        };
        let key = match &one.key {
            Some(key) => named(key.as_str()),
            None => badge(Mood::NotKnown, "not known"),
        };
        write!(
            to,
            "<tr data-state=\"{}\"><th scope=\"row\"><code>{}</code></th><td>{key}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            one.used.word(),
            escaped(&one.id),
            escaped(&one.use_cases.join(", ")),
            badge(mood, word),
            escaped(one.twin_of.as_deref().unwrap_or_default())
        )?;
    }
    to.write_all(END)
}

/// Writes the section with the findings that the owner accepts.
pub(super) fn exceptions(report: &AuditReport, to: &mut dyn Write) -> io::Result<()> {
    let all: Vec<_> = report.excepted().collect();
    if all.is_empty() {
        return Ok(());
    }
    begin("exceptions", "Accepted findings", to)?;
    head(
        "exceptions",
        "Accepted findings",
        &["Finding", "Subject", "Reason", "Owner", "Until"],
        to,
    )?;
    for (one, why) in all {
        write!(
            to,
            "<tr><th scope=\"row\">{}<span class=\"sub\">{}</span></th><td><code><bdi>{}</bdi></code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(&one.title),
            escaped(&one.id),
            escaped(one.subject.as_str()),
            escaped(&why.reason),
            escaped(&why.owner),
            escaped(&why.expires)
        )?;
    }
    to.write_all(END)
}
