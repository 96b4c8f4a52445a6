//! PATHs to texts: which files belong to the input, and what they hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, Metadata},
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use translate::{Code, Severity};

use crate::{
    issue::{Place, SourceIssue},
    limits,
};

/// The name under which standard input appears.
pub const STDIN: &str = "<stdin>";

/// One file and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileContent {
    /// The name as the user would write it.
    pub path: Arc<str>,
    pub text: Arc<str>,
    /// Whether a PATH names the file itself: what it holds is then meant for us.
    pub named: bool,
}

/// What the PATHs hold at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// In the order of the PATHs, folders by file name.
    pub files: Vec<FileContent>,
    /// Files and folders that are there, or should be, and could not be read: what is known of
    /// them stays in force.
    pub unreadable: Vec<Arc<str>>,
    pub issues: Vec<SourceIssue>,
}

impl Contents {
    /// Texts from elsewhere than files, each with a name.
    pub fn from_texts<'t>(texts: impl IntoIterator<Item = (&'t str, &'t str)>) -> Self {
        let files = texts
            .into_iter()
            .map(|(path, text)| FileContent { path: path.into(), text: text.into(), named: true })
            .collect();
        Self { files, ..Self::default() }
    }
}

/// Reads PATHs again and again; files that did not change are not read twice.
#[derive(Debug)]
pub struct Reader {
    paths: Vec<PathBuf>,
    stdin: Option<Result<Arc<str>, String>>,
    cache: BTreeMap<PathBuf, Cached>,
}

#[derive(Debug)]
struct Cached {
    stamp: Stamp,
    text: Arc<str>,
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode: (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether the file is old enough that a later write must show in the stamp: clocks of file
    /// systems advance in steps.
    fn settled(&self) -> bool {
        const STEP: Duration = Duration::from_secs(2);
        self.modified.is_some_and(|at| at.elapsed().is_ok_and(|age| age > STEP))
    }
}

impl Reader {
    /// A reader of `paths`. If one of them is `-`, `stdin` is read to its end, once.
    pub fn new(paths: &[PathBuf], stdin: &mut dyn Read) -> Self {
        let wanted = paths.iter().any(|path| is_stdin(path));
        let stdin = wanted.then(|| {
            let mut bytes = Vec::new();
            match stdin.take(limits::MAX_FILE_BYTES.saturating_add(1)).read_to_end(&mut bytes) {
                Ok(_) => text(bytes),
                Err(error) => Err(cannot_be_read(&error)),
            }
        });
        Self { paths: paths.to_vec(), stdin, cache: BTreeMap::new() }
    }

    /// Reads what the PATHs hold now.
    pub fn read(&mut self) -> Contents {
        let Expansion { files, unreadable, issues, .. } = expand(&self.paths);
        let mut contents = Contents { files: Vec::with_capacity(files.len()), unreadable, issues };
        let mut previous = std::mem::take(&mut self.cache);
        for file in files {
            let name: Arc<str> = display(&file.path);
            let read = if is_stdin(&file.path) {
                self.stdin.clone().unwrap_or_else(|| Ok("".into()))
            } else {
                self.read_file(&file, &mut previous)
            };
            match read {
                Ok(text) => {
                    contents.files.push(FileContent { path: name, text, named: file.named });
                }
                Err(why) => {
                    let code = if why.contains("larger than") {
                        Code::SourceTooLarge
                    } else {
                        Code::UnreadableFile
                    };
                    let message = format!("{name} is left out: {why}");
                    contents.issues.push(SourceIssue::new(
                        code,
                        Place::whole(Arc::clone(&name)),
                        message,
                    ));
                    contents.unreadable.push(name);
                }
            }
        }
        contents
    }

    fn read_file(
        &mut self,
        file: &Found,
        previous: &mut BTreeMap<PathBuf, Cached>,
    ) -> Result<Arc<str>, String> {
        let cannot = |error: std::io::Error| cannot_be_read(&error);
        let stamp = Stamp::of(&fs::metadata(&file.path).map_err(cannot)?);
        if let Some(cached) = previous.remove(&file.path)
            && cached.stamp == stamp
            && stamp.settled()
        {
            let text = Arc::clone(&cached.text);
            self.cache.insert(file.path.clone(), cached);
            return Ok(text);
        }
        if stamp.length > limits::MAX_FILE_BYTES {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        fs::File::open(&file.path)
            .and_then(|open| {
                open.take(limits::MAX_FILE_BYTES.saturating_add(1)).read_to_end(&mut bytes)
            })
            .map_err(cannot)?;
        let text = text(bytes)?;
        self.cache.insert(file.path.clone(), Cached { stamp, text: Arc::clone(&text) });
        Ok(text)
    }
}

fn cannot_be_read(error: &std::io::Error) -> String {
    format!("it cannot be read: {}", why(error))
}

/// The usual reasons in words that say what to look at.
fn why(error: &std::io::Error) -> String {
    let kind = error.kind();
    if kind == std::io::ErrorKind::NotFound {
        "it does not exist".to_owned()
    } else if kind == std::io::ErrorKind::PermissionDenied {
        "the user of this process may not read it".to_owned()
    } else {
        error.to_string()
    }
}

fn too_large() -> String {
    format!("it is larger than {} MiB; split it", limits::MAX_FILE_BYTES >> 20)
}

fn text(bytes: Vec<u8>) -> Result<Arc<str>, String> {
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limits::MAX_FILE_BYTES {
        return Err(too_large());
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.into()),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let newlines = error.as_bytes().iter().take(valid).filter(|b| **b == b'\n').count();
            let line = newlines.saturating_add(1);
            Err(format!("it is not UTF-8 text (line {line}); save it as UTF-8"))
        }
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn display(path: &Path) -> Arc<str> {
    if is_stdin(path) { STDIN.into() } else { path.display().to_string().into() }
}

/// A file that belongs to the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    named: bool,
}

/// What PATHs expand to.
#[derive(Debug, Default)]
pub(crate) struct Expansion {
    pub(crate) files: Vec<Found>,
    /// Every folder that was looked into.
    pub(crate) folders: Vec<PathBuf>,
    unreadable: Vec<Arc<str>>,
    issues: Vec<SourceIssue>,
    /// Real paths of the files, so that a file reached twice is read once.
    pub(crate) real: BTreeSet<PathBuf>,
}

/// Finds the files of `paths`: folders are searched for `.yaml`, `.yml` and `.json`, in the order
/// of their names; hidden files and folders are passed by; links are followed, but not in circles.
pub(crate) fn expand(paths: &[PathBuf]) -> Expansion {
    let mut expansion = Expansion::default();
    for path in paths {
        if is_stdin(path) {
            expansion.file(path.clone(), true);
            continue;
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                let files = expansion.files.len();
                expansion.folder(path, &mut Vec::new());
                if expansion.files.len() == files {
                    expansion.nothing_found(path);
                }
            }
            Ok(_) => expansion.file(path.clone(), true),
            Err(error) => expansion.unreadable(path, &why(&error)),
        }
    }
    expansion
}

