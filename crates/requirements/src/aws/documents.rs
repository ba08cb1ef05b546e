//! Whole key policies: an administrator's statement, and the statements for Databricks in whatever is there.

use super::ownership::edits;
use super::usage::GrantingStatement;
use kms_policy::{Document, PolicyError};
use vocabulary::Deployment;

/// Why a policy cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The policy to start from is none.
    #[error("{0}")]
    Source(PolicyError),
    /// What comes out is more than KMS takes.
    #[error("{0}")]
    Limits(String),
}

/// The statement that lets an account administer its key, which AWS itself puts there by default.
pub fn administration_statement(partition: &str, account: &str) -> String {
    format!(
        "{{\n  \"Sid\": \"Enable IAM User Permissions\",\n  \"Effect\": \"Allow\",\n  \"Principal\": {{ \"AWS\": \
         \"arn:{partition}:iam::{account}:root\" }},\n  \"Action\": \"kms:*\",\n  \"Resource\": \"*\"\n}}"
    )
}

/// A policy that lets an account administer its key, and nothing else.
pub fn administration(deployment: Deployment, account: &str) -> String {
    let statement = administration_statement(deployment.partition().name(), account);
    // In one line, as the statements for Databricks are.
    let statement = statement
        .lines()
        .map(str::trim_start)
        .collect::<Vec<_>>()
        .join("")
        .replace("{ ", "{")
        .replace(" }", "}");
    format!(
        "{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}",
        statement.replace("\": ", "\":")
    )
}

/// A policy with the statements for Databricks: those that are there already stay, the others are added.
///
/// # Errors
/// When the policy is none, or would be more than KMS takes.
pub fn with_grants(source: &str, grants: &[GrantingStatement]) -> Result<String, DocumentError> {
    let document = Document::parse(source).map_err(DocumentError::Source)?;
    let edits = edits(&document, grants, &[]).map_err(DocumentError::Source)?;
    let merged = document
        .edited(&edits)
        .map_err(|error| DocumentError::Limits(error.to_string()))?;
    merged
        .check_limits()
        .map_err(|error| DocumentError::Limits(error.message.clone()))?;
    Ok(merged.text().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Usage;
    use vocabulary::UseCase;

    fn usage() -> Result<Usage, Box<dyn std::error::Error>> {
        Ok(Usage::of(
            Deployment::Commercial,
            ["2a6f0a5c-8f1e-4a53-9a77-6f3b1f0c2d11".parse()?],
            UseCase::ACCOUNT,
        ))
    }

    #[test]
    fn the_statements_are_added_once() -> Result<(), Box<dyn std::error::Error>> {
        let grants = usage()?.grants();
        let first = with_grants(
            &administration(Deployment::Commercial, "123456789012"),
            &grants,
        )?;
        assert_eq!(
            Document::parse(&first)
                .map_err(|error| error.to_string())?
                .statements
                .len(),
            3
        );
        assert_eq!(with_grants(&first, &grants)?, first);
        assert!(first.starts_with("{\"Version\":\"2012-10-17\",\"Statement\":[{\"Sid\":\"Enable IAM User Permissions\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::123456789012:root\"}"), "{first}");
        Ok(())
    }

    #[test]
    fn a_policy_that_is_none_is_refused_with_its_place() -> Result<(), Box<dyn std::error::Error>> {
        assert!(matches!(
            with_grants("{nope", &usage()?.grants()),
            Err(DocumentError::Source(_))
        ));
        Ok(())
    }
}
