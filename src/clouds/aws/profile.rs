//! A profile of the shared AWS configuration that the configuration names: it wins over the environment, as with AWS's own tools and
//! hashicorp/aws (the AWS SDKs take the environment out of the chain when a profile is named in code), or the run fails.

use std::path::PathBuf;

use aws_config::Region;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_kms::config::SharedHttpClient;

/// The files of the shared configuration: `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE`, or those in the user's home.
fn files() -> [PathBuf; 2] {
    let variable = doors::environment::path;
    let home = || {
        let home = variable("HOME").or_else(|| variable("USERPROFILE"));
        home.unwrap_or_default()
    };
    let file = |name: &str, usual: &str| match variable(name) {
        Some(path) => match path.strip_prefix("~") {
            Ok(rest) => home().join(rest),
            Err(_) => path,
        },
        None => home().join(".aws").join(usual),
    };
    [
        file("AWS_CONFIG_FILE", "config"),
        file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
    ]
}

/// Whether a file of the shared configuration has a section for a profile: `[profile NAME]`, or `[NAME]` as the credentials file and the
/// profile `default` have it.
fn has_section(text: &str, profile: &str) -> bool {
    let section = |line: &str| {
        let (name, _) = line.trim().strip_prefix('[')?.split_once(']')?;
        Some(name.trim().to_owned())
    };
    text.lines().filter_map(section).any(|name| {
        let of_config = name
            .strip_prefix("profile")
            .filter(|rest| rest.starts_with(char::is_whitespace))
            .map(str::trim);
        name == profile || of_config == Some(profile)
    })
}

/// Why there is no such profile, or `None` when there is.
pub fn missing(profile: &str) -> Option<String> {
    let files = files();
    let reads = files.each_ref().map(doors::files::read_to_string);
    let is_there = reads
        .iter()
        .flatten()
        .any(|text| has_section(text, profile));
    let said = |(file, read): (&PathBuf, &std::io::Result<String>)| match read {
        Ok(_) => format!("{} has no section for it", file.display()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            format!("{} does not exist", file.display())
        }
        Err(error) => format!("{} cannot be read ({error})", file.display()),
    };
    (!is_there).then(|| {
        let all: Vec<String> = files.iter().zip(&reads).map(said).collect();
        all.join(", and ")
    })
}

/// The credentials of a profile. One without any of its own has those of the container or the instance, as in AWS's own tools, and
/// never those of the environment.
pub(super) fn credentials(
    profile: &str,
    region: Option<Region>,
    http: SharedHttpClient,
    timeouts: TimeoutConfig,
) -> CredentialsProviderChain {
    let config = ProviderConfig::without_region()
        .with_region(region)
        .with_http_client(http)
        .with_timeout_config(timeouts);
    let of_profile = ProfileFileCredentialsProvider::builder()
        .profile_name(profile)
        .configure(&config)
        .build();
    let of_container = EcsCredentialsProvider::builder().configure(&config).build();
    let of_instance = ImdsCredentialsProvider::builder()
        .configure(&config)
        .build();
    CredentialsProviderChain::first_try("Profile", of_profile)
        .or_else("EcsContainer", of_container)
        .or_else("Ec2InstanceMetadata", of_instance)
}

#[cfg(test)]
mod tests {
    use super::has_section;

    /// Each row: a file, a profile, and whether the file has it.
    #[test]
    fn a_profile_is_a_section_of_one_of_the_files() {
        let rows = [
            ("[profile prod]\nregion = x\n", "prod", true),
            ("  [ profile\tprod ]  # own\n", "prod", true),
            ("[prod]\naws_access_key_id = x\n", "prod", true),
            ("[default]\n", "default", true),
            ("[profile production]\n", "prod", false),
            ("[sso-session prod]\n[services prod]\n", "prod", false),
            ("# [prod]\nprod = 1\n", "prod", false),
            ("[profileprod]\n", "prod", false),
            ("", "prod", false),
        ];
        for (text, profile, expected) in rows {
            assert_eq!(has_section(text, profile), expected, "{text}");
        }
    }
}
