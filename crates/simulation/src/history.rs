//! A history as data: what the configuration is when, who does what, and what goes wrong at which request. It is drawn from a seed before
//! anything runs, so that a part of it can be left out and the rest run again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

/// Where a history plays.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize, serde::Serialize,
)]
pub enum Cloud {
    /// AWS.
    Aws,
    /// Google Cloud.
    #[value(name = "gcp")]
    Google,
    /// Azure.
    Azure,
}

impl Cloud {
    /// Every variant, in the order of their declaration.
    pub const ALL: [Self; 3] = [Self::Aws, Self::Google, Self::Azure];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Google => "gcp",
            Self::Azure => "azure",
        }
    }

    fn cases(self) -> &'static [&'static str] {
        match self {
            Self::Aws | Self::Google => &["MANAGED_SERVICES", "STORAGE"],
            Self::Azure => &["MANAGED_SERVICES", "STORAGE", "MANAGED_DISKS"],
        }
    }
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub enum Mishap {
    /// No connection can be opened.
    NoConnection,
    /// The connection breaks before the service has the request.
    LostRequest,
    /// The connection breaks after the service has carried it out.
    LostAnswer,
    /// The answer breaks off in the middle.
    Cut,
    /// A refusal of the moment.
    Status {
        /// The HTTP status: 401, 429, 500, 502, 503 or 504.
        status: u16,
        /// `Retry-After`, in seconds.
        retry_after: Option<u64>,
    },
    /// It is carried out, and a gateway answers this.
    StatusAfter {
        /// The HTTP status: 502 or 504.
        status: u16,
    },
    /// A page for people comes instead of an answer.
    Page,
    /// It is carried out; the answer is empty.
    Empty,
    /// It is carried out; the answer has only its first half.
    Half,
    /// It is carried out; a field of the answer is another one.
    Field {
        /// Which field, counted through the whole answer and around.
        nth: usize,
        /// How the field changes.
        becomes: Becomes,
    },
    /// It is carried out after some seconds.
    Slow {
        /// How many seconds.
        seconds: u64,
    },
    /// It is carried out at once, and answered after some seconds.
    SlowAnswer {
        /// How many seconds.
        seconds: u64,
    },
    /// A read shows what was true before the last write.
    Behind,
    /// For some seconds, every read of a key, its access and its users shows what was true before the last write.
    BehindFor {
        /// How many seconds.
        seconds: u64,
    },
    /// Every token that was handed out until then has ended.
    TokensEnd,
    /// Databricks accepts a change of a workspace, and silently undoes it.
    Reverts {
        /// How many seconds after its end; 0: the change never shows permanently.
        seconds: u64,
    },
}

/// What becomes of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub enum Becomes {
    /// It is not there.
    Gone,
    /// The answer has `null` there.
    Null,
    /// It is of another type.
    Another,
    /// The answer has a word there that no client knows.
    Word,
}

impl Becomes {
    /// Changes the `nth` field of an answer.
    pub fn of(self, answer: &mut Json, nth: usize) {
        let all = count(answer);
        if all > 0 {
            let mut left = nth % all;
            self.change(answer, &mut left);
        }
    }

    /// Whether it was done.
    fn change(self, json: &mut Json, left: &mut usize) -> bool {
        match json {
            Json::Object(fields) => {
                let names: Vec<String> = fields.keys().cloned().collect();
                for name in names {
                    if *left == 0 {
                        match self {
                            Self::Gone => drop(fields.remove(&name)),
                            Self::Null => drop(fields.insert(name, Json::Null)),
                            Self::Another => drop(fields.insert(name, Json::from(vec![7]))),
                            Self::Word => drop(fields.insert(name, Json::from("SOMETHING_NEW"))),
                        }
                        return true;
                    }
                    *left -= 1;
                    if fields
                        .get_mut(&name)
                        .is_some_and(|one| self.change(one, left))
                    {
                        return true;
                    }
                }
                false
            }
            Json::Array(all) => all.iter_mut().any(|one| self.change(one, left)),
            _ => false,
        }
    }
}

fn count(json: &Json) -> usize {
    match json {
        Json::Object(fields) => fields.values().map(|one| 1 + count(one)).sum(),
        Json::Array(all) => all.iter().map(count).sum(),
        _ => 0,
    }
}

/// What ends a command before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub enum End {
    /// Its process is killed at a request.
    Killed {
        /// At which request of the command, from 1.
        at: u64,
        /// Whether the service has carried that one out.
        after: bool,
    },
    /// The user interrupts it at a request.
    Interrupted {
        /// At which request of the command, from 1.
        at: u64,
    },
}

