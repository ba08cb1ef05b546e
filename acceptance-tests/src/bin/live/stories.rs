//! The stories, as data: what each does, step by step, and which open questions it answers.

/// A key of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// Databricks cannot use it: it has no access, and on Google Cloud the purpose is another one.
    Broken,
    /// The workspace gets it first.
    First,
    /// The workspace gets it instead of the first one.
    Second,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Broken, Self::First, Self::Second];

    /// Its name in configurations.
    pub fn word(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::First => "first",
            Self::Second => "second",
        }
    }
}

/// What a configuration has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// The keys that have a key configuration.
    pub registered: &'static [Name],
    /// The key of the workspace for managed services.
    pub managed_services: Option<Name>,
    /// The key of the workspace for its storage.
    pub storage: Option<Name>,
}

/// One step of a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The keys are made.
    MakeKeys,
    /// The apply of this configuration succeeds.
    Apply(Scene),
    /// A plan of the configuration as it is has nothing to do.
    NothingToDo,
    /// The plan of this configuration is refused.
    RefusedPlan(Scene),
    /// The destroy of the key configuration of a key is refused.
    RefusedDestroy(Name),
    /// A subcommand of the provider, with the exit codes that are right.
    Command(&'static [&'static str], &'static [i32]),
    /// `dbxcmk key …` about a key.
    Key(&'static str, Name),
    /// The key configurations and keys that the workspace does not have are removed.
    RemoveUnused(&'static [Name]),
}

impl Step {
    /// What it does, for the person who waits for it.
    pub fn says(&self) -> String {
        match self {
            Self::MakeKeys => "makes the keys".to_owned(),
            Self::Apply(_) => "terraform apply".to_owned(),
            Self::NothingToDo => "terraform plan, which must have nothing to do".to_owned(),
            Self::RefusedPlan(_) => "terraform plan, which must be refused".to_owned(),
            Self::RefusedDestroy(name) => {
                let name = name.word();
                format!(
                    "terraform destroy of the configuration of the {name} key, which must be refused"
                )
            }
            Self::Command(arguments, _) => format!("dbxcmk {}", arguments.join(" ")),
            Self::Key(operation, name) => {
                format!("dbxcmk key {operation}, of the {} key", name.word())
            }
            Self::RemoveUnused(_) => "removes the key that the workspace does not have".to_owned(),
        }
    }
}

/// A story.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    /// Its name, which the page of open questions has.
    pub name: &'static str,
    /// What it does, for the person who starts it.
    pub does: &'static str,
    /// Whether it changes something.
    pub changes: bool,
    /// Its steps. A step that was interrupted is done again.
    pub steps: &'static [Step],
}

const REGISTERED: Scene = Scene {
    registered: &[Name::First],
    managed_services: None,
    storage: None,
};
const ATTACHED: Scene = Scene {
    managed_services: Some(Name::First),
    ..REGISTERED
};
const STORED: Scene = Scene {
    storage: Some(Name::First),
    ..ATTACHED
};
const ROTATED: Scene = Scene {
    registered: &[Name::First, Name::Second],
    managed_services: Some(Name::Second),
    ..STORED
};
const EMPTY: Scene = Scene {
    registered: &[],
    managed_services: None,
    storage: None,
};

/// All stories, in their order.
pub const STORIES: &[Story] = &[
    Story {
        name: "audit",
        does: "reads the account: who calls, which rights are there, which keys there are",
        changes: false,
        steps: &[
            Step::Command(&["doctor"], &[0, 1, 3]),
            Step::Command(&["audit"], &[0, 1, 3]),
        ],
    },
    Story {
        name: "refuse",
        does: "makes three keys, and plans the attach of one that Databricks cannot use: the plan is refused",
        changes: true,
        steps: &[
            Step::MakeKeys,
            Step::Apply(EMPTY),
            Step::RefusedPlan(Scene {
                registered: &[Name::Broken],
                managed_services: Some(Name::Broken),
                storage: None,
            }),
        ],
    },
    Story {
        name: "register",
        does: "gives Databricks access to a key, and creates a key configuration",
        changes: true,
        steps: &[Step::Apply(REGISTERED), Step::NothingToDo],
    },
    Story {
        name: "attach",
        does: "attaches the key to the workspace for managed services, then for storage, which nobody can take back",
        changes: true,
        steps: &[
            Step::Apply(ATTACHED),
            Step::NothingToDo,
            Step::Apply(STORED),
            Step::NothingToDo,
        ],
    },
    Story {
        name: "rotate",
        does: "replaces the key for managed services by another one",
        changes: true,
        steps: &[Step::Apply(ROTATED), Step::NothingToDo],
    },
    Story {
        name: "revoke",
        does: "disables the key for managed services, so that the workspace stops, and restores it",
        changes: true,
        steps: &[
            Step::Key("status", Name::Second),
            Step::Key("disable", Name::Second),
            Step::Key("status", Name::Second),
            Step::Key("restore", Name::Second),
            Step::NothingToDo,
        ],
    },
    Story {
        name: "remove",
        does: "tries to delete a key configuration that the workspace has: it is refused. Then removes the key that the workspace does not have",
        changes: true,
        steps: &[
            Step::RefusedDestroy(Name::Second),
            Step::RemoveUnused(&[Name::Broken]),
        ],
    },
];
