use std::sync::Arc;

use nova_catalog::{NanoUsd, PerMillion, Price};
use proptest::prelude::*;

use super::*;
use crate::rules::Condition;
use crate::{
    ArmEntry, Candidate, Controls, ExperimentEntry, Health, ModelEntry, Preferences, RuleEntry, TableBuilder,
    Unit,
};

fn candidate(id: u32) -> Candidate {
    let mut price = Price::default();
    price.rates.output = PerMillion::new(NanoUsd::from_nanos(i64::from(id % 3) * 1_000_000_000));
    Candidate {
        id: DeploymentId(id),
        name: format!("p{id}/m"),
        provider: format!("p{id}"),
        upstream_model: "m".into(),
        priority: id % 2,
        weight: 1 + id % 2,
        price: Some(Arc::new(price)),
        ..Candidate::default()
    }
}

/// Four models of three deployments each, a rule that reads a header, and an experiment.
fn table() -> Table {
    let mut builder = TableBuilder::default();
    for model in 0..4_u32 {
        builder.model(ModelEntry {
            name: format!("m{model}"),
            images: model > 1,
            tools: true,
            context: Some(100_000),
            deployments: (0..3).map(|at| candidate(3 * model + at)).collect(),
            ..ModelEntry::default()
        });
    }
    let condition = Condition::parse("header.x-team == \"blue\" and budget < 0.3").unwrap();
    let rule = RuleEntry { condition: Some(condition), model: "m1".into(), fallback: vec!["m3".into()] };
    builder.rules(vec!["auto".into()], vec![rule], None);
    let arm = |name: &str, weight| ArmEntry { name: name.into(), model: name.into(), weight };
    builder.experiment(ExperimentEntry {
        name: "e".into(),
        model: "m1".into(),
        condition: Some(Condition::parse("metadata.stage != \"off\"").unwrap()),
        by: Unit::User,
        arms: vec![arm("m1", 1), arm("m2", 1)],
    });
    builder.build().unwrap()
}

/// A world drawn from a number.
struct Drawn(u64);

impl Drawn {
    fn draw(&self, of: u64, below: u64) -> u64 {
        let mut draws = crate::choose::balance::Draws(self.0 ^ of.wrapping_mul(0x2545_F491_4F6C_DD1D));
        draws.below(below)
    }
}

impl World for Drawn {
    fn signals(&self, deployment: DeploymentId) -> Signals {
        let of = u64::from(deployment.0);
        let health = [Health::Good, Health::Good, Health::Limited, Health::Open];
        Signals {
            health: health[self.draw(of, 4) as usize],
            in_flight: self.draw(of + 100, 5) as u32,
            ttft_ms: (self.draw(of + 200, 2) > 0).then_some(self.draw(of + 300, 99_999) as f32 / 7.0),
            errors: self.draw(of + 400, 100) as f32 / 301.0,
            cached_tokens: self.draw(of + 500, 2) * 500,
            ..Signals::default()
        }
    }

    fn estimate(&self, model: usize, _: Option<&str>) -> Estimate {
        let of = model as u64 + 1_000;
        let quality = self.draw(of, 1_000) as f32 / 999.0;
        Estimate {
            output_tokens: self.draw(of + 100, 5_000) as f32 / 3.0,
            quality,
            low: quality * 0.9,
            measured: self.draw(of + 200, 2) > 0,
        }
    }
}

/// What a request may ask of routing.
fn controls() -> impl Strategy<Value = Controls> {
    let providers =
        || prop::option::of(prop::collection::vec((0..12_u32).prop_map(|id| format!("p{id}")), 0..4));
    let rest = prop::sample::select(vec![
        "{}",
        r#"{ "sort": "price" }"#,
        r#"{ "sort": { "by": "latency", "partition": "none" } }"#,
        r#"{ "max_price": { "completion": 1 }, "preferred_max_latency": 3.3 }"#,
        r#"{ "allow_fallbacks": false }"#,
        r#"{ "max_latency": { "p50": 1, "p90": 3 } }"#,
    ]);
    let fallbacks = prop::option::of(prop::collection::vec((0..5).prop_map(|id| format!("m{id}")), 0..3));
    (fallbacks, providers(), providers(), rest).prop_map(|(fallbacks, order, ignore, rest)| Controls {
        fallbacks,
        provider: Preferences { order, ignore, ..serde_json::from_str(rest).unwrap() },
    })
}

proptest! {
    #[test]
    fn a_record_replays_to_the_same_plan_bit_for_bit(
        (world, seed, session) in any::<(u64, u64, u64)>(),
        name in prop::sample::select(vec!["auto", "auto:fast", "auto:budget", "auto/code", "m0", "m1", "p4/m1", "none"]),
        prompt_tokens in 0..150_000_u64,
        budget in prop::option::of(0.0..1.0_f64),
        per_usd in prop::option::of(0.0..1_000.0_f64),
        team in prop::option::of(prop::sample::select(vec!["blue", "red"])),
        has_images: bool,
        asked in prop::option::of(controls()),
    ) {
        let table = table();
        let header = |name: &str| team.filter(|_| name == "x-team");
        let entry = |name: &str| (name == "stage").then_some("on");
        let facts = Facts {
            model: name, prompt_tokens, budget, quality_per_usd: per_usd, has_images, controls: asked.as_ref(),
            session: Some(session), user: Some(session >> 8), now_ms: Some(1_763_976_600_000),
            headers: Named::of(&header), metadata: Named::of(&entry), ..Facts::default()
        };
        let world = Drawn(world);
        let noting = Noting::over(&world);
        let plan = crate::plan(&table, &facts, &noting, seed);
        let record = Record::of(&table, &facts, &noting, seed, &plan);
        let kept = serde_json::to_string(&record).unwrap();
        let read: Record = serde_json::from_str(&kept).unwrap();
        prop_assert_eq!(&read, &record);
        prop_assert_eq!(&read.replay(&table), &plan);
        prop_assert!(read.holds(&table));
        let wanted = |id| {
            let preferences = asked.as_ref().map(|asked| &asked.provider);
            let refused = |it: &Preferences| it.refuses(&table.offered(id).unwrap(), prompt_tokens);
            preferences.and_then(refused).is_none()
        };
        prop_assert!(plan.iter().flat_map(|plan| &plan.attempts).all(|attempt| wanted(attempt.deployment)));
    }
}

#[test]
fn a_record_keeps_of_headers_only_what_rules_read() {
    let table = table();
    let header = |name: &str| Some(if name == "x-team" { "blue" } else { "secret" });
    let facts = Facts { model: "auto", headers: Named::of(&header), ..Facts::default() };
    let world = |_: DeploymentId| Health::Good;
    let noting = Noting::over(&world);
    let plan = crate::plan(&table, &facts, &noting, 1);
    let record = Record::of(&table, &facts, &noting, 1, &plan);
    assert_eq!(record.facts.texts, BTreeMap::from([("header.x-team".to_owned(), "blue".to_owned())]));
}