impl End {
    /// At which request of the command, from 1.
    pub fn at(self) -> u64 {
        match self {
            Self::Killed { at, .. } | Self::Interrupted { at } => at,
        }
    }
}

/// A `dbxcmk_key_policy`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct PolicyBlock {
    /// The label of the block in HCL.
    pub name: String,
    /// The key, by its index in the history.
    pub key: usize,
    /// On Azure, for which workspace.
    pub workspace: usize,
    /// For what: all, or some.
    #[serde(deserialize_with = "cases")]
    pub cases: BTreeSet<&'static str>,
    /// Whether the cross-account role is named.
    pub role: bool,
    /// `force_destroy`.
    pub force: bool,
}

/// A `dbxcmk_key_configuration`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct ConfigurationBlock {
    /// The label of the block in HCL.
    pub name: String,
    /// The key, by its index in the history.
    pub key: usize,
    /// The use cases of the block.
    #[serde(deserialize_with = "cases")]
    pub cases: BTreeSet<&'static str>,
    /// `reuse_key_for_cluster_volumes`.
    pub volumes: bool,
    /// How the key is named.
    pub by: By,
}

/// How a block names its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub enum By {
    /// By the key policy, so that Terraform does that first.
    Policy,
    /// By its full name, as text.
    Arn,
    /// By something that is known only after apply.
    Later,
}

/// A `dbxcmk_workspace_binding`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct BindingBlock {
    /// The label of the block in HCL.
    pub name: String,
    /// The workspace, by its index in the history.
    pub workspace: usize,
    /// The configuration block for each use case.
    #[serde(deserialize_with = "by_case")]
    pub keys: BTreeMap<&'static str, String>,
    /// `settle_time`.
    pub settle: Option<String>,
    /// Whether it waits for every key policy by `depends_on`.
    pub waits: bool,
}

/// What the user has written.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub struct Written {
    /// The key policies.
    pub policies: Vec<PolicyBlock>,
    /// The key configurations.
    pub configurations: Vec<ConfigurationBlock>,
    /// The workspace bindings.
    pub bindings: Vec<BindingBlock>,
}

/// What another person or program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub enum Other {
    /// Disables a key.
    Disables(usize),
    /// Enables a key that is disabled.
    Enables(usize),
    /// Takes from a key all access that was not there before anybody came.
    ResetsAccess(usize),
    /// Gives access of their own to it.
    AddsAccess(usize),
    /// Tags a key.
    Tags(usize),
    /// Makes a new version of a key, where keys have versions.
    Rotates(usize),
    /// Starts compute in a workspace.
    StartsCompute(usize),
    /// Stops the compute in a workspace.
    StopsCompute(usize),
    /// Gives a workspace this key for its managed services, past the provider.
    Attaches {
        /// The workspace, by its index in the history.
        workspace: usize,
        /// The key, by its index in the history.
        key: usize,
    },
    /// Has a key deleted, as far as its service does that at once: it is scheduled, or can be recovered.
    Deletes(usize),
    /// Takes that back; the key is then as its service leaves it.
    Recovers(usize),
}

impl Other {
    /// Which key it is about.
    pub fn key(self) -> Option<usize> {
        match self {
            Self::Disables(key)
            | Self::Enables(key)
            | Self::ResetsAccess(key)
            | Self::AddsAccess(key)
            | Self::Tags(key)
            | Self::Rotates(key)
            | Self::Deletes(key)
            | Self::Recovers(key) => Some(key),
            Self::StartsCompute(_) | Self::StopsCompute(_) | Self::Attaches { .. } => None,
        }
    }
}

/// How the disk of the user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub enum Disk {
    /// As usual.
    Works,
    /// No space is left.
    IsFull,
    /// Nothing may be changed.
    IsReadOnly,
}

/// The use cases that there are.
const CASES: [&str; 3] = ["MANAGED_SERVICES", "STORAGE", "MANAGED_DISKS"];

fn case<E: serde::de::Error>(name: &str) -> Result<&'static str, E> {
    let known = CASES.into_iter().find(|one| *one == name);
    known.ok_or_else(|| E::custom(format!("`{name}` is not a use case")))
}

fn cases<'de, D: serde::Deserializer<'de>>(from: D) -> Result<BTreeSet<&'static str>, D::Error> {
    let names: Vec<String> = serde::Deserialize::deserialize(from)?;
    names.iter().map(|name| case(name)).collect()
}

