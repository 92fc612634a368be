//! What graded answers taught of models (`routing.quality`), asked for one request.
//!
//! Invariant: a request's text is looked at when a plan asks for the first model's quality, once, and never where no
//! plan asks.

use std::cell::OnceCell;
use std::sync::Arc;

use nova_route::Table;
use nova_route::quality::{Expected, Judgement, Quality};

use crate::pipeline::Heard;

/// What was learnt, and which of its models are which here.
#[derive(Debug)]
pub struct Graded {
    quality: Arc<Quality>,
    /// For each model of the table its place in what was learnt.
    places: Vec<Option<usize>>,
}

/// What was learnt, asked for one request.
#[derive(Debug)]
pub struct Grading<'a> {
    graded: &'a Graded,
    heard: &'a Heard,
    judgement: OnceCell<Judgement>,
}

impl Graded {
    /// What was learnt, about the models of a table. Two names of one model are told by the first.
    pub(crate) fn new(quality: Arc<Quality>, table: &Table) -> Self {
        let mut places = vec![None; table.len()];
        for (place, name) in quality.models().enumerate() {
            if let Some(known) = table.find(name).and_then(|model| places.get_mut(model)) {
                known.get_or_insert(place);
            }
        }
        Self { quality, places }
    }

    /// The same, to be asked about what a human said.
    pub(crate) fn asked<'a>(&'a self, heard: &'a Heard) -> Grading<'a> {
        Grading { graded: self, heard, judgement: OnceCell::new() }
    }
}

impl Grading<'_> {
    /// What to expect of a model of the table; `None` where nothing was learnt of it.
    pub(crate) fn expect(&self, model: usize) -> Option<&Expected> {
        let place = (*self.graded.places.get(model)?)?;
        let judgement = self.judgement.get_or_init(|| {
            let mut judgement = Judgement::default();
            self.heard.with_features(|features| self.graded.quality.judge(features, &mut judgement));
            judgement
        });
        judgement.models.get(place)
    }
}
