//! The provider as it is, a model of Terraform and the sandbox's services in one process: on a clock that advances only while a task
//! waits, over a network in memory, single-threaded. A seed decides everything, so that each history can be repeated.

mod aws;
mod azure;
mod google;
pub mod history;
mod listener;
mod network;
mod platform;
mod play;
pub mod reliability;
mod shown;
pub mod transcript;

mod smaller;

pub use play::{Outcome, play, play_aloud};
pub use smaller::minimized;
