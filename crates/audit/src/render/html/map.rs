//! The map: from keys, by way of workspaces that have the same keys, to what the keys are for. Thousands of workspaces are a few groups.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escaped;
use crate::baseline::{KeyFor, keys_for};
use crate::report::AuditReport;
use vocabulary::{Key, UseCase};

/// How many groups and keys are drawn; the rest is drawn as one.
const MOST: usize = 14;

const ROW: usize = 52;
const BOX: usize = 36;
const TOP: usize = 34;
const LEFT: usize = 8;
const MIDDLE: usize = 404;
const RIGHT: usize = 790;
const WIDE: usize = 308;
const NARROW: usize = 182;
/// The room at both sides of a text, and how wide a character of a wide font is at the sizes of the style.
const ROOM: usize = 20;
const CHARACTER: usize = 8;
const SMALL_CHARACTER: usize = 7;
const WIDTH: usize = 980;

/// Where a line begins: a key, or none, or what is not known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Key(String),
    OtherKeys,
    None,
    NotKnown,
}

impl Origin {
    fn of(key: &KeyFor) -> Self {
        match key {
            KeyFor::Key(name) => Self::Key(name.to_string()),
            KeyFor::None => Self::None,
            KeyFor::NotKnown => Self::NotKnown,
        }
    }

    fn class(&self) -> &'static str {
        match self {
            Self::Key(_) | Self::OtherKeys => "has",
            Self::None => "none",
            Self::NotKnown => "open",
        }
    }
}

/// Workspaces that have the same keys.
struct Group {
    names: Vec<String>,
    count: usize,
    links: BTreeMap<(Origin, String), usize>,
}

/// What the map draws: the origins of keys, keys, and workspaces.
pub(super) struct Map {
    origins: Vec<Origin>,
    groups: Vec<Group>,
    cases: Vec<String>,
    judged: usize,
}

/// The judged workspaces by what keys they have, the largest group first.
fn groups(report: &AuditReport) -> Vec<Group> {
    let mut by_keys: BTreeMap<Vec<(Origin, String)>, (usize, Vec<String>)> = BTreeMap::new();
    for one in report.workspaces.iter().filter(|one| one.judged) {
        let links: Vec<(Origin, String)> = keys_for(one)
            .iter()
            .map(|(case, key)| (Origin::of(key), case.clone()))
            .collect();
        let (count, names) = by_keys.entry(links).or_default();
        *count += 1;
        if names.len() < 3 {
            names.push(one.name.clone());
        }
    }
    let mut groups: Vec<Group> = by_keys
        .into_iter()
        .map(|(links, (count, names))| Group {
            names,
            count,
            links: links.into_iter().map(|link| (link, count)).collect(),
        })
        .collect();
    // The order of the keys decides between groups of one size.
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    if groups.len() > MOST {
        let rest = groups.split_off(MOST - 1);
        let mut other = Group {
            names: vec!["other workspaces".to_owned()],
            count: 0,
            links: BTreeMap::new(),
        };
        for group in rest {
            other.count += group.count;
            for (link, count) in group.links {
                *other.links.entry(link).or_default() += count;
            }
        }
        groups.push(other);
    }
    groups
}

impl Map {
    /// The map of a report; none where no workspace was judged.
    pub(super) fn of(report: &AuditReport) -> Option<Self> {
        let mut groups = groups(report);
        if groups.is_empty() {
            return None;
        }
        let mut weights: BTreeMap<Origin, usize> = BTreeMap::new();
        for ((origin, _), count) in groups.iter().flat_map(|group| &group.links) {
            *weights.entry(origin.clone()).or_default() += count;
        }
        let (mut keys, rest): (Vec<_>, Vec<_>) = weights
            .into_iter()
            .partition(|(origin, _)| matches!(origin, Origin::Key(_)));
        keys.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
        let drawn: Vec<Origin> = keys.into_iter().map(|(origin, _)| origin).collect();
        let kept: Vec<Origin> = match drawn.len() > MOST {
            true => drawn.iter().take(MOST - 1).cloned().collect(),
            false => drawn.clone(),
        };
        if kept.len() < drawn.len() {
            for group in &mut groups {
                let links = std::mem::take(&mut group.links);
                for ((origin, case), count) in links {
                    let is_drawn = !matches!(origin, Origin::Key(_)) || kept.contains(&origin);
                    let origin = match is_drawn {
                        true => origin,
                        false => Origin::OtherKeys,
                    };
                    *group.links.entry((origin, case)).or_default() += count;
                }
            }
        }
        let mut origins = kept;
        if origins.len() < drawn.len() {
            origins.push(Origin::OtherKeys);
        }
        origins.extend(rest.into_iter().map(|(origin, _)| origin));
        let mut cases: Vec<String> = groups
            .iter()
            .flat_map(|group| group.links.keys().map(|(_, case)| case.clone()))
            .collect();
        cases.sort();
        cases.dedup();
        Some(Self {
            judged: groups.iter().map(|group| group.count).sum(),
            origins,
            groups,
            cases,
        })
    }

