//! Many models: what a router of them costs, and what it brings.

use nova_route::choose::{Aim, Mode, Offer, rank};

use super::bootstrap::{Interval, interval, percentiles};
use super::curve::{Point, aiq, arena, cost_of, hull};
use super::fit::Fit;
use super::pair::by_score;
use crate::draw::Draw;
use crate::outcomes::{Outcomes, Row};
use crate::prices::Prices;

/// Shares of the best single model's quality at which savings are asked for.
pub const SHARES: [f64; 4] = [1.0, 0.98, 0.95, 0.90];
/// Settings of a router's knob.
const SETTINGS: usize = 60;
/// Characters of a token.
const CHARS: usize = 4;

/// Models, prompts, grades and costs.
#[derive(Debug)]
pub struct Pool<'f> {
    /// The models.
    pub models: Vec<String>,
    /// By row, then by model: 0 to 1.
    pub grades: Vec<Vec<f32>>,
    /// By row, then by model: US dollars that the answer cost.
    pub costs: Vec<Vec<f64>>,
    /// The same, as it was to be expected before.
    pub guesses: Vec<Vec<f64>>,
    /// Bytes of each prompt.
    pub lengths: Vec<usize>,
    /// What was expected of each answer.
    pub fit: &'f Fit,
    cheapest: usize,
}

/// What a router chose: for each setting of its knob, the model of each row.
#[derive(Clone, Debug, Default)]
pub struct Choices(pub Vec<Vec<u8>>);

/// One line of the report.
#[derive(Clone, Debug)]
pub struct Line {
    /// Mean quality over the pool's range of costs.
    pub aiq: f64,
    /// Its interval.
    pub aiq_interval: Interval,
    /// The highest mean grade at any setting.
    pub top: f64,
    /// The share of the best single model's cost that is saved at each of [`SHARES`] of its quality; nothing
    /// where the router never reaches it.
    pub saved: [Option<f64>; 4],
    /// The interval of the first of them, where a draw that never reaches it counts as 0 saved.
    pub saved_interval: Interval,
    /// At the settings that the other folds recommend for all of the best single model's quality.
    pub deployed: Deployed,
}

/// How a router does at settings that were chosen without looking.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deployed {
    /// Mean grade as a share of the best single model's.
    pub reached: f64,
    /// The share of its cost that is saved.
    pub saved: f64,
    /// Mean grade that the oracle has more.
    pub regret: f64,
    /// RouterArena's score.
    pub arena: f64,
    /// The share of answerable prompts at which the cheapest right model was chosen.
    pub opt_sel: f64,
    /// What the cheapest right models cost, as a share of what the chosen ones do, on answerable prompts.
    pub opt_cost: f64,
    /// The share of answerable prompts that were answered right.
    pub opt_acc: f64,
}

impl<'f> Pool<'f> {
    /// Puts a pool together. Answers whose length is not known cost nothing beyond their prompt.
    ///
    /// # Errors
    /// The name of a model without a price.
    pub fn new(outcomes: &Outcomes, prices: &Prices, fit: &'f Fit) -> Result<Self, String> {
        if let Some(unpriced) = outcomes.models.iter().find(|model| !prices.knows(model)) {
            return Err(unpriced.clone());
        }
        let dollars = |row: &Row, model: usize, output: u64| {
            let input = row.prompt.chars().count().div_ceil(CHARS) as u64;
            prices.cost(&outcomes.models[model], input, output).map_or(0.0, |cost| cost.nanos() as f64 / 1e9)
        };
        let models = outcomes.models.len();
        let (mut costs, mut guesses) = (Vec::new(), Vec::new());
        for (row, expected) in outcomes.rows.iter().zip(&fit.expected) {
            let tokens = |model: usize| {
                row.out_chars[model].map_or(0, |chars| u64::from(chars).div_ceil(CHARS as u64))
            };
            costs.push((0..models).map(|model| dollars(row, model, tokens(model))).collect::<Vec<_>>());
            let guess =
                |model: usize| expected[model].output_tokens.map_or(0, |tokens| tokens.round() as u64);
            guesses.push((0..models).map(|model| dollars(row, model, guess(model))).collect());
        }
        let total = |model: usize| costs.iter().map(|row| row[model]).sum::<f64>();
        let cheapest =
            (0..models).fold(0, |best, model| if total(model) < total(best) { model } else { best });
        let grade = |row: &Row| row.grades.iter().map(|grade| grade.unwrap_or_default()).collect();
        Ok(Self {
            models: outcomes.models.clone(),
            grades: outcomes.rows.iter().map(grade).collect(),
            lengths: outcomes.rows.iter().map(|row| row.prompt.len()).collect(),
            costs,
            guesses,
            fit,
            cheapest,
        })
    }

