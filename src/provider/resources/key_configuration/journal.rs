//! What this working directory has asked the account to make, and whose answer may have been lost.
//!
//! The account API has no token that makes a create safe to repeat, and an object does not say who made it. An equal object can
//! be our own, whose answer was lost, or another state's. So before a create is sent, a note of it is written beside Terraform's
//! own data; only what such a note explains is adopted. The note has no secrets. Without it (another machine, a fresh checkout)
//! the provider says what it found and how to import it.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// How long a note explains an object: longer than any create and its retries take.
const VALID: Duration = Duration::minutes(15);
/// Notes of creates, and of objects that a state has.
const CREATE: &str = "create";
const OWN: &str = "own";

/// How far the clocks of the account and of this machine may be apart.
const CLOCKS: Duration = Duration::minutes(2);

/// A create that was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The account, the Terraform workspace and the request, as text.
    what: String,
    /// When it was sent, in milliseconds since 1970.
    sent: i64,
    /// The equal objects that were there before.
    known: Vec<String>,
    /// The object that the answer named, if one came.
    made: Option<String>,
}

fn milliseconds(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

impl Note {
    /// Whether this create explains an object, which was made at `created` (milliseconds since 1970).
    fn explains(&self, id: &str, created: Option<i64>, now: i64) -> bool {
        let (valid, clocks) = (milliseconds_of(VALID), milliseconds_of(CLOCKS));
        let is_young = (self.sent..self.sent.saturating_add(valid)).contains(&now);
        let fits = created
            .is_some_and(|created| created >= self.sent - clocks && created <= self.sent + valid);
        let is_it = match &self.made {
            Some(made) => made == id,
            None => !self.known.iter().any(|known| known == id),
        };
        is_young && fits && is_it
    }
}

fn milliseconds_of(length: Duration) -> i64 {
    i64::try_from(length.whole_milliseconds()).unwrap_or(i64::MAX)
}

/// Whether the answer to a create came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answered {
    /// It came, and named the object: Terraform had the object in its state, unless it was killed.
    Yes,
    /// The answer was lost.
    No,
}

/// The equal objects that a state had when a plan was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Own {
    what: String,
    ids: Vec<String>,
}

/// The notes of a working directory.
#[derive(Clone, Debug)]
pub struct Journal {
    place: PathBuf,
    workspace: String,
}

impl Journal {
    /// The journal of the directory in which Terraform works.
    pub fn here() -> Self {
        let data = doors::environment::path("TF_DATA_DIR");
        let data = data.unwrap_or_else(|| PathBuf::from(".terraform"));
        // Several states can share a directory: each Terraform workspace has its own.
        let chosen = doors::environment::variable("TF_WORKSPACE").filter(|name| !name.is_empty());
        let workspace = chosen
            .or_else(|| doors::files::read_to_string(data.join("environment")).ok())
            .unwrap_or_default();
        Self {
            place: data.join("dbxcmk"),
            workspace: workspace.trim().to_owned(),
        }
    }

    fn what(&self, request: &str) -> String {
        format!("{} {request}", self.workspace)
    }

    fn file(&self, kind: &str, what: &str) -> PathBuf {
        // FNV-1a: every version must make the same name, and an attacker gains nothing from a collision.
        let hash = what.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        self.place.join(format!("{kind}-{hash:016x}.json"))
    }

    /// Notes that `request` is about to be sent; `known`: the equal objects that are there.
    ///
    /// # Errors
    /// When the note cannot be written: the create goes on without.
    pub fn begin(&self, request: &str, known: Vec<String>) -> std::io::Result<Note> {
        doors::files::create_directory(&self.place)?;
        self.forget_old();
        let note = Note {
            what: self.what(request),
            sent: milliseconds(doors::clock::now()),
            known,
            made: None,
        };
        self.put(&note)?;
        Ok(note)
    }

    /// Notes the ID of the object that the create made.
    pub fn made(&self, note: Note, id: &str) {
        if let Err(error) = self.put(&Note {
            made: Some(id.to_owned()),
            ..note
        }) {
            tracing::debug!(%error, "the note of a create could not be completed");
        }
    }

    /// Removes the note, because Databricks refused the create.
    pub fn refused(&self, note: &Note) {
        let _ = doors::files::remove(self.file(CREATE, &note.what));
    }

    /// Notes which objects that equal `request` the state has, for the run that applies the plan. Without the note that run
    /// refuses to create an equal one beside them.
    pub fn own(&self, request: &str, ids: Vec<String>) {
        let what = self.what(request);
        let file = self.file(OWN, &what);
        // The run that applies the plan plans once more, and knows none of them then: the note stays.
        if ids.is_empty() {
            return;
        }
        if let Err(error) = doors::files::create_directory(&self.place)
            .and_then(|()| put(&file, &Own { what, ids }))
        {
            tracing::debug!(%error, "the note of a replacement could not be written");
        }
    }

