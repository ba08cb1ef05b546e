//! The corners of the protocol, each with a resource that keeps what it is given: values of any type, numbers of any size, null and unknown
//! elements, write-only attributes, spellings, identities, moves, deferrals. It teaches little; it is what the crate is held to, by its own tests
//! (`tests/corner.rs`) and by a real Terraform.

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tfplugin::prelude::*;

/// The provider.
pub struct Corner;

/// Its configuration.
#[derive(Deserialize)]
pub struct Config {
    later: Attr<bool>,
}

impl Provider for Corner {
    type Client = ();
    type Config = Config;

    fn name(&self) -> Name {
        "corner".into()
    }

    fn schema(&self) -> Schema {
        Schema::new("", vec![Attribute::bool("later")])
    }

    fn meta(&self) -> Option<Schema> {
        Some(Schema::new("", vec![Attribute::string("module")]))
    }

    async fn configure(&self, config: Config, _: Run) -> Result<((), Diagnostics), Unfinished> {
        if config.later.known() == Some(&true) {
            let otherwise =
                Diagnostic::error("It cannot be configured yet", "Apply the rest first.");
            return Err(Deferral::new(Reason::ProviderConfigUnknown, otherwise).into());
        }
        Ok(((), Diagnostics::new()))
    }

    fn resources(&self) -> Vec<resource::Registered<()>> {
        vec![
            resource::register(Kept),
            resource::register(Secret),
            resource::register(Spelled),
            resource::register(Pet),
        ]
    }
}

/// What a module says to the provider.
#[derive(Deserialize)]
struct Meta {
    module: Attr<String>,
}

/// Keeps what it is given, whatever it is.
struct Kept;

/// Anything.
#[derive(Clone, Model)]
struct KeptModel {
    any: Attr<Value>,
    #[attr(computed)]
    copy: Value,
    object: Attr<Object>,
    ratio: Attr<f64>,
    small: Attr<f32>,
    exact: Attr<Number>,
    big: Attr<u64>,
    port: Attr<u16>,
    texts: Attr<Vec<Option<String>>>,
    #[attr(set)]
    plain: Attr<Vec<String>>,
    #[attr(replaces)]
    triggers: Attr<BTreeMap<String, String>>,
    #[attr(block)]
    rule: Attr<Vec<Rule>>,
    #[attr(computed, stable)]
    made: Attr<Made>,
}

#[derive(Clone, Model)]
struct Object {
    any: Value,
}

#[derive(Clone, Model)]
struct Rule {
    name: Attr<String>,
}

#[derive(Clone, Model)]
struct Made {
    #[attr(computed)]
    id: Attr<String>,
}

impl Resource for Kept {
    type Client = ();
    type Model = KeptModel;

    fn name(&self) -> Name {
        "corner_kept".into()
    }

    fn schema(&self) -> Schema {
        KeptModel::schema()
    }

    async fn create(
        &self,
        cx: &Context<()>,
        plan: KeptModel,
        _: &Progress<KeptModel>,
    ) -> Result<KeptModel, Unfinished> {
        let module: Option<Meta> = cx.meta()?;
        let module = module.and_then(|meta| meta.module.known().cloned());
        let copy = match module {
            Some(module) => Value::from(module),
            None => plan.any.known().cloned().unwrap_or(Value::Null),
        };
        let made = Attr::Known(Made {
            id: Attr::Known("1".to_owned()),
        });
        Ok(KeptModel { copy, made, ..plan })
    }

    async fn update(
        &self,
        _: &Context<()>,
        _: KeptModel,
        plan: KeptModel,
        _: &Progress<KeptModel>,
    ) -> Result<KeptModel, Unfinished> {
        let copy = plan.any.known().cloned().unwrap_or(Value::Null);
        Ok(KeptModel { copy, ..plan })
    }

    async fn delete(&self, _: &Context<()>, _: KeptModel) -> Result<(), Unfinished> {
        Ok(())
    }
}

/// A password that is in no plan and in no state.
struct Secret;

/// A secret.
#[derive(Clone, Model)]
#[model(version = 1)]
struct SecretModel {
    name: Attr<String>,
    #[attr(better_write_only = "password_wo")]
    password: Attr<String>,
    #[attr(write_only, sensitive)]
    password_wo: Attr<String>,
    #[attr(computed)]
    length: Attr<i64>,
    inside: Attr<Inside>,
}

