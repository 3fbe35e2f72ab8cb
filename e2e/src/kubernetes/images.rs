//! Images for the pods: the project's own from its Dockerfiles, and the one that holds a pod's
//! namespaces.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

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

/// Like a release in all that a program does, and built in a part of the time.
const PROFILE: &str = "image";

/// The profile of what is shipped, whose sizes are bounded.
const RELEASE: &str = "release";

/// What a build of that profile takes on two free cores.
const EXPECTED: &str = "minutes at first, seconds after a change";

const MEGABYTE: u64 = 1_000_000;

/// The most that the broker's image may have, in megabytes.
const BROKER_LIMIT: u64 = 15;

/// The most that the operator's image may have, in megabytes.
const OPERATOR_LIMIT: u64 = 30;

/// A build of everything takes minutes on two cores.
const BUILD: Duration = Duration::from_secs(3600);

/// buildah and its pushes take less than a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// The crates with the programs.
const PACKAGES: [&str; 4] = ["-p", "causeway-broker", "-p", "causeway-operator"];

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
    let target = cache()?.join("programs");
    std::fs::create_dir_all(&target)?;
    // Another source tree builds to the same place.
    let lock = File::create(target.join("lock"))?;
    lock.lock().context("waiting for another build")?;
    let programs = build_programs(&target)?;
    for (image, product, program, limit) in [
        (BROKER_IMAGE, "broker", "causeway-broker", BROKER_LIMIT),
        (OPERATOR_IMAGE, "operator", "causeway", OPERATOR_LIMIT),
    ] {
        let recipe = source().join(product).join("Dockerfile");
        let program = programs.join(program);
        let bytes = std::fs::metadata(&program)?.len();
        say(&format!("{image}: {} MB", bytes / MEGABYTE));
        // What is built fast is larger than what is shipped.
        ensure!(
            profile() != RELEASE || bytes <= limit * MEGABYTE,
            "{image} may have {limit} MB and has {bytes} bytes"
        );
        import(folder, image, &recipe, &program)?;
    }
    Ok(())
}

/// Gives an image of the node another name.
pub(super) fn name(folder: &Path, image: &str, name: &str) -> Result<()> {
    ctr(folder, &["images", "tag", "--force", image, name])?;
    Ok(())
}

/// The folder with the static programs.
fn build_programs(target: &Path) -> Result<PathBuf> {
    let profile = profile();
    say(&format!(
        "building the static programs of the images with profile {profile}: {EXPECTED}"
    ));
    let started = Instant::now();
    forget_other_tree(target, &profile)?;
    // The profile of these images strips by itself; as they are shipped release.sh does, in this way.
    let flags = match profile == RELEASE {
        true => "-C target-feature=+crt-static -C strip=symbols",
        false => "-C target-feature=+crt-static",
    };
    let mut command = cargo(target);
    command
        .args(["build", "--locked", "--profile", &profile])
        .args(["--target", TARGET])
        .args(PACKAGES)
        // `mold -run` works like that, and a release is not linked with it.
        .env_remove("LD_PRELOAD")
        .env("RUSTFLAGS", flags);
    run(&mut command, BUILD)?.success("cargo build")?;
    say(&format!("built in {} s", seconds(started.elapsed())));
    Ok(target.join(TARGET).join(profile))
}

/// Cargo takes the crates of another source tree for those of this one where their files are older.
fn forget_other_tree(target: &Path, profile: &str) -> Result<()> {
    let note = target.join("source");
    let own = source().canonicalize()?.display().to_string();
    let last = std::fs::read_to_string(&note).ok();
    if last.as_ref() == Some(&own) {
        return Ok(());
    }
    let mut clean = cargo(target);
    clean.args(["clean", "--profile", profile, "--target", TARGET]);
    run(clean.args(PACKAGES), PATIENCE)?.success("cargo clean")?;
    Ok(std::fs::write(note, own)?)
}

fn cargo(target: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .env("CARGO_TARGET_DIR", target)
        .current_dir(source());
    command
}

/// The profile that programs of images are built with.
fn profile() -> String {
    std::env::var("CAUSEWAY_E2E_PROFILE").unwrap_or_else(|_| PROFILE.to_owned())
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
