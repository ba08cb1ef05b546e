//! The example of a whole provider, served within the test: what Terraform would see, without Terraform.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[allow(dead_code, reason = "an example has a main function")]
#[path = "../examples/shop.rs"]
mod shop;

use tfplugin::testing::{State, TestServer};
use tfplugin::value::Value;

async fn server(directory: &std::path::Path) -> TestServer<shop::Shop> {
    let directory = Value::string(directory.display().to_string());
    let config = Value::map([("directory", directory)]);
    TestServer::start(shop::Shop, &config)
        .await
        .expect("it is configured")
}

fn number(value: i64) -> Value {
    Value::Number(value.into())
}

fn article(name: &str, price: Value) -> Value {
    let stock = Value::map([("place", Value::string("attic")), ("pieces", number(3))]);
    Value::map([
        ("name", Value::string(name)),
        ("price", price),
        ("label", Value::List(vec![])),
        ("stock", Value::List(vec![stock])),
    ])
}

const ARTICLE: &str = "shop_article";

#[tokio::test]
async fn a_resource_lives() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path()).await;
    let config = article("tea", number(4));
    assert!(server.validate(ARTICLE, &config).await.unwrap().is_empty());
    let free = article("tea", Value::Null);
    let refused = server.validate(ARTICLE, &free).await.unwrap_err();
    assert_eq!(refused.iter().next().unwrap().summary, "Missing argument");
    let made = server
        .apply(ARTICLE, &State::none(), &config)
        .await
        .unwrap();
    assert_eq!(made.get("number"), &Value::string("no-tea"));
    assert_eq!(
        server.refresh(ARTICLE, &made).await.unwrap().value(),
        made.value()
    );
    assert_eq!(
        &server.plan(ARTICLE, &made, &config).await.unwrap().state,
        made.value()
    );
    let renamed = article("oil", number(4));
    let plan = server.plan(ARTICLE, &made, &renamed).await.unwrap();
    assert_eq!(plan.replace.first().unwrap().to_string(), "name");
    let other = server.apply(ARTICLE, &made, &renamed).await.unwrap();
    assert!(!directory.path().join("tea.json").exists());
    let imported = server.import(ARTICLE, "oil").await.unwrap();
    assert_eq!(imported.get("price"), &number(4));
    let gone = server.apply(ARTICLE, &other, &Value::Null).await.unwrap();
    assert!(gone.is_none() && server.import(ARTICLE, "oil").await.unwrap().is_none());
}

#[tokio::test]
async fn the_rest_of_a_provider() {
    let directory = tempfile::tempdir().unwrap();
    let server = server(directory.path()).await;
    for name in ["tea", "oil", "salt"] {
        let config = article(name, number(10));
        server
            .apply(ARTICLE, &State::none(), &config)
            .await
            .unwrap();
    }
    let empty = Value::map::<&str>([]);
    assert_eq!(server.list(ARTICLE, &empty, 2).await.unwrap().len(), 2);
    assert_eq!(server.list(ARTICLE, &empty, 9).await.unwrap().len(), 3);
    let named = |name: &str| Value::map([("name", Value::string(name))]);
    let read = server.data("shop_price", &named("oil")).await.unwrap();
    assert_eq!(read.get("price"), &number(10));
    assert!(server.data("shop_price", &named("gold")).await.is_err());
    assert_eq!(
        server
            .call("gross", &[number(100), number(19)])
            .await
            .unwrap(),
        number(119)
    );
    let half = Value::Number("0.5".parse().unwrap());
    assert!(server.call("gross", &[half, number(19)]).await.is_err());
    let times = |times: i64| Value::map([("times", number(times))]);
    assert_eq!(
        server.invoke("shop_ring", &times(2)).await.unwrap(),
        ["ring 1", "ring 2"]
    );
    let percent = Value::map([("percent", number(15))]);
    let open = server.open("shop_discount", &percent).await.unwrap();
    assert_eq!(open.value.get("code"), &Value::string("15-percent-off"));
    let lease = directory.path().join("15-percent-off.lease.json");
    assert!(lease.exists());
    let open = server.renew("shop_discount", open).await.unwrap();
    assert!(
        server
            .close("shop_discount", open)
            .await
            .unwrap()
            .is_empty()
            && !lease.exists()
    );
    assert!(server.data("shop_nothing", &empty).await.is_err());
}

#[test]
fn the_readme_is_the_example() {
    let readme = include_str!("../README.md");
    let (_, program) = include_str!("../examples/disk.rs")
        .split_once("\n\n")
        .unwrap();
    assert!(readme.contains(&format!("```rust\n{program}```")));
}
