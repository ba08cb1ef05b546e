//! The documentation: what `tfplugin-docs` makes of the schemas and of `examples/`, and the guides that the code decides.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tfplugin_docs::{Documentation, Kind, Pages, example, front_matter};

use crate::provider::Dbxcmk;

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
fn put(arguments: &DocsArguments, pages: &Pages) -> std::io::Result<Vec<PathBuf>> {
    let docs = arguments.directory.join("docs");
    if arguments.check {
        return Ok(tfplugin_docs::stale(&docs, pages)?.into_iter().collect());
    }
    tfplugin_docs::write(&docs, pages)?;
    Ok(Vec::new())
}

/// Every generated page by its path below `docs/`.
fn pages(directory: &Path) -> std::io::Result<Pages> {
    let examples = directory.join("examples");
    let complete = example(&examples.join("complete/main.tf"))?;
    let index = format!(
        "\nComplete example, from a key to a workspace that uses it:\n\n```terraform\n{complete}\n```\n{}",
        links::GUIDES
    );
    let mut pages = Documentation::of(&Dbxcmk)
        .layouts(&LAYOUTS)
        .imports(&[
            ("On Google Cloud", "import-google.tf"),
            ("On Azure", "import-azure.tf"),
        ])
        .index(index)
        .without_actions(
            "With an older Terraform or OpenTofu, use the [key command](../guides/key-command.md).",
        )
        .closing(closing)
        .pages(&examples)?;
    pages.insert(
        PathBuf::from("guides/findings.md"),
        findings::page(&examples.join("findings.md"))?,
    );
    pages.insert(
        PathBuf::from("guides/what-is-encrypted.md"),
        coverage::page(),
    );
    Ok(pages)
}

/// What a page says last: where its findings are explained, and what is related to it. A list has the name of its resource, whose page has both.
fn closing(kind: Kind, name: &str) -> String {
    let mut text = String::new();
    if kind == Kind::Resource {
        text.push_str("\nFindings about keys and workspaces are in the [guide on findings](../guides/findings.md).\n");
    }
    if kind == Kind::ListResource {
        return text;
    }
    let links = links::related(name);
    if !links.is_empty() {
        text.push_str("\n## Related\n\n");
    }
    for (title, target) in links {
        let _ = writeln!(text, "- [{title}]({target})");
    }
    text
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
