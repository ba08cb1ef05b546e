//! AWS KMS keys as one run sees them: what the same plan is going to put counts as put. `keyring.rs` says how old a read may be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::hcl_blocks::may_change_roles;
use super::keyring::{About, Look, Service, Waits, settled};
use super::policy_progress::PolicyWalk;
use super::{AttachNeed, gone};
use crate::clouds::aws::{Aws, AwsError, AwsSettings};
use crate::databricks::key_configurations::AwsKeyInfo;
use crate::network::side_by_side;
use crate::preflight::aws::{
    KeyFacts, KmsGrant, PolicySource, Question, RoleKnowledge, Simulation, UsedBy,
    calls_to_simulate, enabling, grants_matter, judge, rotation_matters,
};
use crate::preflight::binding::{ConfigurationKey, UnknownRole, role_unknown};
use crate::preflight::{Fact, Finding, Remedy, Severity, Stage};
use crate::provider::cache::{Locks, Readable, Staged, lock};
use crate::requirements::aws::Usage;
use crate::vocabulary::aws::{ArnError, KeyArn, Partition, RoleArn};
use crate::vocabulary::{Deployment, Key, KeyState, UseCase};

/// A key, and what a proof asks of it.
#[derive(Clone, Debug)]
pub struct AwsKeyCheck {
    /// The key whose facts the proof reads.
    pub key: KeyArn,
    /// What Databricks shall use the key for, and at which stage.
    pub question: Question,
}

/// The keys of AWS: the reads of one run, the policies that it plans, and its locks.
pub struct AwsKeys {
    cloud: Aws,
    is_known: bool,
    deployment: Option<Deployment>,
    facts: Staged<KeyArn, KeyFacts>,
    grants: Staged<KeyArn, Fact<Vec<KmsGrant>>>,
    rotations: Staged<KeyArn, Fact<bool>>,
    planned: Mutex<BTreeMap<KeyArn, String>>,
    policy_locks: Locks<KeyArn>,
    roles: Staged<RoleArn, RoleKnowledge>,
    simulations: Staged<(RoleArn, KeyArn), Simulation>,
    walk: Arc<PolicyWalk>,
    may_change_roles: OnceLock<bool>,
}

impl AwsKeys {
    /// Keys of which the run has read nothing yet. `deployment`: the Databricks deployment that the
    /// configured host decides.
    pub(super) fn new(
        settings: AwsSettings,
        is_known: bool,
        deployment: Option<Deployment>,
        walk: Arc<PolicyWalk>,
    ) -> Self {
        Self {
            cloud: Aws::new(settings),
            is_known,
            deployment,
            facts: Staged::default(),
            grants: Staged::default(),
            rotations: Staged::default(),
            planned: Mutex::default(),
            policy_locks: Locks::default(),
            roles: Staged::default(),
            simulations: Staged::default(),
            walk,
            may_change_roles: OnceLock::new(),
        }
    }

    /// The client for KMS, IAM and STS.
    pub fn cloud(&self) -> &Aws {
        &self.cloud
    }

    /// Effect: proofs assume that no plan changes roles, because a command applies no configuration
    /// of the working directory.
    pub(super) fn without_configuration(&self) {
        // A proof that has read the configuration already keeps its answer.
        let _ = self.may_change_roles.set(false);
    }

    /// What an audit shows of a key besides its facts: its grants, and whether KMS rotates it. The proof shares the reads.
    pub async fn for_audit(&self, key: &KeyArn) -> (Fact<Vec<KmsGrant>>, Fact<bool>) {
        let grants = || self.cloud.grants(key);
        let rotation = || self.cloud.rotates(key);
        tokio::join!(
            self.grants.get(Stage::Plan, key, grants),
            self.rotations.get(Stage::Plan, key, rotation)
        )
    }

    /// Whether the provider can call AWS: not while its `aws` block still has unknown values.
    pub fn is_known(&self) -> bool {
        self.is_known
    }

    /// The Databricks deployment whose account calls a key. A configured government host says which of the two it is; without a
    /// host the partition of the key decides.
    pub fn deployment(&self, key: &KeyArn) -> Deployment {
        self.deployment.unwrap_or(match key.partition() {
            Partition::AwsUsGov => Deployment::GovCloud,
            _ => Deployment::Commercial,
        })
    }

