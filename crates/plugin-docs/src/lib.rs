//! The documentation of a provider in the layout of the Terraform registry, from its schemas and from `examples/`.
//!
//! A provider that is built on `tfplugin` knows its schemas, so the pages need no Terraform. [`Documentation::pages`] makes the
//! pages; [`write()`] puts them below `docs/`, and [`stale`] says which of them are not what the schemas and examples say, for a test or a step
//! of continuous integration:
//!
//! ```
//! use std::path::Path;
//! use tfplugin::provider::Provider;
//! use tfplugin_docs::Documentation;
//!
//! fn docs(provider: &impl Provider, check: bool) -> std::io::Result<bool> {
//!     let pages = Documentation::of(provider).pages(Path::new("examples"))?;
//!     if check {
//!         return Ok(tfplugin_docs::stale(Path::new("docs"), &pages)?.is_empty());
//!     }
//!     tfplugin_docs::write(Path::new("docs"), &pages)?;
//!     Ok(true)
//! }
//! ```
//!
//! # What stands where
//!
//! | Page below `docs/` | Files below `examples/` |
//! |---|---|
//! | `index.md` | `provider/provider.tf` |
//! | `resources/NAME.md` | `resources/FULL_NAME/resource.tf` and other [layouts](Documentation::layouts), `import.sh`, `import.tf`, `import-by-identity.tf`, `errors.md` |
//! | `data-sources/NAME.md` | `data-sources/FULL_NAME/data-source.tf` |
//! | `ephemeral-resources/NAME.md` | `ephemeral-resources/FULL_NAME/ephemeral-resource.tf` |
//! | `list-resources/NAME.md` | `list-resources/FULL_NAME/list-resource.tfquery.hcl` |
//! | `actions/NAME.md` | `actions/FULL_NAME/action.tf` |
//! | `functions/NAME.md` | `functions/NAME/function.tf` |
//!
//! An example that is missing is an error, because a page without one helps little; files about imports, errors and notes are optional. A folder can
//! have a `notes.md` with the callouts (`~>`, `!>`) of its page: it then stands in place of the further paragraphs of the description.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use tfplugin::function::Signature;
use tfplugin::provider::Provider;
use tfplugin::schema::Schema;

mod render;

use render::{first_paragraph, schema_section, signature_sections};

/// Every generated page, by its path below `docs/`.
pub type Pages = BTreeMap<PathBuf, String>;

/// What a page is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A resource.
    Resource,
    /// A data source.
    DataSource,
    /// An ephemeral resource.
    EphemeralResource,
    /// A list resource.
    ListResource,
    /// An action.
    Action,
    /// A function.
    Function,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Resource,
        Self::DataSource,
        Self::EphemeralResource,
        Self::ListResource,
        Self::Action,
        Self::Function,
    ];

    /// The folder below `docs/` and below `examples/`.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Resource => "resources",
            Self::DataSource => "data-sources",
            Self::EphemeralResource => "ephemeral-resources",
            Self::ListResource => "list-resources",
            Self::Action => "actions",
            Self::Function => "functions",
        }
    }

    /// The word in the title of a page.
    fn title(self) -> &'static str {
        match self {
            Self::Resource => "Resource",
            Self::DataSource => "Data Source",
            Self::EphemeralResource => "Ephemeral Resource",
            Self::ListResource => "List Resource",
            Self::Action => "Action",
            Self::Function => "function",
        }
    }

    /// The name of the example.
    fn example(self) -> &'static str {
        match self {
            Self::Resource => "resource.tf",
            Self::DataSource => "data-source.tf",
            Self::EphemeralResource => "ephemeral-resource.tf",
            Self::ListResource => "list-resource.tfquery.hcl",
            Self::Action => "action.tf",
            Self::Function => "function.tf",
        }
    }
}

type Closing<'a> = dyn Fn(Kind, &str) -> String + 'a;

/// The documentation of a provider.
pub struct Documentation<'a, P> {
    provider: &'a P,
    layouts: &'a [(&'a str, &'a str)],
    imports: &'a [(&'a str, &'a str)],
    index: String,
    without_actions: String,
    closing: Box<Closing<'a>>,
}

impl<P: Provider> fmt::Debug for Documentation<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Documentation")
            .field("provider", &self.provider.name())
            .field("layouts", &self.layouts)
            .field("imports", &self.imports)
            .finish_non_exhaustive()
    }
}

impl<'a, P: Provider> Documentation<'a, P> {
    /// The documentation of a provider, with one example for each page and nothing beside.
    #[must_use]
    pub fn of(provider: &'a P) -> Self {
        Self {
            provider,
            layouts: &[("", "resource.tf")],
            imports: &[],
            index: String::new(),
            without_actions: String::new(),
            closing: Box::new(|_, _| String::new()),
        }
    }

    /// The examples of a resource, as heading and file: each resource shows those that it has, in this order. An empty heading is none.
    #[must_use]
    pub fn layouts(mut self, layouts: &'a [(&'a str, &'a str)]) -> Self {
        self.layouts = layouts;
        self
    }

