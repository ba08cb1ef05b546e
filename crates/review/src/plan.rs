//! The plan as `terraform show -json` writes it, as far as it matters here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

/// What Terraform writes between the address and the key of a deposed object.
pub const DEPOSED: &str = " (deposed object ";

/// What a report shows instead of a sensitive value.
pub const SENSITIVE: &str = "(sensitive)";

/// Why a text is not a plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Not JSON.
    #[error("the input is not JSON ({0}); give the output of `terraform show -json PLAN`")]
    Json(#[source] serde_json::Error),
    /// A saved plan itself.
    #[error(
        "the input is a saved plan, which only Terraform can read; give the output of `terraform show -json PLAN`"
    )]
    Binary,
    /// The text is JSON that lacks the named field of a plan.
    #[error(
        "the input is JSON, but not a plan: it has no `{0}`. Give the output of `terraform show -json PLAN`"
    )]
    NoPlan(&'static str),
    /// JSON of another form.
    #[error(
        "the input is JSON, but not a plan ({0}). Give the output of `terraform show -json PLAN`"
    )]
    OtherJson(String),
    /// A plan of a form that is not known.
    #[error("the plan has the format version {0}; this version of the provider knows 1")]
    Version(String),
}

impl From<serde_json::Error> for PlanError {
    fn from(error: serde_json::Error) -> Self {
        match error.classify() {
            serde_json::error::Category::Data => Self::OtherJson(error.to_string()),
            _ => Self::Json(error),
        }
    }
}

/// What happens to a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Terraform changes nothing.
    NoOp,
    /// Data is read.
    Read,
    /// Terraform creates it.
    Create,
    /// It is changed in place.
    Update,
    /// Terraform destroys it and creates it again.
    Replace,
    /// Terraform destroys it.
    Delete,
    /// Terraform forgets it, and leaves it.
    Forget,
    /// Actions that this version does not know, as they came.
    Other(String),
}

impl Action {
    fn of(actions: &[String]) -> Self {
        let words: Vec<&str> = actions.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["no-op"] | [] => Self::NoOp,
            ["create"] => Self::Create,
            ["read"] => Self::Read,
            ["update"] => Self::Update,
            ["delete"] => Self::Delete,
            ["forget"] => Self::Forget,
            ["delete", "create"]
            | ["create", "delete"]
            | ["create", "forget"]
            | ["forget", "create"] => Self::Replace,
            _ => Self::Other(format!("[{}]", words.join(", "))),
        }
    }

    /// Whether the object stays what it is.
    pub fn is_quiet(&self) -> bool {
        matches!(self, Self::NoOp | Self::Read)
    }

    /// Whether the resource is no longer managed afterwards.
    pub fn removes(&self) -> bool {
        matches!(self, Self::Delete | Self::Forget)
    }

    /// A word for it.
    pub fn in_words(&self) -> &'static str {
        match self {
            Self::Other(_) => "unknown",
            Self::NoOp => "no change",
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Forget => "forget",
        }
    }

    /// What becomes of an object that it [`destroys`](Self::destroys).
    pub fn in_passive(&self) -> &'static str {
        if *self == Self::Replace {
            "replaced"
        } else {
            "deleted"
        }
    }

    /// Whether the object that was there is gone afterwards.
    pub fn destroys(&self) -> bool {
        matches!(self, Self::Delete | Self::Replace)
    }
}

#[derive(Deserialize)]
struct Raw {
    format_version: Option<String>,
    resource_changes: Option<Vec<RawResource>>,
    configuration: Option<Json>,
    planned_values: Option<Json>,
    #[serde(default)]
    variables: Json,
    #[serde(default)]
    errored: bool,
    #[serde(default)]
    checks: Vec<PlanCheck>,
    #[serde(default)]
    action_invocations: Vec<Invocation>,
}

/// An action that the plan invokes (Terraform 1.14).
#[derive(Clone, Debug, Deserialize)]
pub struct Invocation {
    /// `action.dbxcmk_disable_key.now`
    pub address: String,
    /// `dbxcmk_disable_key`
    #[serde(rename = "type")]
    pub kind: String,
    /// Its configuration, as far as it is known.
    #[serde(default)]
    config_values: Json,
}

impl Invocation {
    /// A value of its configuration, by its path.
    pub fn value(&self, pointer: &str) -> Option<&Json> {
        self.config_values
            .pointer(pointer)
            .filter(|value| !value.is_null())
    }
}

#[derive(Deserialize)]
struct RawResource {
    address: String,
    #[serde(default)]
    module_address: String,
    #[serde(default)]
    mode: String,
    #[serde(rename = "type")]
    kind: String,
    deposed: Option<String>,
    change: RawChange,
}