    /// The deployment that the configured host alone decides, whatever the key is.
    pub fn deployment_of_host(&self) -> Option<Deployment> {
        self.deployment
    }

    /// Effect: the same configuration is going to put this policy. From now on, each proof at plan judges the key by this policy.
    pub fn will_put_policy(&self, key: &KeyArn, policy: String) {
        lock(&self.planned).insert(key.clone(), policy);
    }

    /// The facts of a key. It waits until they are `enough`, or until no `dbxcmk_key_policy` of the configuration can change them.
    pub async fn facts_with_policy(
        &self,
        check: &AwsKeyCheck,
        enough: impl Fn(&KeyFacts) -> bool + Send,
    ) -> KeyFacts {
        let what = Facts {
            keys: self,
            check,
            enough,
        };
        let (facts, _) = settled(&self.walk, &self.about(check), Waits::ForPolicies, what).await;
        facts
    }

    /// Effect: the next proof reads the key again, because this run has changed it.
    pub fn forget(&self, key: &KeyArn) {
        self.facts.forget(key);
        self.grants.forget(key);
        self.rotations.forget(key);
    }

    /// Effect: the policy that this run had planned is at the key now, so the next proof reads it there.
    pub fn policy_was_put(&self, key: &KeyArn) {
        self.forget(key);
        lock(&self.planned).remove(key);
    }

    /// Waits for the lock of a key's policy. A task holds it while it reads, merges and puts the policy: Terraform works on
    /// several resources at once, and two of them may change the policy of the same key.
    pub async fn lock_policy(&self, key: &KeyArn) -> OwnedMutexGuard<()> {
        self.policy_locks.hold(key.clone()).await
    }

    /// The facts of a key for a plan: a run reads them once, and a planned policy replaces the one that KMS shows.
    pub async fn facts_for_plan(&self, key: &KeyArn) -> KeyFacts {
        let read = self.facts.get(Stage::Plan, key, || self.cloud.facts(key));
        let mut facts = read.await;
        let planned = lock(&self.planned).get(key).cloned();
        if let Some(policy) = planned {
            facts.policy = Fact::Known(policy);
            facts.policy_source = PolicySource::Planned;
        }
        facts
    }

    /// The facts of a key with what else this question needs: the role, the answers of AWS's policy simulator, and what of the key
    /// itself could change the answer.
    pub async fn for_question(&self, facts: KeyFacts, question: &Question) -> KeyFacts {
        let (key, stage) = (facts.arn.clone(), question.stage);
        let rotation = async || {
            let read = || self.cloud.rotates(&key);
            match rotation_matters(question) {
                true => Some(self.rotations.get(stage, &key, read).await),
                false => None,
            }
        };
        let (role, table_roles, simulation, rotates) = tokio::join!(
            self.role_of(question),
            self.table_roles_of(question),
            self.simulation_of(&key, question),
            rotation()
        );
        let mut facts = KeyFacts {
            role,
            table_roles,
            simulation,
            rotates,
            may_change_roles: !question.usage.roles().is_empty()
                && *self.may_change_roles.get_or_init(may_change_roles),
            ..facts
        };
        if grants_matter(&facts, question) {
            let read = || self.cloud.grants(&key);
            facts.grants = Some(self.grants.get(stage, &key, read).await);
        }
        facts
    }

    /// The role that a question is about, as IAM shows it.
    pub async fn role_of(&self, question: &Question) -> RoleKnowledge {
        let Some(role) = &question.usage.cross_account_role else {
            return RoleKnowledge::NotAsked;
        };
        let read = || self.cloud.role(role);
        self.roles.get(question.stage, role, read).await
    }

    /// The roles of storage credentials that a question is about, as IAM shows them.
    pub async fn table_roles_of(&self, question: &Question) -> BTreeMap<RoleArn, RoleKnowledge> {
        let one = async |role: &RoleArn| {
            let read = || self.cloud.role(role);
            let known = self.roles.get(question.stage, role, read).await;
            (role.clone(), known)
        };
        let all = question.usage.table_roles.iter().map(one);
        side_by_side(all).await.into_iter().collect()
    }

