//! Lists that come in pages.

use std::collections::BTreeSet;

/// The pages that a list has had. An answer that names one of them again would go round in a circle for ever.
#[derive(Debug, Default)]
pub struct Pages(BTreeSet<String>);

impl Pages {
    /// Notes the name of the next page.
    ///
    /// # Errors
    /// When the list has had that page already.
    pub fn next(&mut self, name: &str) -> Result<(), String> {
        if self.0.insert(name.to_owned()) {
            Ok(())
        } else {
            Err("a list names a page that it has had already".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_goes_round_in_a_circle_ends() {
        let mut pages = Pages::default();
        assert!(pages.next("a").is_ok() && pages.next("b").is_ok());
        assert!(pages.next("a").is_err());
    }
}
