//! Learns a [`Quality`] from graded answers.

use nova_route::features::{BUCKETS, CHOICES, DENSE};
use nova_route::quality::{Cell, Forest, Learnt, Quality, QualityError, first_estimate, likelihoods};

use super::forest::{self, Rows};
use super::logistic::{self, Fitted, Options};
use super::matrix::Matrix;
use crate::outcomes::Outcomes;

/// Characters of a token, where answers were only measured in characters.
pub(crate) const CHARS_PER_TOKEN: f32 = 4.0;
/// A cell of the table starts as so many answers of the model to anything.
const CELL_MASS: f32 = 20.0;
/// The same for the lengths of answers.
const LENGTH_MASS: f32 = 5.0;
/// Penalty on the weights that tell models, as a share of all rows: with few rows each is penalised more. Found
/// on the folds of the dev data; the optimum is flat between 4 and 15.
const HEAD_PENALTY: f32 = 10.0;
/// The same for the weights that tell kinds, which are seldom doubtful.
const KIND_PENALTY: f32 = 0.2;
const EPOCHS: usize = 8;
/// Of the trees: between 150 and 600 of them, at rates and penalties half and twice as large, nothing differs by more than
/// what the draw of the folds does.
const FOREST: forest::Options =
    forest::Options { trees: 150, rate: 0.05, penalty: 20.0, share: 0.4, seed: 0 };

/// Learns from the rows `which` of `outcomes`, whose features `matrix` holds.
///
/// # Errors
/// There is no row, no model, or too many of them.
pub fn train(
    outcomes: &Outcomes,
    matrix: &Matrix,
    which: &[usize],
    seed: u64,
) -> Result<Quality, QualityError> {
    let (models, kinds) = (outcomes.models.len(), outcomes.tasks.len());
    if which.is_empty() || models == 0 || kinds == 0 {
        return Err(QualityError::Count);
    }
    let grades: Vec<f32> = which
        .iter()
        .flat_map(|row| outcomes.rows[*row].grades.iter().map(|grade| grade.unwrap_or(f32::NAN)))
        .collect();
    let options = |penalty: f32| Options { alpha: penalty / which.len() as f32, epochs: EPOCHS, seed };
    let rarity = matrix.rarity(which);
    let weighed = matrix.weighed(&rarity);
    let heads = logistic::train(&weighed, which, &grades, models, options(HEAD_PENALTY));
    // One kind needs not be told from others.
    let told = if kinds > 1 { kinds } else { 0 };
    let tasks: Vec<f32> = which
        .iter()
        .flat_map(|row| (0..told).map(|kind| f32::from(u8::from(outcomes.rows[*row].task == kind))))
        .collect();
    let telling = logistic::train(&weighed, which, &tasks, told, options(KIND_PENALTY));
    let mut weights = Vec::with_capacity((BUCKETS + DENSE) * (kinds + models));
    for place in 0..BUCKETS + DENSE {
        let counts = rarity.get(place).copied().unwrap_or(1.0);
        weights.extend(telling.weights.place(place).iter().map(|weight| weight * counts));
        weights.resize(weights.len() + kinds - told, 0.0);
        weights.extend(heads.weights.place(place).iter().map(|weight| weight * counts));
    }
    let cells = table(outcomes, which);
    Quality::of(&Learnt {
        models: outcomes.models.clone(),
        kinds: outcomes.tasks.clone(),
        provenance: format!("{} rows, seed {seed}", which.len()),
        forest: corrections((outcomes, matrix, which), (&heads, &telling), &cells, &grades, seed),
        cells,
        weights,
    })
}

/// Trees that correct what the table and the heads say of rows as if they had not seen them.
fn corrections(
    (outcomes, matrix, which): (&Outcomes, &Matrix, &[usize]),
    (heads, telling): (&Fitted, &Fitted),
    cells: &[Cell],
    grades: &[f32],
    seed: u64,
) -> Forest {
    let (models, told) = (outcomes.models.len(), telling.weights.outputs);
    let mut start = Vec::with_capacity(grades.len());
    for (at, row) in which.iter().map(|row| &outcomes.rows[*row]).enumerate() {
        let mut shares = vec![1.0];
        if told > 0 {
            likelihoods(&telling.strange[at * told..][..told], &mut shares);
        }
        for model in 0..models {
            let table: f32 = shares
                .iter()
                .enumerate()
                .map(|(kind, share)| {
                    let cell = cells[kind * models + model];
                    // The row's own grade is taken out of its cell.
                    let own = row.grades[model].filter(|_| kind == row.task && cell.mass > CELL_MASS);
                    share
                        * own
                            .map_or(cell.mean, |own| (cell.mean * cell.mass - own) / (cell.mass - 1.0))
                            .clamp(0.0, 1.0)
                })
                .sum();
            start.push(first_estimate(table, heads.strange[at * models + model]));
        }
    }
    let of: Vec<f32> = which.iter().flat_map(|row| *matrix.choices(*row)).collect();
    let rows = Rows { inputs: CHOICES, of: &of, start: &start, targets: grades, outputs: models };
    forest::train_if_it_helps(rows, forest::Options { seed, ..FOREST })
}

