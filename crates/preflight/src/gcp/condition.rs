//! IAM conditions, as far as they can be decided before a call: conjunctions of comparisons with the name and type of the resource, and
//! with the time. Everything else is undetermined.
//!
//! Source: IAM documentation, "Attribute reference for IAM Conditions". In which form Cloud KMS gives `resource.name` is not documented,
//! so a name that does not fit decides nothing.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use vocabulary::gcp::CryptoKeyName;

/// How a condition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The condition is met.
    Yes,
    /// The condition is not met.
    No,
    /// It depends on what only the call has, or on what this version does not understand.
    Undetermined,
}

/// Whether a condition holds for the use of a key at a time.
pub fn holds(expression: &str, key: &CryptoKeyName, at: OffsetDateTime) -> Holds {
    // What binds less than a conjunction is not taken apart: one part that does not hold decides nothing there.
    if expression.contains("||") || expression.contains('?') {
        return Holds::Undetermined;
    }
    let mut all = Holds::Yes;
    for atom in expression.split("&&") {
        match atom_holds(atom.trim(), key, at) {
            Holds::No => return Holds::No,
            Holds::Undetermined => all = Holds::Undetermined,
            Holds::Yes => {}
        }
    }
    all
}

/// The text between the quotes that a rest begins with.
fn quoted(rest: &str) -> Option<&str> {
    let rest = rest.trim();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let inner = rest.strip_prefix(quote)?.strip_suffix(quote)?;
    (!inner.contains(quote)).then_some(inner)
}

fn atom_holds(atom: &str, key: &CryptoKeyName, at: OffsetDateTime) -> Holds {
    let name = key.to_string();
    let is_named = |wanted: &str, fits: fn(&str, &str) -> bool| {
        let long = format!("//cloudkms.googleapis.com/{name}");
        match fits(&name, wanted) || fits(&long, wanted) {
            true => Holds::Yes,
            false => Holds::Undetermined,
        }
    };
    if let Some(wanted) = atom
        .strip_prefix("resource.name.startsWith(")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(quoted)
    {
        return is_named(wanted, |name, wanted| name.starts_with(wanted));
    }
    if let Some(rest) = atom.strip_prefix("resource.name") {
        return match rest.trim().strip_prefix("==").and_then(quoted) {
            Some(wanted) => is_named(wanted, |name, wanted| name == wanted),
            None => Holds::Undetermined,
        };
    }
    if let Some(rest) = atom.strip_prefix("resource.type") {
        return match rest.trim().strip_prefix("==").and_then(quoted) {
            Some(
                "cloudkms.googleapis.com/CryptoKey" | "cloudkms.googleapis.com/CryptoKeyVersion",
            ) => Holds::Yes,
            _ => Holds::Undetermined,
        };
    }
    if let Some(rest) = atom.strip_prefix("request.time") {
        return in_time(rest.trim(), at);
    }
    Holds::Undetermined
}

fn in_time(rest: &str, at: OffsetDateTime) -> Holds {
    let (is_before, rest) = match (rest.strip_prefix('<'), rest.strip_prefix('>')) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return Holds::Undetermined,
    };
    let moment = rest
        .trim_start_matches('=')
        .trim()
        .strip_prefix("timestamp(")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(quoted)
        .and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    match moment {
        Some(moment) if (at < moment) == is_before => Holds::Yes,
        Some(_) => Holds::No,
        None => Holds::Undetermined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: an expression, and whether it holds for one key in 2026.
    #[test]
    fn what_can_be_decided_is_decided() -> Result<(), Box<dyn std::error::Error>> {
        let key: CryptoKeyName = "projects/p/locations/us-east4/keyRings/r/cryptoKeys/k".parse()?;
        let at = OffsetDateTime::parse("2026-01-01T00:00:00Z", &Rfc3339)?;
        let rows = [
            (
                "resource.name == \"projects/p/locations/us-east4/keyRings/r/cryptoKeys/k\"",
                Holds::Yes,
            ),
            (
                "resource.name.startsWith(\"projects/p/locations/us-east4/\")",
                Holds::Yes,
            ),
            (
                "resource.name.startsWith('projects/q/')",
                Holds::Undetermined,
            ),
            (
                "resource.type == \"cloudkms.googleapis.com/CryptoKey\"",
                Holds::Yes,
            ),
            (
                "request.time < timestamp(\"2027-01-01T00:00:00Z\")",
                Holds::Yes,
            ),
            (
                "request.time < timestamp(\"2025-01-01T00:00:00Z\")",
                Holds::No,
            ),
            (
                "request.time >= timestamp(\"2025-01-01T00:00:00Z\")",
                Holds::Yes,
            ),
            ("request.time < timestamp(\"soon\")", Holds::Undetermined),
            (
                "resource.type == \"cloudkms.googleapis.com/CryptoKey\" && request.time < timestamp(\"2025-01-01T00:00:00Z\")",
                Holds::No,
            ),
            ("resource.type == \"x\" || true", Holds::Undetermined),
            ("api.getAttribute('x', '') == 'y'", Holds::Undetermined),
            ("", Holds::Undetermined),
        ];
        for (expression, expected) in rows {
            assert_eq!(holds(expression, &key, at), expected, "{expression}");
        }
        Ok(())
    }
}
