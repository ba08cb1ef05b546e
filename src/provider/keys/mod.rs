//! Keys of any cloud: the one file that lists the clouds.
//!
//! A finding is the same on every cloud, and how the provider gets to it is not: a [`KeyCheck`] carries a key together with what
//! a proof asks of it, and each cloud examines its own.

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

use keyring::{Examiner, Service, Waits, examined, examined_again};
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

/// How long a report waits for a service to say when a key was last used.
const LAST_USE_PATIENCE: Duration = Duration::from_secs(20);

/// A key, and what a proof asks of it.
#[derive(Clone, Debug)]
pub enum KeyCheck {
    /// Of a key of AWS KMS.
    Aws(AwsKeyCheck),
    /// Of a key of Cloud KMS.
    Gcp(GcpKeyCheck),
    /// Of a key of Key Vault or Managed HSM.
    Azure(Box<AzureKeyCheck>),
}

/// What a workspace needs of the key of a configuration that the provider is going to attach to it.
#[derive(Clone, Copy)]
pub struct AttachNeed<'a> {
    /// The Databricks account that has the workspace.
    pub account: &'a Account,
    /// What this run has read of `account`.
    pub reads: &'a AccountReads,
    /// The workspace, as the account shows it.
    pub workspace: &'a Workspace,
    /// The workspace as facts of the proof.
    pub facts: &'a WorkspaceFacts,
    /// Which data the key shall encrypt.
    pub use_case: UseCase,
    /// Whether Terraform plans or applies.
    pub stage: Stage,
}

impl KeyCheck {
    /// What a workspace asks of the key of a key configuration; the findings list what the provider does not know of it. `None`
    /// when the configuration has no key that the provider can read, about which the proof of the binding itself has a finding.
    pub async fn of_configuration(
        keys: &Keys,
        need: &AttachNeed<'_>,
        remote: &KeyConfiguration,
    ) -> (Option<Self>, Vec<Finding>) {
        match (&remote.aws_key_info, &remote.gcp_key_info) {
            (Some(info), _) => {
                let (check, findings) = AwsKeyCheck::of_configuration(
                    &keys.aws,
                    need,
                    (&remote.customer_managed_key_id, info),
                )
                .await;
                (check.map(Self::Aws), findings)
            }
            (None, Some(info)) => {
                let check = GcpKeyCheck::of_configuration(&keys.gcp, need, remote, info).await;
                (check.map(Self::Gcp), Vec::new())
            }
            (None, None) => (None, Vec::new()),
        }
    }

    /// The key that the proof is about.
    pub fn key(&self) -> Key {
        match self {
            Self::Aws(check) => check.name(),
            Self::Gcp(check) => check.name(),
            Self::Azure(check) => check.name(),
        }
    }

    /// The same check on behalf of all these workspaces, each with the data that the key encrypts there; without any, the check
    /// keeps what it has. On Azure each workspace has a proof of its own.
    #[must_use]
    pub fn used_by(self, users: Vec<(String, Vec<UseCase>)>) -> Self {
        match self {
            Self::Aws(check) => Self::Aws(check.used_by(users)),
            Self::Gcp(mut check) => {
                if !users.is_empty() {
                    check.question.users = users.into_iter().map(|(name, _)| name).collect();
                }
                Self::Gcp(check)
            }
            Self::Azure(check) => Self::Azure(check),
        }
    }

    /// What it asks of the key, without its users and its stage: an audit examines one of the checks with the same text.
    pub fn question(&self) -> String {
        match self {
            Self::Aws(check) => {
                let asked = &check.question;
                format!("{:?}", (&check.key, &asked.usage, asked.cluster_volumes))
            }
            Self::Gcp(check) => {
                let asked = &check.question;
                format!(
                    "{:?}",
                    (&check.key, &asked.usage, &asked.workspace_accounts)
                )
            }
            Self::Azure(check) => format!("{check:?}"),
        }
    }

    /// Whether Terraform plans or applies.
    fn stage(&self) -> Stage {
        match self {
            Self::Aws(check) => check.question.stage,
            Self::Gcp(check) => check.question.stage,
            Self::Azure(check) => check.question.stage,
        }
    }

    /// What the user does so that a key in this state can be used again.
    pub fn enabling(&self, state: &KeyState) -> Remedy {
        if *state == gone() {
            return Remedy::say(
                "The key no longer exists, so that nothing enables it. Plan again: the proof shows what is left of it. Then name another key in \
                 the key configuration, or restore the key where its cloud still keeps it.",
            );
        }
        match self {
            Self::Aws(check) => check.enabling(),
            Self::Gcp(check) => check.enabling(),
            Self::Azure(check) => check.enabling(state),
        }
    }
}

/// The state of a key that its cloud no longer has.
fn gone() -> KeyState {
    KeyState::Other("deleted".to_owned())
}

/// The key of a key configuration, as the account shows it. A key that the provider cannot read stays in the
/// result, so that the proof judges it.
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
        // Only Databricks knows which of them it uses: the provider does not guess.
        _ => ConfigurationKey::Unreadable("there are keys of more than one cloud".to_owned()),
    }
}

/// The keys of every cloud, as one provider configuration reaches them.
pub struct Keys {
    aws: AwsKeys,
    gcp: GcpKeys,
    azure: AzureKeys,
    policies: Arc<PolicyWalk>,
    shares: KeyShares,
    last_uses: Staged<Key, LastUse>,
    states: Mutex<BTreeMap<Key, Arc<Watched<Result<KeyState, String>>>>>,
    /// Whether Terraform applies in this process; it plans in another one.
    is_applying: AtomicBool,
}

/// The one place that tells the clouds apart: runs `work` with `own`, a key or a check of some cloud, and `ring`, the keys of that cloud.
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

