//! How this machine reaches others: what every client of this program has in common, whomever it calls.

mod proxies;

pub use proxies::Proxies;