    /// The answers of AWS's policy simulator about the role of a question.
    async fn simulation_of(&self, key: &KeyArn, question: &Question) -> Simulation {
        let Some(role) = &question.usage.cross_account_role else {
            return Simulation::NotAsked;
        };
        let calls = calls_to_simulate(key, question);
        if calls.is_empty() {
            return Simulation::NotAsked;
        }
        let own = (role.clone(), key.clone());
        let ask = || self.cloud.simulate(role, key, &calls);
        self.simulations.get(question.stage, &own, ask).await
    }

    /// The facts of a key for an apply. Resources that Terraform applies side by side share a read of the last minute, and so do the
    /// plan and the apply of one resource.
    pub async fn facts_now(&self, key: &KeyArn) -> KeyFacts {
        let read = || self.cloud.facts(key);
        self.facts.get(Stage::Apply, key, read).await
    }

    /// The facts of the key of a check at its stage: for a plan with the policy that the same plan is going to put.
    async fn facts_of(&self, check: &AwsKeyCheck) -> KeyFacts {
        let facts = match check.question.stage {
            Stage::Plan => self.facts_for_plan(&check.key).await,
            Stage::Apply => self.facts_now(&check.key).await,
        };
        self.for_question(facts, &check.question).await
    }

    /// Whether a plan finds a fault of the key that stops the workspaces that use it.
    pub(super) async fn cuts_users_off(&self, check: &AwsKeyCheck) -> bool {
        let findings = judge(&self.facts_for_plan(&check.key).await, &check.question);
        findings.iter().any(|one| one.severity == Severity::Error)
    }

    /// The state of a key, read now.
    pub(super) async fn state(&self, key: &KeyArn) -> Result<KeyState, AwsError> {
        match self.cloud.describe(key).await {
            // The key was there when the proof ended.
            Err(AwsError::NotFound(_)) => Ok(gone()),
            read => read.map(|key| key.state),
        }
    }
}

/// The question of [`AwsKeys::facts_with_policy`]: the facts of a key, until they are enough.
struct Facts<'a, F> {
    keys: &'a AwsKeys,
    check: &'a AwsKeyCheck,
    enough: F,
}

impl<F: Fn(&KeyFacts) -> bool + Send> Look for Facts<'_, F> {
    type Found = KeyFacts;

    async fn look(&mut self) -> (KeyFacts, bool) {
        let facts = self.keys.facts_of(self.check).await;
        let may_change = !(self.enough)(&facts);
        (facts, may_change)
    }
}

impl Service for AwsKeys {
    type KeyCheck = AwsKeyCheck;

    fn about(&self, check: &AwsKeyCheck) -> About {
        About {
            key: check.name(),
            workspace: None,
            stage: check.question.stage,
        }
    }

    async fn judged(&self, check: &AwsKeyCheck) -> Vec<Finding> {
        judge(&self.facts_of(check).await, &check.question)
    }

    fn has_been_read(&self, check: &AwsKeyCheck) -> bool {
        let key = &check.key;
        let of_role = check.question.usage.cross_account_role.as_ref();
        let mut of_tables = check.question.usage.table_roles.iter();
        self.facts.has_been_read(key)
            || self.grants.has_been_read(key)
            || of_tables.any(|role| self.roles.has_been_read(role))
            || of_role.is_some_and(|role| {
                let own = (role.clone(), key.clone());
                self.roles.has_been_read(role) || self.simulations.has_been_read(&own)
            })
    }

    async fn forget_before(&self, moment: Instant, check: &AwsKeyCheck) -> bool {
        let key = &check.key;
        let mut is_forgotten = self.facts.forget_before(moment, key).await;
        is_forgotten |= self.grants.forget_before(moment, key).await;
        for role in &check.question.usage.table_roles {
            is_forgotten |= self.roles.forget_before(moment, role).await;
        }
        if let Some(role) = &check.question.usage.cross_account_role {
            let own = (role.clone(), key.clone());
            is_forgotten |= self.roles.forget_before(moment, role).await;
            is_forgotten |= self.simulations.forget_before(moment, &own).await;
        }
        is_forgotten
    }
}

impl Readable for KeyFacts {
    fn is_unreadable(&self) -> bool {
        self.description.is_unreadable() || self.policy.is_unreadable()
    }
}

impl Readable for RoleKnowledge {
    fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable(_) | Self::Missing)
    }
}

impl Readable for Simulation {
    fn is_unreadable(&self) -> bool {
        matches!(self, Self::Unreadable(_))
    }
}

