//! What happens to a router in use: models get worse, budgets run out, words change, time is short.

use nova_route::choose::{Aim, Mode, Offer, rank};
use nova_route::features::{Features, extract};
use nova_route::quality::Judgement;

use super::pools::{MMLU_PRO, only};
use super::{Data, Judged, Settings, SuiteError, judged};
use crate::draw::Draw;
use crate::judge::fit::Split;
use crate::judge::pool::Pool;
use crate::judge::replay::{Memory, Regression, paced, regression};
use crate::judge::robust::Change;
use crate::judge::speed::time;
use crate::outcomes::Outcomes;
use crate::report::{Goal, Section, Table, percent, share};
use crate::train::matrix::Matrix;

/// Draws of the order of requests.
const DRAWS: u64 = 5;
/// Ceilings, as shares of the way from the cheapest model's mean cost to the best single one's.
const CEILINGS: [f64; 4] = [0.1, 0.25, 0.5, 0.75];
/// A ceiling counts where the best expected models would cost so many times as much.
const BINDS: f64 = 1.1;
/// The share of the best model's quality that is asked for where choices are compared.
const ENOUGH: f32 = 0.9;

pub(super) fn live(data: &Data, settings: &Settings<'_>) -> Result<Vec<Section>, SuiteError> {
    let mut pacing = Section {
        name: "live".into(),
        title: "Budgets that last".into(),
        about: vec![
            "Every prompt of a pool once, in a drawn order, with a ceiling on the mean cost of a request that lies some of \
             the way from the cheapest model's cost to the best single one's. The pacer chooses by what is expected and is \
             charged what it really cost. Means and the worst of five orders. Where the best expected models would cost less than \
             1.1 times the ceiling there is next to nothing to pace, and the error is shown but does not count."
                .into(),
        ],
        ..Section::default()
    };
    let mut table = Table::new(
        "",
        &["pool", "ceiling", "requests", "cost / ceiling if unpaced", "cost / ceiling - 1", "worst", "right"],
    );
    let mut sections = Vec::new();
    let mut worst: f64 = 0.0;
    let split = Split { folds: settings.folds, seed: settings.seed, labels: None };
    if let Some((learns, apart)) = data.both("mmlu_pro") {
        let learns = only("mmlu_pro", learns, &MMLU_PRO)?;
        let apart = apart.map(|apart| only("mmlu_pro", apart, &MMLU_PRO)).transpose()?;
        let Judged { outcomes, fit, .. } = judged("mmlu_pro", (&learns, apart.as_ref()), split)?;
        let pool = Pool::new(&outcomes, settings.prices, &fit).map_err(SuiteError::Price)?;
        (settings.progress)("live: a silent regression");
        sections.push(regressions(&pool, settings));
        (settings.progress)("live: other words");
        sections.push(robust(&pool, &outcomes, settings));
        worst = worst.max(paces("MMLU-Pro", &pool, settings, &mut table));
    }
    if let Some(both) = data.both("llmrouter12") {
        let Judged { outcomes, fit, .. } = judged("llmrouter12", both, split)?;
        let pool = Pool::new(&outcomes, settings.prices, &fit).map_err(SuiteError::Price)?;
        worst = worst.max(paces("LLMRouter", &pool, settings, &mut table));
    }
    if table.rows.is_empty() {
        return Ok(sections);
    }
    pacing.goals.push(Goal::at_most(
        "Budget pacer, error of the mean cost (the worst order of the worst ceiling)",
        0.01,
        worst,
        percent,
    ));
    pacing.tables.push(table);
    sections.push(pacing);
    Ok(sections)
}

