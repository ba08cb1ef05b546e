//! The report for people and for machines. Names in it come from a plan, so the renderers escape each name that a reader's
//! program could read as markup.

mod json;
mod markdown;
mod mermaid;
mod sarif;
mod text;

pub use json::json;
pub use markdown::{LARGEST_COMMENT, markdown};
pub use sarif::{Place, sarif};
pub use text::text;
