//! What an audit reads: the account or the subscriptions, each key once, and what is around them. It judges nothing: `crate::audit` does,
//! with what the proof says.
//!
//! Only reads go out. What is refused is kept with the permission that is missing, and the rest is read all the same.

mod account;
mod adopt;
mod azure;
mod discovery;
mod keys;
mod missing;
mod vaults;

pub use adopt::Adoption;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::OnceCell;

use crate::audit::{AuditFacts, AuditSubject, Part, SeenKey, SubjectKind, Unread, whole_account};
use crate::clouds::azure::{ArmWorkspace, AzureError};
use crate::databricks::Error;
use crate::network::sent;
use crate::preflight::{Fact, Unreadable};
use crate::provider::client::Client;
use crate::provider::kill_switch::{Connection, Say};
use crate::vocabulary::azure::VaultResourceId;
use crate::vocabulary::{Cloud, Key};
use tfplugin::diagnostics::Diagnostics;
use tfplugin::provider::Run;

/// How many keys are read side by side.
const SIDE_BY_SIDE: usize = 16;

/// What the user asks of an audit.
#[derive(Clone, Debug)]
pub struct AuditOrder {
    /// Whose cloud; by the configured host where it is not said.
    pub cloud: Option<Cloud>,
    /// Whether the audit asks when each key was last used.
    pub last_use: bool,
    /// Whether keys that no key configuration has are searched for those that let Databricks in.
    pub discovery: bool,
    /// Whether metastores are read.
    pub unity_catalog: bool,
    /// Whether CloudTrail is asked who used each key last.
    pub who_used: bool,
    /// Whether configuration is to be written for what is there.
    pub adopt: bool,
}

/// Why nothing can be audited.
#[derive(Clone, Debug)]
pub enum NoAudit {
    /// Neither the order nor the configured host says which cloud.
    UnknownCloud,
    /// The provider does not know the host or the credential.
    Failed(Diagnostics),
}

impl From<Diagnostics> for NoAudit {
    fn from(why: Diagnostics) -> Self {
        Self::Failed(why)
    }
}

/// Who reads for an audit.
pub struct Auditor {
    client: Client,
    configured: Result<(), Diagnostics>,
    /// Whether a role is named for the keys of other AWS accounts.
    has_roles: bool,
    /// The workspaces of Azure, where they are to be adopted.
    arm: Mutex<Vec<ArmWorkspace>>,
    /// Whether each vault records who uses its keys.
    logs: Mutex<BTreeMap<VaultResourceId, Arc<OnceCell<Result<bool, AzureError>>>>>,
}

/// What is put together while it is read.
struct Gathered {
    facts: AuditFacts,
}

impl Gathered {
    fn unread(&mut self, subject: AuditSubject, part: Part, why: &Unreadable) {
        self.facts.unread.push(Unread {
            subject,
            part,
            why: why.reason.clone(),
            permission: why.permission.map(str::to_owned),
        });
    }

    /// A list of the account that was refused.
    fn account_unread(&mut self, part: Part, error: &Error) {
        let subject = whole_account(self.facts.account_id.as_deref(), self.facts.cloud.as_str());
        // Source: account API reference: its lists are for account admins.
        let is_refused = error
            .api()
            .is_some_and(|refusal| matches!(refusal.status, 401 | 403));
        self.facts.unread.push(Unread {
            subject,
            part,
            why: error.to_string(),
            permission: is_refused.then(|| "account admin".to_owned()),
        });
    }

    fn key(&mut self, name: String, (seen, unread): (SeenKey, Vec<Unread>)) {
        self.facts.unread.extend(unread);
        self.facts.keys.insert(name, seen);
    }
}

/// The subject of the report for a key with this full name.
fn of_key(name: &str) -> AuditSubject {
    AuditSubject::of(SubjectKind::Key, name)
}

/// A fact as the audit has it; what could not be read is noted.
fn known<T>(fact: Fact<T>, name: &str, part: Part, unread: &mut Vec<Unread>) -> Option<T> {
    match fact {
        Fact::Known(value) => Some(value),
        Fact::Unreadable(why) => {
            unread.push(Unread {
                subject: of_key(name),
                part,
                why: why.reason,
                permission: why.permission.map(str::to_owned),
            });
            None
        }
    }
}

impl Auditor {
    /// A client that has called no service yet.
    pub fn new(connection: &Connection) -> Self {
        let run = Run::new("", tfplugin::CancellationToken::new());
        let config = connection.config();
        let client = Client::new(&config, run);
        client.keys().without_configuration();
        Self {
            client,
            configured: config.check_files(),
            has_roles: connection.role_pattern.is_some(),
            arm: Mutex::default(),
            logs: Mutex::default(),
        }
    }

    /// The identity that made the calls, as far as the services or the configuration name it.
    async fn identity(&self, facts: &AuditFacts) -> String {
        let mut parts = Vec::new();
        if let Some(databricks) = self.client.databricks().identity() {
            parts.push(databricks);
        }
        let first = facts.keys.keys().find_map(|name| name.parse::<Key>().ok());
        match (&facts.cloud, first) {
            (Cloud::Aws, Some(Key::Aws(arn))) => {
                if let Ok(caller) = self.client.keys().aws().cloud().caller(arn.region()).await {
                    parts.push(caller.to_string());
                }
            }
            (Cloud::Azure, _) => {
                let own = &self.client.keys().azure().cloud().settings().client;
                parts.extend(own.iter().map(|client| format!("application {client}")));
            }
            _ => {}
        }
        match parts.is_empty() {
            true => "an identity that no service names".to_owned(),
            false => parts.join(", "),
        }
    }

    /// Reads everything.
    ///
    /// # Errors
    /// When the provider does not know what to read, or with which identity. A read that a service
    /// refuses is not an error: it is among the facts.
    pub async fn read(
        self: &Arc<Self>,
        order: AuditOrder,
        say: Say<'_>,
    ) -> Result<AuditFacts, NoAudit> {
        self.configured.clone()?;
        let by_host = || self.client.databricks().cloud_of_host();
        let cloud = order
            .cloud
            .clone()
            .or_else(by_host)
            .ok_or(NoAudit::UnknownCloud)?;
        let mut gathered = Gathered {
            facts: AuditFacts {
                time: doors::clock::now(),
                account_id: self.client.account_id().ok().map(|id| id.to_string()),
                identity: String::new(),
                requests: BTreeMap::new(),
                workspaces: None,
                configurations: None,
                keys: BTreeMap::new(),
                catalogs: Vec::new(),
                has_all_catalogs: false,
                has_all_locations: false,
                locations: Vec::new(),
                unregistered: Vec::new(),
                hidden: Vec::new(),
                without_workspace: Vec::new(),
                unread: Vec::new(),
                notes: Vec::new(),
                cloud: cloud.clone(),
            },
        };
        match cloud {
            Cloud::Azure => self.read_azure(&order, &mut gathered, say).await?,
            _ => self.read_account(&order, &mut gathered, say).await?,
        }
        gathered.facts.identity = self.identity(&gathered.facts).await;
        gathered.facts.requests = sent();
        if !order.last_use {
            let note = "The policy file turns the last use of keys off (`last_use = false`).";
            gathered.facts.notes.push(note.to_owned());
        }
        Ok(gathered.facts)
    }
}
