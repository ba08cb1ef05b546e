//! Compiles `proto/` with protox, so that no machine needs `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = ["proto/tfplugin6.proto", "proto/go_plugin.proto"];
    let descriptors = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure()
        .build_client(false)
        .compile_well_known_types(false)
        .compile_fds(descriptors)?;
    Ok(())
}
