//! What stands in `#[model(…)]` and `#[attr(…)]`.

use proc_macro2::Span;
use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, Expr, LitInt, LitStr, Result, Type, parenthesized};

/// `#[model(…)]` of a struct or an enum.
#[derive(Default)]
pub(crate) struct Model {
    pub(crate) version: Option<Expr>,
    pub(crate) deprecated: Option<LitStr>,
    pub(crate) rules: Vec<Expr>,
    pub(crate) rename_all: Option<LitStr>,
}

impl Model {
    pub(crate) fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut model = Self::default();
        for attribute in attributes.iter().filter(|one| one.path().is_ident("model")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("version") {
                    model.version = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("deprecated") {
                    model.deprecated = Some(meta.value()?.parse()?);
                } else if meta.path.is_ident("rule") {
                    model.rules.push(meta.value()?.parse()?);
                } else if meta.path.is_ident("rename_all") {
                    model.rename_all = Some(meta.value()?.parse()?);
                } else {
                    return Err(meta.error(
                        "`model` has `version = …`, `deprecated = \"…\"` and `rule = …` for a struct, and `rename_all = \"…\"` for an enum",
                    ));
                }
                Ok(())
            })?;
        }
        Ok(model)
    }
}

/// Who gives an attribute its value.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Presence {
    Required,
    #[default]
    Optional,
    Computed,
    OptionalComputed,
}

/// `#[attr(…)]` of a field.
#[derive(Default)]
pub(crate) struct Attr {
    pub(crate) presence: Presence,
    presence_at: Option<Span>,
    /// Those that are one word and a method of the same name.
    pub(crate) flags: Vec<String>,
    pub(crate) block: bool,
    pub(crate) set: bool,
    pub(crate) text: bool,
    pub(crate) skip: bool,
    pub(crate) name: Option<LitStr>,
    pub(crate) ty: Option<Expr>,
    pub(crate) default: Option<Expr>,
    pub(crate) checks: Vec<Expr>,
    pub(crate) format: Option<(Type, LitStr)>,
    pub(crate) same_meaning: Option<Expr>,
    pub(crate) same_elements: Option<Expr>,
    pub(crate) replaces_if: Option<Expr>,
    pub(crate) better_write_only: Option<LitStr>,
    pub(crate) deprecated: Option<LitStr>,
    pub(crate) times: Option<(LitInt, LitInt)>,
}

/// The words that are methods of `Attribute` without an argument.
const FLAGS: [&str; 7] = [
    "no_null_elements",
    "quiet",
    "replaces",
    "sensitive",
    "stable",
    "stable_when_set",
    "write_only",
];

const KNOWN: &str = "an attribute has `required`, `optional`, `computed`, `optional_computed`, `replaces`, `replaces_if = …`, `stable`, `stable_when_set`, `sensitive`, `write_only`, \
                     `quiet`, `no_null_elements`, `default = …`, `check = …`, `format(…, \"…\")`, `same_meaning = …`, `same_elements = …`, \
                     `better_write_only = \"…\"`, `deprecated = \"…\"`, `name = \"…\"`, `text`, `set`, `block`, `times(…, …)`, `ty = …` and `skip`";

impl Attr {
    pub(crate) fn of(attributes: &[Attribute], field: &Type) -> Result<Self> {
        let mut attr = Self::default();
        for attribute in attributes.iter().filter(|one| one.path().is_ident("attr")) {
            attribute.parse_nested_meta(|meta| attr.take(&meta))?;
        }
        attr.check(field)?;
        Ok(attr)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let word = match meta.path.get_ident() {
            Some(word) => word.to_string(),
            None => return Err(meta.error(KNOWN)),
        };
        match word.as_str() {
            "required" => self.present(meta, Presence::Required)?,
            "optional" => self.present(meta, Presence::Optional)?,
            "computed" => self.present(meta, Presence::Computed)?,
            "optional_computed" => self.present(meta, Presence::OptionalComputed)?,
            "block" => self.block = true,
            "set" => self.set = true,
            "text" => self.text = true,
            "skip" => self.skip = true,
            "name" => self.name = Some(meta.value()?.parse()?),
            "ty" => self.ty = Some(meta.value()?.parse()?),
            "default" => self.default = Some(meta.value()?.parse()?),
            "check" => self.checks.push(meta.value()?.parse()?),
            "format" => {
                let inside;
                parenthesized!(inside in meta.input);
                let ty = inside.parse()?;
                inside.parse::<syn::Token![,]>()?;
                self.format = Some((ty, inside.parse()?));
            }
            "same_meaning" => self.same_meaning = Some(meta.value()?.parse()?),
            "same_elements" => self.same_elements = Some(meta.value()?.parse()?),
            "replaces_if" => self.replaces_if = Some(meta.value()?.parse()?),
            "better_write_only" => self.better_write_only = Some(meta.value()?.parse()?),
            "deprecated" => self.deprecated = Some(meta.value()?.parse()?),
            "times" => {
                let inside;
                parenthesized!(inside in meta.input);
                let least = inside.parse()?;
                inside.parse::<syn::Token![,]>()?;
                self.times = Some((least, inside.parse()?));
            }
            flag if FLAGS.contains(&flag) => self.flags.push(word),
            _ => return Err(meta.error(KNOWN)),
        }
        Ok(())
    }

    fn present(&mut self, meta: &ParseNestedMeta<'_>, presence: Presence) -> Result<()> {
        if self.presence_at.is_some() {
            return Err(meta.error("who gives the value is said once"));
        }
        self.presence = presence;
        self.presence_at = meta.path.get_ident().map(syn::Ident::span);
        Ok(())
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|one| one == flag)
    }

    /// What cannot stand together.
    fn check(&self, field: &Type) -> Result<()> {
        let is_computed = matches!(
            self.presence,
            Presence::Computed | Presence::OptionalComputed
        );
        let wrong = if self.has("write_only") && is_computed {
            "what is write-only is in no state, so the provider cannot give it"
        } else if self.has("write_only") && (self.has("replaces") || self.replaces_if.is_some()) {
            "what is write-only has no earlier value to compare with, so it cannot replace"
        } else if (self.has("stable") || self.has("stable_when_set"))
            && !is_computed
            && self.default.is_none()
        {
            "only what is `computed` or `optional_computed` can be stable"
        } else if self.default.is_some()
            && !matches!(
                self.presence,
                Presence::Optional | Presence::OptionalComputed
            )
        {
            "only what the user may leave out has a default"
        } else if self.block && (is_computed || self.default.is_some()) {
            "a block is written by the user: make it a nested attribute (without `block`) if the provider gives it"
        } else if self.times.is_some() && !self.block {
            "only a block is written a number of times; a list has `check = validators::length(…, …)`"
        } else {
            return Ok(());
        };
        let at = self.presence_at.map_or_else(
            || Error::new_spanned(field, wrong),
            |span| Error::new(span, wrong),
        );
        Err(at)
    }
}