/// One examination of keys, whatever their cloud.
struct Examination<'a> {
    keys: &'a Keys,
    waits: Waits,
}

impl Examiner for Examination<'_> {
    type KeyCheck = KeyCheck;

    fn has_been_read(&self, check: &KeyCheck) -> bool {
        by_cloud!(KeyCheck, self.keys, check, |ring, check| ring
            .has_been_read(check))
    }

    async fn forget_before(&self, moment: Instant, check: &KeyCheck) -> bool {
        by_cloud!(KeyCheck, self.keys, check, |ring, check| {
            ring.forget_before(moment, check).await
        })
    }

    async fn examine_once(&self, checks: &[KeyCheck]) -> Vec<Vec<Finding>> {
        let Self { keys, waits } = *self;
        let walk = keys.policies();
        let mut findings = Vec::new();
        for check in checks {
            // The future is large: in a box, it does not take the stack of every task that waits for it.
            let found: Vec<Finding> = by_cloud!(KeyCheck, keys, check, |ring, check| {
                Box::pin(keyring::examine(ring, walk, check, waits)).await
            });
            let key = check.key();
            let named = |finding: Finding| finding.about(key.short());
            findings.push(found.into_iter().map(named).collect());
        }
        findings
    }
}

impl Keys {
    /// Keys of which the run has read nothing yet. `deployment`: the Databricks deployment that the
    /// configured host decides.
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

    /// Effect: proofs judge keys as they are now, and wait for no policy. For a command: it applies no configuration of the working directory.
    pub fn without_configuration(&self) {
        self.policies.expects_none();
        self.aws.without_configuration();
    }

    /// The keys of Google Cloud.
    pub fn gcp(&self) -> &GcpKeys {
        &self.gcp
    }

    /// The Key Vault and Managed HSM keys of this run.
    pub fn azure(&self) -> &AzureKeys {
        &self.azure
    }

    /// How far the key policies of the configuration are in this walk: proofs wait for them.
    pub fn policies(&self) -> &PolicyWalk {
        &self.policies
    }

    /// What each key policy of this run wants of its key: a policy that goes waits for the others.
    pub fn shares(&self) -> &KeyShares {
        &self.shares
    }

    /// Effect: Terraform refreshed an object of any resource, so this process does not apply a saved plan.
    pub fn saw_read(&self) {
        self.shares.saw_read();
        self.policies.saw_read();
    }

    /// The KMS keys of this run.
    pub fn aws(&self) -> &AwsKeys {
        &self.aws
    }

    /// Whether the provider can call the cloud of a key: not while the cloud's part of the provider block is unknown.
    pub fn is_known(&self, check: &KeyCheck) -> bool {
        by_cloud!(Key, self, &check.key(), |ring, _key| ring.is_known())
    }

    /// The parts of the provider block that Terraform does not know yet, so that the provider cannot call their clouds.
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

    /// What the proof finds for each check. It waits until a read shows everything that the proof needs, or until no `dbxcmk_key_policy` of the
    /// configuration can change the result. Several checks of one key share a read; `keyring.rs` says how old it may be.
    pub async fn examine(&self, checks: &[KeyCheck]) -> Vec<Vec<Finding>> {
        self.examine_waiting(checks, Waits::ForPolicies).await
    }

    /// What the proof finds for each check now, without waiting for a `dbxcmk_key_policy` that may change it.
    pub async fn examine_now(&self, checks: &[KeyCheck]) -> Vec<Vec<Finding>> {
        self.examine_waiting(checks, Waits::No).await
    }

    /// What the proof says about each check now, where something that it rests on was read before `earliest`; `None` where nothing was, so that what
    /// was said stays.
    pub async fn examine_again(
        &self,
        checks: &[KeyCheck],
        earliest: Instant,
    ) -> Option<Vec<Vec<Finding>>> {
        let by = Examination {
            keys: self,
            waits: Waits::No,
        };
        examined_again(&by, earliest, checks).await
    }

    async fn examine_waiting(&self, checks: &[KeyCheck], waits: Waits) -> Vec<Vec<Finding>> {
        if checks.iter().any(|check| check.stage() == Stage::Apply) {
            self.is_applying.store(true, Ordering::Relaxed);
        }
        let is_applying = self.is_applying.load(Ordering::Relaxed);
        let by = Examination { keys: self, waits };
        examined(&by, is_applying, checks).await
    }

    /// Whether a plan finds a fault of the key that cuts off the workspaces that use it from their data.
    pub async fn cuts_users_off(&self, check: &KeyCheck) -> bool {
        match check {
            _ if check.stage() == Stage::Apply => false,
            KeyCheck::Aws(check) => self.aws.cuts_users_off(check).await,
            KeyCheck::Gcp(check) => {
                has_unusable_versions(&self.gcp.facts_for_plan(&check.key).await)
            }
            KeyCheck::Azure(_) => false,
        }
    }

    /// The last use of a key; a run asks the service once. It waits [`LAST_USE_PATIENCE`] at most,
    /// because the proof does not depend on it.
    pub async fn last_use(&self, key: &Key) -> LastUse {
        // A call of an SDK is a large future: in a box, it does not take the stack of every task that waits for it.
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

    /// Effect: the next proof reads the key again, because the run has changed it.
    pub fn forget(&self, key: &Key) {
        by_cloud!(Key, self, key, |ring, own| ring.forget(own));
    }

    /// The state of a key, as a read that began after `earliest` shows it, or why the provider cannot read it. All bindings that
    /// wait for the same key share one read.
    pub async fn state_after(
        &self,
        check: &KeyCheck,
        earliest: Instant,
    ) -> AsOf<Result<KeyState, String>> {
        let key = check.key();
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
