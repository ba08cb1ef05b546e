//! The provider of the README: a resource, and its test.

use std::process::ExitCode;

use tfplugin::prelude::*;

/// A file.
#[derive(Model)]
struct File {
    /// Where it is.
    #[attr(required, replaces)]
    path: Attr<String>,
    /// What stands in it.
    #[attr(default = "")]
    content: Attr<String>,
}

impl File {
    fn write(self) -> Result<Self, Unfinished> {
        let (path, content) = (self.path.require()?, self.content.require()?);
        std::fs::write(path, content).or_error("The file could not be written")?;
        Ok(self)
    }
}

struct FileResource;

impl Resource for FileResource {
    type Client = ();
    type Model = File;

    fn name(&self) -> Name {
        "disk_file".into()
    }

    fn schema(&self) -> Schema {
        File::schema()
    }

    async fn create(
        &self,
        _: &Context<()>,
        plan: File,
        _: &Progress<File>,
    ) -> Result<File, Unfinished> {
        plan.write()
    }

    async fn read(&self, _: &Context<()>, mut state: File) -> Result<Option<File>, Unfinished> {
        match std::fs::read_to_string(state.path.require()?) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            text => state.content = Attr::Known(text.or_error("The file could not be read")?),
        }
        Ok(Some(state))
    }

    async fn update(
        &self,
        _: &Context<()>,
        _: File,
        plan: File,
        _: &Progress<File>,
    ) -> Result<File, Unfinished> {
        plan.write()
    }

    async fn delete(&self, _: &Context<()>, state: File) -> Result<(), Unfinished> {
        std::fs::remove_file(state.path.require()?).or_error("The file could not be removed")?;
        Ok(())
    }
}

/// Files on the disk.
#[derive(Model)]
struct Config {}

struct Disk;

impl Provider for Disk {
    type Client = ();
    type Config = Config;

    fn name(&self) -> Name {
        "disk".into()
    }

    fn schema(&self) -> Schema {
        Config::schema()
    }

    async fn configure(&self, _: Config, _: Run) -> Result<((), Diagnostics), Unfinished> {
        Ok(((), Diagnostics::new()))
    }

    fn resources(&self) -> Vec<resource::Registered<()>> {
        vec![resource::register(FileResource)]
    }
}

fn main() -> ExitCode {
    serve::plugin(Disk, "Terraform starts this program.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tfplugin::testing::{State, TestServer};

    use super::*;

    #[tokio::test]
    async fn a_file_is_written_and_read() -> Result<(), Diagnostics> {
        let path = std::env::temp_dir().join(format!("tfplugin-disk-{}", std::process::id()));
        let server = TestServer::start(Disk, &json!({})).await?;
        let config = json!({"path": path, "content": "tea"});
        let made = server.apply("disk_file", &State::none(), &config).await?;
        std::fs::write(&path, "oil").or_error("Not written")?;
        let read = server.refresh("disk_file", &made).await?;
        assert_eq!(read.get("content").as_str(), Some("oil"));
        server
            .apply("disk_file", &read, &serde_json::Value::Null)
            .await?;
        assert!(!path.exists());
        Ok(())
    }
}
