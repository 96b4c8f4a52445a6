//! Cases of bad input in text files: one reader for the corpora of all crates.
//!
//! A file is a list of blocks, separated by empty lines; a line that starts with `#` is a comment.
//! Each block is one case or one family of cases: `name: …`, `input: …`, `each: …` (alternatives,
//! separated by blanks, that take the place of `{}`; `\x00..\x08` is every byte between) and
//! `expect: …`; `asked:` and `reached:` have the meaning that the corpus's README gives them.
//! Escapes: `\r \n \t \s \\ \xNN`, `\_` for a blank that separates words, and `\{text*count}` for repetition.

use std::path::Path;

/// One input and what becomes of it.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// The sentence of its block, with the number of the alternative behind a slash.
    pub name: String,
    /// The input with its escapes, for corpora whose inputs are words.
    pub text: String,
    /// The input as bytes.
    pub input: Vec<u8>,
    /// The answer.
    pub expect: String,
    /// For answers of backends: what was asked.
    pub asked: String,
    /// What reached the other side.
    pub reached: String,
}

/// Reads the escapes of a corpus; `\_` is a blank like `\s`.
///
/// # Panics
/// On an escape that does not exist.
#[must_use]
pub fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = rest[at + 1..].chars().next().expect("a letter after a backslash");
        let mut used = 2;
        match escape {
            'r' => out.push(b'\r'),
            'n' => out.push(b'\n'),
            't' => out.push(b'\t'),
            's' | '_' => out.push(b' '),
            '\\' => out.push(b'\\'),
            'x' => {
                out.push(u8::from_str_radix(&rest[at + 2..at + 4], 16).expect("two hex digits"));
                used = 4;
            }
            '{' => {
                let close = rest[at..].find('}').expect("a closing brace");
                let (what, count) = rest[at + 2..at + close].rsplit_once('*').expect("text*count");
                let count: usize = count.parse().expect("a count");
                out.extend_from_slice(&unescape(what).repeat(count));
                used = close + 1;
            }
            other => panic!("unknown escape {other}"),
        }
        rest = &rest[at + used..];
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

/// The alternatives of a line `each:`, with their escapes.
fn alternatives(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    for word in line.split_whitespace() {
        match word.split_once("..").map(|(a, b)| (unescape(a), unescape(b))) {
            Some((a, b)) if a.len() == 1 && b.len() == 1 => {
                all.extend((a[0]..=b[0]).map(|byte| format!("\\x{byte:02x}")));
            }
            Some(_) | None => all.push(word.to_owned()),
        }
    }
    all
}

fn load(path: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(path).expect("a corpus file");
    let mut cases = Vec::new();
    for block in text.split("\n\n") {
        let lines: Vec<&str> = block.lines().filter(|l| !l.starts_with('#')).collect();
        if lines.is_empty() {
            continue;
        }
        let value = |key: &str| {
            let found = lines.iter().find_map(|l| l.strip_prefix(key)?.strip_prefix(": "));
            found.map(str::to_owned)
        };
        let known = ["name", "input", "expect", "asked", "each", "reached"];
        for line in &lines {
            let key = line.split(':').next().unwrap_or_default();
            assert!(known.contains(&key), "{}: unknown line {line}", path.display());
        }
        let name = value("name").expect("a name");
        let template = value("input").expect("an input");
        let expect = value("expect").unwrap_or_else(|| panic!("{name}: no outcome"));
        let asked = value("asked").unwrap_or_default();
        let reached = value("reached").unwrap_or_default();
        let each = value("each").map(|e| alternatives(&e));
        assert_eq!(each.is_some(), template.contains("{}"), "{name}: each and {{}} go together");
        for (at, middle) in each.unwrap_or_else(|| vec![String::new()]).into_iter().enumerate() {
            let text = template.replacen("{}", &middle, 1);
            cases.push(Case {
                name: format!("{name}/{at}"),
                input: unescape(&text),
                text,
                expect: expect.clone(),
                asked: asked.clone(),
                reached: reached.clone(),
            });
        }
    }
    cases
}

/// The cases of the files `PREFIX*.txt` of a folder, in order.
///
/// # Panics
/// When a file is not as the module describes it.
#[must_use]
pub fn cases(folder: &Path, prefix: &str) -> Vec<Case> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the corpus")
        .map(|e| e.expect("an entry").path())
        .collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        if name.starts_with(prefix) && name.ends_with(".txt") {
            all.extend(load(&file));
        }
    }
    all
}