/// The AWS key of a key configuration, as the account shows it.
pub(super) fn configuration_key(info: &AwsKeyInfo) -> ConfigurationKey {
    match info.key_arn.parse::<KeyArn>() {
        Ok(key) => ConfigurationKey::Known {
            location: key.region().to_owned(),
            key: key.into(),
        },
        Err(error) => ConfigurationKey::Unreadable(error.to_string()),
    }
}

impl AwsKeyCheck {
    /// The key that the check is about.
    pub(super) fn name(&self) -> Key {
        self.key.clone().into()
    }

    /// The same check on behalf of all these workspaces, each with the data that the key encrypts there.
    #[must_use]
    pub fn used_by(mut self, users: impl IntoIterator<Item = (String, Vec<UseCase>)>) -> Self {
        let asked: Vec<String> = self
            .question
            .used_by
            .iter()
            .map(|one| one.workspace.clone())
            .collect();
        let all = users.into_iter().map(|(workspace, cases)| UsedBy {
            is_asked: asked.contains(&workspace),
            workspace,
            cases,
        });
        let all: Vec<UsedBy> = all.collect();
        if !all.is_empty() {
            self.question.used_by = all;
        }
        self
    }

    /// What the user does so that the key can be used again.
    pub(super) fn enabling(&self) -> Remedy {
        enabling(&self.key)
    }

    /// What a workspace would use the AWS key of a key configuration for; the findings list what the provider does not know of
    /// it. `None` when the configuration has no key that the provider can read, about which
    /// [`crate::preflight::binding::judge`] has a finding.
    pub(super) async fn of_configuration(
        keys: &AwsKeys,
        need: &AttachNeed<'_>,
        (id, info): (&str, &AwsKeyInfo),
    ) -> (Option<Self>, Vec<Finding>) {
        let Ok(key) = info.key_arn.parse::<KeyArn>() else {
            return (None, Vec::new());
        };
        let for_clusters = need.use_case == UseCase::Storage
            && !need.workspace.is_serverless_only()
            && info.is_reused_for_cluster_volumes();
        let (role, findings) = match for_clusters {
            false => (None, Vec::new()),
            true => match role_of(need).await {
                Ok(role) => (Some(role), Vec::new()),
                Err(why) => (None, vec![role_unknown(need.facts, &why, need.stage)]),
            },
        };
        let usage = Usage::of(
            keys.deployment(&key),
            [need.account.id().clone()],
            [need.use_case],
        );
        let question = Question {
            usage: usage.with_cross_account_role(role),
            cluster_volumes: false,
            stage: need.stage,
            used_by: match need.workspace.key(need.use_case).known() {
                Some(attached) if attached.as_str() == id => vec![UsedBy {
                    workspace: need.workspace.in_words(),
                    cases: vec![need.use_case],
                    is_asked: true,
                }],
                _ => Vec::new(),
            },
        };
        (Some(Self { key, question }), findings)
    }
}