fn regressions(pool: &Pool<'_>, settings: &Settings<'_>) -> Section {
    let mut section = Section {
        name: "live".into(),
        title: "A silent regression".into(),
        about: vec![
            "3,600 requests of MMLU-Pro, seven models; each policy begins with the table of the other folds and sees only \
             the outcomes of its own choices. After 1,600 requests the model that got most of them loses half of its right \
             answers. Shares of the last 1,000 requests, which begin 1,000 after that; means of five orders."
                .into(),
        ],
        ..Section::default()
    };
    let head = ["memory", "its share before", "its share after", "right after", "explored", "false alarms"];
    let mut table = Table::new("", &head);
    let policies = [
        (Memory::None, "none: as trained"),
        (Memory::Capped, "200 outcomes for each cell, then no more (as LiteLLM's adaptive router)"),
        (Memory::All, "every outcome for ever"),
        (Memory::Fading, "fading by 0.998"),
        (Memory::Alarmed, "**fading by 0.998, with an alarm** (ours)"),
    ];
    for (memory, name) in policies {
        let replays: Vec<Regression> =
            (0..DRAWS).map(|draw| regression(pool, memory, settings.seed + draw)).collect();
        let mean = |of: fn(&Regression) -> f64| replays.iter().map(of).sum::<f64>() / replays.len() as f64;
        let after = mean(|replay| replay.after);
        if memory == Memory::Alarmed {
            let what = "Traffic left on a model 1,000 requests after it silently became worse";
            section.goals.push(Goal::at_most(what, 0.05, after, percent));
            section.goals.push(Goal::at_most(
                "Requests that explore",
                0.02,
                mean(|replay| replay.explored),
                percent,
            ));
        }
        table.rows.push(vec![
            name.to_owned(),
            percent(mean(|replay| replay.before)),
            percent(after),
            share(mean(|replay| replay.quality)),
            percent(mean(|replay| replay.explored)),
            format!("{:.1}", mean(|replay| replay.false_alarms as f64)),
        ]);
    }
    section.tables.push(table);
    section
}

fn paces(name: &str, pool: &Pool<'_>, settings: &Settings<'_>, table: &mut Table) -> f64 {
    (settings.progress)("live: budgets");
    let mut worst: f64 = 0.0;
    for ceiling in CEILINGS {
        let replays: Vec<_> = (0..DRAWS).map(|draw| paced(pool, ceiling, settings.seed + draw)).collect();
        let mean = |of: &dyn Fn(usize) -> f64| (0..replays.len()).map(of).sum::<f64>() / replays.len() as f64;
        let here = replays.iter().map(|replay| replay.error.abs()).fold(0.0, f64::max);
        let unpaced = mean(&|at| replays[at].unpaced);
        if unpaced >= BINDS {
            worst = worst.max(here);
        }
        table.rows.push(vec![
            name.to_owned(),
            percent(ceiling),
            pool.len().to_string(),
            format!("{unpaced:.2}"),
            percent(mean(&|at| replays[at].error)),
            percent(here),
            share(mean(&|at| replays[at].quality)),
        ]);
    }
    worst
}

/// Whether the choice stays the same when the words change.
fn robust(pool: &Pool<'_>, outcomes: &Outcomes, settings: &Settings<'_>) -> Section {
    let mut section = Section {
        name: "live".into(),
        title: "The same choice for the same question".into(),
        about: vec![format!(
            "Every prompt of MMLU-Pro's pool in other words, judged by the folds that never saw it: the share for which \
             the model that is chosen stays the same, as the cheapest capable one at {:.0} % of the best one's lower bound, \
             and at a middling price of quality.",
            100.0 * ENOUGH
        )],
        ..Section::default()
    };
    let mut table = Table::new("", &["change", "cheapest capable", "quality against money"]);
    let dear = pool.guesses.iter().flatten().sum::<f64>() / pool.len().max(1) as f64;
    let aims = [
        Aim { enough: ENOUGH, ..Aim::of(Mode::Capable) },
        Aim { quality_per_usd: 0.1 / dear, ..Aim::of(Mode::Budget) },
    ];
    let (mut features, mut judgement) = (Features::default(), Judgement::default());
    let mut choose = |row: usize, prompt: &str| {
        extract(prompt, &mut features);
        pool.fit.learnt[pool.fit.folds[row]].judge(&features, &mut judgement);
        let offers: Vec<Offer> = judgement
            .models
            .iter()
            .zip(&pool.guesses[row])
            .map(|(expected, cost)| Offer {
                cost: *cost,
                quality: expected.quality.into(),
                low: expected.low.into(),
                ttft_ms: None,
                tokens_per_s: None,
            })
            .collect();
        aims.map(|aim| rank(&aim, &offers).0.first().copied())
    };
    let (mut sum, mut least) = ([0.0; 2], f64::INFINITY);
    for (change, name) in Change::ALL {
        let mut draw = Draw::new(settings.seed);
        let mut same = [0.0; 2];
        for (row, of) in outcomes.rows.iter().enumerate() {
            let (before, after) = (choose(row, &of.prompt), choose(row, &change.of(&of.prompt, &mut draw)));
            for (same, (one, other)) in same.iter_mut().zip(before.iter().zip(&after)) {
                *same += f64::from(u8::from(one == other)) / pool.len() as f64;
            }
        }
        for (sum, same) in sum.iter_mut().zip(same) {
            *sum += same / Change::ALL.len() as f64;
            least = least.min(same);
        }
        table.rows.push(vec![name.to_owned(), percent(same[0]), percent(same[1])]);
    }
    table.rows.push(vec!["all".into(), percent(sum[0]), percent(sum[1])]);
    section.goals.push(Goal::at_least(
        "Same choice in other words (mean of all changes)",
        0.90,
        sum[0].min(sum[1]),
        percent,
    ));
    section.goals.push(Goal::at_least("Same choice in other words (the worst change)", 0.90, least, percent));
    section.tables.push(table);
    section
}

