//! What a user reads for each cause. The texts are contracts: a change of one shows here.

use super::*;
use crate::clouds::aws::AwsError;
use crate::clouds::azure::AzureError;
use crate::clouds::gcp::GcpError;
use crate::databricks::ApiError;
use crate::vocabulary::Cloud;
use crate::vocabulary::words::foreign;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Diagnostics by their causes, as a user reads them, after what holds of each of them: whole sentences without words of another cloud, and
/// something to do. `cloud`: whose words may stand in them; `None` for each.
fn read(cloud: Option<&Cloud>, all: Vec<(&str, Diagnostic)>) -> String {
    let mut text = String::new();
    for (cause, one) in all {
        let Diagnostic {
            summary, detail, ..
        } = &one;
        for wrong in [
            "..", "\"\"", "()", ": .", " .\n", "\n\n\n", "Some(", "None", "`\n\n`",
        ] {
            assert!(!detail.contains(wrong), "{cause}: `{wrong}` in {detail}");
        }
        assert!(
            !summary.ends_with('.') && !summary.contains('\n'),
            "{cause}: {summary}"
        );
        assert!(
            !detail.trim().is_empty() && detail.trim() == detail,
            "{cause}: {detail}"
        );
        let foreign = cloud
            .map(|cloud| foreign(cloud, detail))
            .unwrap_or_default();
        assert!(foreign.is_empty(), "{cause}: {foreign:?} in {detail}");
        text.push_str(&format!("## {cause}\n{summary}\n\n{detail}\n\n"));
    }
    text
}

fn wanted(cause: &str, diagnostic: impl Fn(&str) -> Diagnostic) -> (&str, Diagnostic) {
    (cause, diagnostic("The key could not be read"))
}

#[test]
fn what_aws_refuses() -> Outcome {
    let key =
        "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab".parse()?;
    let denied = |message: &str| AwsError::AccessDenied {
        permission: "kms:DescribeKey",
        message: message.to_owned(),
    };
    let credentials = |profile: Option<&str>| AwsError::Credentials {
        reason: "the token has expired".to_owned(),
        profile: profile.map(str::to_owned),
        source: None,
    };
    let other = |code: &str, message: &str| AwsError::Other {
        code: code.to_owned(),
        message: message.to_owned(),
        source: None,
    };
    let unreachable = AwsError::Unreachable {
        reason: "connection refused".to_owned(),
        source: None,
    };
    let rows = [
        ("denied", denied("User: x is not authorized")),
        ("denied without a word", denied("")),
        (
            "not found",
            AwsError::NotFound("Key 'x' does not exist".to_owned()),
        ),
        (
            "not found without a word",
            AwsError::NotFound(String::new()),
        ),
        (
            "another state",
            AwsError::InvalidState("x is pending deletion.".to_owned()),
        ),
        (
            "a policy",
            AwsError::MalformedPolicy(
                "Policy contains a statement with one or more invalid principals.".to_owned(),
            ),
        ),
        (
            "a policy without a word",
            AwsError::MalformedPolicy(String::new()),
        ),
        ("no credentials", credentials(None)),
        ("no credentials in a profile", credentials(Some("prod"))),
        ("not reached", unreachable),
        ("too many", other("ThrottlingException", "Rate exceeded")),
        ("anything else", other("KMSInternalException", "m")),
        (
            "anything else without a word",
            other("KMSInternalException", ""),
        ),
    ];
    let mut all: Vec<(&str, Diagnostic)> = rows
        .iter()
        .map(|(cause, error)| wanted(cause, |summary| aws(summary, &key, error)))
        .collect();
    let of_grants = AwsError::AccessDenied {
        permission: "kms:ListGrants",
        message: "no".to_owned(),
    };
    all.push(wanted("denied something else", |summary| {
        aws(summary, &key, &of_grants)
    }));
    all.push(wanted("denied to whoever calls", |summary| {
        aws_call(summary, &key, &denied("no"))
    }));
    all.push(wanted("anything else, for whoever calls", |summary| {
        aws_call(summary, &key, &other("X", "m"))
    }));
    all.push((
        "no such profile",
        missing_profile("prod", "the file ~/.aws/config has no such section"),
    ));
    insta::assert_snapshot!(read(Some(&Cloud::Aws), all));
    Ok(())
}

