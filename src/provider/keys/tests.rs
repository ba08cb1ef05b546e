//! Keys of any cloud, without a cloud: which key a configuration has.

use super::*;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const ARN: &str = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const GOOGLE: &str = "projects/p/locations/us-east4/keyRings/r/cryptoKeys/k";

/// Each row: the keys that the account shows for a configuration, and what is made of them.
#[test]
fn the_key_of_a_configuration_is_known_or_judged() -> Outcome {
    let aws = |arn: &str| {
        format!("\"aws_key_info\": {{\"key_arn\": \"{arn}\", \"key_region\": \"eu-central-1\"}}")
    };
    let google = |name: &str| format!("\"gcp_key_info\": {{\"kms_key_id\": \"{name}\"}}");
    let azure = "\"azure_key_info\": {\"key_vault_uri\": \"https://v.vault.azure.net/\", \"key_name\": \"k\", \"version\": \"1\"}";
    let known = |name: &str| format!("known {name}");
    let rows = [
        (String::new(), "missing".to_owned()),
        (
            "\"aws_key_info\": null, \"gcp_key_info\": null".to_owned(),
            "missing".to_owned(),
        ),
        (aws(ARN), known(&format!("{ARN} in eu-central-1"))),
        (google(GOOGLE), known(&format!("{GOOGLE} in us-east4"))),
        (
            azure.to_owned(),
            "azure https://v.vault.azure.net/keys/k/1".to_owned(),
        ),
        // Closed, never open: a text that is not a key counts as unreadable.
        (aws(""), "unreadable".to_owned()),
        (
            aws("arn:aws:kms:eu-central-1:123456789012:alias/x"),
            "unreadable".to_owned(),
        ),
        (aws(GOOGLE), "unreadable".to_owned()),
        (google(""), "unreadable".to_owned()),
        (
            google(&format!("{GOOGLE}/cryptoKeyVersions/1")),
            "unreadable".to_owned(),
        ),
        (google(ARN), "unreadable".to_owned()),
        // Nor does the provider choose one of several keys.
        (
            format!("{}, {}", aws(ARN), google(GOOGLE)),
            "unreadable".to_owned(),
        ),
        (format!("{}, {azure}", aws(ARN)), "unreadable".to_owned()),
        (
            format!("{}, {azure}", google(GOOGLE)),
            "unreadable".to_owned(),
        ),
    ];
    for (shown, expected) in rows {
        let comma = if shown.is_empty() { "" } else { ", " };
        let text =
            format!("{{\"customer_managed_key_id\": \"c1\", \"use_cases\": []{comma}{shown}}}");
        let remote: KeyConfiguration = serde_json::from_str(&text)?;
        let found = match key_of(&remote) {
            ConfigurationKey::Known { key, location } => format!("known {key} in {location}"),
            ConfigurationKey::Elsewhere(cloud, key) => format!("{cloud} {key}"),
            ConfigurationKey::Unreadable(why) => {
                assert!(!why.is_empty(), "{shown}");
                "unreadable".to_owned()
            }
            ConfigurationKey::Missing => "missing".to_owned(),
        };
        assert_eq!(found, expected, "{shown}");
    }
    Ok(())
}
