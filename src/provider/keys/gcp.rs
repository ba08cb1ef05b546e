//! Keys of Cloud KMS as one run sees them: read once for a plan, with what the same plan is about to grant taken for granted; read
//! anew for an apply.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{OnceCell, OwnedMutexGuard};
use tokio::time::Instant;

use super::walk::{Awaited, PATIENCE, PolicyWalk};
use super::{AttachNeed, gone};
use crate::clouds::gcp::{Above, Gcp, GcpError, GcpSettings};
use crate::databricks::key_configurations::{GcpKeyInfo, KeyConfiguration};
use crate::preflight::binding::ConfigurationKey;
use crate::preflight::gcp::{
    CryptoKeyFacts, PlannedMembers, Question, enabling, judge, state_of_primary,
};
use crate::preflight::{Finding, Id, Remedy, Stage, without_policy};
use crate::provider::diagnose;
use crate::provider::shared::{AsOf, Watched, lock};
use crate::provider::switch::{self, KeyStatus, NotVisible};
use crate::requirements::gcp::Usage;
use crate::vocabulary::gcp::{CryptoKeyName, ProjectNumber, ServiceAccount};
use crate::vocabulary::{Key, KeyState, UseCase};
use tfplugin::diagnostics::Diagnostics;

/// A key, and what is asked of it.
#[derive(Clone, Debug)]
pub struct GcpCase {
    /// The key.
    pub key: CryptoKeyName,
    /// What it is to be used for.
    pub question: Question,
}

/// The keys of Cloud KMS.
pub struct GcpKeys {
    cloud: Gcp,
    is_known: bool,
    facts: Mutex<BTreeMap<CryptoKeyName, Arc<OnceCell<CryptoKeyFacts>>>>,
    above: Mutex<BTreeMap<String, Arc<OnceCell<Above>>>>,
    planned: Mutex<BTreeMap<CryptoKeyName, PlannedMembers>>,
    policy_locks: Mutex<BTreeMap<CryptoKeyName, Arc<tokio::sync::Mutex<()>>>>,
    projects: Mutex<BTreeMap<String, Arc<OnceCell<Result<ProjectNumber, GcpError>>>>>,
    states: Mutex<BTreeMap<CryptoKeyName, Arc<Watched<Result<KeyState, GcpError>>>>>,
    walk: Arc<PolicyWalk>,
}

impl GcpKeys {
    /// Nothing is read yet.
    pub(super) fn new(settings: GcpSettings, is_known: bool, walk: Arc<PolicyWalk>) -> Self {
        Self {
            cloud: Gcp::new(settings),
            is_known,
            facts: Mutex::default(),
            above: Mutex::default(),
            planned: Mutex::default(),
            policy_locks: Mutex::default(),
            projects: Mutex::default(),
            states: Mutex::default(),
            walk,
        }
    }

    /// Cloud KMS and what is around it.
    pub fn cloud(&self) -> &Gcp {
        &self.cloud
    }

    /// Whether Google Cloud can be called: not while the provider's `gcp` block still has unknown values in it.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// Effect: the same configuration is about to grant these members the use of a key. From now on, whoever plans something for
    /// this key takes that for granted. Several key policies may grant the same key.
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

    /// What was read of a key in this run is not true any more.
    pub fn forget(&self, key: &CryptoKeyName) {
        lock(&self.facts).remove(key);
    }

    /// Effect: what was read for such a case is not enough any more. `false` for an apply, which reads everything itself.
    pub(super) fn forget_read(&self, case: &GcpCase) -> bool {
        if case.question.stage == Stage::Apply {
            return false;
        }
        self.forget(&case.key);
        lock(&self.above).remove(case.key.project());
        true
    }

    /// Effect: what this run had planned for the policy of a key is put, so that from now on the key itself shows it.
    pub fn policy_was_put(&self, key: &CryptoKeyName) {
        self.forget(key);
        lock(&self.planned).remove(key);
    }

    /// Held while the policy of a key is read, changed and set: two resources of one run may speak of the same key.
    pub async fn lock_policy(&self, key: &CryptoKeyName) -> OwnedMutexGuard<()> {
        let own = Arc::clone(lock(&self.policy_locks).entry(key.clone()).or_default());
        own.lock_owned().await
    }

