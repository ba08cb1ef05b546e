//! Would this policy still let its writer change it? KMS asks the same before it accepts a policy ("The new key policy will
//! not allow you to update the key policy in the future"); asked here first, the answer can say who is missing.

use super::arn::Arn;
use super::context::Context;
use super::document::Document;
use super::evaluate::{Decision, Request, Verdict, evaluate};
use super::principal::Caller;

/// The action that KMS's own check asks about.
pub const ACTION: &str = "kms:PutKeyPolicy";

/// Whether `caller` could put the policy again, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockout {
    /// How a later PutKeyPolicy by the same caller would be decided.
    pub caller: Decision,
    /// How one by the key's own account (its root user) would be decided.
    pub account: Decision,
}

impl Lockout {
    /// Whether KMS would refuse the policy: the caller is certain to be denied.
    pub fn is_certain(&self) -> bool {
        matches!(
            self.caller.verdict,
            Verdict::DeniedExplicitly | Verdict::DeniedImplicitly
        )
    }
}

/// Asks whether `policy` on `key` lets `caller`, and the key's account, change it.
pub fn lockout(policy: &Document, key: &Arn, caller: &Caller) -> Lockout {
    let ask = |caller: Caller| {
        let mut context = Context::open();
        if let Some(account) = caller.account() {
            context.set("aws:PrincipalAccount", vec![account.to_owned()]);
            context.set("kms:CallerAccount", vec![account.to_owned()]);
        }
        if let Caller::Root { .. } = &caller {
            context.set("aws:PrincipalArn", vec![caller.to_string()]);
        }
        context.set("aws:RequestedRegion", vec![key.region.clone()]);
        context.set(
            "kms:BypassPolicyLockoutSafetyCheck",
            vec!["false".to_owned()],
        );
        context.set_absent("kms:ViaService");
        evaluate(
            policy,
            &Request {
                caller,
                action: ACTION.to_owned(),
                resource: key.to_string(),
                context,
            },
        )
    };
    let root = Caller::Root {
        partition: key.partition.clone(),
        account: key.account.clone(),
    };
    Lockout {
        caller: ask(caller.clone()),
        account: ask(root),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PolicyError;

    const KEY: &str =
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";

    /// Each row: what it is, the statement, the caller, and whether the caller is locked out for certain.
    #[test]
    fn the_caller_must_be_able_to_put_the_policy_again() -> Result<(), Box<dyn std::error::Error>> {
        let session = "arn:aws:sts::123456789012:assumed-role/terraform/run";
        let rows = [
            (
                "the account is enabled",
                r#""Principal":{"AWS":"123456789012"},"Action":"kms:*""#,
                session,
                false,
            ),
            (
                "the role is named",
                r#""Principal":{"AWS":"arn:aws:iam::123456789012:role/terraform"},"Action":"kms:Put*""#,
                session,
                false,
            ),
            (
                "another role is named",
                r#""Principal":{"AWS":"arn:aws:iam::123456789012:role/admin"},"Action":"kms:*""#,
                session,
                true,
            ),
            (
                "only Databricks is named",
                r#""Principal":{"AWS":"414351767826"},"Action":"kms:*""#,
                session,
                true,
            ),
            (
                "the action is left out",
                r#""Principal":{"AWS":"123456789012"},"NotAction":"kms:PutKeyPolicy""#,
                session,
                true,
            ),
            (
                "the root user asks",
                r#""Principal":{"AWS":"123456789012"},"Action":"kms:*""#,
                "arn:aws:iam::123456789012:root",
                false,
            ),
        ];
        for (what, elements, caller, expected) in rows {
            let text = format!(
                "{{\"Version\":\"2012-10-17\",\"Statement\":[{{\"Effect\":\"Allow\",{elements},\"Resource\":\"*\"}}]}}"
            );
            let policy = Document::parse(&text).map_err(|error: PolicyError| error.to_string())?;
            let found = lockout(&policy, &KEY.parse()?, &Caller::parse(caller)?);
            assert_eq!(found.is_certain(), expected, "{what}");
        }
        Ok(())
    }
}
