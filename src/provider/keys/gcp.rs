//! Keys of Cloud KMS as one run sees them: what the same plan is going to grant counts as granted. `keyring.rs` says how old a read may be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::keyring::{About, Service};
use super::{AttachNeed, gone};
use crate::clouds::gcp::{Above, Gcp, GcpError, GcpSettings};
use crate::databricks::key_configurations::{GcpKeyInfo, KeyConfiguration};
use crate::preflight::binding::ConfigurationKey;
use crate::preflight::gcp::{
    CryptoKeyFacts, PlannedMembers, Question, enabling, judge, state_of_primary,
};
use crate::preflight::{Finding, Remedy, Stage};
use crate::provider::cache::{Locks, Readable, Staged, Watched, lock};
use crate::requirements::gcp::Usage;
use crate::vocabulary::gcp::{CryptoKeyName, ProjectNumber, ServiceAccount};
use crate::vocabulary::{Key, KeyState, UseCase};

/// A key, and what a proof asks of it.
#[derive(Clone, Debug)]
pub struct GcpKeyCheck {
    /// The key whose facts the proof reads.
    pub key: CryptoKeyName,
    /// What Databricks shall use the key for, and at which stage.
    pub question: Question,
}

/// The keys of Cloud KMS: the reads of one run, the grants that it plans, and its locks.
pub struct GcpKeys {
    cloud: Gcp,
    is_known: bool,
    facts: Staged<CryptoKeyName, CryptoKeyFacts>,
    above: Staged<String, Above>,
    planned: Mutex<BTreeMap<CryptoKeyName, PlannedMembers>>,
    policy_locks: Locks<CryptoKeyName>,
    projects: Mutex<BTreeMap<String, Arc<Watched<Result<ProjectNumber, GcpError>>>>>,
}

impl GcpKeys {
    /// Keys of which the run has read nothing yet.
    pub(super) fn new(settings: GcpSettings, is_known: bool) -> Self {
        Self {
            cloud: Gcp::new(settings),
            is_known,
            facts: Staged::default(),
            above: Staged::default(),
            planned: Mutex::default(),
            policy_locks: Locks::default(),
            projects: Mutex::default(),
        }
    }

    /// The client for Cloud KMS, IAM and Resource Manager.
    pub fn cloud(&self) -> &Gcp {
        &self.cloud
    }

    /// Whether the provider can call Google Cloud: not while its `gcp` block still has unknown values.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Effect: the same configuration is going to grant these members the use of a key. From now on, each proof at plan counts
    /// them as granted. Several key policies may grant the same key.
    pub fn will_grant(&self, key: &CryptoKeyName, members: PlannedMembers) {
        let mut all = lock(&self.planned);
        let own = all.entry(key.clone()).or_default();
        own.has_unknown |= members.has_unknown;
        own.is_list_unknown |= members.is_list_unknown;
        for one in members.members {
            if !own.members.contains(&one) {
                own.members.push(one);
            }
        }
    }

    /// Effect: the next proof reads the key again, because this run has changed it.
    pub fn forget(&self, key: &CryptoKeyName) {
        self.facts.forget(key);
    }

    /// Effect: the grants that this run had planned are at the key now, so the next proof reads them there.
    pub fn policy_was_put(&self, key: &CryptoKeyName) {
        self.forget(key);
        lock(&self.planned).remove(key);
    }

    /// Waits for the lock of a key's policy. A task holds it while it reads, changes and sets the policy: two
    /// resources of one run may change the policy of the same key.
    pub async fn lock_policy(&self, key: &CryptoKeyName) -> OwnedMutexGuard<()> {
        self.policy_locks.hold(key.clone()).await
    }

    /// The facts of a key for a plan, with what the same plan grants.
    pub async fn facts_for_plan(&self, key: &CryptoKeyName) -> CryptoKeyFacts {
        self.facts_at(key, Stage::Plan).await
    }

    /// The facts of a key at a stage, with what the same run grants.
    pub async fn facts_at(&self, key: &CryptoKeyName, stage: Stage) -> CryptoKeyFacts {
        let planned = lock(&self.planned).get(key).cloned();
        CryptoKeyFacts {
            planned,
            ..self.read(key, stage).await
        }
    }

    /// What Google Cloud shows of a key and of the project and folders above it.
    async fn read(&self, key: &CryptoKeyName, stage: Stage) -> CryptoKeyFacts {
        let read = || async {
            let project = key.project().to_owned();
            let above = self
                .above
                .get(stage, &project, || self.cloud.above(&project));
            self.cloud.facts(key, &above.await).await
        };
        self.facts.get(stage, key, read).await
    }

    /// The number of a project; a run that has read it does not read it again.
    pub async fn project_number(&self, project: &str) -> Result<ProjectNumber, GcpError> {
        let cell = Arc::clone(lock(&self.projects).entry(project.to_owned()).or_default());
        cell.of_run(|| self.cloud.project_number(project)).await
    }