    /// What is known of a key for a plan: read once in a run, with what the same plan grants.
    pub async fn facts_for_plan(&self, key: &CryptoKeyName) -> CryptoKeyFacts {
        let cell = Arc::clone(lock(&self.facts).entry(key.clone()).or_default());
        let read = cell
            .get_or_init(|| async { self.cloud.facts(key, &self.above(key).await).await })
            .await
            .clone();
        let planned = lock(&self.planned).get(key).cloned();
        CryptoKeyFacts { planned, ..read }
    }

    /// What is known of a key for whoever takes access away: read once in a run for a plan, and now for an apply.
    pub async fn facts_at(&self, key: &CryptoKeyName, stage: Stage) -> CryptoKeyFacts {
        if stage == Stage::Apply {
            self.forget(key);
        }
        self.facts_for_plan(key).await
    }

    /// What is above the key rings of a project, read once in a run.
    async fn above(&self, key: &CryptoKeyName) -> Above {
        let project = key.project();
        let cell = Arc::clone(lock(&self.above).entry(project.to_owned()).or_default());
        cell.get_or_init(|| self.cloud.above(project)).await.clone()
    }

    /// What is true of a key now. What is above it is read again only where it could change the verdict.
    async fn judge_now(&self, key: &CryptoKeyName, question: &Question) -> Vec<Finding> {
        self.forget(key);
        let facts = self.cloud.facts(key, &self.above(key).await).await;
        let findings = judge(&facts, question);
        if !findings.iter().any(may_be_granted) {
            return findings;
        }
        lock(&self.above).remove(key.project());
        judge(
            &self.cloud.facts(key, &self.above(key).await).await,
            question,
        )
    }

    /// The number of a project, asked for once in a run.
    pub async fn project_number(&self, project: &str) -> Result<ProjectNumber, GcpError> {
        let cell = Arc::clone(lock(&self.projects).entry(project.to_owned()).or_default());
        cell.get_or_init(|| self.cloud.project_number(project))
            .await
            .clone()
    }

    /// What the proof says about a key, once it is enough or no `dbxcmk_key_policy` of the configuration can change it any more. So
    /// the order in which Terraform visits the resources does not matter.
    pub(super) async fn examine(&self, case: &GcpCase) -> Vec<Finding> {
        let stage = case.question.stage;
        let mut policies = self.walk.subscribe();
        let patience = Instant::now() + PATIENCE;
        let name: Key = case.key.clone().into();
        loop {
            let progress = policies.borrow_and_update().clone();
            let findings = match stage {
                Stage::Plan => judge(&self.facts_for_plan(&case.key).await, &case.question),
                Stage::Apply => self.judge_now(&case.key, &case.question).await,
            };
            // The account of a workspace stops nothing, so that only a plan waits for its grant.
            let is_waited_for = |one: &Finding| {
                may_be_granted(one) || stage == Stage::Plan && one.id == Id::GcpWorkspaceAccount
            };
            let may_change = findings.iter().any(is_waited_for);
            let asked = Awaited {
                key: &name,
                workspace: None,
            };
            if !may_change || !self.walk.expects(asked, stage, &progress) {
                return findings;
            }
            if tokio::time::timeout_at(patience, policies.changed())
                .await
                .is_err()
            {
                return match stage {
                    Stage::Apply => findings,
                    // The policy of this plan may grant it; the apply examines it again.
                    Stage::Plan if self.walk.is_open(asked, &progress) => {
                        let may_apply = self.walk.may_apply();
                        without_policy(findings, &name, may_apply, may_be_granted)
                    }
                    Stage::Plan => findings,
                };
            }
        }
    }

    /// A key as it is, with what the kill switch remembers of it.
    pub(super) async fn status(&self, key: &CryptoKeyName) -> Result<KeyStatus, Diagnostics> {
        let read = switch::gcp::status(&self.cloud, key).await;
        read.map_err(|error| diagnose::gcp("The key could not be read", key, &error).into())
    }

    /// Who else may use a key, as far as its own policy says.
    pub(super) async fn other_users(&self, key: &CryptoKeyName) -> Vec<NotVisible> {
        let bindings = match self.cloud.policy(key).await {
            Ok(policy) => policy.bindings(),
            Err(error) => Err(error.to_string()),
        };
        match bindings {
            Ok(bindings) => switch::gcp::others(&bindings),
            Err(why) => vec![NotVisible {
                what: "Other users of the key".to_owned(),
                why: format!("The IAM policy of the key could not be read ({why})."),
            }],
        }
    }

