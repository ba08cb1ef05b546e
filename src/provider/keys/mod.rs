//! Keys of any cloud: the one file that lists the clouds.
//!
//! The result of a proof is neutral, its means are not: a [`KeyCheck`] carries a key together with what is asked of it, and each
//! cloud examines its own.

mod aws;
mod azure;
mod gcp;
mod hcl_blocks;
mod keyring;
mod named;
mod policy_progress;
mod shares;

pub use aws::{AwsKeyCheck, AwsKeys};
pub use azure::{AzureKeyCheck, AzureKeys, AzureUser};
pub use gcp::{GcpKeyCheck, GcpKeys};
pub use named::{
    NamedAwsKey, NamedAzureKey, NamedGcpKey, NotFound, attributes, check_named, named,
};
pub use policy_progress::PolicyWalk;
pub use shares::{KeyShares, Policy, Scope, Stays, Wanted};

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keyring::{Examiner, Service, Waits, examined};
use tokio::time::Instant;

use super::account::AccountReads;
use super::cache::{AsOf, Staged, Watched, lock};
use super::config::Config;
use crate::databricks::Account;
use crate::databricks::key_configurations::KeyConfiguration;
use crate::databricks::workspaces::Workspace;
use crate::preflight::binding::{ConfigurationKey, WorkspaceFacts};
use crate::preflight::gcp::has_unusable_versions;
use crate::preflight::{Finding, LastUse, Remedy, Stage};
use crate::vocabulary::{Deployment, Key, KeyState, UseCase};

/// How long the last use of a key is waited for.
const LAST_USE_PATIENCE: Duration = Duration::from_secs(20);

/// A key, and what is asked of it.
#[derive(Clone, Debug)]
pub enum KeyCheck {
    /// A key of AWS KMS.
    Aws(AwsKeyCheck),
    /// A key of Cloud KMS.
    Gcp(GcpKeyCheck),
    /// A key of Key Vault or Managed HSM.
    Azure(Box<AzureKeyCheck>),
}

/// What a workspace needs of the key of a configuration that is to be attached to it.
#[derive(Clone, Copy)]
pub struct AttachNeed<'a> {
    /// The Databricks account.
    pub account: &'a Account,
    /// What this run has read of it.
    pub reads: &'a AccountReads,
    /// The workspace, as the account shows it.
    pub workspace: &'a Workspace,
    /// The same as facts.
    pub facts: &'a WorkspaceFacts,
    /// For what.
    pub case: UseCase,
    /// When it is asked.
    pub stage: Stage,
}

impl KeyCheck {
    /// What a workspace asks of the key of a key configuration; findings say what of it is not known. `None` when the key cannot
    /// be named, which the proof of the binding itself says.
    pub async fn of_configuration(
        keys: &Keys,
        need: &AttachNeed<'_>,
        remote: &KeyConfiguration,
    ) -> (Option<Self>, Vec<Finding>) {
        match (&remote.aws_key_info, &remote.gcp_key_info) {
            (Some(info), _) => {
                let (case, findings) = AwsKeyCheck::of_configuration(
                    &keys.aws,
                    need,
                    (&remote.customer_managed_key_id, info),
                )
                .await;
                (case.map(Self::Aws), findings)
            }
            (None, Some(info)) => {
                let case = GcpKeyCheck::of_configuration(&keys.gcp, need, remote, info).await;
                (case.map(Self::Gcp), Vec::new())
            }
            (None, None) => (None, Vec::new()),
        }
    }

    /// The key by its name.
    pub fn key(&self) -> Key {
        match self {
            Self::Aws(case) => case.name(),
            Self::Gcp(case) => case.name(),
            Self::Azure(case) => case.name(),
        }
    }

    /// The same case, its key being used by all these workspaces, each for what; without any, what it says itself stays. On Azure
    /// each workspace has a proof of its own.
    #[must_use]
    pub fn used_by(self, users: Vec<(String, Vec<UseCase>)>) -> Self {
        match self {
            Self::Aws(case) => Self::Aws(case.used_by(users)),
            Self::Gcp(mut case) => {
                if !users.is_empty() {
                    case.question.users = users.into_iter().map(|(name, _)| name).collect();
                }
                Self::Gcp(case)
            }
            Self::Azure(case) => Self::Azure(case),
        }
    }

    /// When it is asked.
    fn stage(&self) -> Stage {
        match self {
            Self::Aws(case) => case.question.stage,
            Self::Gcp(case) => case.question.stage,
            Self::Azure(case) => case.question.stage,
        }
    }