    /// Further examples of imports, as what stands above (`On Azure`) and file: each resource shows those that it has.
    #[must_use]
    pub fn imports(mut self, imports: &'a [(&'a str, &'a str)]) -> Self {
        self.imports = imports;
        self
    }

    /// Markdown of the first page, between the example and the schema, such as links to guides.
    #[must_use]
    pub fn index(mut self, text: impl Into<String>) -> Self {
        self.index = text.into();
        self
    }

    /// What a user does whose Terraform has no actions, as a sentence of each page about one.
    #[must_use]
    pub fn without_actions(mut self, sentence: impl Into<String>) -> Self {
        self.without_actions = sentence.into();
        self
    }

    /// Markdown at the end of the page about something, by its kind and its full name, such as related pages. Nothing is an empty text.
    #[must_use]
    pub fn closing(mut self, closing: impl Fn(Kind, &str) -> String + 'a) -> Self {
        self.closing = Box::new(closing);
        self
    }

    /// Every page, from the schemas and from the directory with the examples.
    ///
    /// # Errors
    /// When an example is missing or cannot be read; the error names its file.
    pub fn pages(&self, examples: &Path) -> io::Result<Pages> {
        let mut pages = Pages::new();
        pages.insert(PathBuf::from("index.md"), self.index_page(examples)?);
        for one in self.provider.resources() {
            self.add(
                &mut pages,
                examples,
                Kind::Resource,
                one.name(),
                one.schema(),
            )?;
        }
        for one in self.provider.data_sources() {
            self.add(
                &mut pages,
                examples,
                Kind::DataSource,
                one.name(),
                one.schema(),
            )?;
        }
        for one in self.provider.ephemeral_resources() {
            let kind = Kind::EphemeralResource;
            self.add(&mut pages, examples, kind, one.name(), one.schema())?;
        }
        for one in self.provider.list_resources() {
            self.add(
                &mut pages,
                examples,
                Kind::ListResource,
                one.name(),
                one.schema(),
            )?;
        }
        for one in self.provider.actions() {
            self.add(&mut pages, examples, Kind::Action, one.name(), one.schema())?;
        }
        for one in self.provider.functions() {
            let name = one.name();
            let mut page = self.function_page(&name, &one.signature(), examples)?;
            page.push_str(&(self.closing)(Kind::Function, &name));
            pages.insert(self.file(Kind::Function, &name), page);
        }
        Ok(pages)
    }

    fn file(&self, kind: Kind, name: &str) -> PathBuf {
        let prefix = format!("{}_", self.provider.name());
        let short = name.strip_prefix(&prefix).unwrap_or(name);
        Path::new(kind.folder()).join(format!("{short}.md"))
    }

    fn add(
        &self,
        pages: &mut Pages,
        examples: &Path,
        kind: Kind,
        name: &str,
        schema: &Schema,
    ) -> io::Result<()> {
        let mut page =
            self.schema_page(kind, name, schema, &examples.join(kind.folder()).join(name))?;
        page.push_str(&(self.closing)(kind, name));
        pages.insert(self.file(kind, name), page);
        Ok(())
    }

    fn index_page(&self, examples: &Path) -> io::Result<String> {
        let schema = self.provider.schema();
        let name = self.provider.name();
        let folder = examples.join("provider");
        let mut page = front_matter(&format!("{name} Provider"), "", &schema.description);
        let _ = write!(
            page,
            "\n# {name} Provider\n\n{}\n\n## Example Usage\n\n{}",
            opening(&schema.description, &folder)?,
            fenced("terraform", &example(&folder.join("provider.tf"))?)
        );
        page.push_str(&self.index);
        schema_section(&mut page, &schema);
        Ok(page)
    }

    /// A page about what has a schema.
    fn schema_page(
        &self,
        kind: Kind,
        name: &str,
        schema: &Schema,
        folder: &Path,
    ) -> io::Result<String> {
        let title = kind.title();
        let mut page = front_matter(
            &format!("{name} {title} - {}", self.provider.name()),
            "",
            &schema.description,
        );
        let _ = write!(
            page,
            "\n# {name} ({title})\n\n{}\n\n## Example Usage\n",
            opening(&schema.description, folder)?
        );
        if kind == Kind::Resource {
            self.layout_sections(&mut page, folder)?;
        } else {
            let code = example(&folder.join(kind.example()))?;
            let _ = write!(page, "\n{}", fenced("terraform", &code));
        }
        schema_section(&mut page, schema);
        match kind {
            Kind::Resource => self.resource_sections(&mut page, folder)?,
            Kind::EphemeralResource => page.push_str("\nEphemeral resources need Terraform 1.10.\n"),
            Kind::ListResource => page.push_str(
                "\nLists need Terraform 1.14: `terraform query`, and `terraform query -generate-config-out=found.tf` for imports.\n",
            ),
            Kind::Action => {
                let text = format!(
                    "Actions need Terraform 1.14: `terraform apply -invoke=action.{name}.NAME`, or an `action_trigger` of a resource. {}",
                    self.without_actions
                );
                let _ = writeln!(page, "\n{}", text.trim_end());
            }
            Kind::DataSource | Kind::Function => {}
        }
        Ok(page)
    }

