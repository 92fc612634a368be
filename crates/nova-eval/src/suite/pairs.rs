//! Two models: beside RouteLLM's published tables.

use nova_route::Classifier;
use nova_route::quality::Expected;

use super::{Data, Judged, Settings, SuiteError, calibrated, judged};
use crate::draw::Draw;
use crate::judge::bootstrap::interval;
use crate::judge::fit::{Fit, Split};
use crate::judge::pair::{Pair, PairScore, by_score};
use crate::outcomes::Outcomes;
use crate::report::{Goal, Section, Table, share};
use crate::train::matrix::Matrix;

const HEAD: [&str; 6] = ["router", "CPT 20 %", "CPT 50 %", "CPT 80 %", "APGR", "95 %"];
/// How often 1,500 labels are drawn.
const DRAWS: u64 = 3;

/// A router's name and its scores.
type Scored = (String, Vec<f64>);

pub(super) fn mmlu(data: &Data, settings: &Settings<'_>) -> Result<Option<Section>, SuiteError> {
    let Some((learns, apart)) = data.both("routellm_mmlu") else { return Ok(None) };
    let (learns, apart) = (clean(learns), apart.map(clean));
    let split = Split { folds: settings.folds, seed: settings.seed, labels: None };
    let Judged { outcomes, fit, how } = judged("routellm_mmlu", (&learns, apart.as_ref()), split)?;
    let pair = pair(&outcomes);
    let mut routers = plain(&outcomes, settings.seed);
    routers.extend(learnt(&fit));
    let mut section = section("mmlu", "MMLU: gpt-4-1106-preview or mixtral-8x7b", &how);
    let mut few = Vec::new();
    for draw in 0..DRAWS {
        (settings.progress)("mmlu, 1,500 labels");
        let split = Split { seed: settings.seed + draw, labels: Some(1_500), ..split };
        let Judged { fit, .. } = judged("routellm_mmlu", (&learns, apart.as_ref()), split)?;
        few.extend(ours(&fit).map(|scores| pair.score(&scores).apgr));
    }
    let mean = few.iter().sum::<f64>() / few.len() as f64;
    let listed: Vec<String> = few.iter().map(|apgr| share(*apgr)).collect();
    let table = figures(&pair, &routers, settings);
    let all = last_apgr(&pair, &routers, OURS);
    section.goals.push(Goal::at_least("MMLU, APGR with 1,500 labels", 0.66, mean, share));
    section.goals.push(Goal::at_least("MMLU, APGR with all labels of dev", 0.70, all, share));
    section.about.push(format!(
        "With 1,500 labels drawn from the other folds the router reaches an APGR of {} (mean of {DRAWS} draws: {}). \
         The kind of a prompt, one of {}, is found in {:.1} % of all prompts with all labels.",
        share(mean),
        listed.join(", "),
        outcomes.tasks.len(),
        100.0 * fit.kinds_right
    ));
    section.tables.extend([
        table,
        calibrated(&fit, |row, model| outcomes.rows[row].grades[model]),
        published(&[
            ("random", "50.1", "79.9", ".500"),
            ("matrix factorisation, with gold labels", "35.5", "71.4", ".597"),
            ("similarity-weighted ranking, with gold labels", "35.4", "71.6", ".603"),
            ("BERT, with gold labels", "41.3", "72.2", ".572"),
            ("causal LLM, with gold labels", "35.5", "70.3", ".600"),
            ("matrix factorisation, Arena data only", "45.0", "76.9", ".524"),
        ]),
    ]);
    Ok(Some(section))
}

