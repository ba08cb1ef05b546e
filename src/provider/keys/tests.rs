//! Keys of any cloud, without a cloud: which key a configuration has, and when a proof rests on what was read before.

use std::sync::Mutex;

use super::*;
use crate::preflight::{Id, Subject, azure};
use crate::provider::shared::lock;

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
        // Closed, never open: what is no key is not passed over.
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
        // Nor is one of several taken for the one.
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

fn case(stage: Stage) -> Result<Case, Box<dyn std::error::Error>> {
    Ok(Case::Azure(Box::new(AzureCase {
        key: "https://v.vault.azure.net/keys/k".parse()?,
        vault: None,
        question: azure::Question::of_nobody(stage),
        roles: None,
    })))
}

/// What is found, a letter each: `E` an error, `w` a warning, `-` nothing.
struct Fake {
    /// What each examination finds, a letter for each case.
    finds: [&'static str; 2],
    /// Whether something of each case was read before, a letter each: `y` or `n`.
    was_read: &'static str,
    /// Whether something that was read for it is forgotten, in the same way.
    forgets: &'static str,
    times: Mutex<usize>,
    asked: Mutex<usize>,
    forgot: Mutex<usize>,
}

impl Fake {
    fn letter(letters: &str, at: &Mutex<usize>) -> bool {
        let mut at = lock(at);
        let is_so = letters.chars().nth(*at) == Some('y');
        *at += 1;
        is_so
    }
}

impl Examiner for Fake {
    fn has_been_read(&self, _: &Case) -> bool {
        Self::letter(self.was_read, &self.asked)
    }

    async fn forget_read(&self, _: Instant, _: &Case) -> bool {
        Self::letter(self.forgets, &self.forgot)
    }

    async fn examine_once(&self, _: &[Case]) -> Vec<Vec<Finding>> {
        let mut times = lock(&self.times);
        let finds = self.finds.get(*times).copied().unwrap_or_default();
        *times += 1;
        let found = |letter| match letter {
            'E' => vec![Id::AzureKeyDisabled.error(Subject::Key)],
            'w' => vec![Id::AzureVersionPinned.warning(Subject::Key)],
            _ => Vec::new(),
        };
        finds.chars().map(found).collect()
    }
}

/// Each row: whether Terraform applies, what was read before of two keys, what is forgotten of those that are refused, what is found at
/// first and at last, and how often the keys are examined.
#[tokio::test]
async fn who_is_refused_at_apply_is_examined_again_where_the_proof_may_be_old() -> Outcome {
    type Row = (
        &'static str,
        bool,
        &'static str,
        &'static str,
        [&'static str; 2],
        usize,
    );
    let rows: [Row; 11] = [
        (
            "a plan is refused at once",
            false,
            "yy",
            "yy",
            ["EE", "--"],
            1,
        ),
        ("nothing is found", true, "yy", "yy", ["--", "EE"], 1),
        ("a warning stops nothing", true, "yy", "yy", ["ww", "EE"], 1),
        ("refused by a fresh read", true, "nn", "nn", ["E-", "--"], 1),
        ("refused by an old one", true, "yn", "nn", ["E-", "--"], 2),
        ("old is what is fine", true, "ny", "nn", ["E-", "--"], 1),
        (
            "it was read while this one waited",
            true,
            "nn",
            "y",
            ["E-", "--"],
            2,
        ),
        (
            "the second is refused by an old read",
            true,
            "ny",
            "nn",
            ["EE", "-E"],
            2,
        ),
        (
            "nothing was forgotten of the first",
            true,
            "nn",
            "ny",
            ["EE", "--"],
            2,
        ),
        (
            "it is refused again, and not a third time",
            true,
            "yy",
            "yy",
            ["EE", "EE"],
            2,
        ),
        (
            "what is found at last counts",
            true,
            "yn",
            "nn",
            ["Ew", "-E"],
            2,
        ),
    ];
    for (name, is_applying, was_read, forgets, finds, times) in rows {
        let fake = Fake {
            finds,
            was_read,
            forgets,
            times: Mutex::default(),
            asked: Mutex::default(),
            forgot: Mutex::default(),
        };
        let cases = [case(Stage::Apply)?, case(Stage::Apply)?];
        let found = examined(&fake, is_applying, &cases).await;
        assert_eq!(*lock(&fake.times), times, "{name}");
        let letters: String = found
            .iter()
            .map(|found| match found.first().map(|one| one.severity) {
                Some(Severity::Error) => 'E',
                Some(Severity::Warning) => 'w',
                None => '-',
            })
            .collect();
        assert_eq!(Some(&letters.as_str()), finds.get(times - 1), "{name}");
        // Only who is refused has something to forget.
        let refused = finds.first().map_or(0, |first| first.matches('E').count());
        assert_eq!(
            *lock(&fake.forgot),
            if is_applying { refused } else { 0 },
            "{name}"
        );
    }
    Ok(())
}