#[derive(Clone, Model)]
struct Inside {
    #[attr(write_only)]
    token_wo: Attr<String>,
}

impl SecretModel {
    /// What an API that shows everything would make of it.
    fn shown(mut self, written: &Self) -> Self {
        let text = written
            .password_wo
            .known()
            .map(String::as_str)
            .unwrap_or_default();
        self.length = i64::try_from(text.len()).ok().into();
        self.password_wo = written.password_wo.clone();
        self.inside = written.inside.clone();
        self
    }
}

impl Resource for Secret {
    type Client = ();
    type Model = SecretModel;

    fn name(&self) -> Name {
        "corner_secret".into()
    }

    fn schema(&self) -> Schema {
        SecretModel::schema()
    }

    fn upgrades(&self) -> Upgrades {
        Upgrades::new().from(0, |old: Value| Ok(old))
    }

    async fn create(
        &self,
        cx: &Context<()>,
        plan: SecretModel,
        progress: &Progress<SecretModel>,
    ) -> Result<SecretModel, Unfinished> {
        let written = cx.config()?;
        let made = plan.shown(&written);
        if made.name.known().map(String::as_str) == Some("fails") {
            progress.save(made);
            return Err(Diagnostic::error("It failed", "Half-way.").into());
        }
        Ok(made)
    }

    async fn read(
        &self,
        _: &Context<()>,
        state: SecretModel,
    ) -> Result<Option<SecretModel>, Unfinished> {
        let secret = Attr::Known("s3cret".to_owned());
        let written = SecretModel {
            password_wo: secret,
            ..state.clone()
        };
        Ok(Some(SecretModel {
            length: state.length.clone(),
            ..state.shown(&written)
        }))
    }

    async fn update(
        &self,
        cx: &Context<()>,
        _: SecretModel,
        plan: SecretModel,
        _: &Progress<SecretModel>,
    ) -> Result<SecretModel, Unfinished> {
        let written = cx.config()?;
        Ok(plan.shown(&written))
    }

    async fn delete(&self, _: &Context<()>, _: SecretModel) -> Result<(), Unfinished> {
        Ok(())
    }

    async fn import_state(
        &self,
        _: &Context<()>,
        import: &Import,
    ) -> Result<SecretModel, Unfinished> {
        Ok(SecretModel {
            name: Attr::Known(import.text().to_owned()),
            password: Attr::Null,
            password_wo: Attr::Known("s3cret".to_owned()),
            length: Attr::Null,
            inside: Attr::Null,
        })
    }

    fn move_state(&self, source: &Source) -> Result<Option<Moved<SecretModel>>, Diagnostics> {
        let name = source.state.text("name").map(str::to_owned);
        Ok(Some(Moved::new(SecretModel {
            name: name.into(),
            password: Attr::Null,
            password_wo: Attr::Known("s3cret".to_owned()),
            length: Attr::Null,
            inside: Attr::Null,
        })))
    }
}

/// What the API shows in capitals, whatever it was given.
struct Spelled;

/// A text.
#[derive(Clone, Model)]
struct SpelledModel {
    #[attr(same_meaning = same)]
    text: Attr<String>,
    #[attr(set, same_elements = same)]
    all: Attr<Vec<String>>,
    note: Attr<String>,
}

fn same(one: &Value, other: &Value) -> bool {
    let lower = |value: &Value| value.as_str().map(str::to_lowercase);
    lower(one) == lower(other)
}

impl SpelledModel {
    fn shown(self) -> Self {
        Self {
            text: self.text.map(|text| text.to_uppercase()),
            all: self
                .all
                .map(|all| all.iter().map(|text| text.to_uppercase()).collect()),
            ..self
        }
    }
}

impl Resource for Spelled {
    type Client = ();
    type Model = SpelledModel;

    fn name(&self) -> Name {
        "corner_spelled".into()
    }

    fn schema(&self) -> Schema {
        SpelledModel::schema()
    }

    async fn create(
        &self,
        _: &Context<()>,
        plan: SpelledModel,
        _: &Progress<SpelledModel>,
    ) -> Result<SpelledModel, Unfinished> {
        Ok(plan.shown())
    }