#[test]
fn what_google_refuses() -> Outcome {
    let key = "projects/p/locations/us-east4/keyRings/r/cryptoKeys/k".parse()?;
    let text = |message: &str| message.to_owned();
    let other = |status, message: &str| GcpError::Other {
        status,
        message: text(message),
    };
    let rows = [
        ("denied", GcpError::Denied(text("Permission denied"))),
        ("denied without a word", GcpError::Denied(text(""))),
        (
            "the API is off",
            GcpError::ApiDisabled(text("Cloud KMS API has not been used")),
        ),
        ("not found", GcpError::NotFound(text("CryptoKey not found"))),
        (
            "another writer",
            GcpError::Conflict(text("There were concurrent policy changes")),
        ),
        (
            "another state",
            GcpError::Precondition(text("x is not enabled.")),
        ),
        ("nobody calls", GcpError::NoIdentity),
        (
            "impersonation",
            GcpError::Impersonation {
                account: text("a@p.iam.gserviceaccount.com"),
                reason: text("no"),
            },
        ),
        (
            "a token that is not accepted",
            GcpError::NotAccepted(text("expired")),
        ),
        (
            "credentials",
            GcpError::Credentials(text("the file is not JSON.")),
        ),
        (
            "not reached",
            GcpError::Unreachable(text("connection refused")),
        ),
        ("not read", GcpError::Malformed(text("expected a value"))),
        ("too many", other(429, "Quota exceeded")),
        ("the service failed", other(503, "m")),
        ("anything else", other(418, "m")),
    ];
    let all = rows
        .iter()
        .map(|(cause, error)| wanted(cause, |summary| gcp(summary, &key, error)))
        .collect();
    insta::assert_snapshot!(read(Some(&Cloud::Gcp), all));
    Ok(())
}

#[test]
fn what_azure_refuses() -> Outcome {
    let key = "https://acme.vault.azure.net/keys/main".parse()?;
    let workspace =
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Databricks/workspaces/lake"
            .parse()?;
    let text = |message: &str| message.to_owned();
    let refused = |code: &str| AzureError::Refused {
        code: text(code),
        message: text("m"),
    };
    let conflict = |code: &str| AzureError::Conflict {
        code: text(code),
        message: text("m"),
    };
    let other = |status| AzureError::Other {
        status,
        message: text("m"),
    };
    let rows = [
        (
            "denied",
            AzureError::Denied(text("Caller is not authorized")),
        ),
        ("denied without a word", AzureError::Denied(text(""))),
        (
            "the firewall",
            AzureError::Firewall(text("Client address is not authorized")),
        ),
        (
            "not found",
            AzureError::NotFound(text("A key with (name/id) main was not found")),
        ),
        (
            "no principal",
            AzureError::PrincipalNotFound(text("Principal x does not exist")),
        ),
        ("another change", conflict("ConcurrentUpdateError")),
        ("another change without a code", conflict("")),
        ("refused", refused("InvalidParameter")),
        ("refused without a code", refused("")),
        (
            "no identity",
            AzureError::Credentials(text("no tenant is known")),
        ),
        (
            "not reached",
            AzureError::Unreachable(text("connection refused")),
        ),
        (
            "not trusted",
            AzureError::Unreachable(text("invalid peer certificate: UnknownIssuer")),
        ),
        ("not read", AzureError::Malformed(text("expected a value"))),
        ("too many", other(429)),
        ("the service failed", other(502)),
        ("anything else", other(418)),
    ];
    let mut all = Vec::new();
    for (cause, error) in &rows {
        all.push(wanted(cause, |summary| azure(summary, &key, error)));
    }
    let hsm = "https://acme.managedhsm.azure.net/keys/main".parse()?;
    for (cause, error) in rows.iter().take(3) {
        all.push(wanted(cause, |summary| azure(summary, &hsm, error)));
    }
    // Messages tell a key from a workspace where that matters.
    for (cause, error) in rows.iter().take(4) {
        all.push((
            cause,
            arm("The workspace could not be read", &workspace, error),
        ));
        all.push((
            cause,
            azure_workspaces("The workspaces could not be read", error),
        ));
    }
    insta::assert_snapshot!(read(Some(&Cloud::Azure), all));
    Ok(())
}

fn api(status: u16, code: &str, message: &str) -> Error {
    let body = match (code, message) {
        ("", "") => String::new(),
        ("", message) => format!("{{\"message\":\"{message}\"}}"),
        (code, message) => format!("{{\"error_code\":\"{code}\",\"message\":\"{message}\"}}"),
    };
    Error::Api(ApiError::read(status, &body))
}

fn lost(may_have_been_taken: bool) -> Error {
    Error::Transport {
        reason: "connection reset.".to_owned(),
        source: None,
        may_have_been_taken,
        is_unreachable: !may_have_been_taken,
    }
}

#[test]
fn what_the_account_refuses() {
    let token = |error| Error::Token(Box::new(error));
    let rows = [
        ("refused", api(400, "INVALID_PARAMETER_VALUE", "m")),
        (
            "no token of Google",
            api(400, "", "Failed to get oauth access token"),
        ),
        ("not accepted", api(401, "", "m")),
        ("denied", api(403, "PERMISSION_DENIED", "m")),
        ("no such feature", api(403, "FEATURE_DISABLED", "m")),
        ("not found", api(404, "RESOURCE_DOES_NOT_EXIST", "m")),
        ("in use", api(409, "RESOURCE_CONFLICT", "m")),
        ("too many", api(429, "REQUEST_LIMIT_EXCEEDED", "m")),
        ("failed", api(500, "INTERNAL_ERROR", "m")),
        ("failed without a word", api(502, "", "")),
        ("anything else", api(418, "", "m")),
        ("not received", lost(false)),
        ("lost", lost(true)),
        ("a login page", Error::LoginPage),
        ("not read", Error::Malformed("expected a value.".to_owned())),
        (
            "certificates",
            Error::Certificates {
                file: "ca.pem".to_owned(),
                reason: "it has none".to_owned(),
            },
        ),
        ("no token, since it was not received", token(lost(false))),
        ("no token, since it was refused", token(api(401, "", "m"))),
    ];
    let mut all: Vec<(&str, Diagnostic)> = rows
        .iter()
        .map(|(cause, error)| wanted(cause, |summary| account(summary, error)))
        .collect();
    let unusable = Error::Certificates {
        file: "ca.pem".to_owned(),
        reason: "it has none".to_owned(),
    };
    all.push((
        "certificates of the environment",
        unusable_certificates("SSL_CERT_FILE", &unusable),
    ));
    all.push(("a proxy", malformed_proxy("HTTPS_PROXY", "::")));
    insta::assert_snapshot!(read(None, all));
}

