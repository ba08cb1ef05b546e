//! Tokens of Microsoft Entra ID, for the account hosts of Azure.

use secrecy::{ExposeSecret, SecretString};

use super::{Fetched, Tokens};
use crate::databricks::auth::AzureEnvironment;
use crate::databricks::errors::Error;

/// Azure Databricks, as Entra ID knows it; the same in every tenant.
pub(super) const DATABRICKS: &str = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d";
/// The header with which an application proves that it may manage resources.
pub(super) const MANAGEMENT_HEADER: &str = "X-Databricks-Azure-SP-Management-Token";

impl Tokens {
    /// A token for Databricks, and one for Azure's own management API beside it.
    pub(super) async fn entra(
        &self,
        tenant: &str,
        id: &str,
        secret: &SecretString,
        environment: &AzureEnvironment,
    ) -> Result<Fetched, Error> {
        let url = self.safe(&format!("{}{tenant}/oauth2/token", environment.authority))?;
        let ask = async |resource: &str| {
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", id),
                ("client_secret", secret.expose_secret()),
                ("resource", resource),
            ];
            self.ask(|| self.http.post(url.clone()).form(&form)).await
        };
        let mut fetched = ask(DATABRICKS).await?.into_fetched();
        fetched.extra.push((
            MANAGEMENT_HEADER,
            ask(environment.management).await?.access_token,
        ));
        Ok(fetched)
    }
}
