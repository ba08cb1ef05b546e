//! Amazon S3: the default encryption of a bucket, and nothing else. One signed GET does not justify an SDK of S3.
//!
//! Sources: Amazon S3 API reference, GetBucketEncryption and "Error responses"; AWS Signature Version 4.

use std::time::Duration;

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_xml::decode::{Document, XmlDecodeError, try_data};

use super::Aws;
use super::connection::in_environment;
use super::errors::{AwsError, credentials_remedy};
use crate::network::{Http, body, client, plain};
use crate::preflight::storage::{NamedKey, SseRule, StoreFacts};
use crate::preflight::{Fact, Unreadable};
use crate::vocabulary::aws::{KeyArn, Partition};

/// The permission to read it. Source: Service Authorization Reference, Amazon S3.
const PERMISSION: &str = "s3:GetEncryptionConfiguration";
/// How often a read is tried that S3 did not carry out.
const TRIES: u32 = 4;
/// The first pause between two tries; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(300);
/// The header that names the region of a bucket, also in a refusal.
const REGION: &str = "x-amz-bucket-region";

/// An answer of S3.
struct Answer {
    status: u16,
    /// The region of the bucket, where S3 names it.
    region: Option<String>,
    body: String,
}

/// A refusal in the words of S3.
#[derive(Default)]
struct Refusal {
    code: String,
    message: String,
    region: Option<String>,
}

fn refusal(text: &str) -> Result<Refusal, XmlDecodeError> {
    let mut document = Document::try_from(text.as_bytes())?;
    let mut root = document.root_element()?;
    let mut found = Refusal::default();
    while let Some(mut tag) = root.next_tag() {
        match tag.start_el().local() {
            "Code" => found.code = try_data(&mut tag)?.into_owned(),
            "Message" => found.message = try_data(&mut tag)?.into_owned(),
            "Region" => found.region = Some(try_data(&mut tag)?.into_owned()),
            _ => {}
        }
    }
    Ok(found)
}

/// The rule of a configuration. A bucket has one rule.
fn rule(text: &str) -> Result<SseRule, XmlDecodeError> {
    let mut document = Document::try_from(text.as_bytes())?;
    let mut root = document.root_element()?;
    let mut found = None;
    while let Some(mut rule) = root.next_tag() {
        if rule.start_el().local() != "Rule" {
            continue;
        }
        while let Some(mut default) = rule.next_tag() {
            if default.start_el().local() != "ApplyServerSideEncryptionByDefault" {
                continue;
            }
            let (mut algorithm, mut key) = (String::new(), None);
            while let Some(mut tag) = default.next_tag() {
                match tag.start_el().local() {
                    "SSEAlgorithm" => algorithm = try_data(&mut tag)?.into_owned(),
                    "KMSMasterKeyID" => key = Some(try_data(&mut tag)?.into_owned()),
                    _ => {}
                }
            }
            let key = key.filter(|key| !key.is_empty());
            if found.replace(SseRule { algorithm, key }).is_some() {
                return Err(XmlDecodeError::custom("there are two rules"));
            }
        }
    }
    found.ok_or_else(|| XmlDecodeError::custom("there is no rule"))
}

/// The partition of a region. Source: AWS General Reference, regions.
fn partition_of(region: &str) -> Partition {
    match region {
        _ if region.starts_with("cn-") => Partition::AwsCn,
        _ if region.starts_with("us-gov-") => Partition::AwsUsGov,
        _ => Partition::Aws,
    }
}

/// Whether it can be a region: it becomes a part of a host.
fn is_region(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == b'-')
}

/// Why a bucket could not be read, for a proof.
fn unreadable(error: &AwsError) -> Unreadable {
    let (permission, reason) = match error {
        AwsError::AccessDenied { permission, .. } => (
            Some(*permission),
            format!("the identity that runs Terraform is not allowed to call {permission}"),
        ),
        AwsError::NotFound(message) => (None, format!("Amazon S3 has no such bucket ({message})")),
        AwsError::Credentials { reason, .. } => (
            None,
            format!("the provider found no usable AWS credentials: {reason}"),
        ),
        AwsError::Unreachable { reason, .. } => {
            (None, format!("Amazon S3 could not be reached ({reason})"))
        }
        other => (None, other.to_string()),
    };
    let remedy = match error {
        AwsError::Credentials { profile, .. } => {
            Some(credentials_remedy(profile.as_deref()).into())
        }
        _ => None,
    };
    Unreadable {
        permission,
        reason,
        remedy,
        is_missing: matches!(error, AwsError::NotFound(_)),
    }
}

fn other(code: impl Into<String>, message: impl Into<String>) -> AwsError {
    AwsError::Other {
        code: code.into(),
        message: message.into(),
        source: None,
    }
}

fn unreachable(reason: String) -> AwsError {
    AwsError::Unreachable {
        reason,
        source: None,
    }
}

