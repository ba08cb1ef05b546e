//! Names of Google Cloud: keys of Cloud KMS, their locations, and service accounts.

use std::fmt;
use std::str::FromStr;

use super::textual;

/// The seconds of a duration as Google's APIs write it (`2592000s`); `None` when the text is none. Source: `google.protobuf.Duration` in
/// JSON.
pub fn seconds(duration: &str) -> Option<f64> {
    let number: f64 = duration.strip_suffix('s')?.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some(number)
}

/// The days of such a duration; `None` when it is none, or no whole number of days.
pub fn whole_days(duration: &str) -> Option<u64> {
    let days = seconds(duration)? / 86_400.0;
    (days.fract() == 0.0 && days <= 1000.0).then_some(days as u64)
}

/// A time as the services of Google show it (RFC 3339, with up to nine digits of a second), in whole seconds. Anything else stays as it is.
pub fn whole_seconds(time: &str) -> String {
    match time.strip_suffix('Z').and_then(|time| time.split_once('.')) {
        Some((seconds, rest)) if rest.bytes().all(|one| one.is_ascii_digit()) => {
            format!("{seconds}Z")
        }
        _ => time.to_owned(),
    }
}

/// Text that is not the name that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}{hint}")]
pub struct GcpNameError {
    text: String,
    expected: &'static str,
    hint: String,
}

impl GcpNameError {
    fn new(text: &str, expected: &'static str, hint: impl Into<String>) -> Self {
        Self {
            text: text.to_owned(),
            expected,
            hint: hint.into(),
        }
    }
}

/// A key of Cloud KMS, without a version: `projects/P/locations/L/keyRings/R/cryptoKeys/K`. Source: Cloud KMS API, resource names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CryptoKeyName {
    project: String,
    location: String,
    ring: String,
    key: String,
}

const CRYPTO_KEY: &str = "the name of a Cloud KMS key";

impl CryptoKeyName {
    /// The project, by its ID or number.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// Where it is: `us-east4`, `europe`, `global`.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The last part of the key ring's name.
    pub fn ring(&self) -> &str {
        &self.ring
    }

    /// The last part of its name.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The full name of the key ring, as IAM takes it.
    pub fn ring_name(&self) -> String {
        format!(
            "projects/{}/locations/{}/keyRings/{}",
            self.project, self.location, self.ring
        )
    }

    /// Whether it is in one region. Keys of multi-regions and of `global` are not: Databricks needs the key in the region of the
    /// workspace. Source: Cloud KMS locations; databricks-sdk-go issue 1083.
    pub fn is_regional(&self) -> bool {
        is_region(&self.location)
    }
}

/// Whether a location is a region: `us-east4`, `me-central2`.
pub fn is_region(location: &str) -> bool {
    let Some((_, place)) = location.split_once('-') else {
        return false;
    };
    let name = place.trim_end_matches(|c: char| c.is_ascii_digit());
    !name.is_empty() && name.len() < place.len()
}

/// Whether `text` can be the ID of a key ring or a key: Google allows letters, digits, `_` and `-`,
/// and at most 63 characters.
fn is_id(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Project IDs may have a domain in front of them: `example.com:project`.
fn is_project(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':'))
}

/// What a text has beside the name of a key: slashes, the address of an API.
fn superfluous(text: &str) -> Option<String> {
    let (before, name) = text.split_at(text.find("projects/")?);
    let name = name.trim_end_matches('/');
    if before.len() + name.len() == text.len() && before.is_empty() {
        return None;
    }
    name.parse::<CryptoKeyName>().ok()?;
    let what = match (before, text.ends_with('/')) {
        ("", _) => "the slash at its end".to_owned(),
        (before, false) => format!("`{before}`"),
        (before, true) => format!("`{before}` and the slash at its end"),
    };
    Some(format!("; leave out {what}: `{name}`"))
}

impl FromStr for CryptoKeyName {
    type Err = GcpNameError;

