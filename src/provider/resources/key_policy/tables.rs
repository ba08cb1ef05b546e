//! Never taking from tables of Unity Catalog what they need of a key.

use super::leaving;
use crate::preflight::Stage;
use crate::provider::catalogs::gaps_in_words;
use crate::provider::client::Client;
use crate::provider::locations::Location;
use crate::vocabulary::Key;
use tfplugin::context::Context;
use tfplugin::diagnostics::{Diagnostic, Diagnostics};

/// What those who read and write tables lose.
pub(super) struct Losing<'a> {
    /// The key.
    pub(super) key: &'a Key,
    /// What takes it, as `This change`.
    pub(super) what: &'a str,
    /// Who loses it, one line each.
    pub(super) lost: Vec<String>,
    pub(super) stage: Stage,
    /// Whether the user has agreed (`force_destroy`): then the provider warns, and does not refuse.
    pub(super) is_agreed: bool,
}

/// Refuses to take access to a key away from those who read and write tables under it. `is_of`: whether one of them reads and writes a place.
///
/// # Errors
/// When there are such places.
pub(super) async fn refuse(
    cx: &Context<Client>,
    losing: Losing<'_>,
    is_of: impl Fn(&Location) -> bool,
) -> Result<(), Diagnostics> {
    if losing.lost.is_empty() {
        return Ok(());
    }
    let Losing { key, what, .. } = losing;
    let found = cx.client().locations(losing.stage, None).await;
    let places: Vec<String> = found
        .under(key)
        .filter(|one| is_of(one))
        .map(|one| format!("  - {}", one.in_words()))
        .collect();
    let is_first = || {
        cx.client()
            .run()
            .is_first_report("places not seen".to_owned())
    };
    if places.is_empty() {
        if !found.gaps.is_empty() && is_first() {
            cx.warn(Diagnostic::warning(
                "The provider did not see all places of tables",
                format!(
                    "{what} takes access to {key} away from those who read and write tables. Jobs fail if tables lie under this key. The provider \
                     has not seen:\n{}",
                    gaps_in_words(&found.gaps)
                ),
            ));
        }
        return Ok(());
    }
    let advice = match losing.is_agreed {
        true => "",
        false => {
            "\n\nGive the bucket or storage account another key first, and write its data again, or delete the tables. To take the access away \
             although tables need it, set `force_destroy = true` and apply that before."
        }
    };
    let refused: Diagnostics = Diagnostic::error(
        "Tables need this access to the key",
        format!(
            "{what} takes access to {key} away from:\n{}\n\nThey read and write tables of Unity Catalog that lie under this key:\n{}\n\nWithout the \
             key, jobs that read or write these tables fail.{advice}",
            losing.lost.join("\n"),
            places.join("\n"),
        ),
    )
    .into();
    if losing.is_agreed {
        leaving::agreed(cx, key, refused);
        return Ok(());
    }
    Err(refused)
}