impl Aws {
    /// The default encryption of a bucket, read now. `near`: the region in which it probably is; one call where that is right, and one more where S3
    /// names another one.
    pub async fn bucket(&self, name: &str, near: &str) -> Fact<StoreFacts> {
        let read = self.read_bucket(name, near).await;
        read.map_or_else(
            |error| Fact::Unreadable(unreadable(&error)),
            |(region, rule)| Fact::Known(StoreFacts::S3 { region, rule }),
        )
    }

    async fn read_bucket(
        &self,
        name: &str,
        near: &str,
    ) -> Result<(String, Option<SseRule>), AwsError> {
        let mut region = near.to_owned();
        let mut was_sent_on = false;
        loop {
            let answer = self.get_encryption(name, &region).await?;
            if answer.status == 200 {
                let read = rule(&answer.body)
                    .map_err(|error| other("GetBucketEncryption", error.to_string()))?;
                return Ok((region, Some(read)));
            }
            // A proxy answers in its own words.
            let said = refusal(&answer.body).unwrap_or_default();
            if said.code == "ServerSideEncryptionConfigurationNotFoundError" {
                return Ok((region, None));
            }
            let elsewhere = answer.region.or(said.region.clone());
            let elsewhere = elsewhere.filter(|own| is_region(own) && *own != region);
            match elsewhere {
                Some(own) if !was_sent_on && answer.status != 403 => {
                    was_sent_on = true;
                    region = own;
                }
                _ => return Err(self.understood(answer.status, said)),
            }
        }
    }

    fn understood(&self, status: u16, said: Refusal) -> AwsError {
        match (status, said.code.as_str()) {
            (_, "AccessDenied" | "AllAccessDisabled") => AwsError::AccessDenied {
                permission: PERMISSION,
                message: said.message,
            },
            (_, "NoSuchBucket") => AwsError::NotFound(said.message),
            (
                _,
                code @ ("InvalidAccessKeyId"
                | "ExpiredToken"
                | "InvalidToken"
                | "SignatureDoesNotMatch"
                | "TokenRefreshRequired"),
            ) => AwsError::Credentials {
                reason: format!(
                    "AWS does not accept the credentials ({code}: {})",
                    said.message
                ),
                profile: self.connection.settings.profile.clone(),
                source: None,
            },
            (status, "") => other(format!("HTTP {status}"), "S3 gave no reason"),
            (_, code) => other(code, said.message),
        }
    }

