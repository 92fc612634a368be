//! Time passes: a model becomes worse without a word, and a budget has to last.

use nova_catalog::NanoUsd;
use nova_route::Pacer;
use nova_route::quality::{Alarm, Belief};

use super::fit::likeliest;
use super::pool::Pool;
use crate::draw::Draw;

/// How a policy learns from the outcomes of its own choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Not at all: it keeps what it was trained on.
    None,
    /// Every outcome counts alike until a cell holds 200; then outcomes are dropped (LiteLLM's adaptive router).
    Capped,
    /// Every outcome counts alike for ever.
    All,
    /// Evidence fades by 0.998 with each outcome of its cell ([`Belief::observe`]).
    Fading,
    /// The same, and an [`Alarm`] for each model takes most of its reputation away when it rings.
    Alarmed,
}

/// The state of a replay's policy.
struct Policy {
    memory: Memory,
    /// By kind, then by model.
    cells: Vec<Vec<Belief>>,
    alarms: Vec<Alarm>,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Regression {
    /// The share of requests that the worse model got before it became worse.
    pub before: f64,
    /// The share that it got from the thousandth request after it became worse on.
    pub after: f64,
    /// Mean grade of these last requests.
    pub quality: f64,
    /// The share of all requests that explored.
    pub explored: f64,
    /// Alarms that rang before there was a reason.
    pub false_alarms: usize,
}

/// Requests of a replay, and the one from which on the best model is worse.
pub const REQUESTS: usize = 3_600;
/// See [`REQUESTS`].
pub const WORSE_FROM: usize = 1_600;
/// Requests after which traffic should have moved.
const GRACE: usize = 1_000;
/// One request in so many explores.
const EXPLORES: usize = 100;
/// Outcomes that a trained cell weighs as much as.
const TRAINED_MASS: f64 = 60.0;
const CAP: f64 = 200.0;
const GAMMA: f64 = 0.998;
/// What is left of a model's evidence when its alarm rings.
const KEPT: f64 = 0.05;

/// Replays requests of a pool, drawn with replacement, through a policy that takes the model with the highest expected
/// quality less a twentieth of it for the dearest model's cost. From [`WORSE_FROM`] on, the model that led until
/// then loses half of its right answers.
pub fn regression(pool: &Pool<'_>, memory: Memory, seed: u64) -> Regression {
    let mut draw = Draw::new(seed);
    let kinds: Vec<usize> = kinds(pool);
    let mut policy = Policy::new(pool, memory, &kinds);
    let dear = pool.guesses.iter().flatten().copied().fold(0.0, f64::max);
    let mut says = Regression::default();
    let mut got = vec![0_usize; pool.models.len()];
    let mut worse = usize::MAX;
    for request in 0..REQUESTS {
        if request == WORSE_FROM {
            worse = (0..got.len()).fold(0, |most, model| if got[model] > got[most] { model } else { most });
            says.before = got[worse] as f64 / WORSE_FROM as f64;
        }
        let row = draw.below(pool.len());
        let kind = kinds[row];
        let explores = memory != Memory::None && draw.below(EXPLORES) == 0;
        let model = match explores {
            true => draw.below(pool.models.len()),
            false => policy.choose(kind, |model| 0.05 * pool.guesses[row][model] / dear),
        };
        got[model] += 1;
        says.explored += f64::from(u8::from(explores)) / REQUESTS as f64;
        let lost = model == worse && draw.below(2) == 0;
        let grade = if lost { 0.0 } else { f64::from(pool.grades[row][model]) };
        let rang = policy.learn(kind, model, grade);
        says.false_alarms += usize::from(rang && request < WORSE_FROM);
        if request >= WORSE_FROM + GRACE {
            let last = (REQUESTS - WORSE_FROM - GRACE) as f64;
            says.after += f64::from(u8::from(model == worse)) / last;
            says.quality += grade / last;
        }
    }
    says
}

/// The likeliest kind of each row, as the fold that never saw it says.
fn kinds(pool: &Pool<'_>) -> Vec<usize> {
    pool.fit.kinds.iter().map(|shares| likeliest(shares)).collect()
}

impl Policy {
    /// Begins with what the first fold's table says.
    fn new(pool: &Pool<'_>, memory: Memory, kinds: &[usize]) -> Self {
        let count = kinds.iter().copied().max().map_or(0, |most| most + 1);
        let prior = |kind: usize, model: usize| {
            let cell = pool.fit.learnt.first().and_then(|learnt| learnt.cell(kind, model));
            Belief::prior(cell.map_or(0.5, |cell| cell.mean.into()), TRAINED_MASS)
        };
        let models = pool.models.len();
        let cells = (0..count).map(|kind| (0..models).map(|model| prior(kind, model)).collect()).collect();
        Self { memory, cells, alarms: vec![Alarm::default(); models] }
    }

