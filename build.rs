//! Packs the public layer of the catalog: a few hundred kilobytes of JSON that compress to a tenth.

use std::{env, fmt::Write as _, fs, io, io::Write as _, path::Path};

use flate2::{Compression, write::GzEncoder};

const LAYER: &str = "src/catalog/public";

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed={LAYER}");
    let folder = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    let folder = Path::new(&folder);
    let mut files = fs::read_dir(LAYER)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.sort();
    let mut list = String::new();
    for file in files {
        let name = file
            .file_stem()
            .and_then(|name| name.to_str())
            .ok_or(io::ErrorKind::InvalidData)?;
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&fs::read(&file)?)?;
        fs::write(folder.join(format!("{name}.gz")), packed.finish()?)?;
        writeln!(
            list,
            "    ({name:?}, include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.gz\"))),"
        )
        .map_err(io::Error::other)?;
    }
    fs::write(folder.join("public.rs"), format!("&[\n{list}]\n"))
}
