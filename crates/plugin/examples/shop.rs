//! What else a provider can offer: a resource with nested blocks and objects in a list, a set and a map, a data source, an ephemeral
//! resource, a list, a function and an action. The shop is a directory; every article is a file in it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use tfplugin::prelude::*;

/// The provider.
pub struct Shop;

/// A shop.
#[derive(Model)]
pub struct Config {
    /// Where the shop is.
    #[attr(required)]
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
        Config::schema()
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
        let gross = function::typed("gross", ["net", "percent"], gross)
            .summary("A price with tax")
            .about("net", "The price without tax.")
            .about("percent", "The tax in percent.");
        vec![Box::new(gross)]
    }
}

/// An article, with objects inside in every way that there is.
struct Article;

/// An article.
#[derive(Clone, Default, Model)]
#[model(rule = validators::at_least_one_of(&["price", "prices"]))]
struct ArticleModel {
    /// What it is.
    #[attr(required, replaces)]
    name: Attr<String>,
    /// What it costs.
    #[attr(check = validators::between(1, 1_000_000))]
    price: Attr<i64>,
    /// Its number.
    #[attr(computed, stable)]
    number: Attr<String>,
    /// What stands on it.
    #[attr(block, times(0, 3))]
    label: Attr<Vec<Label>>,
    /// Where there are how many.
    #[attr(block, set)]
    stock: Attr<Vec<Stock>>,
    /// What people say.
    reviews: Attr<Vec<Review>>,
    /// What it costs elsewhere, by currency.
    prices: Attr<BTreeMap<String, Foreign>>,
}

#[derive(Clone, Model)]
struct Label {
    /// What it says.
    #[attr(required)]
    text: Attr<String>,
}

#[derive(Clone, Model)]
struct Stock {
    /// Where.
    #[attr(required)]
    place: Attr<String>,
    /// How many.
    #[attr(required)]
    pieces: Attr<i64>,
    /// On which shelf.
    #[attr(computed)]
    shelf: Attr<String>,
}

#[derive(Clone, Model)]
struct Review {
    /// How many stars.
    #[attr(required)]
    stars: Attr<i64>,
    /// Its ID.
    #[attr(computed)]
    id: Attr<String>,
}

#[derive(Clone, Model)]
struct Foreign {
    /// How much.
    #[attr(required)]
    amount: Attr<i64>,
    /// In small letters.
    #[attr(computed)]
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
        ArticleModel::schema()
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

/// Every article.
#[derive(Model)]
struct ArticlesConfig {}

impl ListResource for Articles {
    type Of = Article;
    type Config = ArticlesConfig;

    fn name(&self) -> Name {
        "shop_article".into()
    }

    fn schema(&self) -> Schema {
        ArticlesConfig::schema()
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

/// What an article costs.
#[derive(Model)]
struct PriceModel {
    /// Which article.
    #[attr(required)]
    name: String,
    /// What it costs.
    #[attr(computed)]
    price: Attr<i64>,
}

impl DataSource for Price {
    type Client = Client;
    type Model = PriceModel;

    fn name(&self) -> Name {
        "shop_price".into()
    }

    fn schema(&self) -> Schema {
        PriceModel::schema()
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

/// A discount for as long as Terraform works.
#[derive(Model)]
struct DiscountModel {
    /// How much.
    #[attr(required)]
    percent: i64,
    /// What to say.
    #[attr(computed, sensitive)]
    code: Attr<String>,
}

impl EphemeralResource for Discount {
    type Client = Client;
    type Model = DiscountModel;

    fn name(&self) -> Name {
        "shop_discount".into()
    }

    fn schema(&self) -> Schema {
        DiscountModel::schema()
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

/// Rings the bell.
#[derive(Model)]
struct RingConfig {
    /// How often, up to 3 times.
    #[attr(required, check = validators::between(1, 3))]
    times: i64,
}

impl Action for Ring {
    type Client = Client;
    type Config = RingConfig;

    fn name(&self) -> Name {
        "shop_ring".into()
    }

    fn schema(&self) -> Schema {
        RingConfig::schema()
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
fn gross((net, percent): (i64, i64)) -> Result<i64, FunctionError> {
    let tax = net.checked_mul(percent).ok_or("The price is too high")? / 100;
    Ok(net.saturating_add(tax))
}

// On a runtime of its own choice; `serve::plugin` brings one along.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    serve::within(Shop, "Terraform starts this program.").await
}
