//! Which workspaces are judged.

use std::collections::BTreeSet;
use std::fmt;

use super::report::JudgedScope;
use kms_policy::Pattern;

/// A pattern in which `*` is any text and `?` is any character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    pattern: Pattern,
}

impl Glob {
    /// A pattern.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            pattern: Pattern::wild(&text),
            text,
        }
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a text is as the pattern says.
    pub fn matches(&self, text: &str) -> bool {
        self.pattern.matches(text)
    }

    /// Whether this pattern means a workspace: a pattern of digits alone is an ID, any other is a pattern of names. IDs that are not
    /// numbers count as they are.
    fn means(&self, id: &str, name: &str) -> bool {
        let is_id = !self.text.is_empty() && self.text.bytes().all(|byte| byte.is_ascii_digit());
        match is_id {
            true => self.text == id,
            false => self.matches(name) || self.text.eq_ignore_ascii_case(id),
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The scope of the policy file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeRules {
    /// Those that are judged; all where there is none.
    pub workspaces: Vec<Glob>,
    /// Those that are not.
    pub exclude: Vec<Glob>,
}

/// The scope of a run: the policy file, and what the command line leaves of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunScope {
    rules: ScopeRules,
    only: Vec<Glob>,
}

impl RunScope {
    /// The scope of a policy file, of which a command line leaves `only` some.
    pub fn new(rules: ScopeRules, only: Vec<Glob>) -> Self {
        Self { rules, only }
    }

    /// Whether a workspace is judged.
    pub fn judges(&self, id: &str, name: &str) -> bool {
        let any = |globs: &[Glob]| globs.iter().any(|glob| glob.means(id, name));
        (self.rules.workspaces.is_empty() || any(&self.rules.workspaces))
            && !any(&self.rules.exclude)
            && (self.only.is_empty() || any(&self.only))
    }

    /// As the report has it.
    pub fn shown(&self) -> JudgedScope {
        let texts = |globs: &[Glob]| globs.iter().map(Glob::to_string).collect();
        JudgedScope {
            workspaces: texts(&self.rules.workspaces),
            exclude: texts(&self.rules.exclude),
            only: texts(&self.only),
        }
    }

    /// The patterns that mean none of these workspaces (by ID and name): those of the policy file, and those of the command line.
    pub fn unmatched(&self, all: &[(&str, &str)]) -> Unmatched {
        let without = |globs: &[Glob]| -> Vec<String> {
            let means_none = |glob: &&Glob| !all.iter().any(|(id, name)| glob.means(id, name));
            let texts = globs.iter().filter(means_none).map(Glob::to_string);
            texts.collect::<BTreeSet<String>>().into_iter().collect()
        };
        let mut of_file = without(&self.rules.workspaces);
        of_file.extend(without(&self.rules.exclude));
        Unmatched {
            of_file,
            of_flags: without(&self.only),
        }
    }
}

/// Patterns that mean no workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unmatched {
    /// Of the policy file.
    pub of_file: Vec<String>,
    /// Of the command line.
    pub of_flags: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(texts: &[&str]) -> Vec<Glob> {
        texts.iter().map(|text| Glob::new(*text)).collect()
    }

    /// Each row: workspaces, exclude, only, and which of three workspaces are judged.
    #[test]
    fn a_scope_is_what_is_named_without_what_is_excluded() {
        let all = [("12", "prod-eu"), ("345", "prod-us"), ("6", "12")];
        for (workspaces, exclude, only, judged) in [
            (&[][..], &[][..], &[][..], &["12", "345", "6"][..]),
            (&["prod-*"], &[], &[], &["12", "345"]),
            // A pattern of digits is an ID, also where a name looks like one.
            (&["12"], &[], &[], &["12"]),
            (&["prod-?u"], &[], &[], &["12"]),
            (&["prod-*"], &["*-us"], &[], &["12"]),
            (&["prod-*"], &[], &["345", "6"], &["345"]),
            (&["Prod-*"], &[], &[], &[]),
        ] {
            let scope = RunScope::new(
                ScopeRules {
                    workspaces: globs(workspaces),
                    exclude: globs(exclude),
                },
                globs(only),
            );
            let found: Vec<&str> = all
                .iter()
                .filter(|(id, name)| scope.judges(id, name))
                .map(|(id, _)| *id)
                .collect();
            assert_eq!(found, judged, "{workspaces:?} {exclude:?} {only:?}");
        }
    }

    #[test]
    fn a_pattern_that_means_nothing_is_found() {
        let rules = ScopeRules {
            workspaces: globs(&["prod-*", "dev-*"]),
            exclude: globs(&["7"]),
        };
        let scope = RunScope::new(rules, globs(&["prod-eu", "x"]));
        let found = scope.unmatched(&[("12", "prod-eu")]);
        assert_eq!(found.of_file, ["dev-*", "7"]);
        assert_eq!(found.of_flags, ["x"]);
    }

    #[test]
    fn a_resource_id_is_meant_in_any_case() {
        let id = "/subscriptions/S/resourceGroups/g/providers/Microsoft.Databricks/workspaces/w";
        let scope = RunScope::new(ScopeRules::default(), globs(&[&id.to_uppercase()]));
        assert!(scope.judges(id, "w") && !scope.judges("1", "v"));
    }
}
