//! `key_policy_statements(use_cases, account_ids, cross_account_role_arn, partition)`: the documented statements.

use crate::provider::functions::{all_parsed, parameter, parsed, wrong};
use crate::requirements::aws::Usage;
use crate::requirements::aws::list_of;
use crate::vocabulary::{Deployment, KeyUse, UseCase};
use tfplugin::function::{Function, FunctionError, Parameter, Signature};
use tfplugin::schema::Name;
use tfplugin::types::Type;
use tfplugin::value::Value;

/// `key_policy_statements`: the statements that Databricks needs.
#[derive(Debug)]
pub struct KeyPolicyStatementsFunction;

impl Function for KeyPolicyStatementsFunction {
    fn name(&self) -> Name {
        "key_policy_statements".into()
    }

    fn signature(&self) -> Signature {
        let nullable = Parameter::allow_null;
        Signature::new(vec![
                parameter(
                    "use_cases",
                    Type::set(Type::String),
                    "`MANAGED_SERVICES`, `STORAGE`, or both.",
                ),
                parameter(
                    "databricks_account_ids",
                    Type::set(Type::String),
                    "Databricks accounts that use the key.",
                ),
                nullable(parameter(
                    "cross_account_role_arn",
                    Type::String,
                    "ARN of the role with which Databricks launches clusters, for cluster volumes (EBS); null for none.",
                )),
                nullable(parameter(
                    "partition",
                    Type::String,
                    "Databricks deployment: `aws`, `aws-us-gov` or `aws-us-gov-dod`; null for `aws`.",
                )),
            ], Type::String)
.summary("The key policy statements that Databricks needs")
.describe("The documented statements with which Databricks may use a KMS key, as a JSON list. \
                          `dbxcmk_key_policy` adds the same statements.")
    }

    fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError> {
        let (use_cases, accounts): (Vec<KeyUse>, _) =
            (all_parsed(arguments, 0)?, all_parsed(arguments, 1)?);
        if use_cases.is_empty() {
            return Err(wrong(
                0,
                "there is no use case; name at least one of `MANAGED_SERVICES` and `STORAGE`",
            ));
        }
        if use_cases.contains(&UseCase::ManagedDisks.into()) {
            return Err(wrong(
                0,
                "`MANAGED_DISKS` exists only on Azure; on AWS, `STORAGE` covers the volumes of clusters",
            ));
        }
        if use_cases.contains(&KeyUse::UnityCatalog) {
            return Err(wrong(
                0,
                "`UNITY_CATALOG` needs roles of storage credentials, which this function does not take; use the data source \
                 `dbxcmk_key_policy_document`",
            ));
        }
        if accounts.is_empty() {
            return Err(wrong(1, "there is no Databricks account"));
        }
        let is_given = |index: usize| {
            arguments
                .get(index)
                .is_some_and(|argument| !argument.is_null())
        };
        let role = is_given(2).then(|| parsed(arguments, 2)).transpose()?;
        let deployment = if is_given(3) {
            parsed(arguments, 3)?
        } else {
            Deployment::Commercial
        };
        let usage = Usage::of(deployment, accounts, use_cases).with_cross_account_role(role);
        let statements: Vec<String> = usage
            .grants()
            .into_iter()
            .map(|grant| grant.statement)
            .collect();
        Ok(Value::String(list_of(&statements)))
    }
}
