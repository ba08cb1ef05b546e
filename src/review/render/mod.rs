//! The report for people and for machines. Names in it come from a plan, so they are escaped wherever they could be taken for
//! markup.

mod json;
mod markdown;
mod mermaid;
mod sarif;
mod text;

pub use json::json;
pub use markdown::{LARGEST_COMMENT, markdown};
pub use sarif::{Place, sarif};
pub use text::text;