pub(super) fn gsm8k(data: &Data, settings: &Settings<'_>) -> Result<Option<Section>, SuiteError> {
    let Some((learns, apart)) = data.both("routellm_gsm8k") else { return Ok(None) };
    let (learns, apart) = (clean(learns), apart.map(clean));
    let split = Split { folds: settings.folds, seed: settings.seed, labels: None };
    let Judged { outcomes, fit, how } = judged("routellm_gsm8k", (&learns, apart.as_ref()), split)?;
    let pair = pair(&outcomes);
    let mut routers = plain(&outcomes, settings.seed);
    routers.extend(learnt(&fit));
    let mut section = section("gsm8k", "GSM8K: gpt-4-1106-preview or mixtral-8x7b", &how);
    let got = last_apgr(&pair, &routers, OURS);
    section.goals.push(Goal::at_least("GSM8K, APGR (5 folds)", 0.64, got, share));
    section.tables.extend([
        figures(&pair, &routers, settings),
        calibrated(&fit, |row, model| outcomes.rows[row].grades[model]),
        published(&[
            ("random", "50.0", "80.1", ".497"),
            ("matrix factorisation, with judge labels", "38.8", "72.6", ".565"),
            ("similarity-weighted ranking, with judge labels", "41.2", "72.2", ".568"),
            ("BERT, with judge labels", "44.8", "79.1", ".531"),
            ("causal LLM, with judge labels", "33.6", "63.3", ".622"),
            ("matrix factorisation, Arena data only", "53.6", "85.2", ".475"),
        ]),
    ]);
    Ok(Some(section))
}

pub(super) fn mt_bench(data: &Data, settings: &Settings<'_>) -> Result<Option<Section>, SuiteError> {
    let (Some((ours, apart)), Some(mmlu)) = (data.both("routellm_mtbench"), data.get("routellm_mmlu")) else {
        return Ok(None);
    };
    let outcomes = apart.unwrap_or(ours);
    let learns = match data.get("routellm_gsm8k") {
        Some(gsm8k) => mmlu.and(gsm8k),
        None => mmlu.clone(),
    };
    let matrix = Matrix::of(learns.rows.iter().map(|row| row.prompt.as_str()));
    let every: Vec<usize> = (0..learns.rows.len()).collect();
    let quality = crate::train::quality::train(&learns, &matrix, &every, settings.seed)
        .map_err(|error| SuiteError::Train("routellm_mmlu".into(), error))?;
    let pair = pair(outcomes);
    let (mut features, mut judgement) = Default::default();
    let scores = outcomes.rows.iter().map(|row| {
        nova_route::features::extract(&row.prompt, &mut features);
        quality.judge(&features, &mut judgement);
        f64::from(judgement.models[0].quality) - f64::from(judgement.models[1].quality)
    });
    let transferred = scores.collect();
    let mut routers = plain(outcomes, settings.seed);
    routers.push(("learnt from MMLU and GSM8K alone".into(), transferred));
    let mut section = section(
        "mt-bench",
        "MT-bench: gpt-4-1106-preview or mixtral-8x7b",
        &format!("{} prompts", outcomes.rows.len()),
    );
    section.about.push(
        "Nothing was trained on MT-bench or on judged conversations, which we do not have; a few dozen prompts make \
         every interval wide. There is no goal here, and no claim."
            .into(),
    );
    section.tables.extend([
        figures(&pair, &routers, settings),
        published(&[
            ("random", "49.0", "78.1", ".500"),
            ("matrix factorisation, with judge labels", "13.4", "31.3", ".802"),
            ("similarity-weighted ranking, with judge labels", "23.2", "36.0", ".759"),
            ("BERT, with judge labels", "19.6", "34.0", ".751"),
            ("causal LLM, with judge labels", "31.5", "48.8", ".679"),
            ("matrix factorisation, Arena data only", "25.3", "74.3", ".580"),
        ]),
    ]);
    Ok(Some(section))
}

const OURS: &str = "**heads and table** (ours)";

fn section(name: &str, title: &str, how: &str) -> Section {
    let about = format!(
        "{how}. CPT is the percentage of calls to the strong model at which a share of the gap between both models is closed, APGR \
         the share of the gap on average over all percentages (RouteLLM's formulas; equal scores are told apart by a hash of the \
         row).",
    );
    Section { name: name.into(), title: title.into(), about: vec![about], ..Section::default() }
}

/// Without the prompts that RouteLLM's own lists leave out.
fn clean(outcomes: &Outcomes) -> Outcomes {
    let rows = outcomes.rows.iter().filter(|row| !row.contaminated).cloned().collect();
    Outcomes { rows, ..outcomes.clone() }
}

