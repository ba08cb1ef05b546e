//! Documentation comments as the descriptions that Terraform shows.

use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The text of the documentation comments: lines of a paragraph are joined, what looks like Markdown's own lines stays.
pub(crate) fn of(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    let mut is_code = false;
    for line in lines(attributes) {
        let is_fence = line.trim_start().starts_with("```");
        let is_own = is_code || is_fence || begins_a_line(&line);
        is_code ^= is_fence;
        if line.trim().is_empty() && !is_code {
            if !text.is_empty() && !text.ends_with("\n\n") {
                text.push_str("\n\n");
            }
            continue;
        }
        if !text.is_empty() && !text.ends_with('\n') {
            text.push(if is_own { '\n' } else { ' ' });
        }
        text.push_str(if is_own { line.trim_end() } else { line.trim() });
        if is_own && (is_code || is_fence) {
            text.push('\n');
        }
    }
    text.trim_end().to_owned()
}

fn lines(attributes: &[Attribute]) -> Vec<String> {
    let mut lines = Vec::new();
    for attribute in attributes {
        let Meta::NameValue(meta) = &attribute.meta else {
            continue;
        };
        let Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) = &meta.value
        else {
            continue;
        };
        if meta.path.is_ident("doc") {
            // An empty line is a line, which `lines` does not say of an empty text.
            let text = format!("{}\n", text.value());
            let own = text.lines();
            lines.extend(own.map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned()));
        }
    }
    lines
}

/// Whether Markdown gives a line a meaning of its own.
fn begins_a_line(line: &str) -> bool {
    let start = line.trim_start();
    let is_numbered = start.split_once(". ").is_some_and(|(number, _)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    is_numbered
        || ["- ", "* ", "|", "#", "> "]
            .iter()
            .any(|mark| start.starts_with(mark))
}

#[cfg(test)]
mod tests {
    use syn::{DeriveInput, parse_quote};

    use super::*;

    #[test]
    fn a_paragraph_is_one_line_and_a_list_stays() {
        let input: DeriveInput = parse_quote! {
            /// One thing,
            /// and another.
            ///
            /// - first
            /// - second
            ///   of them
            struct S;
        };
        assert_eq!(
            of(&input.attrs),
            "One thing, and another.\n\n- first\n- second of them"
        );
    }
}
