//! Many models: cost against quality.

use nova_route::Classifier;
use nova_route::quality::Expected;

use super::{Data, Judged, Settings, SuiteError, calibrated, judged};
use crate::draw::Draw;
use crate::judge::bootstrap::Interval;
use crate::judge::fit::Split;
use crate::judge::pool::{Choices, Line, Pool, SHARES};
use crate::outcomes::Outcomes;
use crate::report::{Goal, Section, Table, percent, share};

/// The seven models of MMLU-Pro that a program could have bought as an API when they answered.
pub(super) const MMLU_PRO: [&str; 7] = [
    "DeepSeek-Coder-V2",
    "Meta-Llama-3.1-70B-Instruct",
    "Meta-Llama-3.1-8B-Instruct",
    "Mixtral-8x7B-Instruct-v0.1",
    "gemini-1.5-flash-002",
    "gemini-1.5-pro-002",
    "jamba-1.5-large",
];

/// Ten priced models that answered both parts of ZeroEval, of four makers and open weights.
const ZEROEVAL: [&str; 10] = [
    "Meta-Llama-3.1-70B-Instruct",
    "Meta-Llama-3.1-8B-Instruct",
    "claude-3-5-haiku-20241022",
    "claude-3-5-sonnet-20241022",
    "claude-3-haiku-20240307",
    "deepseek-v2.5-0908",
    "gemini-1.5-flash",
    "gemini-1.5-pro",
    "gpt-4o-2024-08-06",
    "gpt-4o-mini-2024-07-18",
];

const OURS: &str = "**heads and table** (ours)";

/// A pool: its name, title, what is to be reached at 100, 98 and 95 %, and its prompts.
struct Case {
    name: &'static str,
    title: &'static str,
    goals: Option<[f64; 3]>,
    learns: Outcomes,
    apart: Option<Outcomes>,
    note: &'static str,
}

pub(super) fn mmlu_pro(data: &Data, settings: &Settings<'_>) -> Result<Option<Section>, SuiteError> {
    let Some((learns, apart)) = data.both("mmlu_pro") else { return Ok(None) };
    measured(
        settings,
        &Case {
            name: "mmlu-pro",
            title: "MMLU-Pro: seven models",
            goals: Some([0.30, 0.48, 0.70]),
            learns: only("mmlu_pro", learns, &MMLU_PRO)?,
            apart: apart.map(|apart| only("mmlu_pro", apart, &MMLU_PRO)).transpose()?,
            note: "Only prompts that all seven models answered.",
        },
    )
    .map(Some)
}

pub(super) fn zeroeval(data: &Data, settings: &Settings<'_>) -> Result<Option<Section>, SuiteError> {
    let (Some(crux), Some(gsm)) = (data.both("zeroeval_crux"), data.both("zeroeval_gsm")) else {
        return Ok(None);
    };
    measured(
        settings,
        &Case {
            name: "zeroeval",
            title: "ZeroEval, CRUX and GSM: ten models",
            goals: Some([0.20, 0.53, 0.80]),
            learns: both(crux.0, gsm.0)?,
            apart: crux.1.zip(gsm.1).map(|(crux, gsm)| both(crux, gsm)).transpose()?,
            note: "Two parts, programs and word problems; all ten models answered both.",
        },
    )
    .map(Some)
}

pub(super) fn llmrouter(data: &Data, settings: &Settings<'_>) -> Result<Option<Section>, SuiteError> {
    let Some((learns, apart)) = data.both("llmrouter12") else { return Ok(None) };
    measured(settings, &Case {
        name: "llmrouter",
        title: "LLMRouter: twelve tasks, nine open models",
        goals: Some([0.75, 0.84, 0.87]),
        learns: learns.clone(),
            apart: apart.cloned(),
        note: "The lengths of answers are not published, so only prompts are charged; each model has one price for \
               input and output, so savings are the same where answers are of one length.",
    })
    .map(Some)
}

/// An operator's own models, with nothing that was to be reached.
pub(super) fn own(outcomes: &Outcomes, settings: &Settings<'_>) -> Result<Section, SuiteError> {
    let models: Vec<&str> = outcomes.models.iter().map(String::as_str).collect();
    measured(
        settings,
        &Case {
            name: "own",
            title: "Your models",
            goals: None,
            learns: only("outcomes", outcomes, &models)?,
            apart: None,
            note: "Only prompts that all models answered.",
        },
    )
}

fn both(crux: &Outcomes, gsm: &Outcomes) -> Result<Outcomes, SuiteError> {
    Ok(only("zeroeval_crux", crux, &ZEROEVAL)?.and(&only("zeroeval_gsm", gsm, &ZEROEVAL)?))
}

pub(super) fn only(file: &str, outcomes: &Outcomes, models: &[&str]) -> Result<Outcomes, SuiteError> {
    outcomes.only(models).map_err(|model| SuiteError::Model { file: file.to_owned(), model })
}

