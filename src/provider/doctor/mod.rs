//! What `doctor` reads: who calls each service, and which rights the services say that the caller has. Only reads go out: lists, and the tests
//! of permissions that the clouds have. It judges nothing: `crate::doctor` does.

mod aws;
mod azure;
mod databricks;
mod google;

use std::collections::BTreeSet;

use url::Url;

use crate::doctor::{Access, Endpoint, Outcome, Service, ServiceFacts, Tested, rights_of};
use crate::network::Proxies;
use crate::provider::client::Client;
use crate::provider::kill_switch::Connection;
use crate::vocabulary::{Cloud, Key};
use tfplugin::diagnostics::Diagnostics;
use tfplugin::provider::Run;

/// What the user asks of a doctor.
#[derive(Clone, Debug, Default)]
pub struct DoctorOrder {
    /// The clouds that the user names; where there are none, that of the key, then that of the configured host, then each that has credentials.
    pub clouds: Vec<Cloud>,
    /// A key on which the rights are tested.
    pub key: Option<Key>,
}

/// Who reads for `doctor`.
pub struct Doctor {
    client: Client,
    region: Option<String>,
    configured: Result<(), Diagnostics>,
}

/// The end of a text that may have one already.
fn sentence(text: &str) -> String {
    format!("{}.", text.trim().trim_end_matches('.'))
}

/// An address with the proxy that the environment has for it.
fn endpoint(name: &str, address: &str) -> Endpoint {
    let url = Url::parse(address).ok();
    let proxy = url.and_then(|url| Proxies::of_environment().shown_for(&url));
    Endpoint {
        name: name.to_owned(),
        address: address.trim_end_matches('/').to_owned(),
        proxy,
    }
}

/// The same outcome for every right of a service that was not tested otherwise.
fn rest(facts: &mut ServiceFacts, on: &str, outcome: &Outcome) {
    let tested: BTreeSet<&str> = facts.tested.iter().map(|one| one.name).collect();
    let left = rights_of(facts.service)
        .iter()
        .filter(|right| !tested.contains(right.name));
    let left: Vec<Tested> = left
        .map(|right| Tested {
            name: right.name,
            on: on.to_owned(),
            outcome: outcome.clone(),
        })
        .collect();
    facts.tested.extend(left);
}

impl Doctor {
    /// A client that has called no service yet.
    pub fn new(connection: &Connection) -> Self {
        let run = Run::new("", tfplugin::CancellationToken::new());
        let config = connection.config();
        let client = Client::new(&config, run);
        client.keys().without_configuration();
        Self {
            client,
            region: connection.region.clone(),
            configured: config.check_files(),
        }
    }

    /// The clouds that are wanted; none where nothing says which.
    fn wanted(&self, order: &DoctorOrder) -> Vec<Cloud> {
        if !order.clouds.is_empty() {
            return order.clouds.clone();
        }
        let of_key = order.key.as_ref().map(|key| key.cloud().clone());
        let cloud = of_key.or_else(|| self.client.databricks().cloud_of_host());
        cloud.into_iter().collect()
    }

    /// What the services say.
    ///
    /// # Errors
    /// When a file that the user named cannot be used. A service that refuses is not an error: it is among the facts.
    pub async fn examine(&self, order: &DoctorOrder) -> Result<Vec<ServiceFacts>, Diagnostics> {
        self.configured.clone()?;
        let wanted = self.wanted(order);
        let is_wanted = |cloud: &Cloud| wanted.contains(cloud);
        let is_asked = |cloud: &Cloud| wanted.is_empty() || is_wanted(cloud);
        let key = |cloud: &Cloud| order.key.as_ref().filter(|key| key.cloud() == cloud);
        let (account, aws, google, azure) = tokio::join!(
            async {
                // On Azure, the workspaces are in Resource Manager, and no call goes to the account.
                let is_needed = is_wanted(&Cloud::Aws) || is_wanted(&Cloud::Gcp);
                match is_needed || wanted.is_empty() {
                    true => Some(self.databricks(is_needed, &wanted).await),
                    false => None,
                }
            },
            async {
                match is_asked(&Cloud::Aws) {
                    true => Some(self.aws(key(&Cloud::Aws), is_wanted(&Cloud::Aws)).await),
                    false => None,
                }
            },
            async {
                match is_asked(&Cloud::Gcp) {
                    true => Some(self.google(key(&Cloud::Gcp), is_wanted(&Cloud::Gcp)).await),
                    false => None,
                }
            },
            async {
                match is_asked(&Cloud::Azure) {
                    true => Some(
                        self.azure(key(&Cloud::Azure), is_wanted(&Cloud::Azure))
                            .await,
                    ),
                    false => None,
                }
            },
        );
        Ok([account, aws, google, azure]
            .into_iter()
            .flatten()
            .collect())
    }
}

/// Who has no credentials: wanted, that is something to repair; otherwise the service is not configured.
fn without_credentials(
    service: Service,
    is_wanted: bool,
    why: &str,
    what_to_do: &str,
) -> ServiceFacts {
    let why = sentence(why);
    let access = match is_wanted {
        true => Access::Refused {
            why,
            what_to_do: what_to_do.to_owned(),
        },
        false => Access::NotConfigured(why),
    };
    ServiceFacts::of(service, access)
}
