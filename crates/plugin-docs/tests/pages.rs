//! The pages of a small provider.

use std::error::Error;
use std::path::Path;

use tfplugin::prelude::*;
use tfplugin_docs::{Documentation, Kind, Pages};

/// A shop.
#[derive(Model)]
struct Config {
    /// What opens it.
    #[attr(sensitive)]
    key: Attr<String>,
}

/// An article.
///
/// It costs something.
#[derive(Model)]
struct ArticleModel {
    /// What it is.
    #[attr(required, replaces)]
    name: Attr<String>,
    /// What nobody sees.
    #[attr(write_only)]
    secret: Attr<String>,
    /// What stands on it.
    #[attr(block)]
    label: Attr<Vec<Label>>,
    /// Where it is.
    #[attr(computed)]
    place: Attr<Place>,
}

#[derive(Model)]
struct Label {
    /// What it says.
    #[attr(required)]
    text: Attr<String>,
}

#[derive(Model)]
struct Place {
    /// The shelf.
    #[attr(computed)]
    shelf: Attr<i64>,
}

struct Article;

impl Resource for Article {
    type Client = ();
    type Model = ArticleModel;

    fn name(&self) -> Name {
        "shop_article".into()
    }

    fn schema(&self) -> Schema {
        ArticleModel::schema()
    }

    async fn create(
        &self,
        _: &Context<()>,
        plan: ArticleModel,
        _: &Progress<ArticleModel>,
    ) -> Result<ArticleModel, Unfinished> {
        Ok(plan)
    }

    async fn update(
        &self,
        _: &Context<()>,
        _: ArticleModel,
        plan: ArticleModel,
        _: &Progress<ArticleModel>,
    ) -> Result<ArticleModel, Unfinished> {
        Ok(plan)
    }

    async fn delete(&self, _: &Context<()>, _: ArticleModel) -> Result<(), Unfinished> {
        Ok(())
    }
}

struct Shop;

impl Provider for Shop {
    type Client = ();
    type Config = Config;

    fn name(&self) -> Name {
        "shop".into()
    }

    fn schema(&self) -> Schema {
        Config::schema()
    }

    async fn configure(&self, _: Config, _: Run) -> Result<((), Diagnostics), Unfinished> {
        Ok(((), Diagnostics::new()))
    }

    fn resources(&self) -> Vec<resource::Registered<()>> {
        vec![resource::register(Article)]
    }

    fn functions(&self) -> Vec<Box<dyn Function>> {
        let gross = |net: i64| Ok(net * 2);
        vec![Box::new(
            function::typed("gross", ["net"], gross)
                .summary("A price with tax")
                .about("net", "The price without tax."),
        )]
    }
}

const EXAMPLES: [(&str, &str); 4] = [
    ("provider/provider.tf", "provider \"shop\" {}\n\n"),
    (
        "resources/shop_article/resource.tf",
        "resource \"shop_article\" \"tea\" {}\n",
    ),
    ("resources/shop_article/import.tf", "import {}\n"),
    ("functions/gross/function.tf", "provider::shop::gross(1)\n"),
];

fn write(root: &Path, files: &[(&str, &str)]) -> std::io::Result<()> {
    for (name, text) in files {
        let path = root.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}

fn made() -> Result<Pages, Box<dyn Error>> {
    let examples = tempfile::tempdir()?;
    write(examples.path(), &EXAMPLES)?;
    let closing = |kind, name: &str| match kind {
        Kind::Resource => format!("\nSee {name}.\n"),
        _ => String::new(),
    };
    Ok(Documentation::of(&Shop)
        .index("\nGuides.\n")
        .closing(closing)
        .pages(examples.path())?)
}

const ARTICLE: &str = "---
page_title: \"shop_article Resource - shop\"
subcategory: \"\"
description: |-
  An article.
---

# shop_article (Resource)

An article.

It costs something.

## Example Usage

```terraform
resource \"shop_article\" \"tea\" {}
```

## Schema

### Required

- `name` (String) What it is. A change replaces the resource.

### Optional

- `label` (Block List) What stands on it. (see [below for nested schema](#nestedatt--label))
- `secret` (String, Write-only) What nobody sees.

### Read-Only

- `place` (Attributes) Where it is. (see [below for nested schema](#nestedatt--place))

<a id=\"nestedatt--label\"></a>
### Nested Schema for `label`

#### Required

- `text` (String) What it says.

<a id=\"nestedatt--place\"></a>
### Nested Schema for `place`

#### Read-Only

- `shelf` (Number) The shelf.

## Import

In the configuration:

```terraform
import {}
```

See shop_article.
";

#[test]
fn each_page_says_what_the_schema_and_the_examples_say() -> Result<(), Box<dyn Error>> {
    let pages = made()?;
    let names: Vec<_> = pages.keys().filter_map(|name| name.to_str()).collect();
    assert_eq!(
        names,
        ["functions/gross.md", "index.md", "resources/article.md"]
    );
    let page = |name: &str| {
        pages
            .get(Path::new(name))
            .map(String::as_str)
            .unwrap_or_default()
    };
    assert_eq!(page("resources/article.md"), ARTICLE);
    let index = page("index.md");
    assert!(
        index.contains("```terraform\nprovider \"shop\" {}\n```\n\nGuides.\n\n## Schema\n"),
        "{index}"
    );
    assert!(
        index.contains("- `key` (String, Sensitive) What opens it.\n"),
        "{index}"
    );
    let function = page("functions/gross.md");
    assert!(
        function.contains("\n1. `net` (Number) The price without tax.\n"),
        "{function}"
    );
    assert!(
        function.contains("\n## Return Type\n\nNumber\n"),
        "{function}"
    );
    Ok(())
}

#[test]
fn an_example_that_is_missing_is_named() -> Result<(), Box<dyn Error>> {
    for missing in [0, 1, 3] {
        let examples = tempfile::tempdir()?;
        let mut files = EXAMPLES.to_vec();
        let (name, _) = files.remove(missing);
        write(examples.path(), &files)?;
        let said = match Documentation::of(&Shop).pages(examples.path()) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        let folder = Path::new(name).parent().unwrap_or(Path::new(name));
        let folder = examples.path().join(folder);
        assert!(
            said.starts_with(&folder.display().to_string()),
            "{name}: {said}"
        );
    }
    Ok(())
}

#[test]
fn what_is_stale_is_found_and_written() -> Result<(), Box<dyn Error>> {
    let (pages, docs) = (made()?, tempfile::tempdir()?);
    let docs = docs.path();
    assert_eq!(tfplugin_docs::stale(docs, &pages)?.len(), 3);
    write(
        docs,
        &[
            ("resources/gone.md", "Gone"),
            ("resources/article.md", "Old"),
            ("guides/own.md", "Own"),
        ],
    )?;
    let stale = tfplugin_docs::stale(docs, &pages)?;
    assert_eq!(stale.len(), 4);
    assert!(stale.contains(&docs.join("resources/gone.md")));
    tfplugin_docs::write(docs, &pages)?;
    assert!(tfplugin_docs::stale(docs, &pages)?.is_empty());
    assert!(!docs.join("resources/gone.md").exists());
    assert_eq!(std::fs::read_to_string(docs.join("guides/own.md"))?, "Own");
    assert_eq!(
        std::fs::read_to_string(docs.join("resources/article.md"))?,
        ARTICLE
    );
    Ok(())
}