    async fn get_encryption(&self, name: &str, region: &str) -> Result<Answer, AwsError> {
        let base = match self.s3_endpoint() {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => format!("https://s3.{region}.{}", partition_of(region).dns_suffix()),
        };
        // The path style serves names with dots, too, for which no certificate of S3 is made out.
        let url = format!("{base}/{name}?encryption");
        let http = self.plain_client()?;
        let tries = self.connection.settings.tries.unwrap_or(TRIES);
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let outcome = self.try_once(&http, &url, region).await;
            let again = match &outcome {
                Ok(answer) => matches!(answer.status, 429 | 500 | 502 | 503 | 504),
                Err(AwsError::Unreachable { .. }) => true,
                Err(_) => false,
            };
            if !again || attempt >= tries {
                return outcome;
            }
            attempt += 1;
            tokio::time::sleep(pause.mul_f64(0.75 + 0.5 * fastrand::f64())).await;
            pause *= 2;
        }
    }

    async fn try_once(&self, http: &Http, url: &str, region: &str) -> Result<Answer, AwsError> {
        let request = self.signed(url, region).await?;
        tracing::debug!(url, "calling Amazon S3");
        let request = reqwest::Request::try_from(request)
            .map_err(|error| other("GetBucketEncryption", error.to_string()))?;
        let answer = http
            .execute(request)
            .await
            .map_err(|error| unreachable(plain(&error)))?;
        let status = answer.status().as_u16();
        let region = answer.headers().get(REGION);
        let region = region.and_then(|region| region.to_str().ok());
        let region = region.map(str::to_owned);
        let body = body(answer)
            .await
            .map_err(|error| unreachable(error.plain()))?;
        Ok(Answer {
            status,
            region,
            body,
        })
    }

    /// A GET with the signature of the caller.
    async fn signed(&self, url: &str, region: &str) -> Result<http::Request<String>, AwsError> {
        let broken = |error: &dyn std::fmt::Display| other("SignatureV4", error.to_string());
        let identity = self.connection.credentials().await?.into();
        let mut settings = SigningSettings::default();
        // S3 signs paths as they are sent, and the hash of the body beside them. Source: Signature Version 4, "Amazon S3".
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("s3")
            .time(doors::clock::system())
            .settings(settings)
            .build()
            .map_err(|error| broken(&error))?
            .into();
        let signable =
            SignableRequest::new("GET", url, std::iter::empty(), SignableBody::Bytes(&[]))
                .map_err(|error| broken(&error))?;
        let (instructions, _) = sign(signable, &parameters)
            .map_err(|error| broken(&error))?
            .into_parts();
        let mut request = http::Request::get(url)
            .body(String::new())
            .map_err(|error| broken(&error))?;
        instructions.apply_to_request_http1x(&mut request);
        Ok(request)
    }

    /// Where S3 is, if not where AWS has it.
    fn s3_endpoint(&self) -> Option<String> {
        let settings = &self.connection.settings;
        let own = settings.s3_endpoint.clone();
        own.or_else(|| in_environment("S3"))
    }

    /// The HTTP client for services without an SDK of theirs.
    pub(super) fn plain_client(&self) -> Result<Http, AwsError> {
        let made = self.s3.get_or_init(|| {
            let trusted = self.connection.certificates();
            let trusted = match trusted
                .as_deref()
                .map(reqwest::Certificate::from_pem_bundle)
            {
                None => Vec::new(),
                Some(Ok(all)) => all,
                Some(Err(error)) => return Err(unreachable(error.to_string())),
            };
            client(&trusted).map_err(|error| unreachable(plain(&error)))
        });
        made.clone()
    }

    /// A key by the name that a bucket has for it, as KMS describes it. `region`: that of the bucket, in which an ID or an alias is looked for.
    pub async fn named_key(&self, name: &str, region: &str) -> Fact<NamedKey> {
        // `arn:partition:kms:region:…`, of a key or an alias.
        let own = name.split(':').nth(3).filter(|own| is_region(own));
        let region = own.unwrap_or(region);
        match self.describe_named(name, region).await {
            Ok(found) => Fact::Known(found),
            Err(error) => Fact::Unreadable(super::errors::unreadable(&error)),
        }
    }

    async fn describe_named(&self, name: &str, region: &str) -> Result<NamedKey, AwsError> {
        let kms = self.kms_in(region).await;
        let answer = kms.describe_key().key_id(name).send().await;
        let answer =
            answer.map_err(|error| self.connection.understand("kms:DescribeKey", error))?;
        let metadata = answer.key_metadata();
        let arn = metadata.and_then(|key| key.arn()).unwrap_or_default();
        let arn: KeyArn = arn
            .parse()
            .map_err(|_| AwsError::NotFound(format!("`{arn}` is not a key ARN")))?;
        match metadata
            .and_then(|key| key.key_manager())
            .map(|own| own.as_str())
        {
            Some("CUSTOMER") => Ok(NamedKey {
                arn,
                is_of_aws: false,
            }),
            Some("AWS") => Ok(NamedKey {
                arn,
                is_of_aws: true,
            }),
            manager => Err(other(
                "DescribeKey",
                format!("KMS does not say who manages the key ({manager:?})"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(rules: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ServerSideEncryptionConfiguration \
             xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{rules}</ServerSideEncryptionConfiguration>"
        )
    }

    fn one(inner: &str) -> String {
        format!(
            "<Rule><ApplyServerSideEncryptionByDefault>{inner}</ApplyServerSideEncryptionByDefault>\
             <BucketKeyEnabled>true</BucketKeyEnabled></Rule>"
        )
    }

    /// Each row: the rules of a configuration, and what is read of them.
    #[test]
    fn a_configuration_is_read_whole_or_not_at_all() {
        let aes = one("<SSEAlgorithm>AES256</SSEAlgorithm>");
        let kms =
            one("<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>a&amp;b</KMSMasterKeyID>");
        let no_key = one("<SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID></KMSMasterKeyID>");
        let rows = [
            (aes.clone(), Some(("AES256", None))),
            (kms.clone(), Some(("aws:kms", Some("a&b")))),
            (no_key, Some(("aws:kms", None))),
            (format!("{aes}{kms}"), None),
            (String::new(), None),
            ("<Rule></Rule>".to_owned(), None),
        ];
        for (rules, expected) in rows {
            let read = rule(&configuration(&rules)).ok();
            let read = read.as_ref();
            let found = read.map(|own| (own.algorithm.as_str(), own.key.as_deref()));
            assert_eq!(found, expected, "{rules}");
        }
        assert!(rule("<html>Bad gateway</html>").is_err());
        assert!(rule("{}").is_err());
    }

    #[test]
    fn a_refusal_is_read_in_the_words_of_s3() {
        let text = "<?xml version=\"1.0\"?><Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong</Message>\
                    <Region>us-east-1</Region></Error>";
        let read = refusal(text).expect("a refusal");
        assert_eq!(
            (
                read.code.as_str(),
                read.message.as_str(),
                read.region.as_deref()
            ),
            ("AuthorizationHeaderMalformed", "wrong", Some("us-east-1"))
        );
        assert!(refusal("502 Bad Gateway").is_err());
    }

    #[test]
    fn what_becomes_a_part_of_a_host_is_a_region() {
        for (text, good) in [
            ("eu-central-1", true),
            ("us-gov-west-1", true),
            ("", false),
            ("evil.example/", false),
            ("EU", false),
        ] {
            assert_eq!(is_region(text), good, "{text}");
        }
        assert_eq!(partition_of("cn-north-1").dns_suffix(), "amazonaws.com.cn");
        assert_eq!(partition_of("us-gov-west-1"), Partition::AwsUsGov);
    }
}