fn by_case<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<&'static str, String>, D::Error> {
    let all: BTreeMap<String, String> = serde::Deserialize::deserialize(from)?;
    let all = all.into_iter();
    all.map(|(name, one)| Ok((case(&name)?, one))).collect()
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
pub enum Event {
    /// The user writes another configuration.
    Writes(Written),
    /// `terraform plan`.
    Plans,
    /// `terraform apply`.
    Applies {
        /// What ends it before its time.
        end: Option<End>,
        /// How long lies between the plan and the apply, in seconds.
        pause: u64,
        /// `-target`: an address.
        #[serde(default)]
        target: Option<String>,
        /// `-replace`: an address.
        #[serde(default)]
        replace: Option<String>,
    },
    /// Two people apply at the same time, each with a state of their own; this is what the second one has written.
    Together(Written),
    /// `terraform destroy`.
    Destroys,
    /// `terraform state rm` and `terraform import` of what is at this address.
    Imports(String),
    /// The clock of the user jumps, in seconds.
    Jumps(i64),
    /// The action `dbxcmk_disable_key`.
    DisablesKey {
        /// The key, by its index in the history.
        key: usize,
        /// Whether it names the workspaces that stop.
        acknowledges: bool,
    },
    /// The action `dbxcmk_restore_key`.
    RestoresKey(usize),
    /// Another person or program does this.
    Other(Other),
    /// Time goes by, in seconds.
    Waits(u64),
    /// The disk of the user fills up, is read-only, or works again.
    Disk(Disk),
}

/// What happens in a simulation, from its first event to its last.
#[derive(Clone, Debug, PartialEq, serde::Deserialize, serde::Serialize)]
pub struct History {
    /// Where it plays.
    pub cloud: Cloud,
    /// What it was drawn from.
    pub seed: u64,
    /// How many keys there are.
    pub keys: usize,
    /// What happens, in this order.
    pub events: Vec<Event>,
    /// What goes wrong at which request, from 1.
    pub mishaps: BTreeMap<u64, Mishap>,
    /// What goes wrong at which request that changes something, from 1: few of the requests do, and most of what can be lost is lost there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub at_changes: BTreeMap<u64, Mishap>,
}

impl History {
    /// Draws a history from a seed: the same seed gives the same history.
    pub fn drawn(cloud: Cloud, seed: u64) -> Self {
        let mut dice = Dice {
            random: fastrand::Rng::with_seed(seed),
            cases: cloud.cases(),
            second: None,
            bound: BTreeSet::new(),
            storage: BTreeMap::new(),
        };
        let keys = dice.up_to(2) + 1;
        let mut events = Vec::new();
        let mut written = dice.written(cloud, keys);
        events.push(Event::Writes(written.clone()));
        for _ in 0..dice.up_to(6) + 1 {
            if dice.once_in(12) {
                events.extend(match dice.once_in(3) {
                    true => dice.takes_away(&written),
                    false => dice.drill(keys),
                });
            } else {
                events.push(dice.event(&mut written, keys));
            }
        }
        let mishaps = dice.mishaps();
        let at_changes = dice.mishaps_at_changes();
        Self {
            cloud,
            seed,
            keys,
            events,
            mishaps,
            at_changes,
        }
    }
}

struct Dice {
    random: fastrand::Rng,
    cases: &'static [&'static str],
    /// What the second person has written, who does not change it.
    second: Option<Written>,
    /// The workspaces that one of the users has bound: a storage key stays, so each workspace is bound by one user.
    bound: BTreeSet<usize>,
    /// The configuration of the storage key with which a workspace was first bound.
    storage: BTreeMap<usize, String>,
}

impl Dice {
    /// A number from 0 to `most`, both included.
    fn up_to(&mut self, most: usize) -> usize {
        self.random.usize(0..=most)
    }

    /// Once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.random.usize(0..times) == 0
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> Option<T> {
        self.random.choice(all).cloned()
    }