    /// The state of a key, read now.
    pub(super) async fn state(&self, key: &CryptoKeyName) -> Result<KeyState, GcpError> {
        match self.cloud.key(key).await {
            // The key was there when the proof ended.
            Err(GcpError::NotFound(_)) => Ok(gone()),
            read => read.map(|found| state_of_primary(found.primary.as_ref())),
        }
    }
}

impl Service for GcpKeys {
    type KeyCheck = GcpKeyCheck;

    fn about(&self, check: &GcpKeyCheck) -> About {
        About {
            key: check.name(),
            workspace: None,
            stage: check.question.stage,
        }
    }

    async fn judged(&self, check: &GcpKeyCheck) -> Vec<Finding> {
        let stage = check.question.stage;
        let facts = match stage {
            Stage::Plan => self.facts_for_plan(&check.key).await,
            // Right before an attach, only what Google Cloud shows counts.
            Stage::Apply => self.read(&check.key, stage).await,
        };
        judge(&facts, &check.question)
    }

    fn has_been_read(&self, check: &GcpKeyCheck) -> bool {
        let project = check.key.project().to_owned();
        self.facts.has_been_read(&check.key) || self.above.has_been_read(&project)
    }

    async fn forget_before(&self, moment: Instant, check: &GcpKeyCheck) -> bool {
        let project = check.key.project().to_owned();
        // The facts of a key rest on what is above it, so the run drops both together.
        let is_above_forgotten = self.above.forget_before(moment, &project).await;
        if is_above_forgotten {
            self.facts.forget(&check.key);
        }
        self.facts.forget_before(moment, &check.key).await || is_above_forgotten
    }
}

impl Readable for Above {
    fn is_unreadable(&self) -> bool {
        Self::is_unreadable(self)
    }
}

impl Readable for CryptoKeyFacts {
    fn is_unreadable(&self) -> bool {
        let own = self.policies.first();
        self.key.is_unreadable()
            || self.versions.is_unreadable()
            || own.is_none_or(|level| level.bindings.is_unreadable())
    }
}

/// The Google key of a key configuration, as the account shows it.
pub(super) fn configuration_key(info: &GcpKeyInfo) -> ConfigurationKey {
    match info.kms_key_id.parse::<CryptoKeyName>() {
        Ok(key) => ConfigurationKey::Known {
            location: key.location().to_owned(),
            key: key.into(),
        },
        Err(error) => ConfigurationKey::Unreadable(error.to_string()),
    }
}

impl GcpKeyCheck {
    /// The key that the check is about.
    pub(super) fn name(&self) -> Key {
        self.key.clone().into()
    }

    /// What the user does so that the key can be used again.
    pub(super) fn enabling(&self) -> Remedy {
        enabling(&self.key)
    }

