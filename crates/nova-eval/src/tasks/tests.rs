use std::io::Write as _;

use nova_route::task::{Model, Task};

use super::*;

fn rows() -> Vec<Row> {
    let said = [
        (Task::Code, "Write a Python function that sorts a list of numbers."),
        (Task::Math, "What is 12 times 14?"),
        (Task::Creative, "Write a poem about a river in spring."),
        (Task::ChatQa, "Who was the first person on the moon?"),
        (Task::Rewrite, "Translate this sentence into French: good morning."),
    ];
    let each = |copy: usize| {
        said.map(|(task, prompt)| Row {
            prompt: format!("{prompt} {}", "x".repeat(copy)),
            task,
            source: format!("source {}", copy % 2),
            style: if copy.is_multiple_of(2) { Style::User } else { Style::Bench },
        })
    };
    (0..8).flat_map(each).collect()
}

fn quick() -> Options {
    Options { epochs: 2, phrase_times: 1, ..Options::default() }
}

#[test]
fn the_same_rows_and_seed_give_the_same_file() {
    let rows = rows();
    let all: Vec<&Row> = rows.iter().collect();
    let file = train(&all, &quick()).to_bytes();
    assert_eq!(file, train(&all, &quick()).to_bytes());
    assert_ne!(file, train(&all, &Options { seed: 2, ..quick() }).to_bytes());
    assert!(Model::from_bytes(&file).is_ok());
}

#[test]
fn every_row_is_judged_once_by_weights_that_did_not_see_it() {
    let rows = rows();
    for split in [Split::Fold, Split::Source] {
        let judged = judge(&rows, &quick(), split).unwrap();
        assert_eq!(
            judged.iter().map(|judged| judged.row).collect::<Vec<_>>(),
            (0..rows.len()).collect::<Vec<_>>()
        );
        let report = Report::new(&rows, &judged);
        assert_eq!((report.all.all, report.user.all, report.bench.all), (40, 20, 20));
        assert_eq!(report.folds.iter().map(|fold| fold.all).sum::<u32>(), 40);
        assert!(report.all.share() > 0.8, "{}", report.text());
        assert!((0.0..=1.0).contains(&report.user_calibration.ece));
    }
}

#[test]
fn a_file_of_rows_is_read_or_refused_with_its_line() {
    let check = |lines: &str, said: Result<usize, &str>| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(lines.as_bytes()).unwrap();
        let found = read(&gzip.finish().unwrap()).map(|rows| rows.len()).map_err(|error| error.to_string());
        match said {
            Ok(count) => assert_eq!(found, Ok(count)),
            Err(said) => assert!(found.as_ref().is_err_and(|error| error.starts_with(said)), "{found:?}"),
        }
    };
    let row = r#"{"prompt":"a","label":"code","source":"s","style":"user","lang":"en"}"#;
    check(&format!("{row}\n\n{row}\n"), Ok(2));
    check(&format!("{row}\n{{}}"), Err("line 2 is not a row"));
    check(&row.replace("code", "poetry"), Err("line 1 has the label `poetry`"));
    check(&row.replace("user", "robot"), Err("line 1 is not a row"));
    assert!(read(b"no gzip").is_err());
}