    fn from_str(text: &str) -> Result<Self, GcpNameError> {
        let odd = |hint: &str| GcpNameError::new(text, CRYPTO_KEY, hint);
        const FORM: &str =
            "; expected projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY";
        if let Some(hint) = superfluous(text) {
            return Err(odd(&hint));
        }
        let parts: Vec<&str> = text.split('/').collect();
        let (project, location, ring, key) = match parts.as_slice() {
            [
                "projects",
                project,
                "locations",
                location,
                "keyRings",
                ring,
                "cryptoKeys",
                key,
            ] => (*project, *location, *ring, *key),
            [.., "cryptoKeyVersions", _] => {
                return Err(odd(
                    ": it names a version. Use the name of the key (`google_kms_crypto_key.….id`), without `/cryptoKeyVersions/…`",
                ));
            }
            ["projects", _, "locations", _, "keyRings", _] => {
                return Err(odd(": it names a key ring"));
            }
            _ => return Err(odd(FORM)),
        };
        if !is_project(project) {
            return Err(odd(": its project is not an ID or number of a project"));
        }
        if location.is_empty()
            || !location
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-')
        {
            return Err(odd(": its location is not valid"));
        }
        if location.chars().any(|c| c.is_ascii_uppercase()) {
            let lower = location.to_ascii_lowercase();
            return Err(odd(&format!(
                ": locations are in lower case. Use `{lower}` instead of `{location}`"
            )));
        }
        if !is_id(ring) || !is_id(key) {
            return Err(odd(
                ": names of key rings and keys have 1 to 63 letters, digits, `_` and `-`",
            ));
        }
        Ok(Self {
            project: project.to_owned(),
            location: location.to_owned(),
            ring: ring.to_owned(),
            key: key.to_owned(),
        })
    }
}

impl fmt::Display for CryptoKeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/cryptoKeys/{}", self.ring_name(), self.key)
    }
}

/// The e-mail address of a service account or a service agent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceAccount(String);

impl ServiceAccount {
    /// The service agent of Compute Engine of a project, by the project's number. Source: Google Cloud documentation, service agents.
    pub fn compute_agent(project_number: &ProjectNumber) -> Self {
        Self(format!(
            "service-{project_number}@compute-system.iam.gserviceaccount.com"
        ))
    }

    /// The service agent of Cloud Storage of a project.
    pub fn storage_agent(project_number: &ProjectNumber) -> Self {
        Self(format!(
            "service-{project_number}@gs-project-accounts.iam.gserviceaccount.com"
        ))
    }

    /// The service account that Databricks creates for a workspace. Source: databricks/terraform-provider-databricks, which builds it in
    /// the same way; no API shows it.
    pub fn of_workspace(workspace: impl fmt::Display, region: &str) -> Self {
        Self(format!(
            "db-{workspace}@prod-gcp-{region}.iam.gserviceaccount.com"
        ))
    }

    /// The number of the workspace and the region that the name of a workspace's service account says.
    pub fn workspace(&self) -> Option<(&str, &str)> {
        let (number, rest) = self.0.strip_prefix("db-")?.split_once("@prod-gcp-")?;
        let region = rest.strip_suffix(".iam.gserviceaccount.com")?;
        let is_number = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
        is_number.then_some((number, region))
    }

    /// As a member of an IAM policy.
    pub fn member(&self) -> String {
        format!("serviceAccount:{}", self.0)
    }
}

impl FromStr for ServiceAccount {
    type Err = GcpNameError;

    fn from_str(text: &str) -> Result<Self, GcpNameError> {
        let odd =
            |hint: &str| GcpNameError::new(text, "the e-mail address of a service account", hint);
        if let Some(email) = text.strip_prefix("serviceAccount:") {
            return Err(odd(&format!(": leave `serviceAccount:` out, as {email}")));
        }
        match text.split_once('@') {
            Some((name, domain))
                if !name.is_empty()
                    && domain.ends_with("gserviceaccount.com")
                    && !text.contains(char::is_whitespace) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(odd("; expected NAME@PROJECT.iam.gserviceaccount.com")),
        }
    }
}

impl fmt::Display for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a project, which service agents have in their email.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectNumber(String);

impl FromStr for ProjectNumber {
    type Err = GcpNameError;

    fn from_str(text: &str) -> Result<Self, GcpNameError> {
        let is_number = text.len() <= 20 && text.chars().all(|c| c.is_ascii_digit());
        if is_number && text.starts_with(|c| c != '0') {
            Ok(Self(text.to_owned()))
        } else {
            Err(GcpNameError::new(
                text,
                "the number of a project",
                "; `gcloud projects describe PROJECT --format='value(projectNumber)'` shows it",
            ))
        }
    }
}

impl fmt::Display for ProjectNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

