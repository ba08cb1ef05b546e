//! The committed code is what the protocol files give.

use std::error::Error;

#[test]
fn the_committed_code_is_what_the_protocol_says() -> Result<(), Box<dyn Error>> {
    let generated = plugin_codegen::generate()?;
    let committed = plugin_codegen::read(&plugin_codegen::committed())?;
    let names = |files: &std::collections::BTreeMap<String, String>| {
        files.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(names(&generated), ["plugin.rs", "tfplugin6.rs"]);
    assert_eq!(names(&committed), names(&generated));
    for (name, text) in &generated {
        assert!(
            committed.get(name) == Some(text),
            "crates/plugin/src/generated/{name} is stale: write it with `cargo run -p plugin-codegen`"
        );
    }
    Ok(())
}
