//! `key_policy_allows(policy, key_arn, principal, action, context)`: how AWS would decide, and why.

use crate::provider::functions::{parameter, parsed, text, wrong};
use crate::vocabulary::aws::KeyArn;
use kms_policy::{Caller, Context, Document, Request, Verdict, evaluate, kms_action};
use tfplugin::function::{Function, FunctionError, Signature};
use tfplugin::schema::Name;
use tfplugin::types::Type;
use tfplugin::value::Value;

/// `key_policy_allows`: decides one request by a policy.
#[derive(Debug)]
pub struct KeyPolicyAllowsFunction;

impl Function for KeyPolicyAllowsFunction {
    fn name(&self) -> Name {
        "key_policy_allows".into()
    }

    fn signature(&self) -> Signature {
        let texts = || Type::list(Type::String);
        Signature::new(vec![
                parameter("policy", Type::String, "A key policy, as JSON."),
                parameter(
                    "key_arn",
                    Type::String,
                    "ARN of the key that the policy is for.",
                ),
                parameter(
                    "principal",
                    Type::String,
                    "Caller: the ARN of a role, user, session or account root.",
                ),
                parameter(
                    "action",
                    Type::String,
                    "Action, for example `kms:Decrypt`.",
                ),
                parameter(
                        "context",
                        Type::map(Type::String),
                        "Context keys of the request, for example `{ \"kms:ViaService\" = \"ec2.eu-central-1.amazonaws.com\" }`. A key that you leave out is not \
                         known; null for none.",
                    ).allow_null(),
            ], Type::object([
                ("allowed", Type::Bool),
                ("verdict", Type::String),
                ("delegated", Type::Bool),
                ("statements", texts()),
                ("undetermined_keys", texts()),
            ]))
.summary("Whether a key policy allows a request, and by what")
.describe("Decides a request against a key policy as AWS does. `verdict` is `allowed`, `denied_explicit`, `denied_implicit`, or \
                          `undetermined` when it depends on context keys that are not given (`undetermined_keys`). `delegated`: the policy allows \
                          the account, and its IAM policies decide. `statements`: the `Sid` of each statement that made the decision, or `#` and \
                          its number where it has none.")
    }

    fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError> {
        let policy = Document::parse(text(arguments, 0)).map_err(|error| wrong(0, error))?;
        let key: KeyArn = parsed(arguments, 1)?;
        let caller = Caller::parse(text(arguments, 2)).map_err(|error| wrong(2, error))?;
        let action = kms_action(text(arguments, 3)).map_err(|error| wrong(3, error))?;
        let mut context = Context::open();
        if let Some(account) = caller.account() {
            context = context
                .with("kms:CallerAccount", account)
                .with("aws:PrincipalAccount", account);
        }
        if let Some(Value::Map(entries)) = arguments.get(4) {
            for (name, value) in entries {
                context.set(
                    name,
                    value.as_str().into_iter().map(str::to_owned).collect(),
                );
            }
        }
        let request = Request {
            caller,
            action,
            resource: key.to_string(),
            context,
        };
        let decision = evaluate(&policy, &request);
        let name = |index: &usize| {
            policy
                .statements
                .get(*index)
                .map(|statement| Value::String(statement.name(*index)))
        };
        Ok(Value::map([
            ("allowed", Value::Bool(decision.verdict == Verdict::Allowed)),
            ("verdict", Value::string(decision.verdict.name())),
            ("delegated", Value::Bool(decision.delegated)),
            (
                "statements",
                Value::List(decision.statements.iter().filter_map(name).collect()),
            ),
            (
                "undetermined_keys",
                Value::List(
                    decision
                        .undetermined_keys
                        .into_iter()
                        .map(Value::String)
                        .collect(),
                ),
            ),
        ]))
    }
}
