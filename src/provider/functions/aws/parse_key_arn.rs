//! `parse_key_arn(arn)`: the parts of a key's ARN.

use crate::vocabulary::aws::KeyArn;
use tfplugin::function::{self, Function};
use tfplugin::model::{Model, Text};

/// The parts of an ARN.
#[derive(Model)]
struct Parts {
    #[attr(required)]
    partition: String,
    #[attr(required)]
    region: String,
    #[attr(required)]
    account_id: String,
    #[attr(required)]
    key_id: String,
    #[attr(required)]
    multi_region: bool,
}

/// `parse_key_arn`: the parts of the ARN of a key.
pub fn parse_key_arn() -> impl Function {
    function::typed("parse_key_arn", ["arn"], |Text(key): Text<KeyArn>| {
        Ok(Parts {
            partition: key.partition().name().to_owned(),
            region: key.region().to_owned(),
            account_id: key.account().to_owned(),
            key_id: key.key_id().to_owned(),
            multi_region: key.key_id().starts_with("mrk-"),
        })
    })
    .summary("The parts of a KMS key's ARN")
    .describe(
        "Splits the ARN of a KMS key into its parts. An alias, or the ARN of anything else, is an error that says what was expected.",
    )
    .about("arn", "ARN of a KMS key.")
}
