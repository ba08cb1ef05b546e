//! Logs as go-plugin understands them: one JSON object a line on standard error, as much as TF_LOG asks for.

use std::fmt;
use std::io::Write;

use serde_json::{Map, Value as Json};
use time::OffsetDateTime;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// How much is logged: TF_LOG_PROVIDER before TF_LOG, nothing when neither is set.
pub(crate) fn level(get: impl Fn(&str) -> Option<String>) -> LevelFilter {
    let wanted = ["TF_LOG_PROVIDER", "TF_LOG"]
        .iter()
        .find_map(|name| get(name).filter(|value| !value.is_empty()));
    match wanted.map(|value| value.to_ascii_uppercase()).as_deref() {
        // As Terraform reads it: a level that it does not know means the most that can be had, and so does JSON.
        Some("OFF") | None => LevelFilter::OFF,
        Some("ERROR") => LevelFilter::ERROR,
        Some("WARN") => LevelFilter::WARN,
        Some("INFO") => LevelFilter::INFO,
        Some("DEBUG") => LevelFilter::DEBUG,
        Some(_) => LevelFilter::TRACE,
    }
}

/// Starts logging. Without a level there is no subscriber at all, and a disabled event costs one comparison.
pub(crate) fn start(level: LevelFilter, module: &str) {
    if level == LevelFilter::OFF {
        return;
    }
    let subscriber = tracing_subscriber::registry().with(GoPlugin {
        module: module.to_owned(),
        level,
    });
    // A second start, in tests, keeps the first subscriber.
    let _ = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "the provider panicked; this is a bug");
    }));
}

/// The crates whose events are logged beside the provider's own, which has the name of the provider.
const OURS: [&str; 1] = [env!("CARGO_CRATE_NAME")];

struct GoPlugin {
    module: String,
    level: LevelFilter,
}

/// The fields of a span or event.
#[derive(Default)]
struct Fields(Map<String, Json>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0
            .insert(field.name().to_owned(), Json::from(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), Json::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), Json::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), Json::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), Json::from(value));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for GoPlugin {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        // The libraries below log their own wire traffic, and with it secrets; ours is the only voice here.
        *metadata.level() <= self.level
            && OURS
                .iter()
                .copied()
                .chain([self.module.as_str()])
                .any(|own| metadata.target().split("::").next() == Some(own))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: Context<'_, S>) {
        if let Some(span) = cx.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = Map::new();
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let format = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z"
        );
        line.insert("@level".to_owned(), Json::from(level));
        line.insert(
            "@message".to_owned(),
            fields.0.remove("message").unwrap_or_default(),
        );
        line.insert("@module".to_owned(), Json::from(self.module.as_str()));
        line.insert(
            "@timestamp".to_owned(),
            Json::from(OffsetDateTime::now_utc().format(format).unwrap_or_default()),
        );
        for span in cx
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            if let Some(fields) = span.extensions().get::<Fields>() {
                line.extend(
                    fields
                        .0
                        .iter()
                        .map(|(name, value)| (name.clone(), value.clone())),
                );
            }
        }
        line.extend(fields.0);
        let mut text = Json::Object(line).to_string();
        text.push('\n');
        // The provider does not fail because nothing reads its log.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terraforms_variables_say_how_much() {
        let rows: [(&[(&str, &str)], LevelFilter); 6] = [
            (&[], LevelFilter::OFF),
            (&[("TF_LOG", "DEBUG")], LevelFilter::DEBUG),
            (
                &[("TF_LOG", "debug"), ("TF_LOG_PROVIDER", "error")],
                LevelFilter::ERROR,
            ),
            (&[("TF_LOG", "JSON")], LevelFilter::TRACE),
            (&[("TF_LOG_PROVIDER", "off")], LevelFilter::OFF),
            (&[("TF_LOG", "")], LevelFilter::OFF),
        ];
        for (variables, expected) in rows {
            let get = |name: &str| {
                variables
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(level(get), expected, "{variables:?}");
        }
    }
}