#[test]
fn why_the_account_cannot_be_called() {
    let text = |text: &str| text.to_owned();
    let method = AuthType::OAuthM2m;
    let file = |profile: Option<(String, &'static str)>| AuthError::File {
        file: text("~/.databrickscfg"),
        reason: text("it is not UTF-8"),
        profile,
    };
    let rows = [
        ("no host", AuthError::NoHost),
        ("no address", AuthError::Host(text("::"))),
        ("not encrypted", AuthError::Insecure(text("http://x"))),
        (
            "a workspace",
            AuthError::WorkspaceHost(text("https://dbc-1.cloud.databricks.com")),
        ),
        (
            "a workspace of GovCloud",
            AuthError::WorkspaceHost(text("https://x.cloud.databricks.us")),
        ),
        (
            "a workspace on Azure",
            AuthError::WorkspaceHost(text("https://adb-1.2.azuredatabricks.net")),
        ),
        (
            "a workspace on Google Cloud",
            AuthError::WorkspaceHost(text("https://1.2.gcp.databricks.com")),
        ),
        ("no account", AuthError::NoAccount),
        (
            "another account",
            AuthError::Account(text("`x` is not the ID of an account")),
        ),
        ("no credential", AuthError::NoCredential),
        (
            "half a credential",
            AuthError::Half("client_id", "client_secret"),
        ),
        (
            "several",
            AuthError::Several(text("`token` and `client_id`")),
        ),
        ("another method", AuthError::Method(text("magic"))),
        (
            "a method that lacks something",
            AuthError::Incomplete {
                method,
                needs: "client_id",
            },
        ),
        (
            "no such profile",
            AuthError::NoProfile {
                file: text("~/.databrickscfg"),
                profile: text("prod"),
                named_by: "DATABRICKS_CONFIG_PROFILE",
            },
        ),
        ("a file", file(None)),
        (
            "a file with a profile",
            file(Some((text("prod"), "`profile`"))),
        ),
        (
            "a key of Google",
            AuthError::GoogleKey {
                file: text("key.json"),
                reason: text("it does not exist"),
            },
        ),
        (
            "a method that failed",
            AuthError::Failed {
                method,
                reason: text("the file token.txt does not exist"),
                remedy: text("Create it."),
            },
        ),
    ];
    let mut all: Vec<(&str, Diagnostic)> = rows
        .into_iter()
        .map(|(cause, error)| {
            (
                cause,
                unavailable(&Unavailable::Auth(error, AskedBy::Provider)),
            )
        })
        .collect();
    all.push((
        "not known yet",
        unavailable(&Unavailable::NotYetKnown(vec!["host", "account_id"])),
    ));
    all.push((
        "not reached",
        unavailable(&Unavailable::Transport(lost(false))),
    ));
    insta::assert_snapshot!(read(None, all));
}

/// At a command line, there is no provider block to write into: every text names flags and variables alone.
#[test]
fn a_command_names_its_own_flags() {
    let text = |text: &str| text.to_owned();
    let rows = [
        (AuthError::NoHost, "--host"),
        (AuthError::NoAccount, "--account-id"),
        (AuthError::NoCredential, "DATABRICKS_CLIENT_SECRET"),
        (AuthError::Several(text("a and b")), "DATABRICKS_AUTH_TYPE"),
        (AuthError::Account(text("it is empty")), "--account-id"),
        (
            AuthError::NoProfile {
                file: text("~/.databrickscfg"),
                profile: text("prod"),
                named_by: "DATABRICKS_CONFIG_PROFILE",
            },
            "--databricks-profile",
        ),
    ];
    for (error, names) in rows {
        let in_hcl = unavailable(&Unavailable::Auth(error.clone(), AskedBy::Provider));
        let found = unavailable(&Unavailable::Auth(error, AskedBy::Command));
        assert_eq!(found.summary, in_hcl.summary);
        assert!(found.detail.contains(names), "{}", found.detail);
        for words in [
            "provider \"dbxcmk\"",
            "provider block",
            "`host`",
            "`profile`",
        ] {
            assert!(!found.detail.contains(words), "{words}: {}", found.detail);
        }
    }
}
