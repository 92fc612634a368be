use std::path::Path;

use insta::assert_snapshot;
use nova_route::Classifier;
use nova_route::features::{BUCKETS, DENSE};
use nova_route::quality::{Cell, Forest, Learnt, Quality};
use nova_route::task::{SHIPPED, TASKS, Weights};

use super::*;

/// An artefact that knows these models.
pub(super) fn quality(models: &[&str]) -> Vec<u8> {
    let learnt = Learnt {
        models: models.iter().map(|model| (*model).to_owned()).collect(),
        kinds: vec!["all".into()],
        provenance: "a test".into(),
        cells: vec![Cell { mean: 0.5, mass: 20.0, output_tokens: 0.0 }; models.len()],
        weights: vec![0.0; (BUCKETS + DENSE) * (models.len() + 1)],
        forest: Forest::default(),
    };
    Quality::of(&learnt).unwrap().to_bytes()
}

/// An environment of one file, of these bytes, in the folder of the configuration.
fn with(bytes: Vec<u8>) -> Env {
    Env::of([]).with_bytes(move |path| {
        if path == Path::new("conf/quality.nsq") {
            Ok(bytes.clone())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    })
}

const YAML: &str = "routing:\n  quality: { path: quality.nsq }\n";

fn load(env: &Env) -> Result<Config, String> {
    Config::parse("conf/nova.yaml", YAML, env).map_err(|problems| problems.to_string())
}

#[test]
fn what_graded_answers_taught_is_read_with_the_configuration() {
    let config = load(&with(quality(&["deepseek-v4-pro", "Kimi-K2.6"]))).unwrap();
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
    assert_eq!(config.quality.unwrap().models().len(), 2);
    assert!(parse("routing: {}", &Env::of([])).quality.is_none());
}

#[test]
fn a_file_that_is_missing_or_broken_is_told_with_its_place() {
    assert_snapshot!(load(&Env::of([])).unwrap_err(), @"
    error: the file `quality.nsq` cannot be read: entity not found
      --> conf/nova.yaml:2:20
      |
    2 |   quality: { path: quality.nsq }
      |                    ^^^^^^^^^^^
    hint: a relative path counts from the configuration's folder
    ");
    let mut cut = quality(&["deepseek-v4-pro"]);
    cut.pop();
    assert_snapshot!(load(&with(cut)).unwrap_err(), @"
    error: the file `quality.nsq` cannot be used: the artefact was cut or changed: its checksum does not hold
      --> conf/nova.yaml:2:20
      |
    2 |   quality: { path: quality.nsq }
      |                    ^^^^^^^^^^^
    hint: write it anew: `novastack train quality --data FILE --out quality.nsq`
    ");
    assert_snapshot!(check("routing: { quality: quality.nsq }"), @"
    error: expected a map of keys, found `quality.nsq`
      --> nova.yaml:1:21
      |
    1 | routing: { quality: quality.nsq }
      |                     ^^^^^^^^^^^
    ");
}

#[test]
fn models_that_nobody_is_called_here_are_a_warning() {
    let check = |models: &[&str], expected: &str| {
        let config = load(&with(quality(models))).unwrap();
        let warning = &config.warnings[0];
        assert_eq!((warning.message.as_str(), warning.place.line), (expected, 2));
    };
    check(
        &["deepseek-v4-pro", "gpt-4-0613"],
        "of the 2 models of this file, 1 are known here; nobody is called `gpt-4-0613`",
    );
    check(
        &["a1", "a2", "a3", "a4", "a5", "a6", "a7"],
        "of the 7 models of this file, 0 are known here; nobody is called `a1`, `a2`, `a3`, `a4`, `a5` and 2 more",
    );
}

/// A classifier to which everything is a reasoning task.
fn single_minded() -> Vec<u8> {
    let mut dense = vec![[0.0; TASKS]; DENSE];
    // Every text has some words, so one of these features is above 0.
    dense.iter_mut().for_each(|weights| weights[2] = 9.0);
    Weights { hashed: vec![[0.0; TASKS]; BUCKETS], dense, temperature: 1.0, threshold: 0.3 }.to_bytes()
}

#[test]
fn a_classifier_may_be_one_that_the_operator_trained() {
    let env = |bytes: Vec<u8>| Env::of([]).with_bytes(move |_| Ok(bytes.clone()));
    let classifier = |classifier: &str, bytes: Vec<u8>| {
        parse(&format!("routing: {{ classifier: {classifier} }}"), &env(bytes)).classifier
    };
    let trained = classifier("{ path: tasks.bin }", single_minded());
    assert!(matches!(trained, Classifier::Trained(_)));
    let said = "Write a poem about the sea";
    assert_eq!((trained.task(said), Classifier::Learned.task(said)), (Some("reasoning"), Some("creative")));
    let shipped = classifier("{ path: tasks.bin }", SHIPPED.to_vec());
    assert_eq!(shipped.task(said), Some("creative"));
    for (word, known) in
        [("learned", Classifier::Learned), ("keywords", Classifier::Keywords), ("none", Classifier::None)]
    {
        assert_eq!(classifier(word, Vec::new()), known, "{word}");
    }
    assert_eq!(parse("routing: { classifier: }", &Env::of([])).classifier, Classifier::Learned);
}

#[test]
fn a_classifier_that_cannot_be_used_is_told_with_its_place() {
    let broken = |bytes: &'static [u8]| {
        let env = Env::of([]).with_bytes(move |_| Ok(bytes.to_vec()));
        check_with("routing: { classifier: { path: tasks.bin } }", &env)
    };
    assert_snapshot!(broken(b"{}"), @"
    error: the file `tasks.bin` cannot be used: it is no model of tasks
      --> nova.yaml:1:32
      |
    1 | routing: { classifier: { path: tasks.bin } }
      |                                ^^^^^^^^^
    hint: write it anew: `novastack train tasks --data FILE --out tasks.bin`
    ");
    assert_snapshot!(broken(&SHIPPED[..SHIPPED.len() - 1]), @"
    error: the file `tasks.bin` cannot be used: it is damaged: its checksum is wrong
      --> nova.yaml:1:32
      |
    1 | routing: { classifier: { path: tasks.bin } }
      |                                ^^^^^^^^^
    hint: write it anew: `novastack train tasks --data FILE --out tasks.bin`
    ");
    assert_snapshot!(check("routing: { classifier: { file: tasks.bin } }"), @"
    error: there is no key `file` here
      --> nova.yaml:1:26
      |
    1 | routing: { classifier: { file: tasks.bin } }
      |                          ^^^^
    hint: the keys are `path`
    ");
    assert_snapshot!(check("routing: { classifier: lerned }"), @"
    error: there is no classifier `lerned`
      --> nova.yaml:1:24
      |
    1 | routing: { classifier: lerned }
      |                        ^^^^^^
    hint: did you mean `learned`?
    ");
}
