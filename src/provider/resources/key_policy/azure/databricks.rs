//! The object ID that the configuration names for AzureDatabricks, against what else is known of it.

use super::promise;
use crate::provider::client::Client;
use crate::requirements::azure::AZURE_DATABRICKS;
use crate::vocabulary::azure::{PrincipalId, VaultKeyId};
use tfplugin::context::Context;
use tfplugin::diagnostics::Diagnostic;

/// Who says it otherwise than the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Graph,
    State,
}

/// Another principal than the configuration names: by Microsoft Graph, or, where Graph is closed, by the last refresh.
fn other(
    named: &PrincipalId,
    in_graph: Option<PrincipalId>,
    noted: Option<PrincipalId>,
) -> Option<(Source, PrincipalId)> {
    let in_graph = in_graph.map(|one| (Source::Graph, one));
    let noted = noted.map(|one| (Source::State, one));
    in_graph.or(noted).filter(|(_, one)| one != named)
}

/// Warns of an object ID that is not that of AzureDatabricks: access for it helps no workspace. `own`: the one of the resource itself.
pub(super) async fn warn_of_another(
    cx: &Context<Client>,
    key: &VaultKeyId,
    own: Option<&PrincipalId>,
) {
    let client = cx.client();
    let azure = client.keys().azure();
    let of_provider = azure.cloud().settings().databricks_principal.as_ref();
    let Some(named) = own.or(of_provider) else {
        return;
    };
    let in_graph = azure.databricks_in_graph().await.ok().flatten();
    let Some((source, other)) = other(named, in_graph, promise::databricks(cx, key)) else {
        return;
    };
    if !client
        .run()
        .is_first_report(format!("AzureDatabricks is not {named}"))
    {
        return;
    }
    let says = match source {
        Source::Graph => "Microsoft Graph shows",
        Source::State => "The state of this resource has",
    };
    let place = match own {
        Some(_) => "this resource",
        None => "the provider's `azure` block",
    };
    cx.warn(
        Diagnostic::warning(
            "`databricks_principal_id` is not the object ID of AzureDatabricks",
            format!(
                "`databricks_principal_id` of {place} is {named}. {says} {other} as the object ID of the application AzureDatabricks \
                 ({AZURE_DATABRICKS}) in the tenant.\n\nAccess for another principal does not let Databricks use the key {}. Correct \
                 `databricks_principal_id`, or remove it, so that the provider looks it up. To see the object ID, run:\n\n  az ad sp show --id \
                 {AZURE_DATABRICKS} --query id --output tsv",
                key.versionless()
            ),
        )
        .on("azure.databricks_principal_id"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: what Graph shows, what the state has, and who is another one than the configuration names.
    #[test]
    fn graph_comes_before_the_state() -> Result<(), Box<dyn std::error::Error>> {
        let id = |text: &str| text.parse::<PrincipalId>();
        let named = id("11111111-1111-4111-8111-111111111111")?;
        let foreign = id("22222222-2222-4222-8222-222222222222")?;
        let (own, wrong) = (Some(named.clone()), Some(foreign.clone()));
        let rows = [
            (None, None, None),
            (own.clone(), None, None),
            (own.clone(), wrong.clone(), None),
            (
                wrong.clone(),
                own.clone(),
                Some((Source::Graph, foreign.clone())),
            ),
            (None, own, None),
            (None, wrong, Some((Source::State, foreign))),
        ];
        for (in_graph, noted, expected) in rows {
            assert_eq!(
                other(&named, in_graph.clone(), noted.clone()),
                expected,
                "{in_graph:?} {noted:?}"
            );
        }
        Ok(())
    }
}