    /// How many prompts.
    pub fn len(&self) -> usize {
        self.grades.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.grades.is_empty()
    }

    /// The model that is the best of the folds that a row is not in.
    pub fn best(&self, row: usize) -> usize {
        self.fit.best[self.fit.folds[row]]
    }

    /// What each setting of quality against money chooses, by the same function as the gateway's.
    pub fn by_budget(&self, quality: impl Fn(usize, usize) -> f32, costs: &[Vec<f64>]) -> Choices {
        let dear: f64 =
            costs.iter().map(|row| row.iter().copied().fold(0.0, f64::max)).sum::<f64>() / self.len() as f64;
        let setting = |at: usize| {
            // From a thousandth of the dearest model's cost to a hundred times it, in even steps of the logarithm.
            let worth = match at {
                0 => 0.0,
                _ => 10f64.powf(5.0 * at as f64 / (SETTINGS - 1) as f64 - 3.0),
            };
            let aim = Aim { quality_per_usd: worth / dear.max(f64::MIN_POSITIVE), ..Aim::of(Mode::Budget) };
            self.each(&aim, &quality, &quality, costs)
        };
        Choices((0..SETTINGS).map(setting).collect())
    }

    /// What each share of the best model's quality chooses where the cheapest capable model is asked for.
    pub fn by_capable(
        &self,
        quality: impl Fn(usize, usize) -> f32,
        low: impl Fn(usize, usize) -> f32,
    ) -> Choices {
        let setting = |at: usize| {
            let enough = 0.4 + 0.6 * at as f32 / (SETTINGS - 1) as f32;
            self.each(&Aim { enough, ..Aim::of(Mode::Capable) }, &quality, &low, &self.guesses)
        };
        Choices((0..SETTINGS).map(setting).collect())
    }

    fn each(
        &self,
        aim: &Aim,
        quality: impl Fn(usize, usize) -> f32,
        low: impl Fn(usize, usize) -> f32,
        costs: &[Vec<f64>],
    ) -> Vec<u8> {
        let mut offers = Vec::new();
        let choose = |row: usize| {
            offers.clear();
            offers.extend((0..self.models.len()).map(|model| Offer {
                cost: costs[row][model],
                quality: quality(row, model).into(),
                low: low(row, model).into(),
                ttft_ms: None,
                tokens_per_s: None,
            }));
            rank(aim, &offers).0.first().map_or(0, |first| *first as u8)
        };
        (0..self.len()).map(choose).collect()
    }

    /// The best single model for the highest scores, and the cheapest for all others, at twenty shares.
    pub fn by_score(&self, scores: &[f64]) -> Choices {
        const STEPS: usize = 20;
        let order = by_score(scores, &(0..).take(self.len()).collect::<Vec<u32>>());
        let setting = |step: usize| {
            let mut chosen = vec![self.cheapest as u8; self.len()];
            for row in &order[..self.len() * step / STEPS] {
                chosen[*row as usize] = self.best(*row as usize) as u8;
            }
            chosen
        };
        Choices((0..=STEPS).map(setting).collect())
    }

    /// One model for all, or for each row its own.
    pub fn always(&self, model: impl Fn(usize) -> usize) -> Choices {
        Choices(vec![(0..self.len()).map(|row| model(row) as u8).collect()])
    }

    /// Each model alone: what the zero router mixes at random (RouterBench).
    pub fn singles(&self) -> Choices {
        Choices((0..self.models.len()).map(|model| vec![model as u8; self.len()]).collect())
    }

    /// Any model, drawn for each row.
    pub fn random(&self, seed: u64) -> Choices {
        let mut draw = Draw::new(seed);
        Choices(vec![(0..self.len()).map(|_| draw.below(self.models.len()) as u8).collect()])
    }

    /// The cheapest model.
    pub fn cheapest(&self) -> usize {
        self.cheapest
    }

    /// Cost and quality of choices over some rows.
    pub fn point(&self, chosen: &[u8], rows: &[u32]) -> Point {
        let (mut cost, mut quality) = (0.0, 0.0);
        for row in rows.iter().map(|row| *row as usize) {
            cost += self.costs[row][chosen[row] as usize];
            quality += f64::from(self.grades[row][chosen[row] as usize]);
        }
        let count = rows.len().max(1) as f64;
        Point { cost: cost / count, quality: quality / count }
    }

