//! A `redis-server` for the demo: the one on the path, or one unpacked under the target directory.

use crate::{
    Result,
    command::{Cmd, is_debian_root, is_on_path},
    workspace::Workspace,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const PROGRAMS: [&str; 2] = ["redis-server", "redis-cli"];

/// The two programs and the libraries that a bare Debian lacks.
const DEBS: [&str; 8] = [
    "redis-server",
    "redis-tools",
    "libjemalloc2",
    "liblzf1",
    "liblua5.1-0",
    "lua-cjson",
    "lua-bitop",
    "libatomic1",
];

const HINT: &str = "hint: install `redis-server` and `redis-cli` (Debian: redis-server; Fedora, Arch: redis)";

/// What `PATH` has to be so that it starts with a Redis. Installs nothing: downloaded packages are unpacked under
/// the target directory, once.
pub(crate) fn path_with_redis(workspace: &Workspace) -> Result<String> {
    let path = std::env::var("PATH").map_err(|error| format!("cannot read `PATH`: {error}"))?;
    if PROGRAMS.iter().all(|program| is_on_path(program)) {
        return Ok(path);
    }
    if !is_on_path("apt-get") || !is_on_path("dpkg-deb") {
        return Err(format!(
            "there is no `redis-server` on the path, and no `apt-get` to download one\n{HINT}"
        ));
    }
    let home = workspace.target.join("redis");
    let bin = home.join("bin");
    if !PROGRAMS.iter().all(|program| bin.join(program).is_file()) {
        unpack(&home).map_err(|error| format!("{error}\n{HINT}"))?;
    }
    Ok(format!("{}:{path}", bin.display()))
}

fn unpack(home: &Path) -> Result<()> {
    let (debs, root) = (home.join("debs"), home.join("root"));
    for dir in [&debs, &root, &home.join("bin")] {
        fs::create_dir_all(dir).map_err(|error| format!("cannot create `{}`: {error}", dir.display()))?;
    }
    // Without the option root is warned that apt's own user can't write here.
    let args = [&["-o", "APT::Sandbox::User=root", "download"], DEBS.as_slice()].concat();
    let download = || Cmd::new("apt-get", &args).dir(&debs).run();
    // Without package lists nothing can be found; only root may fetch them.
    if let Err(error) = download() {
        if !is_debian_root() {
            return Err(error);
        }
        Cmd::new("apt-get", &["update"]).run()?;
        download()?;
    }
    for deb in files_in(&debs)? {
        Cmd::new("dpkg-deb", &["-x", &deb.to_string_lossy(), &root.to_string_lossy()]).run()?;
    }
    let libraries = library_dirs(&root)?;
    PROGRAMS.iter().try_for_each(|program| {
        let wrapper = write_wrapper(home, program, &libraries)?;
        Cmd::new(wrapper, &["--version"]).run()
    })
}

/// The directories of the unpacked shared libraries: the name depends on the machine's architecture.
fn library_dirs(root: &Path) -> Result<String> {
    let dirs = files_in(&root.join("usr/lib"))?;
    let dirs = dirs.iter().filter(|dir| dir.to_string_lossy().contains("-linux-"));
    Ok(dirs.map(|dir| dir.to_string_lossy().into_owned()).collect::<Vec<_>>().join(":"))
}

/// Writes `bin/PROGRAM`, which starts the unpacked program with the unpacked libraries.
fn write_wrapper(home: &Path, program: &str, libraries: &str) -> Result<PathBuf> {
    let real = home.join("root/usr/bin").join(program);
    let script = format!("#!/bin/sh\nLD_LIBRARY_PATH='{libraries}' exec '{}' \"$@\"\n", real.display());
    let file = home.join("bin").join(program);
    fs::write(&file, script)
        .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o755)))
        .map_err(|error| format!("cannot write `{}`: {error}", file.display()))?;
    Ok(file)
}

fn files_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| format!("cannot list `{}`: {error}", dir.display());
    let entries = fs::read_dir(dir).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path())).collect::<std::io::Result<_>>().map_err(failed)
}