    fn some_cases(&mut self) -> BTreeSet<&'static str> {
        let all: BTreeSet<&'static str> = self.cases.iter().copied().collect();
        match self.up_to(5) {
            0 | 1 => self.of(self.cases).into_iter().collect(),
            _ => all,
        }
    }

    /// A configuration that can be applied: each key with a policy and a configuration, and a binding of one or both workspaces.
    fn written(&mut self, cloud: Cloud, keys: usize) -> Written {
        let mut written = Written::default();
        let workspaces = self.up_to(1) + 1;
        for key in 0..keys {
            let own = match cloud {
                Cloud::Azure => workspaces,
                _ => 1,
            };
            for workspace in 0..own {
                written.policies.push(PolicyBlock {
                    name: match workspace {
                        0 => format!("p{key}"),
                        _ => format!("p{key}of{workspace}"),
                    },
                    key,
                    workspace,
                    cases: self.cases.iter().copied().collect(),
                    role: true,
                    force: self.once_in(8),
                });
            }
            let cases = self.some_cases();
            written.configurations.push(ConfigurationBlock {
                name: format!("c{key}"),
                key,
                cases,
                volumes: !self.once_in(4),
                by: match self.up_to(5) {
                    0 => By::Arn,
                    1 => By::Later,
                    _ => By::Policy,
                },
            });
        }
        for workspace in 0..workspaces {
            self.bound.insert(workspace);
            let binding = self.binding(&written, workspace);
            written.bindings.push(binding);
        }
        written
    }

    fn binding(&mut self, written: &Written, workspace: usize) -> BindingBlock {
        let mut keys = BTreeMap::new();
        for case in self.cases {
            if let Some(name) = self.fit_for(written, case) {
                keys.insert(*case, name);
            }
        }
        // A storage key cannot be changed: who binds a workspace again names the one that it may have.
        if let Some(name) = keys.get_mut("STORAGE") {
            let first = self
                .storage
                .entry(workspace)
                .or_insert_with(|| name.clone());
            name.clone_from(first);
        }
        BindingBlock {
            name: format!("w{workspace}"),
            workspace,
            keys,
            settle: self
                .of(&[None, None, Some("0s"), Some("30s"), Some("5m")])
                .flatten()
                .map(str::to_owned),
            waits: self.once_in(2),
        }
    }

    /// A configuration block for a use case.
    fn fit_for(&mut self, written: &Written, case: &str) -> Option<String> {
        let all = written.configurations.iter();
        let fit: Vec<String> = all
            .filter(|one| one.cases.contains(case))
            .map(|one| one.name.clone())
            .collect();
        self.of(&fit)
    }

    fn event(&mut self, written: &mut Written, keys: usize) -> Event {
        let key = self.up_to(keys - 1);
        match self.up_to(27) {
            0..=8 => Event::Applies {
                end: self.end(),
                pause: if self.once_in(6) { 3600 } else { 5 },
                target: self.once_in(8).then(|| self.address(written)).flatten(),
                replace: self.once_in(12).then(|| self.address(written)).flatten(),
            },
            9..=11 => Event::Plans,
            12..=14 => {
                self.change(written, keys);
                Event::Writes(written.clone())
            }
            15 => Event::Destroys,
            16 => Event::DisablesKey {
                key,
                acknowledges: !self.once_in(4),
            },
            17 => Event::RestoresKey(key),
            18..=20 => Event::Other(self.other(key)),
            21 => Event::Waits(self.of(&[30, 600, 3600, 90_000]).unwrap_or(30)),
            22 => Event::Disk(match self.up_to(2) {
                0 => Disk::IsFull,
                1 => Disk::IsReadOnly,
                _ => Disk::Works,
            }),
            23 | 24 => {
                let second = match self.second.take() {
                    Some(second) => second,
                    None => self.written_by_the_second(keys),
                };
                self.second = Some(second.clone());
                Event::Together(second)
            }
            25 | 26 => match self.address(written) {
                Some(address) => Event::Imports(address),
                None => Event::Plans,
            },
            27 => Event::Jumps(self.of(&[-86_400, -600, 600, 86_400]).unwrap_or(600)),
            _ => Event::Plans,
        }
    }

    /// The drill of a kill switch: the user applies, the action or another person takes a key away, and the user restores it.
    fn drill(&mut self, keys: usize) -> Vec<Event> {
        let key = self.up_to(keys - 1);
        let mut events = vec![Event::Applies {
            end: None,
            pause: 5,
            target: None,
            replace: None,
        }];
        events.push(match self.once_in(3) {
            true => Event::Other(Other::Disables(key)),
            false => Event::DisablesKey {
                key,
                acknowledges: !self.once_in(3),
            },
        });
        if self.once_in(3) {
            events.push(Event::Other(self.other(key)));
        }
        events.push(Event::RestoresKey(key));
        events
    }

    /// The user applies, takes something away that may be in use, applies again, and puts it back.
    fn takes_away(&mut self, written: &Written) -> Vec<Event> {
        let applies = || Event::Applies {
            end: None,
            pause: 5,
            target: None,
            replace: None,
        };
        let mut less = written.clone();
        let at = self.up_to(less.policies.len().saturating_sub(1));
        match (self.up_to(3), less.policies.get_mut(at)) {
            (0, Some(policy)) if policy.cases.len() > 1 => drop(policy.cases.pop_first()),
            (1, Some(policy)) if policy.role => policy.role = false,
            (2, Some(_)) => drop(less.policies.remove(at)),
            _ => return vec![applies(), Event::Destroys],
        }
        vec![
            applies(),
            Event::Writes(less),
            applies(),
            Event::Writes(written.clone()),
        ]
    }

    /// The address of something that is written.
    fn address(&mut self, written: &Written) -> Option<String> {
        let policies = written.policies.iter();
        let configurations = written.configurations.iter();
        let bindings = written.bindings.iter();
        let all: Vec<String> = policies
            .map(|one| format!("dbxcmk_key_policy.{}", one.name))
            .chain(configurations.map(|one| format!("dbxcmk_key_configuration.{}", one.name)))
            .chain(bindings.map(|one| format!("dbxcmk_workspace_binding.{}", one.name)))
            .collect();
        self.of(&all)
    }

    /// What the second person has: access to a key for a part of the use cases, perhaps a key configuration of it, and perhaps the workspace that
    /// the first one does not bind.
    fn written_by_the_second(&mut self, keys: usize) -> Written {
        let mut written = Written::default();
        let key = self.up_to(keys - 1);
        let free: Vec<usize> = (0..2).filter(|one| !self.bound.contains(one)).collect();
        let workspace = self.of(&free);
        written.policies.push(PolicyBlock {
            name: format!("second{key}"),
            key,
            workspace: workspace.unwrap_or(1),
            cases: self.cases.iter().copied().collect(),
            role: true,
            force: false,
        });
        if self.once_in(3) {
            return written;
        }
        written.configurations.push(ConfigurationBlock {
            name: format!("second{key}"),
            key,
            cases: self.cases.iter().copied().collect(),
            volumes: true,
            by: By::Policy,
        });
        if let Some(workspace) = workspace {
            self.bound.insert(workspace);
            let binding = self.binding(&written, workspace);
            written.bindings.push(binding);
        }
        written
    }

    fn end(&mut self) -> Option<End> {
        let at = self.random.u64(1..40);
        match self.up_to(7) {
            0 => Some(End::Killed { at, after: false }),
            1 => Some(End::Killed { at, after: true }),
            2 => Some(End::Interrupted { at }),
            _ => None,
        }
    }

    fn other(&mut self, key: usize) -> Other {
        let workspace = self.up_to(1);
        match self.up_to(10) {
            8 => Other::Attaches { workspace, key },
            9 => Other::Deletes(key),
            10 => Other::Recovers(key),
            0 => Other::Disables(key),
            1 => Other::Enables(key),
            2 => Other::ResetsAccess(key),
            3 => Other::AddsAccess(key),
            4 => Other::Tags(key),
            5 => Other::Rotates(key),
            6 => Other::StartsCompute(workspace),
            _ => Other::StopsCompute(workspace),
        }
    }

    /// Another version of what is written.
    fn change(&mut self, written: &mut Written, keys: usize) {
        let policy = self.up_to(written.policies.len().saturating_sub(1));
        let binding = self.up_to(written.bindings.len().saturating_sub(1));
        match self.up_to(7) {
            0 => {
                let of_second = self.second.iter().flat_map(|second| &second.bindings);
                let of_second: BTreeSet<usize> = of_second.map(|one| one.workspace).collect();
                let is_free = |workspace: &usize| {
                    let mut bound = written.bindings.iter();
                    bound.all(|one| one.workspace != *workspace)
                        && !of_second.contains(workspace)
                        && written
                            .policies
                            .iter()
                            .any(|one| one.workspace == *workspace)
                };
                let fresh: Vec<usize> = (0..2).filter(is_free).collect();
                if let Some(workspace) = self.of(&fresh) {
                    self.bound.insert(workspace);
                    let binding = self.binding(written, workspace);
                    written.bindings.push(binding);
                }
            }
            1 => drop(written.bindings.pop()),
            2 => {
                // A rotation of managed services.
                let to = self.fit_for(written, "MANAGED_SERVICES");
                if let (Some(to), Some(binding)) = (to, written.bindings.get_mut(binding)) {
                    binding.keys.insert("MANAGED_SERVICES", to);
                }
            }
            3 => written
                .policies
                .get_mut(policy)
                .into_iter()
                .for_each(|one| one.role = !one.role),
            4 => {
                if let Some(policy) = written.policies.get_mut(policy) {
                    policy.name = match policy.name.strip_suffix("_renamed") {
                        Some(before) => before.to_owned(),
                        None => format!("{}_renamed", policy.name),
                    };
                }
            }
            5 => {
                let settle = self.of(&["0s", "30s", "20m"]).map(str::to_owned);
                written
                    .bindings
                    .get_mut(binding)
                    .into_iter()
                    .for_each(|one| one.settle = settle.clone());
            }
            6 => written
                .policies
                .get_mut(policy)
                .into_iter()
                .for_each(|one| one.force = !one.force),
            _ => {
                // A second policy of a key, which wants a part of the same.
                let key = self.up_to(keys - 1);
                let name = format!("extra{key}");
                match written.policies.iter().position(|one| one.name == name) {
                    Some(at) => drop(written.policies.remove(at)),
                    None => {
                        let cases = self.some_cases();
                        let role = self.once_in(2);
                        written.policies.push(PolicyBlock {
                            name,
                            key,
                            workspace: 0,
                            cases,
                            role,
                            force: false,
                        });
                    }
                }
            }
        }
    }

    fn mishaps(&mut self) -> BTreeMap<u64, Mishap> {
        // Most histories are calm, some have a mishap now and then, and a few are a bad night.
        let one_in = match self.up_to(5) {
            0 | 1 => return BTreeMap::new(),
            2 | 3 => 60,
            4 => 20,
            _ => 8,
        };
        let mut all = BTreeMap::new();
        for number in 1..600 {
            if self.once_in(one_in) {
                all.insert(number, self.mishap());
            }
        }
        all
    }

    fn mishaps_at_changes(&mut self) -> BTreeMap<u64, Mishap> {
        if !self.once_in(3) {
            return BTreeMap::new();
        }
        let struck: Vec<u64> = (1..24).filter(|_| self.once_in(5)).collect();
        struck
            .into_iter()
            .map(|number| (number, self.mishap_at_a_change()))
            .collect()
    }

    /// What becomes of a request that changes something: most often it is carried out, and the answer does not say so, or says something else.
    fn mishap_at_a_change(&mut self) -> Mishap {
        match self.up_to(11) {
            0..=2 => Mishap::LostAnswer,
            3 => Mishap::StatusAfter { status: 502 },
            4..=6 => Mishap::Field {
                nth: self.up_to(60),
                becomes: self
                    .of(&[Becomes::Gone, Becomes::Null, Becomes::Another])
                    .unwrap_or(Becomes::Gone),
            },
            7 | 8 => Mishap::Reverts {
                seconds: self.of(&[0, 3, 100]).unwrap_or(0),
            },
            _ => self.mishap(),
        }
    }

    fn mishap(&mut self) -> Mishap {
        let seconds = self.of(&[2, 20, 45, 90]).unwrap_or(2);
        match self.up_to(17) {
            16 => Mishap::BehindFor {
                seconds: self.of(&[20, 90, 600]).unwrap_or(90),
            },
            17 => Mishap::TokensEnd,
            0 => Mishap::NoConnection,
            1 => Mishap::LostRequest,
            2 | 3 => Mishap::LostAnswer,
            4 => Mishap::Cut,
            5 | 6 => Mishap::Status {
                status: self.of(&[401, 429, 429, 500, 502, 503, 504]).unwrap_or(500),
                retry_after: self.of(&[None, Some(1), Some(30)]).flatten(),
            },
            7 => Mishap::StatusAfter {
                status: self.of(&[502, 504]).unwrap_or(502),
            },
            8 => Mishap::Page,
            9 => Mishap::Empty,
            10 => Mishap::Half,
            11 | 12 => Mishap::Field {
                nth: self.up_to(60),
                becomes: self
                    .of(&[
                        Becomes::Gone,
                        Becomes::Null,
                        Becomes::Another,
                        Becomes::Word,
                    ])
                    .unwrap_or(Becomes::Gone),
            },
            13 => Mishap::Slow { seconds },
            14 => match self.once_in(2) {
                true => Mishap::SlowAnswer { seconds },
                false => Mishap::Behind,
            },
            _ => Mishap::Reverts {
                seconds: self.of(&[0, 3, 100]).unwrap_or(0),
            },
        }
    }
}
