//! How the provider is configured, as far as the plan shows it: a plan has the expressions of each provider block, and the values of the
//! root module's variables. A local, a function and a part of an object that refers to something are not shown.

use serde_json::Value as Json;

use super::plan::Plan;

/// The names in the `aws` block of the provider; a test of `lint` compares them with the schema.
pub const AWS_SETTINGS: &[&str] = &[
    "region",
    "profile",
    "access_key",
    "secret_key",
    "token",
    "ca_bundle",
    "assume_role",
    "examine_iam",
    "simulate",
    "endpoints",
];

/// How deep variables are followed through modules.
const DEEPEST: u32 = 16;

/// What an expression comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Written {
    /// This value.
    Known(Json),
    /// Something that the plan does not show: what it refers to, and the values among that which it does show.
    NotShown(Vec<(String, Option<Json>)>),
}

impl Written {
    /// What it refers to, in words.
    pub(super) fn references(&self) -> String {
        let names: Vec<String> = match self {
            Self::Known(_) => Vec::new(),
            Self::NotShown(references) => references
                .iter()
                .map(|(name, _)| format!("`{name}`"))
                .collect(),
        };
        match names.is_empty() {
            true => "an expression that the plan does not show".to_owned(),
            false => names.join(", "),
        }
    }

    /// The value of the one thing that it refers to. An expression with that thing looks the same: what does not fit is not it.
    fn only(&self) -> Option<(&str, &Json)> {
        match self {
            Self::NotShown(references) => match references.as_slice() {
                [(name, Some(value))] => Some((name, value)),
                _ => None,
            },
            Self::Known(_) => None,
        }
    }

    /// The values among what it refers to.
    fn values(&self) -> impl Iterator<Item = (&str, &Json)> {
        let references = match self {
            Self::Known(_) => &[],
            Self::NotShown(references) => references.as_slice(),
        };
        references
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value.as_ref()?)))
    }
}

/// Whether something is set, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// The setting is off.
    No,
    /// It is, as written here.
    Yes(String),
    /// The plan does not show it: what it refers to.
    NotShown(String),
}

/// A provider block of ours.
#[derive(Clone, Debug)]
pub(super) struct ProviderBlock<'a> {
    /// `provider.dbxcmk`, `module.keys.provider.dbxcmk.eu`
    pub(super) address: String,
    path: String,
    expressions: &'a Json,
}

/// The blocks of this provider in the configuration of a plan.
pub(super) fn provider_blocks(plan: &Plan) -> Vec<ProviderBlock<'_>> {
    let all = plan.configuration.get("provider_config");
    let all = all.and_then(Json::as_object).into_iter().flatten();
    all.filter_map(|(_, block)| {
        let text = |name: &str| block.get(name).and_then(Json::as_str);
        // The local name is the author's choice; a mirror can have another host and namespace.
        let source = text("full_name").or_else(|| text("name"))?;
        let last = source.rsplit('/').next().filter(|last| *last == "dbxcmk")?;
        let name = text("name").unwrap_or(last);
        let path = text("module_address").unwrap_or_default();
        let module = match path {
            "" => String::new(),
            path => format!("{path}."),
        };
        let alias = text("alias").map(|alias| format!(".{alias}"));
        Some(ProviderBlock {
            address: format!("{module}provider.{name}{}", alias.unwrap_or_default()),
            path: super::plan::without_indexes(path),
            expressions: block.get("expressions").unwrap_or(&Json::Null),
        })
    })
    .collect()
}