    /// What makes a key usable again that is in this state.
    pub fn enabling(&self, state: &KeyState) -> Remedy {
        if *state == gone() {
            return Remedy::say(
                "The key no longer exists, so that nothing enables it. Plan again: the proof shows what is left of it. Then name another key in \
                 the key configuration, or restore the key where its cloud still keeps it.",
            );
        }
        match self {
            Self::Aws(case) => case.enabling(),
            Self::Gcp(case) => case.enabling(),
            Self::Azure(case) => case.enabling(state),
        }
    }
}

/// The state of a key that its cloud does not have any more.
fn gone() -> KeyState {
    KeyState::Other("deleted".to_owned())
}

/// The key of a key configuration, as the account shows it. What cannot be read is kept, so that it is judged.
pub fn key_of(remote: &KeyConfiguration) -> ConfigurationKey {
    let (aws, gcp, azure) = (
        &remote.aws_key_info,
        &remote.gcp_key_info,
        &remote.azure_key_info,
    );
    match (aws, gcp, azure) {
        (Some(info), None, None) => aws::configuration_key(info),
        (None, Some(info), None) => gcp::configuration_key(info),
        (None, None, Some(_)) => match remote.cloud_and_key() {
            Some((cloud, key)) => ConfigurationKey::Elsewhere(cloud, key),
            None => ConfigurationKey::Missing,
        },
        (None, None, None) => ConfigurationKey::Missing,
        // Which of them Databricks uses is not to be guessed.
        _ => ConfigurationKey::Unreadable("there are keys of more than one cloud".to_owned()),
    }
}

/// The keys of every cloud, as one provider configuration sees them.
pub struct Keys {
    aws: AwsKeys,
    gcp: GcpKeys,
    azure: AzureKeys,
    policies: Arc<PolicyWalk>,
    shares: KeyShares,
    last_uses: Staged<Key, LastUse>,
    states: Mutex<BTreeMap<Key, Arc<Watched<Result<KeyState, String>>>>>,
    /// Whether this process applies: Terraform plans in another one.
    is_applying: AtomicBool,
}

/// The one place that tells the clouds apart: what `own`, a key or a case of some cloud, asks of `ring`, the keys of that cloud.
macro_rules! by_cloud {
    ($kind:ident, $keys:expr, $what:expr, |$ring:ident, $own:ident| $work:expr) => {
        match $what {
            $kind::Aws($own) => {
                let $ring = &$keys.aws;
                $work
            }
            $kind::Gcp($own) => {
                let $ring = &$keys.gcp;
                $work
            }
            $kind::Azure($own) => {
                let $ring = &$keys.azure;
                $work
            }
        }
    };
}

/// The keys, as one examination asks them.
struct Examination<'a> {
    keys: &'a Keys,
    waits: Waits,
}

impl Examiner for Examination<'_> {
    type KeyCheck = KeyCheck;

    fn has_been_read(&self, case: &KeyCheck) -> bool {
        by_cloud!(KeyCheck, self.keys, case, |ring, case| ring
            .has_been_read(case))
    }

    async fn forget_before(&self, moment: Instant, case: &KeyCheck) -> bool {
        by_cloud!(KeyCheck, self.keys, case, |ring, case| {
            ring.forget_before(moment, case).await
        })
    }

    async fn examine_once(&self, cases: &[KeyCheck]) -> Vec<Vec<Finding>> {
        let Self { keys, waits } = *self;
        let walk = keys.policies();
        let mut findings = Vec::new();
        for case in cases {
            // A large future, which is not to lie on the stack of all that wait for it.
            let found: Vec<Finding> = by_cloud!(KeyCheck, keys, case, |ring, case| {
                Box::pin(keyring::examine(ring, walk, case, waits)).await
            });
            let key = case.key();
            let named = |finding: Finding| finding.about(key.short());
            findings.push(found.into_iter().map(named).collect());
        }
        findings
    }
}

impl Keys {
    /// Nothing is read yet. `deployment`: the Databricks deployment that the configured host decides.
    pub fn new(config: &Config, deployment: Option<Deployment>) -> Self {
        let policies = Arc::new(PolicyWalk::new());
        let (aws, is_aws_unknown) = config.aws();
        let (gcp, is_gcp_unknown) = config.gcp();
        let (azure, is_azure_unknown) = config.azure();
        Self {
            aws: AwsKeys::new(aws, !is_aws_unknown, deployment, Arc::clone(&policies)),
            gcp: GcpKeys::new(gcp, !is_gcp_unknown),
            azure: AzureKeys::new(azure, !is_azure_unknown),
            policies,
            shares: KeyShares::new(),
            last_uses: Staged::default(),
            states: Mutex::default(),
            is_applying: AtomicBool::new(false),
        }
    }

    /// Effect: what is read is judged as it is, for a command: no configuration of the working directory is about to change it.
    pub fn without_configuration(&self) {
        self.policies.expects_none();
        self.aws.without_configuration();
    }

