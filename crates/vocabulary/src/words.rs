//! What each cloud calls things, so that a user does not read the words of another cloud.

use super::Cloud;

/// The words of a cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    /// What workspace storage is.
    pub storage: &'static str,
    /// The disks of classic compute.
    pub disks: &'static str,
    /// The machines of classic compute.
    pub machines: &'static str,
    /// The attribute of our resources that names a key.
    pub attribute: &'static str,
}

const AWS: Words = Words {
    storage: "workspace bucket",
    disks: "EBS volumes",
    machines: "EC2 instances",
    attribute: "aws.key_arn",
};

const GOOGLE: Words = Words {
    storage: "workspace bucket",
    disks: "persistent disks",
    machines: "Compute Engine instances",
    attribute: "gcp.kms_key_id",
};

const AZURE: Words = Words {
    storage: "workspace storage account",
    disks: "managed disks",
    machines: "virtual machines",
    attribute: "azure.key_vault_key_id",
};

/// For a cloud that is not known.
const NEUTRAL: Words = Words {
    storage: "workspace bucket",
    disks: "cluster volumes",
    machines: "machines",
    attribute: "aws.key_arn",
};

impl Cloud {
    /// What it calls things.
    pub fn words(&self) -> &'static Words {
        match self {
            Self::Aws => &AWS,
            Self::Gcp => &GOOGLE,
            Self::Azure => &AZURE,
            Self::Other(_) => &NEUTRAL,
        }
    }
}

/// The words in a text that only another cloud has: a test expects none.
pub fn foreign(cloud: &Cloud, text: &str) -> Vec<String> {
    const AWS: &[&str] = &[
        "ARN",
        "ARNs",
        "arn",
        "AWS",
        "aws",
        "EBS",
        "EC2",
        "S3",
        "SCPs",
        "RCPs",
        "VPC endpoint",
    ];
    const GOOGLE: &[&str] = &[
        "Google",
        "google",
        "gcp",
        "Cloud KMS",
        "persistent disk",
        "persistent disks",
        "Compute Engine",
        "VPC Service Controls",
        "service account",
        "service accounts",
    ];
    const AZURE: &[&str] = &[
        "Azure",
        "azure",
        "azurerm",
        "Microsoft",
        "vault",
        "vaults",
        "Managed HSM",
        "managed disk",
        "managed disks",
        "storage account",
    ];
    const KMS: &[&str] = &["KMS", "bucket"];
    let lists: &[&[&str]] = match cloud {
        Cloud::Aws => &[GOOGLE, AZURE],
        Cloud::Gcp => &[AWS, AZURE],
        Cloud::Azure => &[AWS, GOOGLE, KMS],
        Cloud::Other(_) => &[AWS, GOOGLE, AZURE],
    };
    let is_in_word = |c: char| c.is_alphanumeric() || c == '_' || c == '/';
    let stands_alone = |word: &str| {
        text.match_indices(word).any(|(start, _)| {
            let before = text.get(..start).and_then(|text| text.chars().next_back());
            let after = text
                .get(start + word.len()..)
                .and_then(|text| text.chars().next());
            !before.is_some_and(is_in_word) && !after.is_some_and(is_in_word)
        })
    };
    let words = lists.iter().flat_map(|list| list.iter());
    words
        .filter(|word| stands_alone(word))
        .map(|word| (*word).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cloud_has_a_word_of_another() {
        for cloud in [Cloud::Aws, Cloud::Gcp, Cloud::Azure] {
            let words = cloud.words();
            let own = [words.storage, words.disks, words.machines, words.attribute];
            for word in own {
                assert_eq!(
                    foreign(&cloud, word),
                    Vec::<String>::new(),
                    "{cloud}: {word}"
                );
            }
        }
        assert_eq!(
            foreign(&Cloud::Gcp, "the EBS volumes of a vault"),
            ["EBS", "vault"]
        );
        // `foreign` passes over names of resources: they are not words that a user reads.
        assert_eq!(
            foreign(&Cloud::Gcp, "x/vault_id, LEARN"),
            Vec::<String>::new()
        );
    }
}
