//! What deciding costs: one line a case, with the median and the 99th percentile of one call in microseconds.
//!
//! A decision is made among thirty models of two deployments each, all of them able and well.

#![expect(clippy::print_stdout, reason = "its figures are what it prints")]
#![expect(clippy::unwrap_used, reason = "nobody depends on it")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use nova_catalog::{NanoUsd, PerMillion, Price};
use nova_route::learn::{Kind, ModelCells, Speed, assumed};
use nova_route::record::{Noting, Record};
use nova_route::rules::{Condition, OfModel};
use nova_route::{
    Candidate, DeploymentId, Estimate, Facts, ModelEntry, RuleEntry, Signals, Table, TableBuilder, World,
    plan,
};

const MODELS: u32 = 30;
const CALLS: usize = 20_000;
/// Conditions are evaluated so often for one reading of the clock.
const EVALUATIONS: usize = 1_000;

/// Live cells, as the gateway keeps them.
struct Live {
    speeds: Vec<Speed>,
    models: Vec<ModelCells>,
}

impl World for Live {
    fn signals(&self, deployment: DeploymentId) -> Signals {
        self.speeds[deployment.index()].signals(2_000, 0, false)
    }

    fn estimate(&self, model: usize, task: Option<&str>) -> Estimate {
        let kind = Kind::of(task);
        let prior = (assumed::from_price(None, kind), false);
        self.models[model].estimate(kind, prior, assumed::output_tokens(kind, false))
    }
}

fn main() {
    println!("case  p50-us  p99-us");
    let condition =
        Condition::parse("task == \"reasoning\" and context_length > 80000 and not has_images").unwrap();
    let facts = Facts { task: Some("reasoning"), prompt_tokens: 90_000, ..Facts::default() };
    let of = OfModel::default();
    show("rule", EVALUATIONS, || {
        (0..EVALUATIONS).filter(|_| black_box(&condition).holds(black_box(&facts), &of)).count()
    });
    let table = table();
    let live = Live {
        speeds: (0..2 * MODELS).map(|_| Speed::default()).collect(),
        models: (0..MODELS).map(|_| ModelCells::default()).collect(),
    };
    for speed in &live.speeds {
        speed.began(2_000, 300.0);
        speed.wrote(60.0);
    }
    for model in ["model-7", "auto", "auto:fast"] {
        let facts = Facts {
            model,
            prompt_tokens: 2_000,
            task: Some("code"),
            now_ms: Some(1_767_614_400_000),
            ..Facts::default()
        };
        show(&format!("decision-{model}"), 1, || plan(&table, &facts, &live, 7));
        show(&format!("decision-and-record-{model}"), 1, || {
            let noting = Noting::over(&live);
            let plan = plan(&table, &facts, &noting, 7);
            Record::of(&table, &facts, &noting, 7, &plan)
        });
    }
}

fn table() -> Table {
    let mut builder = TableBuilder::default();
    for model in 0..MODELS {
        let candidate = |at: u32| {
            let mut price = Price::default();
            price.rates.input = PerMillion::new(NanoUsd::from_nanos(i64::from(model + 1) * 100_000_000));
            price.rates.output = PerMillion::new(NanoUsd::from_nanos(i64::from(model + 1) * 400_000_000));
            Candidate {
                id: DeploymentId(2 * model + at),
                name: format!("provider-{at}/model-{model}"),
                provider: format!("provider-{at}"),
                upstream_model: format!("model-{model}"),
                weight: 1,
                price: Some(Arc::new(price)),
                ..Candidate::default()
            }
        };
        builder.model(ModelEntry {
            name: format!("model-{model}"),
            tools: true,
            context: Some(128_000),
            deployments: vec![candidate(0), candidate(1)],
            ..ModelEntry::default()
        });
    }
    let never = Condition::parse("context_length > 1m").unwrap();
    let rule = RuleEntry { condition: Some(never), model: "model-1".into(), fallback: Vec::new() };
    builder.rules(vec!["auto".into()], vec![rule], None);
    builder.build().unwrap()
}

/// Times calls, each of which does its work `times` times.
fn show<T>(name: &str, times: usize, mut call: impl FnMut() -> T) {
    let mut took: Vec<f64> = (0..CALLS / times.min(100))
        .map(|_| {
            let begun = Instant::now();
            drop(black_box(call()));
            begun.elapsed().as_secs_f64() * 1e6 / times as f64
        })
        .collect();
    took.sort_by(f64::total_cmp);
    println!("{name}  {:.3}  {:.3}", took[took.len() / 2], took[took.len() * 99 / 100]);
}