    /// Google Cloud.
    pub fn gcp(&self) -> &GcpKeys {
        &self.gcp
    }

    /// Azure.
    pub fn azure(&self) -> &AzureKeys {
        &self.azure
    }

    /// How far the key policies of the configuration are in this walk.
    pub fn policies(&self) -> &PolicyWalk {
        &self.policies
    }

    /// Who wants what of a key in this run.
    pub fn shares(&self) -> &KeyShares {
        &self.shares
    }

    /// Effect: Terraform had an object of whichever resource read.
    pub fn saw_read(&self) {
        self.shares.saw_read();
        self.policies.saw_read();
    }

    /// AWS.
    pub fn aws(&self) -> &AwsKeys {
        &self.aws
    }

    /// Whether a key's cloud can be called: not while its part of the provider block is unknown.
    pub fn is_known(&self, case: &KeyCheck) -> bool {
        by_cloud!(Key, self, &case.key(), |ring, _key| ring.is_known())
    }

    /// The parts of the provider block that are not known yet, so that their clouds cannot be called.
    pub fn unknown(&self) -> Vec<&'static str> {
        let clouds = [
            ("aws", self.aws.is_known()),
            ("gcp", self.gcp.is_known()),
            ("azure", self.azure.is_known()),
        ];
        clouds
            .into_iter()
            .filter(|(_, is_known)| !is_known)
            .map(|(block, _)| block)
            .collect()
    }

    /// What the proof says about each case, once it is enough or no `dbxcmk_key_policy` of the configuration can change it any more. One key in
    /// several cases is read once; how old a read may be, `keyring.rs` says.
    pub async fn examine(&self, cases: &[KeyCheck]) -> Vec<Vec<Finding>> {
        self.examine_waiting(cases, Waits::ForPolicies).await
    }

    /// What the proof says about each case now, whatever a `dbxcmk_key_policy` may still change.
    pub async fn examine_now(&self, cases: &[KeyCheck]) -> Vec<Vec<Finding>> {
        self.examine_waiting(cases, Waits::No).await
    }

    async fn examine_waiting(&self, cases: &[KeyCheck], waits: Waits) -> Vec<Vec<Finding>> {
        if cases.iter().any(|case| case.stage() == Stage::Apply) {
            self.is_applying.store(true, Ordering::Relaxed);
        }
        let is_applying = self.is_applying.load(Ordering::Relaxed);
        let by = Examination { keys: self, waits };
        examined(&by, is_applying, cases).await
    }

    /// Whether a plan finds something of a key that keeps the data of the workspaces away which use it.
    pub async fn cuts_users_off(&self, case: &KeyCheck) -> bool {
        match case {
            _ if case.stage() == Stage::Apply => false,
            KeyCheck::Aws(case) => self.aws.cuts_users_off(case).await,
            KeyCheck::Gcp(case) => has_unusable_versions(&self.gcp.facts_for_plan(&case.key).await),
            KeyCheck::Azure(_) => false,
        }
    }

    /// The last use of a key, read once in a run. Never waited for long: it is no part of the proof.
    pub async fn last_use(&self, key: &Key) -> LastUse {
        // A call of an SDK is a large future, which is not to lie on the stack of all that wait for it.
        let asked = Box::pin(async {
            match key {
                Key::Aws(arn) => self.aws.cloud().last_use(arn).await,
                Key::Gcp(name) => self.gcp.cloud().last_use(name).await,
                Key::Azure(_) => LastUse::on_azure(),
            }
        });
        let read = || async {
            let answer = tokio::time::timeout(LAST_USE_PATIENCE, asked).await;
            answer.unwrap_or_else(|_| {
                LastUse::not_known(format!(
                    "the service did not answer within {} seconds",
                    LAST_USE_PATIENCE.as_secs()
                ))
            })
        };
        self.last_uses.get(Stage::Plan, key, read).await
    }

    /// What was read of a key in this run is not true any more.
    pub fn forget(&self, key: &Key) {
        by_cloud!(Key, self, key, |ring, own| ring.forget(own));
    }

    /// The state of a key, as a read that began after `earliest` shows it, or why it cannot be read. Any number of bindings that
    /// wait share one read.
    pub async fn state_after(
        &self,
        case: &KeyCheck,
        earliest: Instant,
    ) -> AsOf<Result<KeyState, String>> {
        let key = case.key();
        let watched = Arc::clone(lock(&self.states).entry(key.clone()).or_default());
        let read = || async {
            by_cloud!(Key, self, &key, |ring, key| {
                ring.state(key).await.map_err(|error| error.to_string())
            })
        };
        watched.after(earliest, read).await
    }
}

#[cfg(test)]
mod tests;
