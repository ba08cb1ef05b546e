//! The documentation in the layout of the Terraform registry, from the schemas and from `examples/`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::provider::Dbxcmk;
use tfplugin::function::Signature;
use tfplugin::provider::Provider;
use tfplugin::schema::{Attribute, Kind, Nesting, Presence, Schema};
use tfplugin::types::Type;

mod coverage;
mod findings;
mod links;

/// `docs`
#[derive(Debug, clap::Args)]
pub struct DocsArguments {
    /// The directory that holds `examples/` and `docs/`.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Write nothing; fail when a file is stale or missing.
    #[arg(long)]
    check: bool,
}

/// Writes the documentation, or checks it.
pub fn run(arguments: &DocsArguments) -> ExitCode {
    match pages(&arguments.directory).and_then(|pages| put(arguments, &pages)) {
        Ok(stale) if stale.is_empty() => ExitCode::SUCCESS,
        Ok(stale) => {
            let list = stale
                .iter()
                .map(|path| format!("  {}", path.display()))
                .collect::<Vec<_>>()
                .join("\n");
            say(&format!(
                "The documentation is not what the schemas and examples say:\n{list}\nUpdate it with `terraform-provider-dbxcmk \
                 docs`."
            ));
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("The documentation could not be written: {error}."));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Writes or compares each page; returns those that differ when only checking.
fn put(
    arguments: &DocsArguments,
    pages: &BTreeMap<PathBuf, String>,
) -> std::io::Result<Vec<PathBuf>> {
    let docs = arguments.directory.join("docs");
    let mut stale = Vec::new();
    for (name, text) in pages {
        let path = docs.join(name);
        if std::fs::read_to_string(&path).is_ok_and(|there| there == *text) {
            continue;
        }
        if arguments.check {
            stale.push(path);
        } else {
            if let Some(parent) = path.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(&path, text)?;
        }
    }
    // A page of something that the provider no longer has.
    for folder in [
        "resources",
        "data-sources",
        "functions",
        "list-resources",
        "actions",
    ] {
        let Ok(entries) = std::fs::read_dir(docs.join(folder)) else {
            continue;
        };
        for entry in entries.flatten() {
            let name = Path::new(folder).join(entry.file_name());
            if !pages.contains_key(&name) {
                if arguments.check {
                    stale.push(entry.path());
                } else {
                    std::fs::remove_file(entry.path())?;
                }
            }
        }
    }
    Ok(stale)
}

/// Every generated page by its path below `docs/`.
fn pages(directory: &Path) -> std::io::Result<BTreeMap<PathBuf, String>> {
    let examples = directory.join("examples");
    let mut pages = BTreeMap::new();
    pages.insert(PathBuf::from("index.md"), provider_page(&examples)?);
    pages.insert(
        PathBuf::from("guides/findings.md"),
        findings::page(&examples.join("findings.md"))?,
    );
    pages.insert(
        PathBuf::from("guides/what-is-encrypted.md"),
        coverage::page(),
    );
    let file = |folder: &str, name: &str| {
        Path::new(folder).join(format!("{}.md", name.trim_start_matches("dbxcmk_")))
    };
    for resource in Dbxcmk.resources() {
        let page = resource_page(
            resource.name(),
            resource.schema(),
            &examples.join("resources").join(resource.name()),
        )?;
        pages.insert(file("resources", resource.name()), page);
    }
    for source in Dbxcmk.data_sources() {
        let folder = examples.join("data-sources").join(source.name());
        let mut page = schema_page(
            (source.name(), "Data Source"),
            source.schema(),
            &folder,
            "data-source.tf",
        )?;
        related(&mut page, source.name());
        pages.insert(file("data-sources", source.name()), page);
    }
    for list in Dbxcmk.list_resources() {
        let folder = examples.join("list-resources").join(list.name());
        let mut page = schema_page(
            (list.name(), "List Resource"),
            list.schema(),
            &folder,
            "list-resource.tfquery.hcl",
        )?;
        page.push_str("\nLists need Terraform 1.14: `terraform query`, and `terraform query -generate-config-out=found.tf` for imports.\n");
        pages.insert(file("list-resources", list.name()), page);
    }
    for action in Dbxcmk.actions() {
        let folder = examples.join("actions").join(action.name());
        let mut page = schema_page(
            (action.name(), "Action"),
            action.schema(),
            &folder,
            "action.tf",
        )?;
        let _ = write!(
            page,
            "\nActions need Terraform 1.14: `terraform apply -invoke=action.{}.NAME`, or an `action_trigger` of a resource. With an older \
             Terraform or OpenTofu, use the [key command](../guides/key-command.md).\n",
            action.name()
        );
        related(&mut page, action.name());
        pages.insert(file("actions", action.name()), page);
    }
    for function in Dbxcmk.functions() {
        let example = example(
            &examples
                .join("functions")
                .join(function.name().as_ref())
                .join("function.tf"),
        )?;
        pages.insert(
            file("functions", &function.name()),
            function_page(&function.name(), &function.signature(), &example),
        );
    }
    Ok(pages)
}

fn example(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
        .map(|text| text.trim_end().to_owned())
        .map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// The callouts of a page (`~>`, `!>`), which stand below its description: what a reader must not overlook.
fn notes(folder: &Path) -> std::io::Result<Option<String>> {
    let path = folder.join("notes.md");
    if path.exists() {
        example(&path).map(Some)
    } else {
        Ok(None)
    }
}

/// What a page says first. The description of a schema is for editors, too, so it says in further paragraphs what a page has as callouts.
fn opening(description: &str, folder: &Path) -> std::io::Result<String> {
    Ok(match notes(folder)? {
        Some(notes) => format!("{}\n\n{notes}", first_paragraph(description)),
        None => description.to_owned(),
    })
}

fn first_paragraph(text: &str) -> &str {
    text.split("\n\n").next().unwrap_or_default()
}

/// What is related to a page, if it is known.
fn related(page: &mut String, name: &str) {
    let links = links::related(name);
    if !links.is_empty() {
        page.push_str("\n## Related\n\n");
    }
    for (text, target) in links {
        let _ = writeln!(page, "- [{text}]({target})");
    }
}

fn front_matter(title: &str, subcategory: &str, description: &str) -> String {
    let first = first_paragraph(description);
    format!(
        "---\npage_title: \"{title}\"\nsubcategory: \"{subcategory}\"\ndescription: |-\n  {first}\n---\n"
    )
}

fn provider_page(examples: &Path) -> std::io::Result<String> {
    let schema = Dbxcmk.schema();
    let mut page = front_matter("dbxcmk Provider", "", &schema.description);
    let folder = examples.join("provider");
    let _ = write!(
        page,
        "\n# dbxcmk Provider\n\n{}\n",
        opening(&schema.description, &folder)?
    );
    let _ = write!(
        page,
        "\n## Example Usage\n\n```terraform\n{}\n```\n",
        example(&examples.join("provider/provider.tf"))?
    );
    let complete = example(&examples.join("complete/main.tf"))?;
    let _ = write!(
        page,
        "\nComplete example, from a key to a workspace that uses it:\n\n```terraform\n{complete}\n```\n"
    );
    page.push_str(links::GUIDES);
    schema_section(&mut page, &schema);
    Ok(page)
}

/// The examples of a resource, each with its heading: by cloud, then the usual layouts. A resource has those that differ for it.
const LAYOUTS: [(&str, &str); 11] = [
    ("AWS", "resource.tf"),
    ("Google Cloud", "resource-google.tf"),
    ("Azure", "resource-azure.tf"),
    ("Managed services alone", "resource-managed-services.tf"),
    ("Two keys", "resource-two-keys.tf"),
    ("Without cluster volumes", "resource-no-cluster-volumes.tf"),
    ("A key in another AWS account", "resource-other-account.tf"),
    (
        "Tables of Unity Catalog in other buckets",
        "resource-unity-catalog.tf",
    ),
    (
        "Tables of Unity Catalog in other buckets, on Google Cloud",
        "resource-unity-catalog-google.tf",
    ),
    (
        "Tables of Unity Catalog in storage accounts, on Azure",
        "resource-unity-catalog-azure.tf",
    ),
    ("A workspace that has its keys already", "resource-adopt.tf"),
];

fn resource_page(name: &str, schema: &Schema, examples: &Path) -> std::io::Result<String> {
    let mut page = front_matter(
        &format!("{name} Resource - dbxcmk"),
        "",
        &schema.description,
    );
    let _ = write!(
        page,
        "\n# {name} (Resource)\n\n{}\n",
        opening(&schema.description, examples)?
    );
    page.push_str("\n## Example Usage\n");
    for (heading, file) in LAYOUTS {
        let path = examples.join(file);
        if path.exists() {
            let _ = write!(
                page,
                "\n### {heading}\n\n```terraform\n{}\n```\n",
                example(&path)?
            );
        }
    }
    schema_section(&mut page, schema);
    let _ = write!(
        page,
        "\n## Import\n\nOn the command line:\n\n```shell\n{}\n```\n\nOr in the configuration:\n\n```terraform\n{}\n```\n\nOr by identity \
         (Terraform 1.12):\n\n```terraform\n{}\n```\n",
        example(&examples.join("import.sh"))?,
        example(&examples.join("import.tf"))?,
        example(&examples.join("import-by-identity.tf"))?
    );
    for (cloud, file) in [
        ("Google Cloud", "import-google.tf"),
        ("Azure", "import-azure.tf"),
    ] {
        let path = examples.join(file);
        if path.exists() {
            let _ = write!(
                page,
                "\nOn {cloud}:\n\n```terraform\n{}\n```\n",
                example(&path)?
            );
        }
    }
    let _ = write!(
        page,
        "\n## Errors\n\n{}\n",
        example(&examples.join("errors.md"))?
    );
    page.push_str("\nFindings about keys and workspaces are in the [guide on findings](../guides/findings.md).\n");
    related(&mut page, name);
    Ok(page)
}

/// A page about a data source, a list or an action: its arguments, and its results.
fn schema_page(
    (name, kind): (&str, &str),
    schema: &Schema,
    examples: &Path,
    file: &str,
) -> std::io::Result<String> {
    let mut page = front_matter(&format!("{name} {kind} - dbxcmk"), "", &schema.description);
    let _ = write!(
        page,
        "\n# {name} ({kind})\n\n{}\n",
        opening(&schema.description, examples)?
    );
    let _ = write!(
        page,
        "\n## Example Usage\n\n```terraform\n{}\n```\n",
        example(&examples.join(file))?
    );
    schema_section(&mut page, schema);
    Ok(page)
}

fn function_page(name: &str, signature: &Signature, example: &str) -> String {
    let mut page = front_matter(&format!("{name} function - dbxcmk"), "", &signature.summary);
    let parameters: Vec<String> = signature
        .parameters
        .iter()
        .map(|parameter| format!("{} {}", parameter.name, parameter.ty))
        .collect();
    let _ = write!(page, "\n# function: {name}\n\n{}\n", signature.description);
    let _ = write!(page, "\n## Example Usage\n\n```terraform\n{example}\n```\n");
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
    result_section(&mut page, &signature.result);
    page.push_str("\nProvider functions need Terraform 1.8.\n");
    related(&mut page, name);
    page
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

fn schema_section(page: &mut String, schema: &Schema) {
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
    let mut kind = match &attribute.kind {
        Kind::Value(ty) => type_name(ty),
        Kind::Nested(Nesting::Single, _) => "Attributes".to_owned(),
        Kind::Nested(Nesting::List, _) => "Attributes List".to_owned(),
        Kind::Nested(Nesting::Set, _) => "Attributes Set".to_owned(),
        Kind::Nested(Nesting::Map, _) => "Attributes Map".to_owned(),
    };
    if attribute.sensitive {
        kind.push_str(", Sensitive");
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