/// The share of right answers and their length by kind and model, each shrunk towards the model's own over all
/// kinds, which is shrunk towards all models': the posterior means of a hierarchy of Beta distributions whose
/// masses are fixed.
pub fn table(outcomes: &Outcomes, which: &[usize]) -> Vec<Cell> {
    let (models, kinds) = (outcomes.models.len(), outcomes.tasks.len());
    let mut sums = vec![Sums::default(); kinds * models];
    for row in which.iter().map(|row| &outcomes.rows[*row]) {
        for (model, (grade, chars)) in row.grades.iter().zip(&row.out_chars).enumerate() {
            sums[row.task * models + model].add(*grade, *chars);
        }
    }
    let over =
        |places: &mut dyn Iterator<Item = usize>| places.fold(Sums::default(), |sum, at| sum.and(sums[at]));
    let all = over(&mut (0..sums.len()));
    let any = all.shrunk(Cell { mean: 0.5, mass: 0.0, output_tokens: 0.0 });
    let of_models: Vec<Cell> =
        (0..models).map(|model| over(&mut (model..sums.len()).step_by(models)).shrunk(any)).collect();
    sums.iter().enumerate().map(|(at, sums)| sums.shrunk(of_models[at % models])).collect()
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    grades: f32,
    graded: f32,
    chars: f32,
    measured: f32,
}

impl Sums {
    fn add(&mut self, grade: Option<f32>, chars: Option<u32>) {
        if let Some(grade) = grade {
            self.grades += grade;
            self.graded += 1.0;
        }
        if let Some(chars) = chars {
            self.chars += chars as f32;
            self.measured += 1.0;
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            grades: self.grades + other.grades,
            graded: self.graded + other.graded,
            chars: self.chars + other.chars,
            measured: self.measured + other.measured,
        }
    }

    fn shrunk(self, towards: Cell) -> Cell {
        let tokens = self.chars / CHARS_PER_TOKEN;
        let output_tokens = match self.measured {
            measured if measured > 0.0 => {
                let prior = if towards.output_tokens > 0.0 { LENGTH_MASS } else { 0.0 };
                (tokens + prior * towards.output_tokens) / (measured + prior)
            }
            _ => towards.output_tokens,
        };
        Cell {
            mean: (self.grades + CELL_MASS * towards.mean) / (self.graded + CELL_MASS),
            mass: self.graded + CELL_MASS,
            output_tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use nova_route::features::{Features, extract};
    use nova_route::quality::Judgement;

    use super::*;

    /// `small` knows sums and `large` knows everything; words tell both kinds apart.
    fn outcomes() -> Outcomes {
        let line = |at: usize| {
            let (prompt, task) = match at % 2 {
                0 => (format!("Add {at} and {}", at * 7 % 31), "sums"),
                _ => (format!("Who wrote the {at}th ballad of the sea?"), "facts"),
            };
            let small = u8::from(task == "sums");
            format!(
                r#"{{"prompt": "{prompt}", "task": "{task}", "outcomes": {{"large": 1, "small": {small}}}, "out_chars": {{"large": 40, "small": 400}}}}"#
            )
        };
        let text: Vec<String> = (0..200).map(line).collect();
        Outcomes::read(text.join("\n").as_bytes()).unwrap()
    }

    fn learnt(seed: u64) -> Quality {
        let outcomes = outcomes();
        let matrix = Matrix::of(outcomes.rows.iter().map(|row| row.prompt.as_str()));
        let every: Vec<usize> = (0..outcomes.rows.len()).collect();
        train(&outcomes, &matrix, &every, seed).unwrap()
    }

    #[test]
    fn what_tells_models_apart_is_learnt() {
        let quality = learnt(1);
        let (mut features, mut judgement) = (Features::default(), Judgement::default());
        let mut small = |prompt: &str| {
            extract(prompt, &mut features);
            quality.judge(&features, &mut judgement);
            (judgement.models[0].quality, judgement.models[1].quality, judgement.models[1].output_tokens)
        };
        let (large, sums, tokens) = small("Add 5 and 12");
        assert!(large > 0.85 && sums > 0.75, "{large} {sums}");
        assert!((tokens.unwrap() - 100.0).abs() < 1.0, "400 characters are 100 tokens: {tokens:?}");
        let (large, facts, _) = small("Who wrote the oldest ballad of the sea?");
        assert!(large > 0.85 && facts < 0.3, "{large} {facts}");
    }

    #[test]
    fn the_same_rows_and_seed_give_the_same_bytes() {
        assert_eq!(learnt(1).to_bytes(), learnt(1).to_bytes());
        assert_ne!(learnt(1).to_bytes(), learnt(2).to_bytes());
        assert_eq!(Quality::from_bytes(&learnt(1).to_bytes()), Ok(learnt(1)));
    }

    #[test]
    fn the_table_is_worked_as_by_hand() {
        let lines = r#"{"prompt": "a", "task": "x", "outcomes": {"m": 1}, "out_chars": {"m": 40}}
{"prompt": "b", "task": "x", "outcomes": {"m": 0}, "out_chars": {"m": 80}}
{"prompt": "c", "task": "y", "outcomes": {"m": 1}}"#;
        let outcomes = Outcomes::read(lines.as_bytes()).unwrap();
        let cells = table(&outcomes, &[0, 1, 2]);
        // All: (2 + 20 * .5) / 23; the model: (2 + 20 * that) / 23; each cell from there.
        let all = 12.0 / 23.0;
        let model = (2.0 + 20.0 * all) / 23.0;
        assert!((cells[0].mean - (1.0 + 20.0 * model) / 22.0).abs() < 1e-6, "{cells:?}");
        assert!((cells[1].mean - (1.0 + 20.0 * model) / 21.0).abs() < 1e-6, "{cells:?}");
        assert_eq!((cells[0].mass, cells[1].mass), (22.0, 21.0));
        // Ten and twenty tokens make fifteen; where nothing was measured the model's mean stands.
        assert_eq!((cells[0].output_tokens, cells[1].output_tokens), (15.0, 15.0));
    }

    #[test]
    fn nothing_is_learnt_from_nothing() {
        let outcomes = outcomes();
        assert_eq!(train(&outcomes, &Matrix::of([].into_iter()), &[], 1), Err(QualityError::Count));
    }
}