    /// The state of a key, as a read that began after `earliest` shows it. Any number of bindings that wait share one read.
    pub(super) async fn state_after(
        &self,
        key: &CryptoKeyName,
        earliest: Instant,
    ) -> AsOf<Result<KeyState, GcpError>> {
        let watched = Arc::clone(lock(&self.states).entry(key.clone()).or_default());
        watched
            .after(earliest, || async {
                match self.cloud.key(key).await {
                    // It was there when the proof ended.
                    Err(GcpError::NotFound(_)) => Ok(gone()),
                    read => read.map(|found| state_of_primary(found.primary.as_ref())),
                }
            })
            .await
    }
}

/// Whether a `dbxcmk_key_policy` may make a finding go away.
fn may_be_granted(finding: &Finding) -> bool {
    matches!(
        finding.id,
        Id::GcpMemberMissing
            | Id::GcpMemberNotSeen
            | Id::GcpMemberConditional
            | Id::GcpMemberUnknownRole
    )
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

impl GcpCase {
    /// The key by its name.
    pub(super) fn name(&self) -> Key {
        self.key.clone().into()
    }

    /// What makes a key usable again that is not.
    pub(super) fn enabling(&self) -> Remedy {
        enabling(&self.key)
    }

    /// What a workspace would use the Google key of a key configuration for. `None` when the key cannot be named, which
    /// [`crate::preflight::binding::judge`] says.
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
            // One that the same plan creates has none yet.
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
        let is_storage = need.case == UseCase::Storage;
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
            use_cases: vec![need.case],
            databricks,
            workspace_project,
            not_known: (!not_known.is_empty()).then(|| not_known.join("; ")),
        };
        let mut question = Question::new(usage, need.stage);
        if workspace.uses_id(&remote.customer_managed_key_id) {
            question.users.push(workspace.in_words());
        }
        // It is created with the workspace, for its storage and its compute.
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
    use crate::provider::config::Config;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn keys() -> GcpKeys {
        let (settings, _) = Config::default().gcp();
        GcpKeys::new(settings, true, Arc::new(PolicyWalk::new()))
    }

    fn key(name: &str) -> Result<CryptoKeyName, Box<dyn std::error::Error>> {
        Ok(format!("projects/p/locations/l/keyRings/r/cryptoKeys/{name}").parse()?)
    }

    /// Members by letters; `?` for some that are not known, `*` for a list that is not known.
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

    /// Each row: what several key policies grant the same key, and what a plan takes for granted.
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

    /// After a write, what was planned and what was read is not believed any more, for this key alone.
    #[test]
    fn a_policy_that_is_put_is_read_again() -> Outcome {
        let (keys, one, other) = (keys(), key("k")?, key("other")?);
        let is_read = |name: &CryptoKeyName| lock(&keys.facts).contains_key(name);
        let is_planned = |name: &CryptoKeyName| lock(&keys.planned).contains_key(name);
        for name in [&one, &other] {
            keys.will_grant(name, members("a")?);
            lock(&keys.facts).entry(name.clone()).or_default();
        }
        keys.policy_was_put(&one);
        assert_eq!((is_read(&one), is_planned(&one)), (false, false));
        assert_eq!((is_read(&other), is_planned(&other)), (true, true));
        keys.forget(&other);
        assert_eq!((is_read(&other), is_planned(&other)), (false, true));
        Ok(())
    }

    /// A refused plan reads again what it rests on, also above the key; an apply reads everything itself.
    #[test]
    fn a_refused_plan_forgets_what_is_above_the_key_too() -> Outcome {
        let (keys, key) = (keys(), key("k")?);
        for (stage, is_forgotten) in [(Stage::Apply, false), (Stage::Plan, true)] {
            lock(&keys.facts).entry(key.clone()).or_default();
            lock(&keys.above).entry("p".to_owned()).or_default();
            let case = GcpCase {
                key: key.clone(),
                question: Question::new(Usage::default(), stage),
            };
            assert_eq!(keys.forget_read(&case), is_forgotten);
            assert_eq!(lock(&keys.facts).is_empty(), is_forgotten);
            assert_eq!(lock(&keys.above).is_empty(), is_forgotten);
        }
        Ok(())
    }

    /// Two that change the policy of one key take turns; those of another key do not wait.
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