/// How long a decision takes.
pub(super) fn speed(data: &Data, settings: &Settings<'_>) -> Result<Option<Section>, SuiteError> {
    let Some(all) = data.get("mmlu_pro") else { return Ok(None) };
    let outcomes = only("mmlu_pro", all, &MMLU_PRO)?;
    let texts: Vec<&str> = outcomes.rows.iter().map(|row| row.prompt.as_str()).collect();
    let matrix = Matrix::of(texts.iter().copied());
    let every: Vec<usize> = (0..texts.len()).collect();
    let quality = crate::train::quality::train(&outcomes, &matrix, &every, settings.seed)
        .map_err(|error| SuiteError::Train("mmlu_pro".into(), error))?;
    let mut section = Section {
        name: "speed".into(),
        title: "How long a decision takes".into(),
        about: vec![format!(
            "From the text to the ranking of seven models with 14 kinds: features, quality, choice; one thread, 2,000 \
             decisions for each length over 64 texts put together from MMLU-Pro's prompts. The column `undisturbed p99` takes \
             the fastest of about 31 decisions on each text, which leaves out what else the machine did; goals for p99 are \
             held against it, as the others' load is no part of the work. The artefact has {} bytes. Built {} optimised \
             for release.",
            quality.to_bytes().len(),
            if cfg!(debug_assertions) { "with checks of overflows, not" } else { "and" }
        )],
        ..Section::default()
    };
    let mut table = Table::new("", &["bytes", "tokens, about", "p50", "undisturbed p99", "p99", "max"]);
    let micro = |ns: u64| format!("{:.1} µs", ns as f64 / 1e3);
    for bytes in [80, 400, 2_000, 8_000, 32_000, 128_000] {
        let times = time(&quality, &texts, bytes, 2_000, settings.clock);
        table.rows.push(vec![
            bytes.to_string(),
            (bytes / 4).to_string(),
            micro(times.p50),
            micro(times.undisturbed),
            micro(times.p99),
            micro(times.max),
        ]);
        let milli = |ms: f64| format!("{ms:.3} ms");
        let (p50, p99) = (times.p50 as f64 / 1e6, times.undisturbed as f64 / 1e6);
        if bytes == 2_000 {
            section.goals.push(Goal::at_most("Decision on 500 tokens, p50", 0.1, p50, milli));
            section.goals.push(Goal::at_most("Decision on 500 tokens, undisturbed p99", 0.5, p99, milli));
        }
        if bytes == 128_000 {
            section.goals.push(Goal::at_most("Decision on 32,000 tokens, undisturbed p99", 0.5, p99, milli));
        }
    }
    section.tables.push(table);
    Ok(Some(section))
}
