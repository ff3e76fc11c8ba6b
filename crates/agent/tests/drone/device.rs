//! Volumes that are block devices. It takes root and loop devices to try that.

use crate::instance::{Instance, Pinned, daemon};
use provider_core::{Command, ErrorKind};
use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process,
};

const MIB: u64 = 1 << 20;

/// A file as a block device, and where it is mounted.
struct Loop {
    image: PathBuf,
    device: String,
    target: PathBuf,
}

impl Loop {
    /// None, loudly, where there are no loop devices for us.
    fn attach(instance: &Instance, mib: u64) -> Option<Self> {
        let image = instance.place.path().join("image");
        File::create(&image).unwrap().set_len(mib * MIB).unwrap();
        match output("losetup", &["--find", "--show", image.to_str().unwrap()]) {
            Ok(device) => {
                let target = instance.path("root/var/data");
                Some(Self { image, device: device.trim().to_owned(), target })
            }
            Err(why) => {
                say(&format!("NOTE volumes that are block devices are not tried: {why}"));
                None
            }
        }
    }

    fn mount(&self, filesystem: &str) -> Command {
        Command::Mount {
            device: self.device.clone(),
            mount_point: "/var/data".into(),
            filesystem: filesystem.into(),
            mount_options: "noatime".into(),
        }
    }

    fn grow(&self, mib: u64) {
        File::options().write(true).open(&self.image).unwrap().set_len(mib * MIB).unwrap();
        output("losetup", &["--set-capacity", &self.device]).unwrap();
    }

    /// The line of the mount, if there is one.
    fn mounted(&self) -> Option<String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        mounts.lines().find(|line| line.contains(&format!(" {} ", self.device))).map(str::to_owned)
    }

    fn mib(&self) -> u64 {
        let file_system = rustix::fs::statvfs(&self.target).unwrap();
        file_system.f_blocks * file_system.f_frsize / MIB
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        output("umount", &["--quiet", self.target.to_str().unwrap()]).ok();
        output("losetup", &["--detach", &self.device]).ok();
    }
}

fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let ended =
        process::Command::new(program).args(arguments).output().map_err(|e| format!("{program}: {e}"))?;
    match ended.status.success() {
        true => Ok(String::from_utf8(ended.stdout).unwrap()),
        false => Err(String::from_utf8_lossy(&ended.stderr).trim().to_owned()),
    }
}

/// Says what is not tried, past the test harness, which swallows what a test that passes prints: to the file of
/// whoever runs all tests, else on standard error. A `NOTE` is about what the machine does not allow.
fn say(line: &str) {
    let said = match std::env::var_os("PITRIX_TEST_SKIPS") {
        Some(path) => {
            File::options().create(true).append(true).open(path).and_then(|mut file| writeln!(file, "{line}"))
        }
        None => writeln!(std::io::stderr(), "{line}"),
    };
    said.unwrap();
}

/// Whether the kernel lets us resize a mounted file system of the ext family.
fn may_resize() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let bits = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(bits.trim(), 16).unwrap() & 1 << 24 != 0
}

async fn lives_on_a_device(filesystem: &str, mib: u64, grown: u64) {
    let maker = format!("mkfs.{filesystem}");
    if let Err(why) = output(&maker, &["-V"]) {
        return say(&format!("SKIPPED volumes with {filesystem}: {why}"));
    }
    let instance = Instance::start().await;
    let Some(volume) = Loop::attach(&instance, mib) else { return };
    for id in ["m1", "m2"] {
        assert_eq!(instance.run(id, &volume.mount(filesystem)).await.error, None);
        let mounted = volume.mounted().unwrap();
        assert!(mounted.contains("noatime") && mounted.contains(&format!(" {filesystem} ")), "{mounted}");
    }
    instance.sh("write", "chmod 700 var/data; echo kept >var/data/file").await;
    let before = volume.mib();

    volume.grow(grown);
    assert_eq!(volume.mib(), before);
    if filesystem == "xfs" || may_resize() {
        assert_eq!(instance.run("grow", &volume.mount(filesystem)).await.error, None);
        assert!(volume.mib() >= before + (grown - mib) * 9 / 10, "{before} MiB became {}", volume.mib());
    } else {
        say(&format!("NOTE {filesystem} is not grown while it is mounted: CAP_SYS_RESOURCE is missing"));
    }

    let unmount = Command::Unmount { mount_point: "/var/data".into() };
    instance.sh("inside", &format!("cd var/data; {}", daemon("inside"))).await;
    let inside = Pinned::new(&volume.target.join("inside"));
    for id in ["u1", "u2"] {
        assert_eq!(instance.run(id, &unmount).await.error, None);
    }
    assert!(!inside.lives());
    assert_eq!(volume.mounted(), None);

    // Grown while it was away, as a resize does it.
    volume.grow(2 * grown);
    assert_eq!(instance.run("m3", &volume.mount(filesystem)).await.error, None);
    assert!(volume.mib() >= before + (2 * grown - mib) * 9 / 10, "{before} MiB became {}", volume.mib());
    assert_eq!(instance.sh("read", "stat -c %a var/data; cat var/data/file").await, "700\nkept\n");
    assert_eq!(instance.run("u3", &unmount).await.error, None);
    fs::write(volume.target.join("in the way"), "").unwrap();
    let refused = instance.run("m4", &volume.mount(filesystem)).await.error.unwrap();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn data_on_a_device_with_ext4_is_kept_and_the_file_system_grows() {
    lives_on_a_device("ext4", 32, 64).await;
}

#[tokio::test]
async fn data_on_a_device_with_xfs_is_kept_and_the_file_system_grows() {
    lives_on_a_device("xfs", 320, 480).await;
}

#[tokio::test]
async fn a_device_that_holds_something_else_is_left_alone() {
    let instance = Instance::start().await;
    let Some(volume) = Loop::attach(&instance, 16) else { return };
    output("mkswap", &[&volume.device]).unwrap();
    let content = |path: &Path| fs::read(path).unwrap();
    let before = content(volume.device.as_ref());
    let check = async |id: &str, command: Command, kind, message: String| {
        let error = instance.run(id, &command).await.error.unwrap();
        assert_eq!((error.kind(), error.to_string()), (kind, message));
    };
    let device = &volume.device;
    let swap = format!("device `{device}` can't be mounted: it holds `swap`");
    check("swap", volume.mount("ext4"), ErrorKind::Conflict, swap).await;
    let kind = format!("mounting `{device}`: a file system of kind `fat` is not made");
    check("kind", volume.mount("fat"), ErrorKind::Invalid, kind).await;
    assert!(content(volume.device.as_ref()) == before, "nothing was written to it");
    assert_eq!(volume.mounted(), None);
}
