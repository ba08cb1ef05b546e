//! STS: who asks, and taking on a role.

use crate::http::{Answer, Request};
use crate::{AWS_ACCOUNT, Shared};

const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The access key that a request was signed with; empty for one that was not.
pub(crate) fn access_key(request: &Request) -> String {
    let authorization = request.header("authorization");
    let credential = authorization
        .split("Credential=")
        .nth(1)
        .unwrap_or_default();
    credential.split('/').next().unwrap_or_default().to_owned()
}

/// The ARN of the identity that signed a request.
pub fn caller(shared: &Shared, request: &Request) -> String {
    let session = shared.world().sessions.get(&access_key(request)).cloned();
    session.unwrap_or_else(|| format!("arn:aws:sts::{AWS_ACCOUNT}:assumed-role/terraform/sandbox"))
}

/// Answers a call to this service.
pub fn answer(shared: &Shared, request: &Request, action: &str) -> Answer {
    match action {
        "GetCallerIdentity" => {
            let arn = caller(shared, request);
            Answer::xml(
                200,
                format!(
                    "<GetCallerIdentityResponse xmlns=\"{NAMESPACE}\"><GetCallerIdentityResult><Arn>{arn}</Arn><UserId>AROASANDBOX:sandbox\
                     </UserId><Account>{AWS_ACCOUNT}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
                ),
            )
        }
        "AssumeRole" => {
            let form = request.form();
            let role = form.get("RoleArn").cloned().unwrap_or_default();
            let session = form.get("RoleSessionName").cloned().unwrap_or_default();
            let account = role.split(':').nth(4).unwrap_or_default();
            let name = role.rsplit('/').next().unwrap_or_default();
            let arn = format!("arn:aws:sts::{account}:assumed-role/{name}/{session}");
            let mut world = shared.world();
            let key = format!("ASIASANDBOX{:09}", world.sessions.len());
            world.sessions.insert(key.clone(), arn.clone());
            Answer::xml(
                200,
                format!(
                    "<AssumeRoleResponse xmlns=\"{NAMESPACE}\"><AssumeRoleResult><AssumedRoleUser><Arn>{arn}</Arn><AssumedRoleId>\
                     AROASANDBOX:{session}</AssumedRoleId></AssumedRoleUser><Credentials><AccessKeyId>{key}</AccessKeyId>\
                     <SecretAccessKey>sandbox-session-secret</SecretAccessKey><SessionToken>sandbox-session-token</SessionToken>\
                     <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
                ),
            )
        }
        other => Answer::xml(
            400,
            format!(
                "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>InvalidAction</Code><Message>The sandbox has no \
                 {other}</Message></Error></ErrorResponse>"
            ),
        ),
    }
}
