//! A control group for memory, of version 1 or 2; it is removed with its last user.

use anyhow::Context as _;
use std::path::{Path, PathBuf};

pub(super) struct Group {
    folder: PathBuf,
    /// The file and the word that count processes ended for want of memory.
    kills: (&'static str, &'static str),
}

impl Group {
    pub(super) fn new(bytes: u64) -> anyhow::Result<Self> {
        let first = Path::new("/sys/fs/cgroup/memory");
        let (root, limit, kills) = if first.exists() {
            (first, "memory.limit_in_bytes", ("memory.oom_control", "oom_kill "))
        } else {
            (Path::new("/sys/fs/cgroup"), "memory.max", ("memory.events", "oom_kill "))
        };
        let folder = root.join(format!("portcullis-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).context("cannot make a control group (needs root)")?;
        let group = Self { folder, kills };
        std::fs::write(group.folder.join(limit), bytes.to_string())
            .context("cannot bound the memory of a control group")?;
        Ok(group)
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    /// Processes that the kernel ended for want of memory.
    pub(super) fn kills(&self) -> u64 {
        let (file, word) = self.kills;
        let text = std::fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix(word)?.trim().parse().ok());
        count.unwrap_or(0)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It stays, empty, when a process is still in it.
        drop(std::fs::remove_dir(&self.folder));
    }
}
