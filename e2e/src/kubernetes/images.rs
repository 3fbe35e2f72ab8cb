//! Images for the pods: the project's own from its Dockerfiles, and the one that holds a pod's
//! namespaces.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::node::ctr;
use super::parts::{Parts, cache};
use super::stages::{say, seconds};
use crate::process::{need, run};

/// The broker, as `broker/Dockerfile` makes it from this source tree.
pub const BROKER_IMAGE: &str = "localhost/causeway-broker:test";

/// The `causeway` command, as `operator/Dockerfile` makes it from this source tree.
pub const OPERATOR_IMAGE: &str = "localhost/causeway-operator:test";

/// The first container of every pod.
pub(super) const PAUSE_IMAGE: &str = "localhost/causeway-pause:test";

/// A release build of everything takes minutes on two cores.
const BUILD: Duration = Duration::from_secs(3600);

/// buildah and its pushes take less than a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// The only target whose static programs resolve names without further files.
const TARGET: &str = "x86_64-unknown-linux-gnu";

const PAUSE: &str = "FROM scratch\nCOPY pause /pause\nUSER 65535:65535\nENTRYPOINT [\"/pause\"]\n";

/// Brings the image of every pod's first container onto the node.
pub(super) fn import_pause(folder: &Path, parts: &Parts) -> Result<()> {
    let recipe = folder.join("pause.Dockerfile");
    std::fs::write(&recipe, PAUSE)?;
    import(folder, PAUSE_IMAGE, &recipe, &parts.path("pause"))?;
    // The kubelet removes images that nothing uses, and nothing is said to use this one.
    let pinned = "io.cri-containerd.pinned=pinned";
    ctr(folder, &["images", "label", PAUSE_IMAGE, pinned])?;
    Ok(())
}

/// Builds both programs of the project, makes their images and brings them onto the node.
pub(super) fn import_ours(folder: &Path) -> Result<()> {
    let programs = build_programs()?;
    for (image, product, program) in [
        (BROKER_IMAGE, "broker", "causeway-broker"),
        (OPERATOR_IMAGE, "operator", "causeway"),
    ] {
        let recipe = source().join(product).join("Dockerfile");
        let program = programs.join(program);
        let bytes = std::fs::metadata(&program)?.len();
        import(folder, image, &recipe, &program)?;
        say(&format!("{image}: {} MB", bytes / 1_000_000));
    }
    Ok(())
}

/// The folder with the static programs, which a release ships too; built once per test run.
fn build_programs() -> Result<PathBuf> {
    static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if built.is_none() {
        *built = Some(cargo_build()?);
    }
    built.clone().context("the programs were just built")
}

fn cargo_build() -> Result<PathBuf> {
    let target = cache()?.join("programs");
    std::fs::create_dir_all(&target)?;
    let lock = File::create(target.join("lock"))?;
    lock.lock().context("waiting for another build")?;
    say("building the static programs of the images: minutes after a change, else a second");
    let started = Instant::now();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(["-p", "causeway-broker", "-p", "causeway-operator"])
        .arg("--target-dir")
        .arg(&target)
        .current_dir(source())
        // `mold -run` works like that, and a release is not linked with it.
        .env_remove("LD_PRELOAD")
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    run(&mut command, BUILD)?.success("cargo build --release")?;
    say(&format!("built in {} s", seconds(started.elapsed())));
    Ok(target.join(TARGET).join("release"))
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Makes an image from a recipe and the one file that it copies.
fn import(folder: &Path, image: &str, recipe: &Path, program: &Path) -> Result<()> {
    let context = folder.join("context");
    std::fs::create_dir_all(&context)?;
    let name = program.file_name().context("a program without a name")?;
    std::fs::copy(program, context.join(name)).with_context(|| program.display().to_string())?;
    let archive = folder.join("image.tar");
    let mut bud = buildah(folder)?;
    bud.args(["bud", "--isolation", "chroot", "--tag", image, "--file"])
        .arg(recipe)
        .arg(&context);
    run(&mut bud, PATIENCE)?.success("buildah bud")?;
    let mut push = buildah(folder)?;
    push.args(["push", image])
        .arg(format!("oci-archive:{}:{image}", archive.display()));
    run(&mut push, PATIENCE)?.success("buildah push")?;
    let path = archive.display().to_string();
    ctr(folder, &["images", "import", &path])?;
    std::fs::remove_file(archive)?;
    std::fs::remove_dir_all(context)?;
    Ok(())
}

/// buildah with a store of its own, which goes with the cluster.
fn buildah(folder: &Path) -> Result<Command> {
    let mut command = Command::new(need("buildah", "apt-get install buildah")?);
    command
        .arg("--root")
        .arg(folder.join("buildah"))
        .arg("--runroot")
        .arg(folder.join("buildah-run"))
        .args(["--storage-driver", "vfs"]);
    Ok(command)
}