    fn layout_sections(&self, page: &mut String, folder: &Path) -> io::Result<()> {
        let before = page.len();
        for (heading, file) in self.layouts {
            let Some(code) = optional(&folder.join(file))? else {
                continue;
            };
            if !heading.is_empty() {
                let _ = write!(page, "\n### {heading}\n");
            }
            let _ = write!(page, "\n{}", fenced("terraform", &code));
        }
        if page.len() == before {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("{}: there is no example of the resource", folder.display()),
            ));
        }
        Ok(())
    }

    /// How a resource is imported, and its errors.
    fn resource_sections(&self, page: &mut String, folder: &Path) -> io::Result<()> {
        let ways = [
            ("on the command line", "shell", "import.sh"),
            ("in the configuration", "terraform", "import.tf"),
            (
                "by identity (Terraform 1.12)",
                "terraform",
                "import-by-identity.tf",
            ),
        ];
        let mut lead = "";
        for (way, language, file) in ways {
            let Some(code) = optional(&folder.join(file))? else {
                continue;
            };
            if lead.is_empty() {
                page.push_str("\n## Import\n");
            }
            let way = capitalized(&format!("{lead}{way}"));
            let _ = write!(page, "\n{way}:\n\n{}", fenced(language, &code));
            lead = "or ";
        }
        for (heading, file) in self.imports {
            if let Some(code) = optional(&folder.join(file))? {
                let _ = write!(page, "\n{heading}:\n\n{}", fenced("terraform", &code));
            }
        }
        if let Some(errors) = optional(&folder.join("errors.md"))? {
            let _ = write!(page, "\n## Errors\n\n{errors}\n");
        }
        Ok(())
    }

    fn function_page(
        &self,
        name: &str,
        signature: &Signature,
        examples: &Path,
    ) -> io::Result<String> {
        let kind = Kind::Function;
        let code = example(&examples.join(kind.folder()).join(name).join(kind.example()))?;
        let title = format!("{name} {} - {}", kind.title(), self.provider.name());
        let mut page = front_matter(&title, "", &signature.summary);
        let _ = write!(
            page,
            "\n# function: {name}\n\n{}\n\n## Example Usage\n\n{}",
            signature.description,
            fenced("terraform", &code)
        );
        signature_sections(&mut page, name, signature);
        page.push_str("\nProvider functions need Terraform 1.8.\n");
        Ok(page)
    }
}

/// What stands above a page for the registry. The description is its first paragraph.
#[must_use]
pub fn front_matter(title: &str, subcategory: &str, description: &str) -> String {
    let first = first_paragraph(description);
    format!(
        "---\npage_title: \"{title}\"\nsubcategory: \"{subcategory}\"\ndescription: |-\n  {first}\n---\n"
    )
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

fn fenced(language: &str, code: &str) -> String {
    format!("```{language}\n{code}\n```\n")
}

/// An example, without the empty lines at its end.
///
/// # Errors
/// When it cannot be read; the error names the file.
pub fn example(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
        .map(|text| text.trim_end().to_owned())
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// The same, where the file is there. What is there and cannot be read is an error.
fn optional(path: &Path) -> io::Result<Option<String>> {
    match example(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// What a page says first. The description of a schema is for editors, too, so it says in further paragraphs what a page has as callouts.
fn opening(description: &str, folder: &Path) -> io::Result<String> {
    Ok(match optional(&folder.join("notes.md"))? {
        Some(notes) => format!("{}\n\n{notes}", first_paragraph(description)),
        None => description.to_owned(),
    })
}

/// Writes the pages below `docs`, and removes those of what the provider no longer has. Pages in other folders, such as guides, stay.
///
/// # Errors
/// When a file cannot be read, written or removed.
pub fn write(docs: &Path, pages: &Pages) -> io::Result<()> {
    for path in stale(docs, pages)? {
        let page = path
            .strip_prefix(docs)
            .ok()
            .and_then(|name| pages.get(name));
        let Some(page) = page else {
            std::fs::remove_file(&path)?;
            continue;
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, page)?;
    }
    Ok(())
}

/// The files below `docs` that are not what the pages say: different, missing, or of something that the provider no longer has.
///
/// # Errors
/// When a folder or a page cannot be read.
pub fn stale(docs: &Path, pages: &Pages) -> io::Result<BTreeSet<PathBuf>> {
    let mut stale = BTreeSet::new();
    for (name, text) in pages {
        let path = docs.join(name);
        let there = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            read => Some(read?),
        };
        if there.as_deref() != Some(text.as_bytes()) {
            stale.insert(path);
        }
    }
    for kind in Kind::ALL {
        let entries = match std::fs::read_dir(docs.join(kind.folder())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if !pages.contains_key(&Path::new(kind.folder()).join(entry.file_name())) {
                stale.insert(entry.path());
            }
        }
    }
    Ok(stale)
}