textual!(CryptoKeyName, ServiceAccount, ProjectNumber);

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: a text, and the value that it is, or words of the error.
    #[test]
    fn times_are_for_people() {
        for (time, shown) in [
            ("2026-12-30T17:06:56.072332195Z", "2026-12-30T17:06:56Z"),
            ("2026-12-30T17:06:56Z", "2026-12-30T17:06:56Z"),
            ("2026-12-30T17:06:56.5+01:00", "2026-12-30T17:06:56.5+01:00"),
            ("soon.", "soon."),
        ] {
            assert_eq!(whole_seconds(time), shown);
        }
    }

    #[test]
    fn keys_have_a_form() {
        let good = "projects/acme-prod/locations/us-east4/keyRings/lake_1/cryptoKeys/house-2";
        let rows = [
            (good, Ok(("acme-prod", "us-east4", true))),
            (
                "projects/example.com:p/locations/global/keyRings/r/cryptoKeys/k",
                Ok(("example.com:p", "global", false)),
            ),
            (
                "projects/p/locations/europe/keyRings/r/cryptoKeys/k",
                Ok(("p", "europe", false)),
            ),
            (
                "projects/p/locations/nam3/keyRings/r/cryptoKeys/k",
                Ok(("p", "nam3", false)),
            ),
            (
                "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
                Err("it names a version"),
            ),
            (
                "projects/p/locations/l/keyRings/r",
                Err("it names a key ring"),
            ),
            (
                "arn:aws:kms:eu-central-1:123456789012:key/x",
                Err("expected projects/"),
            ),
            (
                "projects//locations/l/keyRings/r/cryptoKeys/k",
                Err("its project"),
            ),
            (
                "projects/p/locations/l/keyRings/r r/cryptoKeys/k",
                Err("1 to 63 letters"),
            ),
            ("", Err("expected projects/")),
            (
                "/projects/p/locations/l/keyRings/r/cryptoKeys/k",
                Err("leave out `/`: `projects/p/locations/l/keyRings/r/cryptoKeys/k`"),
            ),
            (
                "projects/p/locations/l/keyRings/r/cryptoKeys/k/",
                Err("leave out the slash at its end: `projects/p"),
            ),
            (
                "https://cloudkms.googleapis.com/v1/projects/p/locations/l/keyRings/r/cryptoKeys/k",
                Err("leave out `https://cloudkms.googleapis.com/v1/`"),
            ),
            (
                "projects/p/locations/US-EAST4/keyRings/r/cryptoKeys/k",
                Err("Use `us-east4` instead of `US-EAST4`"),
            ),
        ];
        for (text, expected) in rows {
            let found = text.parse::<CryptoKeyName>();
            match (found, expected) {
                (Ok(key), Ok((project, location, regional))) => {
                    assert_eq!(
                        (key.project(), key.location(), key.is_regional()),
                        (project, location, regional),
                        "{text}"
                    );
                    assert_eq!(key.to_string(), text);
                }
                (Err(error), Err(words)) => {
                    assert!(error.to_string().contains(words), "{text}: {error}");
                }
                (found, expected) => {
                    assert_eq!(found.is_ok(), expected.is_ok(), "{text}: {found:?}")
                }
            }
        }
    }

    #[test]
    fn service_accounts_have_a_form() {
        let number: Result<ProjectNumber, _> = "123456789012".parse();
        let agent = number.map(|number| ServiceAccount::compute_agent(&number).member());
        assert_eq!(
            agent.as_deref(),
            Ok("serviceAccount:service-123456789012@compute-system.iam.gserviceaccount.com")
        );
        for (text, good) in [
            ("db-1@prod-gcp-us-east4.iam.gserviceaccount.com", true),
            ("serviceAccount:x@y.iam.gserviceaccount.com", false),
            ("ann@example.com", false),
            ("@y.iam.gserviceaccount.com", false),
        ] {
            assert_eq!(text.parse::<ServiceAccount>().is_ok(), good, "{text}");
        }
        for text in ["acme-prod", "0", "0123", "", "-1"] {
            assert!(text.parse::<ProjectNumber>().is_err(), "{text}");
        }
        let own = ServiceAccount::of_workspace(1, "us-east4");
        assert_eq!(own.workspace(), Some(("1", "us-east4")));
        for text in [
            "db-x@prod-gcp-us-east4.iam.gserviceaccount.com",
            "cmk-1@prod-gcp-us-east4.iam.gserviceaccount.com",
            "db-1@other.iam.gserviceaccount.com",
        ] {
            let other: Result<ServiceAccount, _> = text.parse();
            assert_eq!(other.as_ref().map(ServiceAccount::workspace), Ok(None));
        }
    }
}
