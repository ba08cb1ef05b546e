//! Foreign tokens that the account trusts (workload identity federation): of a GitHub Actions job, in a variable, in a file.

use secrecy::{ExposeSecret, SecretString};

use super::Tokens;
use crate::databricks::auth::SubjectToken;
use crate::databricks::errors::Error;
use crate::vocabulary::why_unread;

impl Tokens {
    /// The token as it is now: files and variables are renewed from outside, so they are read each time.
    pub(super) async fn subject_token(&self, from: &SubjectToken) -> Result<SecretString, Error> {
        match from {
            SubjectToken::GitHub { url, token, audience } => {
                let mut url = self.safe(url)?;
                url.query_pairs_mut().append_pair("audience", audience);
                let request = || self.http.get(url.clone()).bearer_auth(token.expose_secret());
                Ok(self.ask(request).await?.access_token)
            }
            SubjectToken::Variable(name) => match doors::environment::variable(name) {
                Some(token) if !token.trim().is_empty() => Ok(token.trim().into()),
                _ => Err(self.failed(
                    format!("the environment variable {name} holds no token"),
                    "Let your CI system write its OIDC token there, or name another variable with `oidc_token_env` \
                     (DATABRICKS_OIDC_TOKEN_ENV).",
                )),
            },
            SubjectToken::File(path) => match doors::files::read_to_string(path) {
                Ok(token) if !token.trim().is_empty() => Ok(token.trim().into()),
                Ok(_) => Err(self.failed(format!("the file {} is empty", path.display()), FILE_REMEDY)),
                Err(error) => Err(self.failed(format!("the file {} cannot be read ({})", path.display(), why_unread(&error)), FILE_REMEDY)),
            },
        }
    }
}

const FILE_REMEDY: &str = "Let your platform write its OIDC token there, or name another file with `databricks_id_token_filepath` \
                           (DATABRICKS_OIDC_TOKEN_FILEPATH).";
