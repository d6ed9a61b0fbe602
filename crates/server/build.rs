//! Sees to it that the web UI's folder is there, even empty, and that a new UI makes a new program: the folder is
//! embedded, and cargo only watches what it is told of.

fn main() -> std::io::Result<()> {
    let folder = std::path::Path::new("../../ui/dist");
    std::fs::create_dir_all(folder)?;
    println!("cargo:rerun-if-changed={}", folder.display());
    Ok(())
}