    /// The hull of a router over some rows. Any router can be set to the cheapest model, so that is part of it.
    fn hull(&self, choices: &Choices, rows: &[u32]) -> Vec<Point> {
        let cheapest = vec![self.cheapest as u8; self.len()];
        let points = choices.0.iter().chain([&cheapest]).map(|chosen| self.point(chosen, rows));
        hull(&points.collect::<Vec<_>>())
    }

    fn best_single(&self, rows: &[u32]) -> Point {
        let chosen: Vec<u8> = (0..self.len()).map(|row| self.best(row) as u8).collect();
        self.point(&chosen, rows)
    }

    /// Cost from the cheapest to the dearest single model.
    fn range(&self, rows: &[u32]) -> (f64, f64) {
        let costs = self.singles().0.into_iter().map(|chosen| self.point(&chosen, rows).cost);
        costs.fold((f64::INFINITY, 0.0), |(low, high), cost| (low.min(cost), high.max(cost)))
    }

    /// Measures a router.
    pub fn line(&self, choices: &Choices, times: usize, seed: u64) -> Line {
        let all: Vec<u32> = (0..).take(self.len()).collect();
        let (hull, best, (low, high)) = (self.hull(choices, &all), self.best_single(&all), self.range(&all));
        let saved = SHARES.map(|share| saved(&hull, best, share));
        // One draw gives both intervals: the second is taken from what the first one kept.
        let mut kept = Vec::with_capacity(times);
        let aiq_interval = interval(self.len(), times, seed, |rows| {
            let drawn = self.hull(choices, rows);
            kept.push(self::saved(&drawn, self.best_single(rows), SHARES[0]).unwrap_or(0.0));
            aiq(&drawn, low, high)
        });
        let saved_interval = percentiles(kept);
        let top = hull.last().map_or(0.0, |point| point.quality);
        let deployed = self.deployed(&self.recommended(choices, SHARES[0]), &all);
        Line { aiq: aiq(&hull, low, high), aiq_interval, top, saved, saved_interval, deployed }
    }

    /// For each row the choice at the setting that is the cheapest on the other folds with a share of the best
    /// single model's quality there, or the best one where none has it.
    pub fn recommended(&self, choices: &Choices, share: f64) -> Vec<u8> {
        let folds = self.fit.learnt.len();
        let settings: Vec<usize> = (0..folds)
            .map(|fold| {
                let others: Vec<u32> =
                    (0..).take(self.len()).filter(|row| self.fit.folds[*row as usize] != fold).collect();
                let wanted = self.best_single(&others).quality * share;
                let points: Vec<Point> = choices.0.iter().map(|chosen| self.point(chosen, &others)).collect();
                let better =
                    |one: &Point, other: &Point| match (one.quality >= wanted, other.quality >= wanted) {
                        (true, true) => one.cost < other.cost,
                        (false, false) => one.quality > other.quality,
                        (reaches, _) => reaches,
                    };
                (1..points.len())
                    .fold(0, |best, at| if better(&points[at], &points[best]) { at } else { best })
            })
            .collect();
        (0..self.len()).map(|row| choices.0[settings[self.fit.folds[row]]][row]).collect()
    }

    /// How choices did that were made without looking.
    pub fn deployed(&self, chosen: &[u8], rows: &[u32]) -> Deployed {
        let (point, best) = (self.point(chosen, rows), self.best_single(rows));
        let (mut answerable, mut right, mut selected, mut least, mut paid, mut oracle) =
            (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for row in rows.iter().map(|row| *row as usize) {
            let (grades, costs) = (&self.grades[row], &self.costs[row]);
            let top = grades.iter().copied().fold(0.0, f32::max);
            oracle += f64::from(top);
            if top <= 0.0 {
                continue;
            }
            let cheapest = (0..grades.len())
                .filter(|model| grades[*model] >= top)
                .min_by(|one, other| costs[*one].total_cmp(&costs[*other]))
                .unwrap_or_default();
            let choice = chosen[row] as usize;
            answerable += 1.0;
            right += f64::from(grades[choice] / top);
            selected += f64::from(u8::from(choice == cheapest));
            least += costs[cheapest];
            paid += costs[choice];
        }
        Deployed {
            reached: point.quality / best.quality,
            saved: 1.0 - point.cost / best.cost,
            regret: oracle / rows.len().max(1) as f64 - point.quality,
            arena: arena(point.quality, point.cost * 1_000.0),
            opt_sel: selected / answerable,
            opt_cost: least / paid,
            opt_acc: right / answerable,
        }
    }
}

/// What is saved of the best single model's cost at a share of its quality.
fn saved(hull: &[Point], best: Point, share: f64) -> Option<f64> {
    let cost = cost_of(hull, best.quality * share);
    cost.is_finite().then(|| 1.0 - cost / best.cost)
}