    async fn read(
        &self,
        _: &Context<()>,
        state: SpelledModel,
    ) -> Result<Option<SpelledModel>, Unfinished> {
        // A value that another writer changed is not another spelling.
        let is_other = state.note.known().map(String::as_str) == Some("changed");
        let text = match is_other {
            true => Attr::Known("other".to_owned()),
            false => state.text.clone(),
        };
        Ok(Some(SpelledModel { text, ..state }.shown()))
    }

    async fn update(
        &self,
        _: &Context<()>,
        _: SpelledModel,
        plan: SpelledModel,
        _: &Progress<SpelledModel>,
    ) -> Result<SpelledModel, Unfinished> {
        Ok(plan.shown())
    }

    async fn delete(&self, _: &Context<()>, _: SpelledModel) -> Result<(), Unfinished> {
        Ok(())
    }
}

/// A pet whose number is in its identity alone.
struct Pet;

#[derive(Clone, Serialize, Deserialize)]
struct PetModel {
    name: Attr<String>,
}

#[derive(Serialize, Deserialize)]
struct PetIdentity {
    number: i64,
}

impl Resource for Pet {
    type Client = ();
    type Model = PetModel;

    fn name(&self) -> Name {
        "corner_pet".into()
    }

    fn identity(&self) -> Identity {
        Identity::new([IdentityAttribute::new("number", "the number of the pet").ty(Type::Number)])
    }

    fn schema(&self) -> Schema {
        Schema::new("", vec![Attribute::string("name")])
    }

    async fn create(
        &self,
        cx: &Context<()>,
        plan: PetModel,
        _: &Progress<PetModel>,
    ) -> Result<PetModel, Unfinished> {
        cx.set_identity(&PetIdentity { number: 7 });
        Ok(plan)
    }

    async fn read(
        &self,
        cx: &Context<()>,
        mut state: PetModel,
    ) -> Result<Option<PetModel>, Unfinished> {
        if state.name.known().map(String::as_str) == Some("Tom") {
            cx.set_identity(&PetIdentity { number: 8 });
        }
        if let (Attr::Null, Some(known)) = (&state.name, cx.identity::<PetIdentity>()?) {
            state.name = Attr::Known(format!("pet {}", known.number));
        }
        Ok(Some(state))
    }

    async fn update(
        &self,
        cx: &Context<()>,
        _: PetModel,
        plan: PetModel,
        _: &Progress<PetModel>,
    ) -> Result<PetModel, Unfinished> {
        if plan.name.known().map(String::as_str) == Some("Jerry") {
            cx.set_identity(&PetIdentity { number: 9 });
        }
        Ok(plan)
    }

    async fn delete(&self, _: &Context<()>, _: PetModel) -> Result<(), Unfinished> {
        Ok(())
    }

    async fn import_state(
        &self,
        cx: &Context<()>,
        import: &Import,
    ) -> Result<PetModel, Unfinished> {
        match import.id() {
            Some("later") => Err(Deferral::new(
                Reason::AbsentPrerequisite,
                Diagnostic::error("It is not there yet", "Import it later."),
            )
            .into()),
            Some(id) => {
                cx.set_identity(&PetIdentity {
                    number: id.parse().or_error("No number")?,
                });
                Ok(PetModel { name: Attr::Null })
            }
            None => Ok(PetModel { name: Attr::Null }),
        }
    }

    fn move_state(&self, source: &Source) -> Result<Option<Moved<PetModel>>, Diagnostics> {
        if source.type_name != "old_pet" {
            return Ok(None);
        }
        let number = match &source.identity {
            Some(identity) => identity.read::<PetIdentity>()?.number,
            None => 0,
        };
        let name = source.state.text("label").map(str::to_owned);
        let was: Option<String> = source.private("was")?;
        Ok(Some(
            Moved::new(PetModel { name: name.into() })
                .identity(&PetIdentity {
                    number: number + 100,
                })
                .private("was", &was.unwrap_or_default())
                .warn(Diagnostic::warning(
                    "It moved",
                    "It has another number now.",
                )),
        ))
    }
}

fn main() -> ExitCode {
    serve::plugin(Corner, "Terraform starts this program.")
}
