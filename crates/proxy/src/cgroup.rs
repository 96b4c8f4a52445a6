//! The control group that bounds the memory of the process, version 2 or 1: what it allows, and what
//! is charged to it.
//!
//! Besides our own pages the kernel charges its memory for our sockets, and the pages of files, which
//! it takes back by itself.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where control groups are mounted.
const ROOT: &str = "/sys/fs/cgroup";
/// Version 1 says "no limit" by a number that no machine has.
const NO_LIMIT: usize = 1 << 50;

/// What the files of a version are called.
#[derive(Debug, PartialEq, Eq)]
struct Names {
    limit: &'static str,
    usage: &'static str,
    /// In `memory.stat`: pages of files, and the part of them that only swapping could free.
    cache: &'static str,
    shared: &'static str,
}

const V2: Names =
    Names { limit: "memory.max", usage: "memory.current", cache: "file", shared: "shmem" };
const V1: Names = Names {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    cache: "total_cache",
    shared: "total_shmem",
};

/// A group with a limit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MemoryGroup {
    folder: PathBuf,
    names: &'static Names,
    /// Bytes.
    limit: usize,
}

impl MemoryGroup {
    /// The group of this process, or the one around it, with the lowest limit; `None` without one.
    pub(crate) fn own() -> Option<Self> {
        Self::find(&fs::read_to_string("/proc/self/cgroup").ok()?, Path::new(ROOT))
    }

    /// `membership` is `/proc/self/cgroup` (cgroups(7)). In a container its paths may be those of
    /// the host, and what is mounted is the own group alone.
    fn find(membership: &str, root: &Path) -> Option<Self> {
        let mut groups = Vec::new();
        for line in membership.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
            let path = Path::new(path.trim_start_matches('/'));
            if controllers.is_empty() {
                groups.extend(path.ancestors().map(|path| (root.join(path), &V2)));
            } else if controllers.split(',').any(|controller| controller == "memory") {
                let root = root.join("memory");
                groups.extend(path.ancestors().map(|path| (root.join(path), &V1)));
            }
        }
        let limited = groups.into_iter().filter_map(|(folder, names)| {
            let limit = number(&folder.join(names.limit)).filter(|limit| *limit < NO_LIMIT)?;
            Some(Self { folder, names, limit })
        });
        limited.min_by_key(|group| group.limit)
    }

    /// What of its limit is ours: an eighth is left for what comes between two looks, and for what the
    /// kernel holds for our sockets.
    pub(crate) fn share(&self) -> usize {
        self.limit - self.limit / 8
    }

    /// Bytes charged, pages of files included.
    pub(crate) fn charged(&self) -> Option<usize> {
        number(&self.folder.join(self.names.usage))
    }

    /// Bytes of them that the kernel takes back before it ends a process: pages of files.
    pub(crate) fn reclaimable(&self) -> usize {
        let text = fs::read_to_string(self.folder.join("memory.stat")).unwrap_or_default();
        let of = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(' '));
            let found = lines.find(|(key, _)| *key == name)?;
            found.1.trim().parse::<usize>().ok()
        };
        of(self.names.cache).unwrap_or(0).saturating_sub(of(self.names.shared).unwrap_or(0))
    }
}

fn number(file: &Path) -> Option<usize> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by a panic")]
mod tests {
    use super::{MemoryGroup, V1, V2};
    use testkit::folder::Folder;

    #[test]
    fn the_lowest_limit_around_the_process_counts_and_pages_of_files_do_not() {
        let folder = Folder::new();
        folder.write("pods/memory.max", "1000\n");
        folder.write("pods/memory.current", "700\n");
        folder.write("pods/memory.stat", "anon 400\nfile 250\nfile_mapped 9\nshmem 50\n");
        folder.write("pods/one/memory.max", "max\n");
        let group = MemoryGroup::find("0::/pods/one\n", folder.path()).unwrap();
        assert_eq!((group.limit, group.names), (1000, &V2));
        assert_eq!((group.charged(), group.reclaimable()), (Some(700), 200));
    }

    #[test]
    fn a_container_that_sees_only_its_own_group_finds_it_at_the_root() {
        let folder = Folder::new();
        folder.write("memory/memory.limit_in_bytes", "4096\n");
        let text = "9:name=systemd:/\n4:cpu,memory:/of/the/host\n";
        let group = MemoryGroup::find(text, folder.path()).unwrap();
        assert_eq!((group.limit, group.names), (4096, &V1));
        folder.write("memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(MemoryGroup::find(text, folder.path()), None);
        assert_eq!(MemoryGroup::find("", folder.path()), None);
    }
}
