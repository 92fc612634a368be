//! The classifier of tasks, judged by prompts that it did not learn from.

use std::collections::HashSet;

use nova_route::features::{Features, extract};
use nova_route::task::{Model, ModelError};

use super::{Data, Settings, SuiteError};
use crate::report::{Goal, Section, Table, percent, share};
use crate::tasks::{Judged, Options, Report, Row, Split, calibrated, cross_validate, judge};

pub(super) fn tasks(data: &Data, settings: &Settings<'_>) -> Result<Option<Section>, SuiteError> {
    let (learns, apart) = (&data.tasks, &data.tasks_apart);
    if learns.is_empty() || (data.has_apart() && apart.is_empty()) {
        return Ok(None);
    }
    let options = Options { seed: settings.seed, ..Options::default() };
    let (says, how) = match apart.is_empty() {
        true => (cross_validate(learns, &options)?, "five folds by a hash of the prompt"),
        false => (judged_apart(learns, apart, &options)?, "kept apart from what was learnt from"),
    };
    let mut section = Section {
        name: "tasks".into(),
        title: "What a request is about".into(),
        about: vec![format!(
            "{} prompts with a known task of nine, {how}. Prompts of people are from the Arena, \
             MT-bench, Vicuna-bench and BELLE (Chinese); the others are benchmarks, whose rows share templates on both sides, so \
             that the figure for all prompts is the easier one. Calibration is over 15 bins. Macro F1 is {} for all prompts and {} \
             for those of people.",
            says.all.all,
            share(says.macro_f1),
            share(says.user_macro_f1)
        )],
        ..Section::default()
    };
    section.goals.push(Goal::at_least("Tasks, all prompts right", 0.93, says.all.share(), percent));
    section.goals.push(Goal::at_least("Tasks, people's prompts right", 0.80, says.user.share(), percent));
    let what = "Tasks, calibration error on people's prompts";
    section.goals.push(Goal::at_most(what, 0.05, says.user_calibration.ece, share));
    let head =
        ["prompts", "how many", "right", "calibration error", "sure (0.8 and more)", "right where sure"];
    let mut table = Table::new("", &head);
    let styles =
        [("people's", says.user, says.user_calibration), ("benchmarks'", says.bench, says.bench_calibration)];
    for (name, counts, calibration) in styles {
        table.rows.push(vec![
            name.to_owned(),
            counts.all.to_string(),
            percent(counts.share()),
            share(calibration.ece),
            percent(calibration.sure),
            percent(calibration.sure_right),
        ]);
    }
    let mut by_task = Table::new("By task", &["task", "all", "right", "people's", "right"]);
    for (task, (all, user)) in &says.tasks {
        let cells = [(*task).to_owned(), all.all.to_string(), percent(all.share())];
        by_task.rows.push([&cells[..], &[user.all.to_string(), percent(user.share())]].concat());
    }
    section.tables.extend([table, by_task]);
    Ok(Some(section))
}

/// Learns and calibrates on some rows, without the prompts of the others, and judges those.
fn judged_apart(learns: &[Row], apart: &[Row], options: &Options) -> Result<Report, ModelError> {
    let judged: HashSet<&str> = apart.iter().map(|row| row.prompt.as_str()).collect();
    let learns: Vec<Row> =
        learns.iter().filter(|row| !judged.contains(row.prompt.as_str())).cloned().collect();
    let folds = judge(&learns, options, Split::Fold)?;
    let model = Model::from_bytes(&calibrated(&learns, &folds, options).to_bytes())?;
    let mut features = Features::default();
    let judged = apart.iter().enumerate().map(|(row, of)| {
        extract(&of.prompt, &mut features);
        Judged { row, fold: 0, scores: model.scores(&features), posterior: model.posterior(&features) }
    });
    Ok(Report::new(apart, &judged.collect::<Vec<_>>()))
}
