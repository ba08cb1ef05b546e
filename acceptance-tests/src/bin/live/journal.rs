//! What a run has done, so that an interrupted one goes on where it was.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

/// The journal of a run: a file in its directory, written after each step.
#[derive(Debug)]
pub struct Journal {
    file: PathBuf,
    /// The workspace that may be lost.
    pub workspace: String,
    /// The beginning of each name, the same for all that the run makes.
    pub prefix: String,
    /// When the run should be over: what still has this tag afterwards was forgotten.
    pub deadline: String,
    /// How many steps are done of all stories.
    pub done: usize,
}

impl Journal {
    /// The journal in a directory, if there is one.
    ///
    /// # Errors
    /// When it cannot be read: beginning again would make everything twice.
    pub fn open(directory: &Path) -> Result<Option<Self>, String> {
        let file = directory.join("journal.json");
        if !file.exists() {
            return Ok(None);
        }
        let unreadable = |reason: String| {
            format!(
                "{} is not the journal of a run: {reason}. Remove what the run has made by its tags, and then the directory.",
                file.display()
            )
        };
        let text = std::fs::read_to_string(&file).map_err(|error| unreadable(error.to_string()))?;
        let json: Json =
            serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        let text = |name: &str| {
            let value = json.get(name).and_then(Json::as_str);
            value
                .map(str::to_owned)
                .ok_or_else(|| unreadable(format!("it has no `{name}`")))
        };
        let done = json.get("done").and_then(Json::as_u64);
        let done = done.and_then(|done| usize::try_from(done).ok());
        Ok(Some(Self {
            workspace: text("workspace")?,
            prefix: text("prefix")?,
            deadline: text("deadline")?,
            done: done.ok_or_else(|| unreadable("it has no `done`".to_owned()))?,
            file,
        }))
    }

    /// A new one, with names of its own and a deadline in two days.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(directory: &Path, workspace: &str) -> Result<Self, String> {
        let deadline = time::OffsetDateTime::now_utc() + time::Duration::days(2);
        let journal = Self {
            file: directory.join("journal.json"),
            workspace: workspace.to_owned(),
            prefix: format!("dbxcmk-live-{:08x}", fastrand::u32(..)),
            deadline: deadline.date().to_string(),
            done: 0,
        };
        journal.write()?;
        Ok(journal)
    }

    /// The journal of a run that changes nothing, so there is nothing to remember.
    pub fn of_nothing() -> Self {
        Self {
            file: PathBuf::new(),
            workspace: String::new(),
            prefix: String::new(),
            deadline: String::new(),
            done: 0,
        }
    }

    /// Effect: one more step is done.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn step_is_done(&mut self) -> Result<(), String> {
        self.done += 1;
        self.write()
    }

    fn write(&self) -> Result<(), String> {
        let json = json!({
            "workspace": self.workspace, "prefix": self.prefix, "deadline": self.deadline, "done": self.done,
        });
        let failed = |error: std::io::Error| format!("{}: {error}", self.file.display());
        // Not over the old one: an interruption in the middle would leave neither.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{json}\n")).map_err(failed)?;
        std::fs::rename(&new, &self.file).map_err(failed)
    }
}
