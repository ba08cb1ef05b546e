//! Tokens of Databricks' own OAuth endpoint, that of the account or of a workspace: for a service principal's secret, or in exchange for a foreign token.

use secrecy::{ExposeSecret, SecretString};

use super::{Fetched, Tokens};
use crate::databricks::errors::Error;

/// What a token may be used for.
const SCOPE: (&str, &str) = ("scope", "all-apis");

impl Tokens {
    /// OAuth client credentials (RFC 6749, 4.4): ID and secret in the header, as the account wants them.
    pub(super) async fn client_credentials(
        &self,
        id: &str,
        secret: &SecretString,
    ) -> Result<Fetched, Error> {
        let request = || {
            let form = [("grant_type", "client_credentials"), SCOPE];
            self.http
                .post(self.site.token_endpoint())
                .basic_auth(id, Some(secret.expose_secret()))
                .form(&form)
        };
        self.ask(request).await.map(super::Answer::into_fetched)
    }

    /// OAuth token exchange (RFC 8693): a token of an issuer that the account trusts, for one of the account.
    pub(super) async fn exchange(
        &self,
        subject: &SecretString,
        client_id: Option<&str>,
    ) -> Result<Fetched, Error> {
        let request = || {
            let mut form = vec![
                (
                    "grant_type",
                    "urn:ietf:params:oauth:grant-type:token-exchange",
                ),
                ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
                ("subject_token", subject.expose_secret()),
                SCOPE,
            ];
            form.extend(client_id.map(|id| ("client_id", id)));
            self.http.post(self.site.token_endpoint()).form(&form)
        };
        self.ask(request).await.map(super::Answer::into_fetched)
    }
}