    fn choose(&self, kind: usize, price: impl Fn(usize) -> f64) -> usize {
        let worth = |model: usize| self.cells[kind][model].mean() - price(model);
        (0..self.cells[kind].len())
            .fold(0, |best, model| if worth(model) > worth(best) { model } else { best })
    }

    /// Whether the alarm rang.
    fn learn(&mut self, kind: usize, model: usize, grade: f64) -> bool {
        let believed = self.cells[kind][model].mean();
        let rang = self.memory == Memory::Alarmed && self.alarms[model].hear(believed, grade);
        if rang {
            self.cells.iter_mut().for_each(|cells| cells[model].fade(KEPT));
        }
        let cell = &mut self.cells[kind][model];
        match self.memory {
            Memory::None => {}
            Memory::Capped if cell.mass() >= CAP => {}
            Memory::Capped | Memory::All => cell.observe(grade, 1.0),
            Memory::Fading | Memory::Alarmed => cell.observe(grade, GAMMA),
        }
        rang
    }
}

/// How well a budget was kept.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Paced {
    /// Mean cost of a request as a share of the ceiling, less 1.
    pub error: f64,
    /// Mean grade.
    pub quality: f64,
    /// What the best expected model would cost each time, as a share of the ceiling: below 1 there is nothing to pace.
    pub unpaced: f64,
}

/// Sends every prompt of a pool once, in a drawn order, through a [`Pacer`] whose ceiling lies `share` of the way
/// from the cheapest model's mean cost to the best single one's. What is chosen by are expectations, what is
/// charged is the real cost.
pub fn paced(pool: &Pool<'_>, share: f64, seed: u64) -> Paced {
    let mut order: Vec<u32> = (0..).take(pool.len()).collect();
    Draw::new(seed).shuffle(&mut order);
    let mean = |model: &dyn Fn(usize) -> usize| {
        pool.point(&(0..pool.len()).map(|row| model(row) as u8).collect::<Vec<_>>(), &order).cost
    };
    let (low, high) = (mean(&|_| pool.cheapest()), mean(&|row| pool.best(row)));
    let ceiling = low + share * (high - low);
    let nano = |dollars: f64| NanoUsd::from_nanos((dollars * 1e9).round() as i64);
    let mut pacer = Pacer::per_request(nano(ceiling));
    let mut candidates = Vec::new();
    let (mut spent, mut quality, mut unpaced) = (0.0, 0.0, 0.0);
    let free = Pacer::per_request(NanoUsd::MAX);
    for row in order.iter().map(|row| *row as usize) {
        candidates.clear();
        let expected = pool.fit.expected[row].iter().zip(&pool.guesses[row]);
        candidates.extend(expected.map(|(expected, cost)| (f64::from(expected.quality), nano(*cost))));
        let model = pacer.choose(&candidates).unwrap_or_default();
        let dearest = candidates.iter().map(|candidate| candidate.1).max().unwrap_or_default();
        pacer.charge(nano(pool.costs[row][model]), dearest, 0);
        spent += pool.costs[row][model];
        unpaced += pool.costs[row][free.choose(&candidates).unwrap_or_default()];
        quality += f64::from(pool.grades[row][model]);
    }
    let count = pool.len().max(1) as f64;
    Paced {
        error: spent / count / ceiling - 1.0,
        quality: quality / count,
        unpaced: unpaced / count / ceiling,
    }
}
