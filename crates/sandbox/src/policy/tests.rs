//! Tables of the rules.

use super::*;

const KEY: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const SESSION: &str = "arn:aws:sts::123456789012:assumed-role/terraform/run";

fn decided(statement: &str) -> Result<bool, Malformed> {
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Resource":"*","Action":"kms:Decrypt",{statement}}}]}}"#
    );
    let call =
        Call::new(Caller::of(SESSION), "kms:Decrypt", KEY).with("aws:PrincipalTag/team", "a*b");
    Ok(Policy::parse(&text)?.allows(&call))
}

/// Each row: a principal, and whether it is the session of a role.
#[test]
fn who_is_meant() -> Result<(), Malformed> {
    for (principal, is_meant) in [
        (r#""*""#, true),
        (r#"{"AWS":"*"}"#, true),
        (r#"{"AWS":"123456789012"}"#, true),
        (r#"{"AWS":"arn:aws:iam::123456789012:root"}"#, true),
        (r#"{"AWS":"arn:aws-us-gov:iam::123456789012:root"}"#, false),
        (
            r#"{"AWS":"arn:aws:iam::123456789012:role/terraform"}"#,
            true,
        ),
        (
            r#"{"AWS":"arn:aws:iam::123456789012:role/path/terraform"}"#,
            true,
        ),
        (
            r#"{"AWS":"arn:aws:iam::123456789012:role/Terraform"}"#,
            false,
        ),
        (
            r#"{"AWS":"arn:aws:sts::123456789012:assumed-role/terraform/run"}"#,
            true,
        ),
        (
            r#"{"AWS":"arn:aws:sts::123456789012:assumed-role/terraform/other"}"#,
            false,
        ),
        (r#"{"AWS":["999999999999","123456789012"]}"#, true),
        (r#"{"AWS":"AROAEXAMPLE"}"#, false),
        (r#"{"Service":"kms.amazonaws.com"}"#, false),
    ] {
        assert_eq!(
            decided(&format!(r#""Principal":{principal}"#))?,
            is_meant,
            "{principal}"
        );
    }
    assert!(!decided(r#""NotPrincipal":{"AWS":"123456789012"}"#)?);
    assert!(decided(r#""NotPrincipal":{"AWS":"999999999999"}"#)?);
    Ok(())
}

/// Each row: a condition, and whether the request meets it.
#[test]
fn what_a_condition_asks() -> Result<(), Malformed> {
    for (condition, is_met) in [
        (
            r#""StringEquals":{"aws:principalaccount":"123456789012"}"#,
            true,
        ),
        (
            r#""StringEquals":{"aws:PrincipalAccount":["1","123456789012"]}"#,
            true,
        ),
        (
            r#""StringNotEquals":{"aws:PrincipalAccount":["1","123456789012"]}"#,
            false,
        ),
        (r#""StringEquals":{"aws:PrincipalOrgID":"o-1"}"#, false),
        (r#""StringNotEquals":{"aws:PrincipalOrgID":"o-1"}"#, true),
        (
            r#""StringEqualsIfExists":{"aws:PrincipalOrgID":"o-1"}"#,
            true,
        ),
        (
            r#""ForAllValues:StringEquals":{"aws:PrincipalOrgID":"o-1"}"#,
            true,
        ),
        (
            r#""ForAnyValue:StringEquals":{"aws:PrincipalOrgID":"o-1"}"#,
            false,
        ),
        (r#""Null":{"aws:PrincipalOrgID":"true"}"#, true),
        (r#""Null":{"aws:PrincipalArn":"true"}"#, false),
        (
            r#""StringLike":{"aws:PrincipalArn":"*:role/terra?orm"}"#,
            true,
        ),
        (
            r#""StringEquals":{"aws:PrincipalArn":"*:role/terraform"}"#,
            false,
        ),
        (
            r#""ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/*"}"#,
            true,
        ),
        (r#""ArnLike":{"aws:PrincipalArn":"arn:*"}"#, false),
        (r#""Bool":{"aws:SecureTransport":true}"#, true),
        (r#""IpAddress":{"aws:SourceIp":"203.0.113.0/24"}"#, true),
        (r#""IpAddress":{"aws:SourceIp":"203.0.112.0/24"}"#, false),
        (
            r#""NotIpAddress":{"aws:SourceIp":["203.0.112.0/24","::/0"]}"#,
            true,
        ),
        (
            r#""DateGreaterThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}"#,
            true,
        ),
        (r#""DateLessThan":{"aws:CurrentTime":"2020-01-01"}"#, false),
        (
            r#""NumericGreaterThan":{"aws:EpochTime":"1577836800"}"#,
            true,
        ),
        (
            r#""StringEquals":{"aws:PrincipalTag/team":"${aws:PrincipalTag/team}"}"#,
            true,
        ),
        (
            r#""StringLike":{"aws:PrincipalAccount":"${aws:PrincipalTag/team}"}"#,
            false,
        ),
        (
            r#""StringEquals":{"aws:PrincipalAccount":"${aws:PrincipalTag/none, '123456789012'}"}"#,
            true,
        ),
        (
            r#""StringNotEquals":{"aws:PrincipalAccount":"${aws:PrincipalTag/none}"}"#,
            true,
        ),
    ] {
        let statement = format!(r#""Principal":"*","Condition":{{{condition}}}"#);
        assert_eq!(decided(&statement)?, is_met, "{condition}");
    }
    Ok(())
}

#[test]
fn a_denial_wins() -> Result<(), Malformed> {
    let call = Call::new(Caller::of(SESSION), "kms:Decrypt", KEY);
    for (denied, is_allowed) in [
        ("kms:Decrypt", false),
        ("kms:D*", false),
        ("kms:Encrypt", true),
    ] {
        let text = format!(
            r#"{{"Statement":[{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}},
                {{"Effect":"Deny","Principal":"*","Action":"{denied}","Resource":"{KEY}"}}]}}"#
        );
        assert_eq!(Policy::parse(&text)?.allows(&call), is_allowed, "{denied}");
    }
    Ok(())
}

#[test]
fn what_is_no_policy_is_refused() {
    let good = r#""Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*""#;
    for text in [
        String::new(),
        "[]".to_owned(),
        r#"{"Statement":[]}"#.to_owned(),
        format!(r#"{{"Version":"2013-10-17","Statement":{{{good}}}}}"#),
        format!(r#"{{"Statement":{{{good}}},"Statements":1}}"#),
        format!(r#"{{"Statement":{{{good},"Effect":"Deny"}}}}"#),
        format!(r#"{{"Statement":{{{good},"NotAction":"kms:*"}}}}"#),
        format!(r#"{{"Statement":{{{good},"Condition":{{"StringIs":{{"a":"b"}}}}}}}}"#),
        format!(r#"{{"Statement":{{{}}}}}"#, good.replace("kms:*", "kms")),
        format!(
            r#"{{"Statement":{{{}}}}}"#,
            good.replace(r#""*""#, r#"{"AWS":"arn:aws:iam::1:role/*"}"#)
        ),
        format!(
            r#"{{"Statement":{{{}}}}}"#,
            good.replace(r#","Resource":"*""#, "")
        ),
    ] {
        assert!(Policy::parse(&text).is_err(), "{text}");
    }
    assert!(Policy::parse(&format!(r#"{{"Statement":{{{good}}}}}"#)).is_ok());
}
