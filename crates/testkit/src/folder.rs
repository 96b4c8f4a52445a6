//! Temporary folders with files, edited as people and tools edit them.

use std::path::{Path, PathBuf};

/// A folder that is removed when it is dropped.
#[derive(Debug)]
pub struct Folder(tempfile::TempDir);

impl Folder {
    /// An empty folder.
    #[must_use]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// A folder that holds `files`: names (with `/` for folders below) and contents.
    #[must_use]
    pub fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self::new();
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Where the file `name` is, or would be.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file in place, making the folders it needs.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.file(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, text).expect("a written file");
    }

    /// Replaces a file as editors do: a new file, then a rename over the old one.
    pub fn replace(&self, name: &str, text: &str) {
        let new = self.file(&format!("{name}.new~"));
        std::fs::write(&new, text).expect("a written file");
        std::fs::rename(&new, self.file(name)).expect("a renamed file");
    }

    /// Removes a file.
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.file(name)).expect("a removed file");
    }

    /// The text of a file.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).expect("a readable file")
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}