#[derive(Deserialize)]
struct RawChange {
    #[serde(default)]
    actions: Vec<String>,
    #[serde(default)]
    before: Json,
    #[serde(default)]
    after: Json,
    #[serde(default)]
    after_unknown: Json,
    #[serde(default)]
    before_sensitive: Json,
    #[serde(default)]
    after_sensitive: Json,
}

/// A check block or condition, and how it came out.
#[derive(Clone, Debug, Deserialize)]
pub struct PlanCheck {
    /// Where it stands.
    pub address: CheckAddress,
    /// `pass`, `fail`, `error`, `unknown`.
    #[serde(default)]
    pub status: String,
    #[serde(default)]
    instances: Vec<CheckInstance>,
}

/// Where a check stands.
#[derive(Clone, Debug, Deserialize)]
pub struct CheckAddress {
    /// `check.key`.
    #[serde(default)]
    pub to_display: String,
}

#[derive(Clone, Debug, Deserialize)]
struct CheckInstance {
    #[serde(default)]
    problems: Vec<CheckProblem>,
}

#[derive(Clone, Debug, Deserialize)]
struct CheckProblem {
    #[serde(default)]
    message: String,
}

impl PlanCheck {
    /// What it says that is wrong.
    pub fn problems(&self) -> Vec<&str> {
        self.instances
            .iter()
            .flat_map(|instance| &instance.problems)
            .map(|problem| problem.message.as_str())
            .collect()
    }
}

/// One resource of the plan.
#[derive(Clone, Debug)]
pub struct ResourceChange {
    /// `module.keys["eu"].aws_kms_key.lakehouse[0]`
    pub address: String,
    /// `module.keys["eu"]`; empty in the root module.
    pub module: String,
    /// `aws_kms_key`
    pub kind: String,
    /// What happens to it.
    pub action: Action,
    before: Json,
    after: Json,
    unknown: Json,
}

/// A plan of Terraform, as `terraform show -json` prints it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whether planning failed half-way, so that something is missing.
    pub errored: bool,
    /// Every managed resource, those that do not change included.
    pub changes: Vec<ResourceChange>,
    /// The `check` blocks that fail in this plan.
    pub failed_checks: Vec<PlanCheck>,
    /// The actions that it invokes.
    pub invocations: Vec<Invocation>,
    /// The configuration, for references.
    pub configuration: Json,
    /// The values of the root module's variables.
    variables: Json,
}

impl Plan {
    /// Reads the JSON of a plan.
    ///
    /// # Errors
    /// When the text is none.
    pub fn read(text: &str) -> Result<Self, PlanError> {
        // A saved plan is a ZIP archive, and what `terraform plan` prints is for people.
        if text.starts_with("PK\u{3}\u{4}") {
            return Err(PlanError::Binary);
        }
        // A list would be read as the fields of a plan, in their order.
        if text.trim_start().starts_with('[') {
            serde_json::from_str::<serde::de::IgnoredAny>(text)?;
            return Err(PlanError::OtherJson("it is a list".to_owned()));
        }
        let raw: Raw = serde_json::from_str(text)?;
        let version = raw
            .format_version
            .ok_or(PlanError::NoPlan("format_version"))?;
        if !version.starts_with("1.") {
            return Err(PlanError::Version(version));
        }
        // A state has a format version as well; a plan without a single resource has planned values at least.
        if raw.resource_changes.is_none() && raw.planned_values.is_none() {
            return Err(PlanError::NoPlan("resource_changes"));
        }
        let managed = raw
            .resource_changes
            .unwrap_or_default()
            .into_iter()
            .filter(|one| one.mode != "data");
        let mut changes: Vec<ResourceChange> = managed.map(ResourceChange::from).collect();
        changes.sort_by(|left, right| left.address.cmp(&right.address));
        let failed_checks = raw
            .checks
            .into_iter()
            .filter(|check| matches!(check.status.as_str(), "fail" | "error"))
            .collect();
        Ok(Self {
            errored: raw.errored,
            changes,
            failed_checks,
            invocations: raw.action_invocations,
            configuration: raw.configuration.unwrap_or_default(),
            variables: raw.variables,
        })
    }

    /// The module of the configuration at a path such as `module.a.module.b`.
    pub fn module(&self, path: &str) -> Option<&Json> {
        let mut module = self.configuration.get("root_module")?;
        for name in path
            .split('.')
            .filter(|step| *step != "module" && !step.is_empty())
        {
            module = module.get("module_calls")?.get(name)?.get("module")?;
        }
        Some(module)
    }