impl Expansion {
    fn file(&mut self, path: PathBuf, named: bool) {
        let real = if is_stdin(&path) {
            path.clone()
        } else {
            fs::canonicalize(&path).unwrap_or_else(|_| path.clone())
        };
        if self.files.len() >= limits::MAX_FILES {
            if self.files.len() == limits::MAX_FILES {
                self.unreadable(&path, &format!("more than {} files", limits::MAX_FILES));
            }
        } else if self.real.insert(real) {
            self.files.push(Found { path, named });
        }
    }

    fn unreadable(&mut self, path: &Path, why: &str) {
        let name = display(path);
        let place = Place::whole(Arc::clone(&name));
        let message = format!("{name} cannot be read: {why}");
        self.issues.push(SourceIssue::new(Code::UnreadableFile, place, message));
        self.unreadable.push(name);
    }

    fn nothing_found(&mut self, path: &Path) {
        let name = display(path);
        let message = format!("the folder {name} holds no .yaml, .yml or .json file");
        let place = Place::whole(name);
        let issue = SourceIssue::new(Code::UnreadableFile, place, message);
        self.issues.push(issue.severity(Severity::Warning));
    }

    fn skipped(&mut self, path: &Path, what: &str, hint: String) {
        let name = display(path);
        let message = format!("{name} is passed over: {what}");
        let issue = SourceIssue::new(Code::NotAnObject, Place::whole(name), message);
        self.issues.push(issue.severity(Severity::Note).hint(hint));
    }

    /// Searches one folder. `above` holds the real paths of the folders that led here.
    fn folder(&mut self, folder: &Path, above: &mut Vec<PathBuf>) {
        let entries = fs::canonicalize(folder).and_then(|real| Ok((real, fs::read_dir(folder)?)));
        let (real, entries) = match entries {
            Ok(found) => found,
            Err(error) => return self.unreadable(folder, &why(&error)),
        };
        if above.contains(&real) {
            return;
        }
        if above.len() >= limits::MAX_FOLDER_DEPTH {
            return self.unreadable(folder, "too many folders inside one another");
        }
        self.folders.push(folder.to_owned());
        let mut names: Vec<PathBuf> = entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| !is_hidden(path))
            .collect();
        names.sort();
        if let Some(chart) = names.iter().find(|path| file_name(path) == "Chart.yaml") {
            let hint = format!("give the output of `helm template {}` instead", folder.display());
            self.skipped(&chart.clone(), "its folder is a Helm chart, which is a template", hint);
            return;
        }
        above.push(real);
        for path in names {
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.folder(&path, above),
                Ok(metadata) if metadata.is_file() && has_extension(&path) => {
                    self.file_in_folder(folder, path);
                }
                Ok(_) => {}
                Err(error) if has_extension(&path) => self.unreadable(&path, &why(&error)),
                Err(_) => {}
            }
        }
        above.pop();
    }

    fn file_in_folder(&mut self, folder: &Path, path: PathBuf) {
        let name = file_name(&path).to_ascii_lowercase();
        if matches!(name.as_str(), "kustomization.yaml" | "kustomization.yml") {
            let hint = format!(
                "the files beside it are read as they stand; to apply it, give the output of \
                 `kubectl kustomize {}` instead",
                folder.display()
            );
            self.skipped(&path, "it is a kustomization", hint);
        } else {
            self.file(path, false);
        }
    }
}

/// Whether a file is the values file of a Helm chart, by its name.
pub(crate) fn is_helm_values(name: &str) -> bool {
    let base = name.rsplit(['/', '\\']).next().unwrap_or(name);
    base.starts_with("values") && (base.ends_with(".yaml") || base.ends_with(".yml"))
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or("")
}

fn is_hidden(path: &Path) -> bool {
    file_name(path).starts_with('.')
}

/// Whether a file in a folder is input, by its name.
pub(crate) fn has_extension(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("yaml" | "yml" | "json"))
}
