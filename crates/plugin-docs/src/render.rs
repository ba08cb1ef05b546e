//! What stands on a page: schemas, signatures and types in the words of the registry.

use std::fmt::Write as _;

use tfplugin::function::Signature;
use tfplugin::schema::{Attribute, Kind, Nesting, Presence, Schema};
use tfplugin::types::Type;

/// The first paragraph of a description.
pub(crate) fn first_paragraph(text: &str) -> &str {
    text.split("\n\n").next().unwrap_or_default()
}

/// The signature of a function, its arguments and its result.
pub(crate) fn signature_sections(page: &mut String, name: &str, signature: &Signature) {
    let parameters: Vec<String> = signature
        .parameters
        .iter()
        .map(|parameter| format!("{} {}", parameter.name, parameter.ty))
        .collect();
    let _ = write!(
        page,
        "\n## Signature\n\n```text\n{name}({}) {}\n```\n\n## Arguments\n\n",
        parameters.join(", "),
        signature.result
    );
    for (number, parameter) in signature.parameters.iter().enumerate() {
        let nullable = if parameter.allow_null {
            ", Nullable"
        } else {
            ""
        };
        let _ = writeln!(
            page,
            "{}. `{}` ({}{nullable}) {}",
            number + 1,
            parameter.name,
            type_name(&parameter.ty),
            parameter.description
        );
    }
    result_section(page, &signature.result);
}

/// What a function returns; of an object, every attribute.
fn result_section(page: &mut String, result: &Type) {
    let _ = write!(page, "\n## Return Type\n\n{}", type_name(result));
    if let Type::Object { attributes, .. } = result {
        page.push_str(" with these attributes:\n\n");
        for (name, ty) in attributes {
            let _ = writeln!(page, "- `{name}` ({})", type_name(ty));
        }
    } else {
        page.push('\n');
    }
}

/// The attributes and blocks of a schema, those inside of others below them.
pub(crate) fn schema_section(page: &mut String, schema: &Schema) {
    page.push_str("\n## Schema\n");
    let mut nested = Vec::new();
    attributes(page, &schema.attributes, "", 3, &mut nested);
    let mut next = 0;
    while let Some((path, inner)) = nested.get(next).cloned() {
        let _ = write!(
            page,
            "\n<a id=\"nestedatt--{}\"></a>\n### Nested Schema for `{path}`\n",
            path.replace('.', "--")
        );
        attributes(page, inner, &path, 4, &mut nested);
        next += 1;
    }
}

fn attributes<'a>(
    page: &mut String,
    all: &'a [Attribute],
    parent: &str,
    level: usize,
    nested: &mut Vec<(String, &'a [Attribute])>,
) {
    let groups: [(&str, fn(&Attribute) -> bool); 3] = [
        ("Required", |attribute| {
            attribute.presence == Presence::Required
        }),
        ("Optional", |attribute| {
            matches!(
                attribute.presence,
                Presence::Optional | Presence::OptionalComputed
            )
        }),
        ("Read-Only", |attribute| {
            attribute.presence == Presence::Computed
        }),
    ];
    for (title, belongs) in groups {
        let mut own: Vec<&Attribute> = all.iter().filter(|attribute| belongs(attribute)).collect();
        if own.is_empty() {
            continue;
        }
        own.sort_by(|one, other| one.name.cmp(&other.name));
        let _ = write!(page, "\n{} {title}\n\n", "#".repeat(level));
        for attribute in own {
            let _ = writeln!(page, "{}", line(attribute, parent, nested));
        }
    }
}

fn line<'a>(
    attribute: &'a Attribute,
    parent: &str,
    nested: &mut Vec<(String, &'a [Attribute])>,
) -> String {
    let path = if parent.is_empty() {
        attribute.name.to_string()
    } else {
        format!("{parent}.{}", attribute.name)
    };
    let what = if attribute.is_block() {
        "Block"
    } else {
        "Attributes"
    };
    let mut kind = match &attribute.kind {
        Kind::Value(ty) => type_name(ty),
        Kind::Nested(Nesting::Single, _) => what.to_owned(),
        Kind::Nested(Nesting::List, _) => format!("{what} List"),
        Kind::Nested(Nesting::Set, _) => format!("{what} Set"),
        Kind::Nested(Nesting::Map, _) => format!("{what} Map"),
    };
    if attribute.sensitive {
        kind.push_str(", Sensitive");
    }
    if attribute.write_only {
        kind.push_str(", Write-only");
    }
    if let Some(why) = &attribute.deprecated {
        let _ = write!(kind, ", Deprecated: {why}");
    }
    let mut line = format!("- `{}` ({kind}) {}", attribute.name, attribute.description);
    if attribute.replaces {
        line.push_str(" A change replaces the resource.");
    }
    if let Kind::Nested(_, inner) = &attribute.kind {
        let _ = write!(
            line,
            " (see [below for nested schema](#nestedatt--{}))",
            path.replace('.', "--")
        );
        nested.push((path, inner));
    }
    line
}

fn type_name(ty: &Type) -> String {
    match ty {
        Type::String => "String".to_owned(),
        Type::Number => "Number".to_owned(),
        Type::Bool => "Boolean".to_owned(),
        Type::Dynamic => "Dynamic".to_owned(),
        Type::List(element) => format!("List of {}", type_name(element)),
        Type::Set(element) => format!("Set of {}", type_name(element)),
        Type::Map(element) => format!("Map of {}", type_name(element)),
        Type::Tuple(_) => "Tuple".to_owned(),
        Type::Object { .. } => "Object".to_owned(),
    }
}