impl ProviderBlock<'_> {
    fn written(&self, plan: &Plan, attribute: &str) -> Option<Written> {
        let expression = self.expressions.get(attribute)?;
        Some(value_of(plan, expression, &self.path, 0))
    }

    /// Whether findings do not stop an apply.
    pub(super) fn only_warns(&self, plan: &Plan) -> Setting {
        let other = match self.written(plan, "preflight") {
            None | Some(Written::Known(Json::Null)) => return Setting::No,
            Some(Written::Known(value)) if value == "enforce" => return Setting::No,
            Some(Written::Known(value)) if value == "warn" => {
                return Setting::Yes("`preflight = \"warn\"`".to_owned());
            }
            Some(Written::Known(value)) => return Setting::NotShown(format!("`{value}`")),
            Some(other) => other,
        };
        if let Some((name, _)) = other.values().find(|(_, value)| *value == "warn") {
            return Setting::Yes(format!("`preflight` refers to `{name}`, which is \"warn\""));
        }
        match other.only() {
            // `coalesce(var.preflight, "warn")` looks like a reference to a variable that is null.
            Some((_, value)) if value == "enforce" => Setting::No,
            _ => Setting::NotShown(other.references()),
        }
    }

    /// The findings that it ignores, and whether the plan shows all of them.
    pub(super) fn ignored(&self, plan: &Plan) -> (Vec<String>, Setting) {
        let is_list = |value: &Json| {
            value
                .as_array()
                .is_some_and(|all| all.iter().all(Json::is_string))
        };
        match self.written(plan, "ignore_findings") {
            None | Some(Written::Known(Json::Null)) => (Vec::new(), Setting::No),
            Some(Written::Known(value)) if is_list(&value) => (texts(&value), Setting::No),
            Some(Written::Known(value)) => {
                let rest = Setting::NotShown(format!("`{value}`"));
                (texts(&value), rest)
            }
            Some(other) => {
                let found = other.values().flat_map(|(_, value)| texts(value)).collect();
                // `concat(var.ids, ["x"])` looks like a reference to the list of the variable.
                let is_default = |value: &Json| value.as_array().is_some_and(Vec::is_empty);
                let is_all = other.only().is_some_and(|(_, value)| is_default(value));
                let rest = match is_all {
                    true => Setting::No,
                    false => Setting::NotShown(other.references()),
                };
                (found, rest)
            }
        }
    }

    /// Whether IAM roles are not examined on AWS.
    pub(super) fn leaves_roles_out(&self, plan: &Plan) -> Setting {
        let is_false = |value: &Json| value == &Json::Bool(false) || value == "false";
        let is_off = |value: &Json| value.get("examine_iam").is_some_and(is_false);
        let other = match self.written(plan, "aws") {
            None | Some(Written::Known(Json::Null)) => return Setting::No,
            Some(Written::Known(value)) if is_off(&value) => {
                return Setting::Yes("`aws.examine_iam = false`".to_owned());
            }
            Some(Written::Known(_)) => return Setting::No,
            Some(other) => other,
        };
        // Of an object that refers to something, a plan shows the references alone: which is which, a name can tell.
        let turns_off = |(name, value): &(&str, &Json)| {
            is_off(value) || (name.contains("iam") && is_false(value))
        };
        if let Some((name, _)) = other.values().find(turns_off) {
            return Setting::Yes(format!(
                "`aws` refers to `{name}`, which turns off `examine_iam`"
            ));
        }
        let is_whole = |value: &Json| {
            let is_own = |(name, _): (&String, &Json)| AWS_SETTINGS.contains(&name.as_str());
            value
                .as_object()
                .is_some_and(|all| !all.is_empty() && all.iter().all(is_own))
        };
        match other.only() {
            Some((_, value)) if is_whole(value) => Setting::No,
            _ => Setting::NotShown(other.references()),
        }
    }

    /// The host of the Databricks account.
    pub(super) fn host(&self, plan: &Plan) -> Option<String> {
        match self.written(plan, "host")? {
            Written::Known(value) => value.as_str().map(str::to_owned),
            other => other.only()?.1.as_str().map(str::to_owned),
        }
    }
}

/// The texts of a list, or one text.
fn texts(value: &Json) -> Vec<String> {
    let own = value.as_str().map(str::to_owned);
    let all = value.as_array().into_iter().flatten();
    let all = all.filter_map(Json::as_str).map(str::to_owned);
    own.into_iter().chain(all).collect()
}

/// The value of an expression in a module.
fn value_of(plan: &Plan, expression: &Json, path: &str, depth: u32) -> Written {
    if let Some(value) = expression.get("constant_value") {
        return Written::Known(value.clone());
    }
    let references = expression.get("references").and_then(Json::as_array);
    let references: Vec<&str> = references
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    // Terraform writes `var.a.b` as `var.a.b` and `var.a`.
    let is_part = |one: &&&str| {
        references.iter().any(|other| {
            other
                .strip_prefix(**one)
                .is_some_and(|rest| rest.starts_with(['.', '[']))
        })
    };
    let whole: Vec<&str> = references
        .iter()
        .filter(|one| !is_part(one))
        .copied()
        .collect();
    let known: Vec<(String, Option<Json>)> = whole
        .iter()
        .map(|one| ((*one).to_owned(), variable(plan, one, path, depth)))
        .collect();
    Written::NotShown(known)
}

/// The value of a variable of a module, as far as the plan shows it.
fn variable(plan: &Plan, reference: &str, path: &str, depth: u32) -> Option<Json> {
    let mut steps = reference.strip_prefix("var.")?.split('.');
    let name = steps.next().filter(|_| depth < DEEPEST)?;
    let declared = plan.module(path)?.pointer(&format!("/variables/{name}"));
    if declared.and_then(|one| one.get("sensitive")) == Some(&Json::Bool(true)) {
        return None;
    }
    let default = || declared.and_then(|one| one.get("default")).cloned();
    let mut value = if path.is_empty() {
        plan.variable(name).cloned().or_else(default)?
    } else {
        let (call, parent) = plan.module_call(path)?;
        match call.pointer(&format!("/expressions/{name}")) {
            None => default()?,
            Some(given) => match value_of(plan, given, &parent, depth + 1) {
                Written::Known(value) => value,
                other => other.only()?.1.clone(),
            },
        }
    };
    for step in steps {
        value = value.get(step)?.clone();
    }
    Some(value)
}
