//! The provider as it is, a model of Terraform and the sandbox's services in one process: on a clock that stands still unless somebody
//! waits, over a network in memory, single-threaded. A seed decides everything, so that each history can be repeated.

pub mod history;
mod network;
mod play;
mod world;

pub use play::{Outcome, play};