    /// The call of the module at a path, and the path of the module that calls.
    pub fn module_call(&self, path: &str) -> Option<(&Json, String)> {
        let (parent, name) = path.rsplit_once("module.")?;
        let parent = parent.trim_end_matches('.').to_owned();
        Some((
            self.module(&parent)?.get("module_calls")?.get(name)?,
            parent,
        ))
    }

    /// The value of a variable of the root module.
    pub fn variable(&self, name: &str) -> Option<&Json> {
        self.variables.get(name)?.get("value")
    }

    /// The directories of the modules that are part of the configuration, by the path of the module (empty for the root), relative
    /// to the root. Modules from elsewhere are not among them.
    pub fn local_modules(&self) -> BTreeMap<String, String> {
        let mut modules = BTreeMap::from([(String::new(), ".".to_owned())]);
        if let Some(root) = self.configuration.get("root_module") {
            add_modules(root, "", ".", &mut modules, 0);
        }
        modules
    }

    /// The resources of a type.
    pub fn of(&self, kind: &str) -> impl Iterator<Item = &ResourceChange> {
        self.changes
            .iter()
            .filter(move |change| change.kind == kind)
    }
}

/// How deep modules are followed.
const DEEPEST: u32 = 16;

fn add_modules(
    module: &Json,
    path: &str,
    directory: &str,
    modules: &mut BTreeMap<String, String>,
    depth: u32,
) {
    let calls = module
        .get("module_calls")
        .and_then(Json::as_object)
        .filter(|_| depth < DEEPEST);
    for (name, call) in calls.into_iter().flatten() {
        let source = call
            .get("source")
            .and_then(Json::as_str)
            .filter(|source| source.starts_with(['.']));
        let (Some(source), Some(inner)) = (source, call.get("module")) else {
            continue;
        };
        let path = if path.is_empty() {
            format!("module.{name}")
        } else {
            format!("{path}.module.{name}")
        };
        let directory = format!("{directory}/{source}");
        add_modules(inner, &path, &directory, modules, depth + 1);
        modules.insert(path, directory);
    }
}

impl From<RawResource> for ResourceChange {
    fn from(raw: RawResource) -> Self {
        let change = raw.change;
        // What `create_before_destroy` leaves over has the address of the object that took its place.
        let address = match raw.deposed {
            Some(key) => format!("{}{DEPOSED}{key})", raw.address),
            None => raw.address,
        };
        Self {
            address,
            module: raw.module_address,
            kind: raw.kind,
            action: Action::of(&change.actions),
            before: masked(change.before, &change.before_sensitive),
            after: masked(change.after, &change.after_sensitive),
            unknown: change.after_unknown,
        }
    }
}

/// A copy of a value in which [`SENSITIVE`] replaces each sensitive part: the value itself cannot
/// reach a report.
fn masked(value: Json, sensitive: &Json) -> Json {
    match (value, sensitive) {
        (Json::Null, _) => Json::Null,
        (_, Json::Bool(true)) => Json::from(SENSITIVE),
        (Json::Object(fields), Json::Object(marks)) => {
            let hidden =
                |name: &String, value| masked(value, marks.get(name).unwrap_or(&Json::Null));
            Json::Object(
                fields
                    .into_iter()
                    .map(|(name, value)| (name.clone(), hidden(&name, value)))
                    .collect(),
            )
        }
        (Json::Array(elements), Json::Array(marks)) => {
            let marks = marks.iter().chain(std::iter::repeat(&Json::Null));
            Json::Array(
                elements
                    .into_iter()
                    .zip(marks)
                    .map(|(value, mark)| masked(value, mark))
                    .collect(),
            )
        }
        (value, _) => value,
    }
}

fn child<'a>(value: &'a Json, step: &str) -> &'a Json {
    match value {
        Json::Array(elements) => step
            .parse()
            .ok()
            .and_then(|index: usize| elements.get(index))
            .unwrap_or(&Json::Null),
        value => value.get(step).unwrap_or(&Json::Null),
    }
}

/// The value at a path (`aws.key_arn`); null where there is none.
pub fn at<'a>(value: &'a Json, path: &str) -> &'a Json {
    path.split('.').fold(value, child)
}