/// The first model is the strong one in each of RouteLLM's files: `gpt-4` comes before `mixtral` and `mistralai`.
fn pair(outcomes: &Outcomes) -> Pair {
    let of = |model: usize| outcomes.rows.iter().map(|row| row.grades[model].unwrap_or_default()).collect();
    Pair { strong: of(0), weak: of(1) }
}

/// Routers that learnt nothing.
fn plain(outcomes: &Outcomes, seed: u64) -> Vec<Scored> {
    let mut draw = Draw::new(seed);
    let keyword = |said: &str| f64::from(u8::from(Classifier::Keywords.task(said).is_some()));
    let pair = pair(outcomes);
    let gain = pair.strong.iter().zip(&pair.weak).map(|(strong, weak)| f64::from(strong - weak));
    vec![
        ("random".into(), outcomes.rows.iter().map(|_| draw.unit()).collect()),
        ("prompt length".into(), outcomes.rows.iter().map(|row| row.prompt.len() as f64).collect()),
        ("seed-003 keywords".into(), outcomes.rows.iter().map(|row| keyword(&row.prompt)).collect()),
        ("oracle".into(), gain.collect()),
    ]
}

fn learnt(fit: &Fit) -> Vec<Scored> {
    let gain = |of: fn(&Expected) -> f32| {
        let gains = fit.expected.iter().map(|row| f64::from(of(&row[0])) - f64::from(of(&row[1])));
        within_folds(fit, &gains.collect::<Vec<_>>())
    };
    let tabled: Vec<f64> = fit.true_table.iter().map(|row| f64::from(row[0]) - f64::from(row[1])).collect();
    vec![
        ("table of the true kind".into(), within_folds(fit, &tabled)),
        ("table of the predicted kind".into(), gain(|expected| expected.table)),
        ("heads".into(), gain(|expected| expected.head)),
        (OURS.into(), gain(|expected| expected.quality)),
    ]
}

/// Each score as its rank among those of its fold, 0 to 1. The folds' models differ by what they take for the mean
/// gain, and a threshold is set for one model; across folds only ranks can be compared.
fn within_folds(fit: &Fit, scores: &[f64]) -> Vec<f64> {
    let mut ranks = vec![0.0; scores.len()];
    for fold in 0..fit.learnt.len() {
        let mut places: Vec<usize> = (0..scores.len()).filter(|row| fit.folds[*row] == fold).collect();
        places.sort_by(|one, other| scores[*one].total_cmp(&scores[*other]));
        let count = places.len().max(1) as f64;
        for equal in places.chunk_by(|one, other| scores[*one] == scores[*other]) {
            let rank = places.partition_point(|place| scores[*place] < scores[equal[0]]) as f64;
            equal.iter().for_each(|place| ranks[*place] = (rank + equal.len() as f64 / 2.0) / count);
        }
    }
    ranks
}

fn ours(fit: &Fit) -> Option<Vec<f64>> {
    learnt(fit).pop().map(|(_, scores)| scores)
}

fn last_apgr(pair: &Pair, routers: &[Scored], name: &str) -> f64 {
    routers.iter().find(|(of, _)| of == name).map_or(f64::NAN, |(_, scores)| pair.score(scores).apgr)
}

fn figures(pair: &Pair, routers: &[Scored], settings: &Settings<'_>) -> Table {
    let mut table = Table::new("Measured", &HEAD);
    for (name, scores) in routers {
        let PairScore { apgr, cpt } = pair.score(scores);
        let bounds = interval(scores.len(), settings.bootstraps, settings.seed, |places| {
            pair.score_of(&by_score(scores, places)).apgr
        });
        let mut row = vec![name.clone()];
        row.extend(cpt.iter().map(|cpt| format!("{cpt:.1}")));
        row.extend([share(apgr), format!("{} to {}", share(bounds.low), share(bounds.high))]);
        table.rows.push(row);
    }
    table
}

fn published(rows: &[(&str, &str, &str, &str)]) -> Table {
    let mut table = Table::new(
        "Published by RouteLLM (arXiv 2406.18665, Tables 1 to 3)",
        &["router", "CPT 50 %", "CPT 80 %", "APGR"],
    );
    table.rows = rows
        .iter()
        .map(|(name, half, most, apgr)| [*name, *half, *most, *apgr].map(str::to_owned).to_vec())
        .collect();
    table
}
