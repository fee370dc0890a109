//! Puts the pipelines into `OUT_DIR`, from where maturin places them in the wheel (see `pyproject.toml`).
//!
//! A wheel has to work without a checkout and without Maven, so it carries each pattern's Spark file and its built,
//! thin jars: the Flink job's, and that of a Spark pipeline with a part in Java. `RTMBENCH_REQUIRE_JARS=1` (set by
//! `make wheel`) turns a jar that is not built into an error; without it, as in `cargo test` on a fresh clone, the
//! jars are simply left out.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=pipelines");
    println!("cargo:rerun-if-env-changed=RTMBENCH_REQUIRE_JARS");
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("_pipelines");
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    let pipelines = Path::new("pipelines");
    if !pipelines.is_dir() {
        return Ok(());
    }
    copy_matching(pipelines, &target, "py")?;
    for entry in fs::read_dir(pipelines)? {
        let pattern = entry?.path();
        let packaged = target.join(pattern.file_name().expect("a directory entry has a name"));
        copy_matching(&pattern.join("spark"), &packaged.join("spark"), "py")?;
        for engine in ["flink", "spark", "storage"] {
            let module = pattern.join(engine);
            if !module.join("pom.xml").is_file() {
                continue;
            }
            let jars = copy_matching(&module.join("target"), &packaged.join(engine), "jar")?;
            if jars == 0 && env::var_os("RTMBENCH_REQUIRE_JARS").is_some() {
                return Err(io::Error::other(format!(
                    "no jar in {}: build it first with `make jars`",
                    module.join("target").display()
                )));
            }
        }
    }
    Ok(())
}

/// Copies the files directly in `from` that end in `extension`; returns how many. A missing directory has none.
fn copy_matching(from: &Path, to: &Path, extension: &str) -> io::Result<usize> {
    let Ok(entries) = fs::read_dir(from) else {
        return Ok(0);
    };
    let mut copied = 0;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let job = !name.starts_with("original-") && !name.ends_with("-fat.jar");
        if path.extension().is_some_and(|end| end == extension) && job {
            fs::create_dir_all(to)?;
            fs::copy(&path, to.join(path.file_name().unwrap_or_default()))?;
            copied += 1;
        }
    }
    Ok(copied)
}