fn text(value: &Json) -> Option<String> {
    match value {
        Json::String(text) if !text.is_empty() => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

fn texts(value: &Json) -> Vec<String> {
    let mut all: Vec<String> = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(text)
        .collect();
    all.sort();
    all
}

impl ResourceChange {
    /// The whole state before; null when there is none.
    pub fn state_before(&self) -> &Json {
        &self.before
    }

    /// The whole state after, as far as it is known; null when there is none.
    pub fn state_after(&self) -> &Json {
        &self.after
    }

    /// Whether there is an object before the plan is applied.
    pub fn exists(&self) -> bool {
        !self.before.is_null()
    }

    /// An attribute as it was, by its path (`aws.key_arn`).
    pub fn before(&self, path: &str) -> Option<String> {
        text(at(&self.before, path))
    }

    /// An attribute as it will be; `None` when it has no value, or none that is known.
    pub fn after(&self, path: &str) -> Option<String> {
        if self.is_unknown(path) {
            None
        } else {
            text(at(&self.after, path))
        }
    }

    /// An attribute as it will be, else as it was.
    pub fn latest(&self, path: &str) -> Option<String> {
        self.after(path).or_else(|| self.before(path))
    }

    /// A list or set of texts as it will be, else as it was.
    pub fn latest_all(&self, path: &str) -> Vec<String> {
        let after = texts(at(&self.after, path));
        if after.is_empty() {
            texts(at(&self.before, path))
        } else {
            after
        }
    }

    /// Whether an attribute will be known only after apply.
    pub fn is_unknown(&self, path: &str) -> bool {
        // What is unknown as a whole is so in each of its parts.
        let is_whole = |value: &Json| value == &Json::Bool(true);
        let end = path.split('.').fold(&self.unknown, |value, step| {
            if is_whole(value) {
                value
            } else {
                child(value, step)
            }
        });
        is_whole(end)
    }

    /// Whether an attribute changes, or may.
    pub fn changes(&self, path: &str) -> bool {
        self.is_unknown(path) || at(&self.before, path) != at(&self.after, path)
    }

    /// The address without `[…]`, as the configuration has it.
    pub fn configured(&self) -> String {
        without_indexes(&self.address)
    }
}

/// `module.keys["eu"].aws_kms_key.x[0]` → `module.keys.aws_kms_key.x`; what stands behind an address is cut off.
pub fn without_indexes(address: &str) -> String {
    let (mut plain, mut depth, mut quoted, mut escaped) = (String::new(), 0_u32, false, false);
    for c in address.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if depth > 0 => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            ' ' if depth == 0 => break,
            c if depth == 0 => plain.push(c),
            _ => {}
        }
    }
    plain
}

/// Resources by the address that the configuration has for them.
pub fn by_configured(changes: &[ResourceChange]) -> BTreeMap<String, Vec<&ResourceChange>> {
    let mut all: BTreeMap<String, Vec<&ResourceChange>> = BTreeMap::new();
    for change in changes {
        all.entry(change.configured()).or_default().push(change);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn indexes_are_taken_away_also_odd_ones() {
        let rows = [
            ("aws_kms_key.x", "aws_kms_key.x"),
            ("aws_kms_key.x[0]", "aws_kms_key.x"),
            (
                "module.a[\"b\"].module.c.aws_kms_key.x[\"y.z[1]\"]",
                "module.a.module.c.aws_kms_key.x",
            ),
            ("aws_kms_key.x[\"a\\\"]\"]", "aws_kms_key.x"),
            (
                "aws_kms_key.x[\"a b\"] (deposed object 0123abcd)",
                "aws_kms_key.x",
            ),
        ];
        for (address, plain) in rows {
            assert_eq!(without_indexes(address), plain);
        }
    }

    #[test]
    fn sensitive_values_are_gone_as_soon_as_they_are_read() {
        let value = json!({"a": "x", "b": {"c": "y", "d": ["z", "w"]}, "e": null});
        let marks = json!({"b": {"c": true, "d": [false, true]}, "e": true});
        assert_eq!(
            masked(value, &marks),
            json!({"a": "x", "b": {"c": "(sensitive)", "d": ["z", "(sensitive)"]}, "e": null})
        );
    }

    #[test]
    fn what_is_no_plan_is_told() {
        for (text, words) in [
            ("{nope", "not JSON"),
            ("[1]", "JSON, but not a plan (it is a list)"),
            ("[1", "not JSON"),
            ("7", "JSON, but not a plan"),
            (r#"{"resource_changes": 7}"#, "JSON, but not a plan"),
            ("{}", "no `format_version`"),
            (
                r#"{"format_version":"1.0","values":{}}"#,
                "no `resource_changes`",
            ),
            (
                r#"{"format_version":"2.0","resource_changes":[]}"#,
                "knows 1",
            ),
        ] {
            let error = Plan::read(text).expect_err(text).to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
