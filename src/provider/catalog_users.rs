//! Who of the catalogs uses a key, for those who are about to take it away.

use super::catalogs::{Catalogs, gaps_in_words};
use super::client::Client;
use super::keys::key_of;
use crate::databricks::unity::Gap;
use crate::preflight::Stage;
use crate::preflight::binding::ConfigurationKey;
use crate::vocabulary::azure::VaultKeyId;
use crate::vocabulary::{Cloud, Key};
use tfplugin::context::Context;
use tfplugin::diagnostics::Diagnostic;

/// The catalogs that have a key, whatever its cloud: on AWS and Google Cloud by its key configurations, on Azure by its identifier. A configuration
/// whose key cannot be read, or that the account does not list, may be one of this key.
pub async fn with_key(client: &Client, key: &Key, stage: Stage) -> Catalogs {
    let all = client.catalogs(stage).await;
    if let Key::Azure(key) = key {
        return all.only(|own| is_vault_key(own, key));
    }
    if all.keyed().is_empty() {
        return Catalogs::clone(&all);
    }
    let configurations = match client.account().await {
        Ok(account) => client.reads().configurations(account).await.ok(),
        Err(_) => None,
    };
    all.only(|id| {
        // An identifier of Azure never names a key configuration.
        if Key::cloud_by_form(id) == Some(Cloud::Azure) {
            return false;
        }
        let found = configurations.as_ref().map(|all| all.get(id));
        match found {
            Some(Some(remote)) => match key_of(remote) {
                ConfigurationKey::Known { key: own, .. } => own == *key,
                ConfigurationKey::Elsewhere(..) => false,
                ConfigurationKey::Unreadable(_) | ConfigurationKey::Missing => true,
            },
            Some(None) | None => true,
        }
    })
}

/// Whether a catalog on Azure has a key; an identifier that cannot be read may be of any.
fn is_vault_key(own: &str, key: &VaultKeyId) -> bool {
    match own.parse::<VaultKeyId>() {
        Ok(own) => own.versionless() == key.versionless(),
        Err(_) => Key::cloud_by_form(own) == Some(Cloud::Azure),
    }
}

/// Says once a run that not all catalogs were seen, and what may follow. `what`: what is about to be lost, and by whom, as
/// `The key configuration c1… is to be destroyed`.
pub fn warn_of_gaps(cx: &Context<Client>, what: &str, gaps: &[Gap]) {
    if gaps.is_empty()
        || !cx
            .client()
            .run()
            .is_first_report("catalogs not seen".to_owned())
    {
        return;
    }
    cx.warn(Diagnostic::warning(
        "The provider did not see all catalogs",
        format!(
            "{what}. A catalog of Unity Catalog can use a key too, and would lose access to its data. The provider has not seen:\n{}\n\nCheck in \
             Catalog Explorer that no catalog uses it. In the provider block, `read_catalogs = false` ends these reads, but not this question.",
            gaps_in_words(gaps)
        ),
    ));
}

/// Says that catalogs keep a key that a rotation takes from a workspace: they have a key of their own settings, which no workspace changes, so the
/// former key is needed as long as they have it. `workspace`: its name, as `workspace 123`.
pub async fn warn_of_rotation(cx: &Context<Client>, workspace: &str, former: &Key) {
    let found = with_key(cx.client(), former, Stage::Plan).await;
    let lines: Vec<String> = found
        .keyed()
        .iter()
        .map(|one| format!("  - {}", one.in_words()))
        .collect();
    if lines.is_empty() {
        let what = format!("The {workspace} gets another key than {former}");
        return warn_of_gaps(cx, &what, &found.gaps);
    }
    let run = cx.client().run();
    if !run.is_first_report(format!("catalogs keep {former}")) {
        return;
    }
    let unseen = match found.gaps.is_empty() {
        true => String::new(),
        false => format!(
            "\n\nThere may be more. The provider has not seen:\n{}",
            gaps_in_words(&found.gaps)
        ),
    };
    cx.warn(
        Diagnostic::warning(
            "Catalogs keep the former key",
            format!(
                "The {workspace} gets another key than {former}. A rotation of a workspace does not change catalogs, and this key stays the key of:\n{}\n\n\
                 Keep it enabled, and keep the permissions on it, also after the 24 hours that Databricks needs it for the workspace. To give it up, set \
                 another key in `managed_encryption_settings` of each catalog first.{unseen}",
                lines.join("\n")
            ),
        )
        .about(former.short()),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: what a catalog has as its key, and whether that may be the one that is asked for.
    #[test]
    fn a_key_of_a_vault_is_the_same_in_every_version() -> Result<(), Box<dyn std::error::Error>> {
        let key: VaultKeyId = "https://acme.vault.azure.net/keys/main".parse()?;
        let rows = [
            ("https://acme.vault.azure.net/keys/main", true),
            (
                "https://ACME.vault.azure.net/keys/main/0123456789abcdef0123456789abcdef",
                true,
            ),
            ("https://acme.vault.azure.net/keys/other", false),
            ("c1000000-0000-4000-8000-000000000001", false),
        ];
        for (own, expected) in rows {
            assert_eq!(is_vault_key(own, &key), expected, "{own}");
        }
        Ok(())
    }
}
