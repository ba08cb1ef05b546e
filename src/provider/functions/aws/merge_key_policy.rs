//! `merge_key_policy(policy, statements)`: a policy with statements in it, each of them once.

use std::collections::BTreeSet;

use crate::provider::functions::{parameter, text, wrong};
use crate::requirements::aws::{document_of, statements_of};
use kms_policy::{Document, Edit};
use tfplugin::function::{Function, FunctionError, Signature};
use tfplugin::schema::Name;
use tfplugin::types::Type;
use tfplugin::value::Value;

/// `merge_key_policy`: a policy with further statements, without duplicates.
#[derive(Debug)]
pub struct MergeKeyPolicyFunction;

impl Function for MergeKeyPolicyFunction {
    fn name(&self) -> Name {
        "merge_key_policy".into()
    }

    fn signature(&self) -> Signature {
        Signature::new(vec![
                parameter("policy", Type::String, "A key policy, as JSON."),
                parameter("statements", Type::String, "Statements, as a JSON list."),
            ], Type::String)
.summary("A key policy with statements in it")
.describe("Adds statements to a key policy. One that means the same as one of the policy is not added again; one with the Sid of \
                          another statement of the policy takes its place. Everything else stays byte for byte as it is. Fails if KMS would \
                          reject the result.")
    }

    fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError> {
        let policy = Document::parse(text(arguments, 0)).map_err(|error| wrong(0, error))?;
        let statements = statements_of(text(arguments, 1)).map_err(|error| wrong(1, error))?;
        if statements.is_empty() {
            return Ok(Value::String(policy.text().to_owned()));
        }
        let wanted = document_of(&statements).map_err(|error| wrong(1, error))?;
        let there: BTreeSet<_> = policy.meanings().into_iter().collect();
        let mut edits = Vec::new();
        for ((statement, meaning), text) in wanted
            .statements
            .iter()
            .zip(wanted.meanings())
            .zip(statements)
        {
            if there.contains(&meaning) {
                continue;
            }
            let same_sid =
                |own: &kms_policy::Statement| statement.sid.is_some() && own.sid == statement.sid;
            edits.push(match policy.statements.iter().position(same_sid) {
                Some(index) => Edit::Replace(index, text),
                None => Edit::Append(text),
            });
        }
        let merged = policy.edited(&edits).map_err(|error| wrong(1, error))?;
        merged
            .check_limits()
            .map_err(|error| wrong(1, error.message))?;
        Ok(Value::String(merged.text().to_owned()))
    }
}
