//! What else a provider can offer: a resource with nested blocks and objects in a list, a set and a map, a data source, an ephemeral
//! resource, a list, a function and an action. The shop is a directory; every article is a file in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tfplugin::prelude::*;

/// The provider.
pub struct Shop;

#[derive(Deserialize)]
/// Its configuration.
pub struct Config {
    directory: Attr<String>,
}

/// Where the shop is; `None` while it is not known.
pub struct Client(Option<PathBuf>);

impl Client {
    fn file(&self, name: &str) -> Result<PathBuf, Unfinished> {
        let directory = self.0.as_ref().ok_or_else(|| {
            Deferral::new(
                Reason::ProviderConfigUnknown,
                Diagnostic::error(
                    "The directory of the shop is not known yet",
                    "Apply the resource that gives the directory first, or name a directory that exists.",
                ),
            )
        })?;
        Ok(directory.join(format!("{name}.json")))
    }
}

impl Provider for Shop {
    type Client = Client;
    type Config = Config;

    fn name(&self) -> Name {
        "shop".into()
    }

    fn schema(&self) -> Schema {
        let directory = Attribute::string("directory").required();
        Schema::new("A shop.", vec![directory.describe("Where the shop is.")])
    }

    async fn configure(&self, config: Config, _: Run) -> Result<(Client, Diagnostics), Unfinished> {
        let directory = config.directory.known().map(PathBuf::from);
        Ok((Client(directory), Diagnostics::new()))
    }

    fn resources(&self) -> Vec<resource::Registered<Client>> {
        vec![resource::register(Article)]
    }

    fn data_sources(&self) -> Vec<data_source::Registered<Client>> {
        vec![data_source::register(Price)]
    }

    fn ephemeral_resources(&self) -> Vec<ephemeral::Registered<Client>> {
        vec![ephemeral::register(Discount)]
    }

    fn list_resources(&self) -> Vec<list_resource::Registered<Client>> {
        vec![list_resource::register(Articles)]
    }

    fn actions(&self) -> Vec<action::Registered<Client>> {
        vec![action::register(Ring)]
    }

    fn functions(&self) -> Vec<Box<dyn Function>> {
        vec![Box::new(Gross)]
    }
}

/// An article, with objects inside in every way that there is.
struct Article;

