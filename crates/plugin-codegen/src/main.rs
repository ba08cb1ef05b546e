//! Writes the generated code of tfplugin: `cargo run -p plugin-codegen`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = plugin_codegen::committed();
    std::fs::create_dir_all(&directory)?;
    for (name, text) in plugin_codegen::generate()? {
        std::fs::write(directory.join(name), text)?;
    }
    Ok(())
}
