//! How many requests this process has sent, by service: a command that only reads says where it read.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use url::Url;

static SENT: Mutex<BTreeMap<String, u64>> = Mutex::new(BTreeMap::new());

/// The service behind a host: a word for those of the clouds and of Databricks, the host itself for others.
fn service(url: &Url) -> String {
    const KNOWN: [(&str, &str); 18] = [
        ("kmsinventory.", "kmsinventory"),
        ("cloudkms.", "cloudkms"),
        ("cloudresourcemanager.", "resourcemanager"),
        ("iamcredentials.", "iamcredentials"),
        ("iam.googleapis", "iam"),
        ("oauth2.", "login"),
        ("kms.", "kms"),
        ("sts.", "sts"),
        ("s3.", "s3"),
        ("cloudtrail.", "cloudtrail"),
        ("iam.", "iam"),
        ("login.", "login"),
        ("graph.", "graph"),
        ("management.", "resource_manager"),
        (".vault.", "key_vault"),
        (".managedhsm.", "key_vault"),
        ("databricks", "databricks"),
        ("169.254.169.254", "metadata"),
    ];
    let host = url.host_str().unwrap_or_default();
    let known = KNOWN
        .into_iter()
        .find(|(part, _)| match part.starts_with('.') {
            true => host.contains(part),
            false => host.starts_with(part) || (*part == "databricks" && host.contains(part)),
        });
    match (known, url.port()) {
        (Some((_, name)), _) => name.to_owned(),
        (None, Some(port)) => format!("{host}:{port}"),
        (None, None) => host.to_owned(),
    }
}

/// Effect: one more request goes out.
pub(crate) fn count(url: &Url) {
    let mut sent = SENT.lock().unwrap_or_else(PoisonError::into_inner);
    *sent.entry(service(url)).or_default() += 1;
}

/// How many requests went out, by service.
pub fn sent() -> BTreeMap<String, u64> {
    SENT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: an address, and the service.
    #[test]
    fn a_service_is_known_by_its_host() -> Result<(), url::ParseError> {
        for (url, name) in [
            ("https://accounts.cloud.databricks.com/api", "databricks"),
            ("https://dbc-1.cloud.databricks.com/api", "databricks"),
            ("https://adb-1.2.azuredatabricks.net/api", "databricks"),
            ("https://kms.eu-central-1.amazonaws.com/", "kms"),
            ("https://sts.amazonaws.com/", "sts"),
            ("https://cloudkms.googleapis.com/v1", "cloudkms"),
            ("https://kmsinventory.googleapis.com/v1", "kmsinventory"),
            ("https://acme.vault.azure.net/keys", "key_vault"),
            ("https://management.azure.com/", "resource_manager"),
            ("http://127.0.0.1:8080/x", "127.0.0.1:8080"),
        ] {
            assert_eq!(service(&Url::parse(url)?), name, "{url}");
        }
        Ok(())
    }
}
