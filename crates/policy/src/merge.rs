//! Putting statements into a policy and taking them out, leaving everything else byte for byte as it is.

use super::document::{Document, PolicyError};

/// One change of a policy's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Replaces the statement at this position with this text.
    Replace(usize, String),
    /// Takes the statement at this position out.
    Remove(usize),
    /// Puts this text behind the last statement.
    Append(String),
}

impl Document {
    /// This policy with `edits`, positions being those before any edit.
    ///
    /// # Errors
    /// When the result is not a policy: it has no statement left, or a text that is not a statement.
    pub fn edited(&self, edits: &[Edit]) -> Result<Document, PolicyError> {
        let mut statements: Vec<Option<String>> = self
            .statements
            .iter()
            .map(|statement| Some(self.statement_text(statement).to_owned()))
            .collect();
        let mut appended = Vec::new();
        for edit in edits {
            match edit {
                Edit::Replace(index, text) => {
                    if let Some(place) = statements.get_mut(*index) {
                        *place = Some(text.clone());
                    }
                }
                Edit::Remove(index) => {
                    if let Some(place) = statements.get_mut(*index) {
                        *place = None;
                    }
                }
                Edit::Append(text) => appended.push(text.clone()),
            }
        }
        Document::parse(&self.with_statements(&statements, &appended))
    }

    /// The text with other statements: what stood before and between those that stay is kept.
    fn with_statements(&self, statements: &[Option<String>], appended: &[String]) -> String {
        let (list, is_list) = &self.list;
        let slice = |from: usize, to: usize| self.text.get(from..to).unwrap_or_default();
        let (inner_start, inner_end) = if *is_list {
            (list.start + 1, list.end.saturating_sub(1))
        } else {
            (list.start, list.end)
        };
        // The white space before the first statement is what stands before each new one.
        let lead = self
            .statements
            .first()
            .map(|first| slice(inner_start, first.span.start))
            .unwrap_or_default();
        let tail = self
            .statements
            .last()
            .map(|last| slice(last.span.end, inner_end))
            .unwrap_or_default();
        let mut body = String::new();
        for (position, (statement, text)) in self.statements.iter().zip(statements).enumerate() {
            let Some(text) = text else { continue };
            if body.is_empty() {
                body.push_str(lead);
            } else {
                let before = position
                    .checked_sub(1)
                    .and_then(|before| self.statements.get(before));
                body.push_str(
                    before
                        .map(|before| slice(before.span.end, statement.span.start))
                        .unwrap_or(","),
                );
            }
            body.push_str(text);
        }
        for text in appended {
            if !body.is_empty() {
                body.push(',');
            }
            body.push_str(lead);
            body.push_str(text);
        }
        body.push_str(tail);
        let (before, after) = (slice(0, list.start), slice(list.end, self.text.len()));
        // A lone statement without a list gets one only when it is no longer alone.
        let stays_alone =
            !is_list && appended.is_empty() && statements.iter().flatten().count() == 1;
        if stays_alone {
            format!("{before}{body}{after}")
        } else {
            format!("{before}[{body}]{after}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(sid: &str) -> String {
        format!(
            r#"{{"Sid": "{sid}", "Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}}"#
        )
    }

    fn policy(sids: &[&str], between: &str) -> String {
        let statements: Vec<String> = sids.iter().map(|sid| statement(sid)).collect();
        format!(
            "{{ \"Id\":\"x\" ,\"Statement\" : [{between}{}{between}], \"Version\":\"2012-10-17\" }}",
            statements.join(&format!(",{between}"))
        )
    }

    #[test]
    fn what_is_not_edited_stays_byte_for_byte() -> Result<(), PolicyError> {
        for between in ["", " ", "\n    "] {
            let document = Document::parse(&policy(&["a", "b", "c"], between))?;
            assert_eq!(document.edited(&[])?.text(), document.text());
            assert_eq!(
                document.edited(&[Edit::Remove(1)])?.text(),
                policy(&["a", "c"], between)
            );
            assert_eq!(
                document.edited(&[Edit::Remove(0)])?.text(),
                policy(&["b", "c"], between)
            );
            assert_eq!(
                document.edited(&[Edit::Append(statement("d"))])?.text(),
                policy(&["a", "b", "c", "d"], between)
            );
            assert_eq!(
                document.edited(&[Edit::Replace(2, statement("d"))])?.text(),
                policy(&["a", "b", "d"], between)
            );
            let there_and_back = document
                .edited(&[Edit::Append(statement("d"))])?
                .edited(&[Edit::Remove(3)])?;
            assert_eq!(there_and_back.text(), document.text());
        }
        Ok(())
    }

    #[test]
    fn a_lone_statement_gets_a_list_when_it_needs_one() -> Result<(), PolicyError> {
        let document = Document::parse(&format!("{{\"Statement\":{}}}", statement("a")))?;
        assert_eq!(document.edited(&[])?.text(), document.text());
        let two = document.edited(&[Edit::Append(statement("b"))])?;
        assert_eq!(two.statements.len(), 2);
        Ok(())
    }

    #[test]
    fn a_policy_without_statements_is_none() -> Result<(), PolicyError> {
        let document = Document::parse(&policy(&["a"], ""))?;
        assert!(document.edited(&[Edit::Remove(0)]).is_err());
        assert!(
            document
                .edited(&[Edit::Append("{nope".to_owned())])
                .is_err()
        );
        Ok(())
    }
}