    fn rows(&self) -> usize {
        self.origins
            .len()
            .max(self.groups.len())
            .max(self.cases.len())
    }

    /// Where a row of a column with so many begins: each column stands in the middle.
    fn y(&self, row: usize, of: usize) -> usize {
        TOP + (self.rows() - of) * ROW / 2 + row * ROW
    }

    fn stroke(&self, count: usize) -> usize {
        (count * 22 / self.judged.max(1)).clamp(2, 22)
    }

    /// Renders the map as SVG, with a title for screen readers.
    pub(super) fn svg(&self) -> String {
        let height = TOP + self.rows() * ROW;
        let mut out = format!(
            "<svg class=\"map\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-labelledby=\"map-title map-desc\"><title id=\"map-title\">Keys, workspaces and \
             use cases</title><desc id=\"map-desc\">{} keys or gaps, {} groups of workspaces, {} use cases. The tables below have the same.</desc>",
            self.origins.len(),
            self.groups.len(),
            self.cases.len()
        );
        for (x, head) in [(LEFT, "Keys"), (MIDDLE, "Workspaces"), (RIGHT, "Data")] {
            let _ = write!(out, "<text class=\"head\" x=\"{x}\" y=\"18\">{head}</text>");
        }
        self.lines(&mut out);
        for (row, origin) in self.origins.iter().enumerate() {
            self.origin(&mut out, origin, self.y(row, self.origins.len()));
        }
        for (row, group) in self.groups.iter().enumerate() {
            let words = match group.count {
                1 => "1 workspace".to_owned(),
                many => format!("{many} workspaces"),
            };
            let y = self.y(row, self.groups.len());
            boxed(
                &mut out,
                (MIDDLE, y, WIDE),
                "",
                &words,
                &group.names.join(", "),
            );
        }
        for (row, case) in self.cases.iter().enumerate() {
            let words = case.parse::<UseCase>().map(UseCase::in_words);
            let y = self.y(row, self.cases.len());
            boxed(
                &mut out,
                (RIGHT, y, NARROW),
                "",
                words.unwrap_or("other data"),
                case,
            );
        }
        out.push_str("</svg>");
        out
    }

    fn origin(&self, out: &mut String, origin: &Origin, y: usize) {
        let place = (LEFT, y, WIDE);
        match origin {
            Origin::Key(name) => {
                let short = name.parse::<Key>().map(|key| key.short());
                boxed(
                    out,
                    place,
                    "",
                    &short.unwrap_or_else(|_| name.clone()),
                    name,
                );
            }
            Origin::OtherKeys => boxed(out, place, "", "Other keys", "see the table of keys"),
            Origin::None => boxed(
                out,
                place,
                "bad-box",
                "✕ No own key",
                "Databricks or the cloud has the key",
            ),
            Origin::NotKnown => boxed(
                out,
                place,
                "unknown-box",
                "? Not known",
                "could not be read",
            ),
        }
    }

    fn lines(&self, out: &mut String) {
        let row_of = |origin: &Origin| self.origins.iter().position(|one| one == origin);
        for (at, group) in self.groups.iter().enumerate() {
            let middle = self.y(at, self.groups.len()) + BOX / 2;
            for ((origin, case), count) in &group.links {
                let (class, stroke) = (origin.class(), self.stroke(*count));
                if let Some(row) = row_of(origin) {
                    let from = self.y(row, self.origins.len()) + BOX / 2;
                    curve(out, (LEFT + WIDE, from), (MIDDLE, middle), class, stroke);
                }
                if let Some(row) = self.cases.iter().position(|one| one == case) {
                    let to = self.y(row, self.cases.len()) + BOX / 2;
                    curve(out, (MIDDLE + WIDE, middle), (RIGHT, to), class, stroke);
                }
            }
        }
    }
}

fn curve(out: &mut String, from: (usize, usize), to: (usize, usize), class: &str, stroke: usize) {
    let half = (from.0 + to.0) / 2;
    let _ = write!(
        out,
        "<path class=\"{class}\" stroke-width=\"{stroke}\" d=\"M{} {}C{half} {} {half} {} {} {}\"/>",
        from.0, from.1, from.1, to.1, to.0, to.1
    );
}

/// The beginning of a text, by characters.
fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

fn boxed(out: &mut String, place: (usize, usize, usize), class: &str, head: &str, sub: &str) {
    let (x, y, width) = place;
    let room = width - ROOM;
    let _ = write!(
        out,
        "<g><title>{}: {}</title><rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BOX}\" rx=\"7\"/>\
         <text x=\"{}\" y=\"{}\">{}</text><text class=\"small\" x=\"{}\" y=\"{}\">{}</text></g>",
        escaped(head),
        escaped(sub),
        x + 10,
        y + 15,
        escaped(&cut(head, room / CHARACTER)),
        x + 10,
        y + 29,
        escaped(&cut(sub, room / SMALL_CHARACTER))
    );
}
