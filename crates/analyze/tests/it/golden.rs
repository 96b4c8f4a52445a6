//! Golden files: YAML with a question in its first comment, and the answer as text.

use analyze::Request;

use crate::support::{paragraph, part, world};

/// The text after `# ask:`, one for each question.
fn questions(yaml: &str) -> Vec<&str> {
    yaml.lines().filter_map(|line| line.strip_prefix("# ask: ")).collect()
}

/// A question with what its answer is to look like.
struct Question {
    request: Request,
    all: bool,
    json: bool,
}

/// `[-X METHOD] [-H 'name: value'] [--client-ip IP] [--sni NAME] [--all] [--json] URL`, words split
/// at blanks outside single quotes.
fn question(question: &str) -> Question {
    let mut words = Vec::new();
    for (position, piece) in question.split('\'').enumerate() {
        if position % 2 == 1 {
            words.push(piece);
        } else {
            words.extend(piece.split_whitespace());
        }
    }
    let url = words.pop().expect("a URL");
    let mut request = Request::from_url(url).expect("a valid URL");
    let (mut all, mut json) = (false, false);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        request = match word {
            "-X" => request.with_method(words.next().unwrap()).unwrap(),
            "-H" => request.with_header(words.next().unwrap()).unwrap(),
            "--client-ip" => request.with_client_ip(words.next().unwrap().parse().unwrap()),
            "--sni" => request.with_sni(Some(words.next().unwrap().to_owned())),
            "--all" => {
                all = true;
                request
            }
            "--json" => {
                json = true;
                request
            }
            other => panic!("{other} is not an option"),
        };
    }
    Question { request, all, json }
}

/// Seconds since the epoch behind `# now:`.
fn now(yaml: &str) -> Option<i64> {
    let line = yaml.lines().find_map(|line| line.strip_prefix("# now: "))?;
    Some(line.split(' ').next().unwrap().parse().expect("a number of seconds"))
}

#[test]
fn explanations_read_as_they_should() {
    testkit::golden::run("tests/golden/explain", |yaml| {
        let world = world(yaml);
        let answers = questions(yaml).into_iter().map(|text| {
            let Question { request, all, json } = question(text);
            let explained = world.explain(&request, all);
            let answer = match json {
                true => serde_json::to_string_pretty(&explained.to_json()).unwrap() + "\n",
                false => explained.to_text(),
            };
            format!("$ explain {text}\n{answer}")
        });
        answers.collect::<Vec<_>>().join("\n")
    });
}

#[test]
fn findings_read_as_they_should() {
    testkit::golden::run("tests/golden/lint", |yaml| {
        let complete = questions(yaml).contains(&"complete");
        let world = if complete { world(yaml) } else { part(yaml) };
        let findings = match now(yaml) {
            Some(now) => world.lint_at(now),
            None => world.lint(complete),
        };
        if findings.is_empty() {
            return "nothing\n".to_owned();
        }
        findings.iter().map(paragraph).collect()
    });
}