/// The role that launches the clusters of a workspace.
async fn role_of(need: &AttachNeed<'_>) -> Result<RoleArn, UnknownRole> {
    match need
        .reads
        .cross_account_role(need.account, need.workspace)
        .await
    {
        Ok(Some(arn)) => arn
            .parse()
            .map_err(|error: ArnError| UnknownRole::Unreadable(error.to_string())),
        Ok(None) => Err(UnknownRole::None),
        Err(error) => Err(UnknownRole::Refused(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::aws::KeyDescription;
    use crate::provider::config::Config;

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    fn keys() -> AwsKeys {
        let (settings, _) = Config::default().aws();
        AwsKeys::new(settings, true, None, Arc::new(PolicyWalk::new()))
    }

    fn arn(region: &str, number: usize) -> Result<KeyArn, ArnError> {
        let partition = match region.starts_with("us-gov") {
            true => "aws-us-gov",
            false => "aws",
        };
        format!("arn:{partition}:kms:{region}:123456789012:key/1234abcd-12ab-34cd-56ef-12345678900{number}").parse()
    }

    fn facts(key: &KeyArn) -> KeyFacts {
        KeyFacts {
            arn: key.clone(),
            description: Fact::Known(KeyDescription::good()),
            policy: Fact::Known("live".to_owned()),
            policy_source: PolicySource::Live,
            grants: None,
            rotates: None,
            role: RoleKnowledge::NotAsked,
            table_roles: BTreeMap::new(),
            may_change_roles: false,
            simulation: Simulation::NotAsked,
        }
    }

    /// Fills the caches, as if the run had read everything of a key.
    async fn read(keys: &AwsKeys, key: &KeyArn) {
        keys.facts.get(Stage::Plan, key, async || facts(key)).await;
        let none = async || Fact::Known(Vec::new());
        keys.grants.get(Stage::Plan, key, none).await;
        let rotates = async || Fact::Known(true);
        keys.rotations.get(Stage::Plan, key, rotates).await;
    }

    /// How many reads of a key the caches still have.
    fn believed(keys: &AwsKeys, key: &KeyArn) -> usize {
        let read = [
            keys.facts.has_been_read(key),
            keys.grants.has_been_read(key),
            keys.rotations.has_been_read(key),
        ];
        read.into_iter().filter(|is_read| *is_read).count()
    }

    /// Proofs judge a key by the policy that the same plan is going to put, until the provider has put it: then they read the key again.
    #[tokio::test]
    async fn a_planned_policy_counts_until_it_is_put() -> Outcome {
        let (keys, key, other) = (keys(), arn("eu-central-1", 1)?, arn("eu-central-1", 2)?);
        for one in [&key, &other] {
            read(&keys, one).await;
        }
        let seen = async |key: &KeyArn| {
            let facts = keys.facts_for_plan(key).await;
            match facts.policy {
                Fact::Known(text) => format!("{text} {:?}", facts.policy_source),
                Fact::Unreadable(why) => why.reason,
            }
        };
        assert_eq!(seen(&key).await, "live Live");
        for planned in ["first", "second"] {
            keys.will_put_policy(&key, planned.to_owned());
            assert_eq!(seen(&key).await, format!("{planned} Planned"));
        }
        assert_eq!(seen(&other).await, "live Live");
        keys.policy_was_put(&key);
        assert_eq!((believed(&keys, &key), believed(&keys, &other)), (0, 3));
        read(&keys, &key).await;
        assert_eq!(seen(&key).await, "live Live");
        keys.forget(&other);
        assert_eq!((believed(&keys, &key), believed(&keys, &other)), (3, 0));
        Ok(())
    }

    /// After a refusal, the provider drops the reads that are older than the examination, and says whether there were any.
    #[tokio::test(start_paused = true)]
    async fn what_is_older_than_a_refusal_is_read_again() -> Outcome {
        let (keys, key) = (keys(), arn("eu-central-1", 1)?);
        let case = AwsKeyCheck {
            key: key.clone(),
            question: Question {
                usage: Usage::of(Deployment::Commercial, [], UseCase::ACCOUNT),
                cluster_volumes: false,
                stage: Stage::Apply,
                used_by: Vec::new(),
            },
        };
        assert!(!keys.has_been_read(&case));
        assert!(!keys.forget_before(Instant::now(), &case).await);
        read(&keys, &key).await;
        assert!(keys.has_been_read(&case));
        // A read that began at this very moment stays.
        assert!(!keys.forget_before(Instant::now(), &case).await);
        tokio::time::advance(std::time::Duration::from_millis(1)).await;
        assert!(keys.forget_before(Instant::now(), &case).await);
        assert!(!keys.has_been_read(&case));
        assert!(!keys.forget_before(Instant::now(), &case).await);
        Ok(())
    }

    /// Each row: the deployment that the host decides, the region of the key, and the deployment whose account calls the key.
    #[test]
    fn the_host_decides_the_deployment_or_the_partition_of_the_key() -> Outcome {
        use Deployment::{Commercial, Dod, GovCloud};
        let rows = [
            (None, "eu-central-1", Commercial),
            (None, "us-gov-west-1", GovCloud),
            (Some(Dod), "us-gov-west-1", Dod),
            (Some(Commercial), "us-gov-west-1", Commercial),
            (Some(GovCloud), "eu-central-1", GovCloud),
        ];
        for (host, region, expected) in rows {
            let keys = AwsKeys {
                deployment: host,
                ..keys()
            };
            assert_eq!(
                keys.deployment(&arn(region, 1)?),
                expected,
                "{host:?} {region}"
            );
            assert_eq!(keys.deployment_of_host(), host);
        }
        Ok(())
    }
}
