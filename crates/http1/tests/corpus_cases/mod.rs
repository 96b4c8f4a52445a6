//! The cases of a corpus folder; the format is described in `tests/corpus/README.md`. Shared with
//! the data plane, which sends the same bytes over sockets.

use std::path::Path;

#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) input: Vec<u8>,
    pub(crate) expect: String,
    pub(crate) asked: String,
}

/// Reads the escapes of the corpus: `\r \n \t \s \\ \xNN \{text*count}`.
fn unescape(text: &str) -> Vec<u8> {
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
            's' => out.push(b' '),
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

/// The alternatives of a line `each:`, where `\x00..\x08` stands for every byte between.
fn alternatives(line: &str) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for word in line.split_whitespace() {
        match word.split_once("..").map(|(a, b)| (unescape(a), unescape(b))) {
            Some((a, b)) if a.len() == 1 && b.len() == 1 => {
                all.extend((a[0]..=b[0]).map(|byte| vec![byte]));
            }
            Some(_) | None => all.push(unescape(word)),
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
        let known = ["name", "input", "expect", "asked", "each"];
        for line in &lines {
            let key = line.split(':').next().unwrap_or_default();
            assert!(known.contains(&key), "{}: unknown line {line}", path.display());
        }
        let name = value("name").expect("a name");
        let template = value("input").expect("an input");
        let expect = value("expect").expect("an outcome");
        let asked = value("asked").unwrap_or_default();
        let (before, after) = match template.split_once("{}") {
            Some((before, after)) => (unescape(before), Some(unescape(after))),
            None => (unescape(&template), None),
        };
        let each = value("each").map(|e| alternatives(&e));
        assert_eq!(each.is_some(), after.is_some(), "{name}: each and {{}} go together");
        for (at, middle) in each.unwrap_or_else(|| vec![Vec::new()]).into_iter().enumerate() {
            let mut input = before.clone();
            input.extend_from_slice(&middle);
            input.extend_from_slice(after.as_deref().unwrap_or_default());
            let name = format!("{name}/{at}");
            cases.push(Case { name, input, expect: expect.clone(), asked: asked.clone() });
        }
    }
    cases
}

/// The cases of the files whose name starts with `prefix`, in order.
pub(crate) fn cases(folder: &Path, prefix: &str) -> Vec<Case> {
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