#[derive(Clone, Default, Serialize, Deserialize)]
struct ArticleModel {
    name: Attr<String>,
    price: Attr<i64>,
    number: Attr<String>,
    label: Attr<Vec<Label>>,
    stock: Attr<Vec<Stock>>,
    reviews: Attr<Vec<Review>>,
    prices: Attr<BTreeMap<String, Foreign>>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Label {
    text: Attr<String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Stock {
    place: Attr<String>,
    pieces: Attr<i64>,
    shelf: Attr<String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Review {
    stars: Attr<i64>,
    id: Attr<String>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Foreign {
    amount: Attr<i64>,
    code: Attr<String>,
}

impl ArticleModel {
    /// What the shop adds.
    fn completed(mut self) -> Self {
        let name = self.name.known().cloned().unwrap_or_default();
        self.number = Attr::Known(format!("no-{name}"));
        if let Attr::Known(stock) = &mut self.stock {
            for one in stock {
                let place = one.place.known().cloned().unwrap_or_default();
                one.shelf = Attr::Known(format!("{place}-{name}"));
            }
        }
        if let Attr::Known(reviews) = &mut self.reviews {
            for (position, one) in reviews.iter_mut().enumerate() {
                one.id = Attr::Known(format!("review-{position}"));
            }
        }
        if let Attr::Known(prices) = &mut self.prices {
            for (currency, one) in prices {
                one.code = Attr::Known(currency.to_lowercase());
            }
        }
        self
    }

    fn write(self, client: &Client) -> Result<Self, Unfinished> {
        let model = self.completed();
        let name = model.name.known().cloned().unwrap_or_default();
        // What stands in the file is what the state says.
        let text = RawState::write(&Plain::of(&model))?.to_json_text();
        std::fs::write(client.file(&name)?, text).or_error("The article could not be written")?;
        Ok(model)
    }
}

/// An article in its file.
#[derive(Serialize, Deserialize)]
struct Plain {
    name: String,
    price: Option<i64>,
}

impl Plain {
    fn of(model: &ArticleModel) -> Self {
        Self {
            name: model.name.known().cloned().unwrap_or_default(),
            price: model.price.known().copied(),
        }
    }
}

impl Resource for Article {
    type Client = Client;
    type Model = ArticleModel;

    fn name(&self) -> Name {
        "shop_article".into()
    }

    fn identity(&self) -> Identity {
        Identity::new([IdentityAttribute::new("name", "the name of the article")])
    }

    fn schema(&self) -> Schema {
        Schema::new(
            "An article.",
            vec![
                Attribute::string("name")
                    .required()
                    .replaces()
                    .describe("What it is."),
                Attribute::number("price")
                    .check(validators::between(1, 1_000_000))
                    .describe("What it costs."),
                Attribute::string("number")
                    .computed()
                    .stable()
                    .describe("Its number."),
                Attribute::block(
                    "label",
                    Nesting::List,
                    vec![
                        Attribute::string("text")
                            .required()
                            .describe("What it says."),
                    ],
                )
                .times(0, 3)
                .describe("What stands on it."),
                Attribute::block(
                    "stock",
                    Nesting::Set,
                    vec![
                        Attribute::string("place").required().describe("Where."),
                        Attribute::number("pieces").required().describe("How many."),
                        Attribute::string("shelf")
                            .computed()
                            .describe("On which shelf."),
                    ],
                )
                .describe("Where there are how many."),
                Attribute::nested(
                    "reviews",
                    Nesting::List,
                    vec![
                        Attribute::number("stars")
                            .required()
                            .describe("How many stars."),
                        Attribute::string("id").computed().describe("Its ID."),
                    ],
                )
                .describe("What people say."),
                Attribute::nested(
                    "prices",
                    Nesting::Map,
                    vec![
                        Attribute::number("amount").required().describe("How much."),
                        Attribute::string("code")
                            .computed()
                            .describe("In small letters."),
                    ],
                )
                .describe("What it costs elsewhere, by currency."),
            ],
        )
        .rule(validators::at_least_one_of(&["price", "prices"]))
    }

    async fn create(
        &self,
        cx: &Context<Client>,
        plan: ArticleModel,
        _: &Progress<ArticleModel>,
    ) -> Result<ArticleModel, Unfinished> {
        plan.write(cx.client())
    }

    async fn read(
        &self,
        cx: &Context<Client>,
        mut state: ArticleModel,
    ) -> Result<Option<ArticleModel>, Unfinished> {
        let name = state.name.known().cloned().unwrap_or_default();
        let Ok(text) = std::fs::read_to_string(cx.client().file(&name)?) else {
            return Ok(None);
        };
        let plain: Plain = RawState::from_json_text(&text)?.read()?;
        state.price = plain.price.into();
        Ok(Some(state.completed()))
    }

    async fn update(
        &self,
        cx: &Context<Client>,
        _: ArticleModel,
        plan: ArticleModel,
        _: &Progress<ArticleModel>,
    ) -> Result<ArticleModel, Unfinished> {
        plan.write(cx.client())
    }

    async fn delete(&self, cx: &Context<Client>, state: ArticleModel) -> Result<(), Unfinished> {
        let name = state.name.known().cloned().unwrap_or_default();
        match std::fs::remove_file(cx.client().file(&name)?) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => Ok(removed.or_error("The article could not be removed")?),
        }
    }

    async fn import_state(
        &self,
        _: &Context<Client>,
        import: &Import,
    ) -> Result<ArticleModel, Unfinished> {
        Ok(ArticleModel {
            name: Attr::Known(import.text().to_owned()),
            label: Attr::Known(Vec::new()),
            stock: Attr::Known(Vec::new()),
            ..ArticleModel::default()
        })
    }
}

/// Every article that there is.
struct Articles;

#[derive(Deserialize)]
struct ArticlesConfig {}

impl ListResource for Articles {
    type Of = Article;
    type Config = ArticlesConfig;

    fn name(&self) -> Name {
        "shop_article".into()
    }

    fn schema(&self) -> Schema {
        Schema::new("Every article.", vec![])
    }

    async fn list(
        &self,
        cx: &Context<Client>,
        _: ArticlesConfig,
        found: &Found<ArticleModel>,
    ) -> Result<(), Unfinished> {
        let Some(directory) = &cx.client().0 else {
            return Ok(());
        };
        let all = std::fs::read_dir(directory).or_error("The articles could not be listed")?;
        for entry in all {
            let path = entry.or_error("An article could not be listed")?.path();
            let Some(name) = path.file_stem().and_then(|name| name.to_str()) else {
                continue;
            };
            let first = Article.import_state(cx, &Import::by_id(name)).await?;
            if let Some(model) = Article.read(cx, first).await?
                && !found.show(Listed::new(name, model)).await
            {
                break;
            }
        }
        Ok(())
    }
}

/// What an article costs.
struct Price;

#[derive(Serialize, Deserialize)]
struct PriceModel {
    name: String,
    price: Attr<i64>,
}

impl DataSource for Price {
    type Client = Client;
    type Model = PriceModel;

    fn name(&self) -> Name {
        "shop_price".into()
    }

    fn schema(&self) -> Schema {
        Schema::new(
            "What an article costs.",
            vec![
                Attribute::string("name")
                    .required()
                    .describe("Which article."),
                Attribute::number("price")
                    .computed()
                    .describe("What it costs."),
            ],
        )
    }

    async fn read(
        &self,
        cx: &Context<Client>,
        config: PriceModel,
    ) -> Result<PriceModel, Unfinished> {
        let text = std::fs::read_to_string(cx.client().file(&config.name)?)
            .or_error("There is no such article")?;
        let plain: Plain = RawState::from_json_text(&text)?.read()?;
        Ok(PriceModel {
            price: plain.price.into(),
            ..config
        })
    }
}

/// A discount that is there while Terraform works, and in no state.
struct Discount;

#[derive(Serialize, Deserialize)]
struct DiscountModel {
    percent: i64,
    code: Attr<String>,
}

impl EphemeralResource for Discount {
    type Client = Client;
    type Model = DiscountModel;

    fn name(&self) -> Name {
        "shop_discount".into()
    }

    fn schema(&self) -> Schema {
        Schema::new(
            "A discount for as long as Terraform works.",
            vec![
                Attribute::number("percent")
                    .required()
                    .describe("How much."),
                Attribute::string("code")
                    .computed()
                    .sensitive()
                    .describe("What to say."),
            ],
        )
    }

    async fn open(
        &self,
        cx: &Context<Client>,
        config: DiscountModel,
    ) -> Result<Opened<DiscountModel>, Unfinished> {
        let code = format!("{}-percent-off", config.percent);
        let lease = cx.client().file(&format!("{code}.lease"))?;
        std::fs::write(&lease, "open").or_error("No discount today")?;
        cx.set_private("lease", &lease);
        Ok(Opened::new(DiscountModel {
            code: Attr::Known(code),
            ..config
        }))
    }

    async fn close(&self, cx: &Context<Client>) -> Result<(), Unfinished> {
        if let Some(lease) = cx.private::<PathBuf>("lease")? {
            std::fs::remove_file(lease).or_error("The discount could not be closed")?;
        }
        Ok(())
    }
}

/// Rings the bell of the shop.
struct Ring;

#[derive(Deserialize)]
struct RingConfig {
    times: i64,
}

impl Action for Ring {
    type Client = Client;
    type Config = RingConfig;

    fn name(&self) -> Name {
        "shop_ring".into()
    }

    fn schema(&self) -> Schema {
        let times = Attribute::number("times").required();
        let times = times.check(validators::between(1, 3));
        Schema::new(
            "Rings the bell.",
            vec![times.describe("How often, up to 3 times.")],
        )
    }

    async fn invoke(
        &self,
        cx: &Context<Client>,
        config: RingConfig,
        events: &Events,
    ) -> Result<(), Unfinished> {
        for ring in 1..=config.times {
            events.say(format!("ring {ring}"));
        }
        let bell = Plain {
            name: "bell".to_owned(),
            price: Some(config.times),
        };
        let text = RawState::write(&bell)?.to_json_text();
        std::fs::write(cx.client().file("bell")?, text).or_error("No bell")?;
        Ok(())
    }
}

/// A price with tax.
struct Gross;

impl Function for Gross {
    fn name(&self) -> Name {
        "gross".into()
    }

    fn signature(&self) -> Signature {
        let net = Parameter::new("net", Type::Number).describe("The price without tax.");
        let percent = Parameter::new("percent", Type::Number).describe("The tax in percent.");
        Signature::new(vec![net, percent], Type::Number).summary("A price with tax")
    }

    fn call(&self, arguments: &[Value]) -> Result<Value, FunctionError> {
        let whole = |index: usize| match arguments.get(index) {
            Some(Value::Number(number)) => number
                .as_i64()
                .ok_or_else(|| FunctionError::new("Only whole numbers.").argument(index)),
            _ => Err(FunctionError::new("A number is missing.").argument(index)),
        };
        let (net, percent) = (whole(0)?, whole(1)?);
        let tax = net.saturating_mul(percent) / 100;
        Ok(Value::Number(net.saturating_add(tax).into()))
    }
}

fn main() -> ExitCode {
    serve::plugin(Shop, "Terraform starts this program.")
}
