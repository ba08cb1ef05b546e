//! How this machine reaches others: what every client of this program has in common, whomever it calls.

mod body;
mod expires_in;
mod http;
mod pages;
mod proxies;
mod recorder;
mod rest;
mod side_by_side;
#[cfg(feature = "simulation")]
pub mod simulated;
mod tally;

#[cfg(test)]
pub use body::endless;
pub use body::{LONGEST, NoBody, body};
pub use expires_in::seconds;
#[cfg(feature = "simulation")]
pub use http::Wire;
pub use http::{Failure, Http, Loss};
pub use pages::Pages;
pub use proxies::Proxies;
pub(crate) use recorder::{Recorder, Sent, recorder};
pub use rest::{
    Answer, Call, Refusal, client, is_not_trusted, is_same, plain, reason_phrase, retry_after,
    safe, send,
};
pub use side_by_side::side_by_side;
pub(crate) use tally::count as count_request;
pub use tally::sent;
