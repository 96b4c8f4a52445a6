//! Golden files: YAML with a question in its first comment, and the answer as text.

use analyze::Request;

use crate::support::{paragraph, part, world};

/// The text after `# ask:`, one for each question.
fn questions(yaml: &str) -> Vec<&str> {
    yaml.lines().filter_map(|line| line.strip_prefix("# ask: ")).collect()
}

/// `[-X METHOD] [-H 'name: value'] [--client-ip IP] [--sni NAME] [--all] URL`, words split at
/// blanks outside single quotes.
fn request(question: &str) -> (Request, bool) {
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
    let mut all = false;
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
            other => panic!("{other} is not an option"),
        };
    }
    (request, all)
}

#[test]
fn explanations_read_as_they_should() {
    testkit::golden::run("tests/golden/explain", |yaml| {
        let world = world(yaml);
        let answers = questions(yaml).into_iter().map(|question| {
            let (request, all) = request(question);
            format!("$ explain {question}\n{}", world.explain(&request, all).to_text())
        });
        answers.collect::<Vec<_>>().join("\n")
    });
}

#[test]
fn findings_read_as_they_should() {
    testkit::golden::run("tests/golden/lint", |yaml| {
        let complete = questions(yaml).contains(&"complete");
        let world = if complete { world(yaml) } else { part(yaml) };
        let findings = world.lint(complete);
        if findings.is_empty() {
            return "nothing\n".to_owned();
        }
        findings.iter().map(paragraph).collect()
    });
}