    /// Notes that the state has no object that equals `request`.
    pub fn disown(&self, request: &str) {
        let _ = doors::files::remove(self.file(OWN, &self.what(request)));
    }

    /// Whether the state had this object, which equals `request`, when a plan was made.
    pub fn is_own(&self, request: &str, id: &str) -> bool {
        let what = self.what(request);
        let own: Option<Own> = read(&self.file(OWN, &what));
        own.is_some_and(|own| own.what == what && own.ids.iter().any(|own| own == id))
    }

    /// Whether a create of ours explains an object that equals `request`, and whether its answer came.
    pub fn explains(&self, request: &str, id: &str, created: Option<i64>) -> Option<Answered> {
        let what = self.what(request);
        let note = read(&self.file(CREATE, &what)).filter(|note: &Note| note.what == what)?;
        let now = milliseconds(doors::clock::now());
        note.explains(id, created, now).then_some(match note.made {
            Some(_) => Answered::Yes,
            None => Answered::No,
        })
    }

    fn put(&self, note: &Note) -> std::io::Result<()> {
        put(&self.file(CREATE, &note.what), note)
    }

    fn forget_old(&self) {
        let now = milliseconds(doors::clock::now());
        for file in doors::files::list(&self.place).unwrap_or_default() {
            let is_old = |note: &Note| note.sent.saturating_add(milliseconds_of(VALID)) < now;
            let name = file.file_name().map(std::ffi::OsStr::to_string_lossy);
            let is_create = name.is_some_and(|name| name.starts_with(CREATE));
            if is_create && read(&file).as_ref().is_none_or(is_old) {
                let _ = doors::files::remove(&file);
            }
        }
    }
}

/// Writes a file so that another process reads the old note or the new one, never a part.
fn put(file: &Path, note: &impl Serialize) -> std::io::Result<()> {
    let new = file.with_extension("new");
    doors::files::write(&new, &serde_json::to_vec(note)?)?;
    doors::files::rename(&new, file)
}

/// A note that cannot be read explains nothing.
fn read<T: DeserializeOwned>(file: &Path) -> Option<T> {
    serde_json::from_slice(&doors::files::read(file).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    /// Each row: the note, the object, when the object was created and when the journal is asked (minutes after the create), and the answer.
    #[test]
    fn only_what_an_own_create_can_have_made_is_explained() {
        let open = Note {
            what: String::new(),
            sent: 100 * MINUTE,
            known: vec!["old".to_owned()],
            made: None,
        };
        let answered = Note {
            made: Some("mine".to_owned()),
            ..open.clone()
        };
        let rows = [
            ("made by the lost create", &open, "new", Some(0), 5, true),
            (
                "a clock that is a minute behind",
                &open,
                "new",
                Some(-1),
                5,
                true,
            ),
            ("it was there before", &open, "old", Some(0), 5, false),
            ("made long before", &open, "new", Some(-10), 5, false),
            ("asked too late", &open, "new", Some(0), 16, false),
            ("nobody says when it was made", &open, "new", None, 5, false),
            ("the answer named it", &answered, "mine", Some(0), 5, true),
            (
                "the answer named another one",
                &answered,
                "new",
                Some(0),
                5,
                false,
            ),
        ];
        for (what, note, id, created, now, expected) in rows {
            let created = created.map(|minutes| (100 + minutes) * MINUTE);
            assert_eq!(
                note.explains(id, created, (100 + now) * MINUTE),
                expected,
                "{what}"
            );
        }
    }

    #[test]
    fn a_note_is_found_again_by_its_request_and_its_terraform_workspace() -> std::io::Result<()> {
        let directory = tempfile::tempdir()?;
        let journal = Journal {
            place: directory.path().join("dbxcmk"),
            workspace: "default".to_owned(),
        };
        let now = Some(milliseconds(doors::clock::now()));
        assert_eq!(journal.explains("request", "id", now), None);
        let note = journal.begin("request", Vec::new())?;
        assert_eq!(journal.explains("request", "id", now), Some(Answered::No));
        assert_eq!(journal.explains("another", "id", now), None);
        assert!(
            Journal {
                workspace: "staging".to_owned(),
                ..journal.clone()
            }
            .explains("request", "id", now)
            .is_none()
        );
        journal.made(note.clone(), "id");
        assert_eq!(journal.explains("request", "id", now), Some(Answered::Yes));
        assert_eq!(journal.explains("request", "other", now), None);
        journal.refused(&note);
        assert_eq!(journal.explains("request", "id", now), None);
        // What a plan has noted of the state ends with the plan that finds it otherwise.
        journal.own("request", vec!["id".to_owned()]);
        assert!(journal.is_own("request", "id") && !journal.is_own("another", "id"));
        journal.disown("request");
        assert!(!journal.is_own("request", "id"));
        Ok(())
    }
}
