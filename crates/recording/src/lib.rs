//! Requests and answers as lines of JSON, with everything replaced that is not known to be harmless.
//!
//! A recording is a directory of files, one for each process, and each line of a file is one [`Exchange`]. A recording is made to be given to
//! strangers, so the replacement is closed: a word stays only when a list in `words` has it, or when it is the value of a field whose values
//! are words of the service (`KeyState`, `error_code`). Everything else becomes a placeholder (`<uuid:5d0c…>`), which says what form the value had, and is
//! the same for the same value, so that a key that is created in one answer is recognized in the next request.

mod format;
mod placeholder;
mod replace;
mod words;

pub use format::{Answer, Body, Exchange, FORMAT, Outcome, Unreadable, read};
pub use placeholder::{Kind, Part, Placeholder, parts};
pub use replace::{RawAnswer, RawRequest, Replacer};