    /// What a workspace would use the Google key of a key configuration for. `None` when the configuration has no key
    /// that the provider can read, about which [`crate::preflight::binding::judge`] has a finding.
    pub(super) async fn of_configuration(
        keys: &GcpKeys,
        need: &AttachNeed<'_>,
        remote: &KeyConfiguration,
        info: &GcpKeyInfo,
    ) -> Option<Self> {
        let key = info.kms_key_id.parse::<CryptoKeyName>().ok()?;
        let is_planned = remote.is_planned();
        let workspace = need.workspace;
        let mut not_known = Vec::new();
        let databricks = match info.service_account().map(str::parse) {
            Some(Ok(account)) => vec![account],
            Some(Err(error)) => {
                not_known.push(format!("the account shows a service account, but {error}"));
                Vec::new()
            }
            // A workspace that the same plan creates has no accounts yet.
            None if is_planned => Vec::new(),
            None => {
                not_known.push(
                    "the account does not show which service account of Databricks uses the key"
                        .to_owned(),
                );
                Vec::new()
            }
        };
        let project = workspace.gcp_project();
        let is_storage = need.use_case == UseCase::Storage;
        let workspace_project = match project {
            Some(project) if is_storage && keys.is_known() => {
                match keys.project_number(project).await {
                    Ok(number) => Some(number),
                    Err(error) => {
                        not_known.push(format!(
                            "the number of the project {project}, in which the workspace runs, could not be read ({error}), so its \
                             service agents are not known"
                        ));
                        None
                    }
                }
            }
            _ => None,
        };
        let usage = Usage {
            use_cases: vec![need.use_case],
            databricks,
            workspace_project,
            table_projects: Vec::new(),
            not_known: (!not_known.is_empty()).then(|| not_known.join("; ")),
        };
        let mut question = Question::new(usage, need.stage);
        if workspace.uses_id(&remote.customer_managed_key_id) {
            question.users.push(workspace.in_words());
        }
        // Databricks creates it with the workspace, for its storage and its compute.
        let own = workspace
            .region()
            .filter(|_| is_storage)
            .map(|region| ServiceAccount::of_workspace(workspace.workspace_id, region))
            .filter(|own| !question.usage.databricks.contains(own));
        question.workspace_accounts = own.into_iter().collect();
        Some(Self { key, question })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::gcp::PolicyLevel;
    use crate::preflight::{Fact, Unreadable};
    use crate::provider::config::Config;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn keys() -> GcpKeys {
        let (settings, _) = Config::default().gcp();
        GcpKeys::new(settings, true)
    }

    fn key(name: &str) -> Result<CryptoKeyName, Box<dyn std::error::Error>> {
        Ok(format!("projects/p/locations/l/keyRings/r/cryptoKeys/{name}").parse()?)
    }

    /// Members by letters; `?` for members that Terraform does not know yet, `*` for a list that it does not know.
    fn members(letters: &str) -> Result<PlannedMembers, Box<dyn std::error::Error>> {
        let mut planned = PlannedMembers {
            has_unknown: letters.contains('?'),
            is_list_unknown: letters.contains('*'),
            members: Vec::new(),
        };
        for letter in letters.chars().filter(char::is_ascii_alphabetic) {
            let email = format!("db-{letter}@p.iam.gserviceaccount.com");
            planned.members.push(email.parse()?);
        }
        Ok(planned)
    }

    /// Each row: what several key policies grant the same key, and what counts as granted in a plan.
    #[test]
    fn what_several_policies_grant_adds_up() -> Outcome {
        let rows: [(&[&str], &str); 8] = [
            (&["a"], "a"),
            (&["a", "b"], "ab"),
            (&["a", "ab"], "ab"),
            (&["?"], "?"),
            (&["a?", "b"], "ab?"),
            (&["*"], "*"),
            (&["a", "*"], "a*"),
            (&["*?", "a"], "a?*"),
        ];
        for (grants, expected) in rows {
            let (keys, key) = (keys(), key("k")?);
            for one in grants {
                keys.will_grant(&key, members(one)?);
            }
            let planned = lock(&keys.planned).get(&key).cloned();
            assert_eq!(planned, Some(members(expected)?), "{grants:?}");
        }
        Ok(())
    }

    fn unread<T>() -> Fact<T> {
        Fact::Unreadable(Unreadable {
            permission: None,
            reason: "a test".to_owned(),
            remedy: None,
            is_missing: false,
        })
    }

    fn facts(key: &CryptoKeyName) -> CryptoKeyFacts {
        CryptoKeyFacts {
            name: key.clone(),
            key: unread(),
            versions: unread(),
            policies: vec![PolicyLevel {
                of: "the key".to_owned(),
                bindings: Fact::Known(Vec::new()),
            }],
            is_read_to_the_top: true,
            roles: BTreeMap::new(),
            denied: Vec::new(),
            planned: None,
            at: doors::clock::now(),
        }
    }

    /// Fills the caches, as if the run had read everything of a key.
    async fn read(keys: &GcpKeys, key: &CryptoKeyName) {
        keys.facts.get(Stage::Plan, key, async || facts(key)).await;
        let project = key.project().to_owned();
        let above = async || Above::default();
        keys.above.get(Stage::Plan, &project, above).await;
    }

    /// After a write, the caches drop what the run had planned and read for this key, and for no other.
    #[tokio::test]
    async fn a_policy_that_is_put_is_read_again() -> Outcome {
        let (keys, one, other) = (keys(), key("k")?, key("other")?);
        let is_read = |name: &CryptoKeyName| keys.facts.has_been_read(name);
        let is_planned = |name: &CryptoKeyName| lock(&keys.planned).contains_key(name);
        for name in [&one, &other] {
            keys.will_grant(name, members("a")?);
            read(&keys, name).await;
        }
        keys.policy_was_put(&one);
        assert_eq!((is_read(&one), is_planned(&one)), (false, false));
        assert_eq!((is_read(&other), is_planned(&other)), (true, true));
        keys.forget(&other);
        assert_eq!((is_read(&other), is_planned(&other)), (false, true));
        Ok(())
    }

    /// After a refusal, the provider drops the reads that are older than the examination, also those above the key.
    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_a_refusal_is_read_again() -> Outcome {
        for stage in [Stage::Apply, Stage::Plan] {
            let (keys, key) = (keys(), key("k")?);
            let case = GcpKeyCheck {
                key: key.clone(),
                question: Question::new(Usage::default(), stage),
            };
            assert!(!keys.has_been_read(&case));
            read(&keys, &key).await;
            assert!(keys.has_been_read(&case));
            assert!(!keys.forget_before(Instant::now(), &case).await);
            tokio::time::advance(std::time::Duration::from_millis(1)).await;
            assert!(keys.forget_before(Instant::now(), &case).await);
            assert!(!keys.has_been_read(&case));
        }
        Ok(())
    }

    /// Two tasks that change the policy of one key take turns; a task that changes another key does not wait.
    #[tokio::test]
    async fn one_at_a_time_changes_the_policy_of_a_key() -> Outcome {
        let (keys, one, other) = (keys(), key("k")?, key("other")?);
        let held = keys.lock_policy(&one).await;
        assert!(!is_ready(keys.lock_policy(&one)).await);
        assert!(is_ready(keys.lock_policy(&other)).await);
        drop(held);
        assert!(is_ready(keys.lock_policy(&one)).await);
        Ok(())
    }

    async fn is_ready<T>(work: impl Future<Output = T>) -> bool {
        tokio::select! {
            biased;
            _ = work => true,
            () = tokio::task::yield_now() => false,
        }
    }
}