fn measured(settings: &Settings<'_>, case: &Case) -> Result<Section, SuiteError> {
    let split = Split { folds: settings.folds, seed: settings.seed, labels: None };
    let Judged { outcomes, fit, how } = judged(case.name, (&case.learns, case.apart.as_ref()), split)?;
    let pool = Pool::new(&outcomes, settings.prices, &fit).map_err(SuiteError::Price)?;
    let mut section = Section { name: case.name.into(), title: case.title.into(), ..Section::default() };
    let mut names: Vec<&str> = fit.best.iter().map(|best| pool.models[*best].as_str()).collect();
    names.dedup();
    section.about.push(format!(
        "{how}; {} kinds. {} The best single model of what was learnt from is `{}`; the cheapest is \
         `{}`. The kind of a prompt is found in {} of all prompts.",
        outcomes.tasks.len(),
        case.note,
        names.join("`, `"),
        pool.models[pool.cheapest()],
        percent(fit.kinds_right)
    ));
    let mut curves = Table::new(
        "Curves: the mean quality over the pool's range of costs (AIQ), and what is saved of the best single model's cost \
         at a share of its quality, on the hull of all settings",
        &["router", "AIQ", "95 %", "best", "saved at 100 %", "95 %", "at 98 %", "at 95 %", "at 90 %"],
    );
    let mut blind = Table::new(
        "As deployed: the setting is the one that keeps all of the best single model's quality on the other folds",
        &["router", "quality kept", "saved", "regret", "Arena", "OptSel", "OptCost", "OptAcc"],
    );
    for (name, choices) in routers(&pool, &outcomes, settings.seed) {
        (settings.progress)(&format!("{}: {}", case.name, name.replace('*', "")));
        let line = pool.line(&choices, settings.bootstraps, settings.seed);
        if name == OURS {
            for (at, wanted) in case.goals.iter().flatten().enumerate() {
                let what = format!("{}, saved at {:.0} % of the best single", case.title, 100.0 * SHARES[at]);
                section.goals.push(Goal::at_least(what, *wanted, line.saved[at].unwrap_or(0.0), percent));
            }
        }
        curves.rows.push(curve_row(&name, &line));
        let at = &line.deployed;
        let figures = [percent(at.reached), percent(at.saved), share(at.regret), share(at.arena)];
        let optimal = [percent(at.opt_sel), percent(at.opt_cost), percent(at.opt_acc)];
        blind.rows.push([vec![name], figures.to_vec(), optimal.to_vec()].concat());
    }
    section.tables.extend([
        curves,
        blind,
        singles(&pool),
        calibrated(&fit, |row, model| Some(pool.grades[row][model])),
    ]);
    Ok(section)
}

fn routers(pool: &Pool<'_>, outcomes: &Outcomes, seed: u64) -> Vec<(String, Choices)> {
    let fit = pool.fit;
    let expected = |of: fn(&Expected) -> f32| move |row: usize, model: usize| of(&fit.expected[row][model]);
    let mut draw = Draw::new(seed);
    let coins: Vec<f64> = (0..pool.len()).map(|_| draw.unit()).collect();
    let lengths: Vec<f64> = pool.lengths.iter().map(|length| *length as f64).collect();
    let keyword = |said: &str| f64::from(u8::from(Classifier::Keywords.task(said).is_some()));
    let keywords: Vec<f64> = outcomes.rows.iter().map(|row| keyword(&row.prompt)).collect();
    vec![
        ("any model at random".into(), pool.random(seed)),
        ("cheapest model".into(), pool.always(|_| pool.cheapest())),
        ("best single model".into(), pool.always(|row| pool.best(row))),
        ("zero router (hull of single models)".into(), pool.singles()),
        ("cheapest or best at random".into(), pool.by_score(&coins)),
        ("cheapest or best by prompt length".into(), pool.by_score(&lengths)),
        ("cheapest or best by seed-003 keywords".into(), pool.by_score(&keywords)),
        (
            "table of the true kind".into(),
            pool.by_budget(|row, model| fit.true_table[row][model], &pool.guesses),
        ),
        ("table of the predicted kind".into(), pool.by_budget(expected(|of| of.table), &pool.guesses)),
        ("heads".into(), pool.by_budget(expected(|of| of.head), &pool.guesses)),
        (OURS.into(), pool.by_budget(expected(|of| of.quality), &pool.guesses)),
        (
            "the same, as the cheapest capable model".into(),
            pool.by_capable(expected(|of| of.quality), expected(|of| of.low)),
        ),
        ("oracle".into(), pool.by_budget(|row, model| pool.grades[row][model], &pool.costs)),
    ]
}

fn curve_row(name: &str, line: &Line) -> Vec<String> {
    let Interval { low, high } = line.aiq_interval;
    let saved = |at: usize| line.saved[at].map_or_else(|| "never".to_owned(), percent);
    let bounds = line.saved_interval;
    vec![
        name.to_owned(),
        format!("{:.4}", line.aiq),
        format!("{low:.4} to {high:.4}"),
        share(line.top),
        saved(0),
        format!("{} to {}", percent(bounds.low), percent(bounds.high)),
        saved(1),
        saved(2),
        saved(3),
    ]
}

fn singles(pool: &Pool<'_>) -> Table {
    let mut table = Table::new("The models alone", &["model", "right", "$ per 1,000 requests"]);
    let all: Vec<u32> = (0..).take(pool.len()).collect();
    let mut rows: Vec<(f64, Vec<String>)> = pool
        .singles()
        .0
        .iter()
        .zip(&pool.models)
        .map(|(chosen, model)| {
            let point = pool.point(chosen, &all);
            (
                point.cost,
                vec![format!("`{model}`"), share(point.quality), format!("{:.4}", 1_000.0 * point.cost)],
            )
        })
        .collect();
    rows.sort_by(|one, other| one.0.total_cmp(&other.0));
    table.rows = rows.into_iter().map(|(_, row)| row).collect();
    table
}
