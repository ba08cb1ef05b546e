//! Configurations of tests: the blocks that each of them begins with, and changes of their text that cannot silently change nothing.

/// `terraform` and `provider` blocks for a configuration without hashicorp/aws.
pub const HEAD: &str = r#"
terraform {
  required_providers {
    dbxcmk = {
      source = "dbxcmk/dbxcmk"
    }
  }
}

provider "dbxcmk" {}
"#;

/// `terraform` and `provider` blocks for a configuration with hashicorp/aws.
pub const HEAD_WITH_AWS: &str = r#"
terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
    dbxcmk = {
      source = "dbxcmk/dbxcmk"
    }
  }
}

provider "aws" {
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}

provider "dbxcmk" {}
"#;

/// The text of a configuration, a policy or a document that a test changes.
pub trait Hcl {
    /// The same with every `part` replaced.
    ///
    /// # Panics
    /// When there is no such part: the test would go on with an unchanged text, and prove nothing.
    #[must_use]
    fn but(&self, part: &str, instead: &str) -> String;

    /// The same, for a text of several forms, of which some have no such part.
    #[must_use]
    fn wherever(&self, part: &str, instead: &str) -> String;
}

impl Hcl for str {
    #[track_caller]
    fn but(&self, part: &str, instead: &str) -> String {
        assert!(
            self.contains(part),
            "the text has no `{part}` that could be replaced:\n{self}"
        );
        self.replace(part, instead)
    }

    fn wherever(&self, part: &str, instead: &str) -> String {
        self.replace(part, instead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_replaced() {
        assert_eq!("a = 1, b = 1".but("1", "2"), "a = 2, b = 2");
        assert_eq!("a = 1".wherever("b", "c"), "a = 1");
    }

    #[test]
    #[should_panic(expected = "no `settle_time`")]
    fn a_part_that_is_missing_fails_the_test() {
        let _ = HEAD.but("settle_time", "");
    }
}
