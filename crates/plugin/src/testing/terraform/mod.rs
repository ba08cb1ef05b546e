//! A model of Terraform's core that drives a provider in this process: configurations with references, the state with what Terraform keeps
//! beside the values, plans, applies with the second plan that Terraform makes when unknown values have become known, replacements, targets,
//! and resources side by side in any order that their dependencies allow.
//!
//! It keeps the state as Terraform does: after an error it has what came back, a create that failed half-way is tainted, and to drop an
//! apply is to kill Terraform: the state has what was saved so far. What a provider may not answer is in [`Told::broken`].
//!
//! It spawns no task and reads no clock but `tokio`'s, so that a test that seeds `fastrand` and pauses that clock repeats a run exactly.

mod applying;
mod configuration;
mod planning;
mod process;
mod state;
mod walk;

pub use self::applying::apply;
pub use self::configuration::{Block, Configuration, Term};
pub use self::planning::{plan, refresh, validate};
pub use self::process::Process;
pub use self::state::{Action, Change, Object, Options, Plan, State, Told};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// The kind of block that Terraform itself has: its `output` is its `input`, which a plan does not know before the object is made.
pub const TERRAFORM_DATA: &str = "terraform_data";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The type in an address.
fn kind(address: &str) -> &str {
    address.split_once('.').map_or(address, |(kind, _)| kind)
}
