//! All models of a comparison, asked at once.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use nova_limit::Permit;
use nova_wire::{Dialect, Peek};

use super::lane::Lane;
use super::{Here, Sender};
use crate::error::{Code, GatewayError};
use crate::pipeline::{self, At, Known, Received, settle};
use crate::state::RequestId;

/// What all models are asked.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) dialect: Dialect,
    /// For a streamed answer, whoever's name stands in it.
    pub(super) body: Bytes,
    pub(super) peek: Peek,
    pub(super) models: Vec<String>,
    /// Where in the request the name of a model stands.
    pub(super) place: fn(usize) -> String,
}

/// The answers, in the order of the models.
#[derive(Debug)]
pub(super) struct Panel {
    pub(super) lanes: Vec<Lane>,
    /// The key's permit to be in flight: one for all of them.
    _permit: Option<Permit>,
}

impl Panel {
    /// Plans the question for every model. Nothing is sent before the panel is polled.
    ///
    /// # Errors
    /// 404 where one of the names is no model's. Whatever else speaks against a model is told in its answer.
    pub(super) fn open(
        (worker, snapshot): Here<'_>,
        question: Question,
        sender: &Sender,
        (id, started): (&RequestId, Instant),
    ) -> Result<Self, GatewayError> {
        let Question { dialect, body, peek, models, place } = question;
        let at = At { snapshot, started, alone: true, free: false, mirrored: None };
        let mut placed = Vec::with_capacity(models.len());
        for (index, name) in models.into_iter().enumerate() {
            let mut known = Known {
                key: Some(Arc::clone(&sender.key)),
                model: name.clone(),
                stream: true,
                ..Known::default()
            };
            let received = Received {
                key: Arc::clone(&sender.key),
                permit: None,
                headers: sender.headers.clone(),
                body: body.clone(),
                peek: Peek { model: name.clone(), ..peek.clone() },
                keep: None,
            };
            let understood = pipeline::place(worker, dialect, received, at, &mut known);
            if let Err(error) = &understood
                && error.code == Code::UnknownModel
            {
                let place = place(index);
                let message = format!("`{place}`: {}", error.message);
                return Err(GatewayError { message, param: Some(place), ..error.clone() });
            }
            placed.push((name, worker.next_id(), understood, known));
        }
        let group: Arc<str> = Arc::from(format!("compare:{}", id.as_str()));
        let lanes = placed.into_iter().map(|(name, id, understood, known)| match understood {
            Ok(understood) => {
                let mut call = pipeline::open(worker, snapshot, (&id, dialect, started), understood);
                call.receipt.about.experiment.get_or_insert_with(|| Arc::clone(&group));
                Lane::asking(name, worker, call)
            }
            Err(error) => {
                settle::refused(&worker.shared, (&id, dialect, started), &known, &error);
                worker.shared.metrics.refused(dialect, &error);
                Lane::refused((name, id), started, error)
            }
        });
        Ok(Self { lanes: lanes.collect(), _permit: None })
    }

    /// The same, which holds a permit until it is dropped.
    pub(super) fn holding(self, permit: Option<Permit>) -> Self {
        Self { _permit: permit, ..self }
    }

    /// Goes on with every answer; ready once all are over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Each of them is polled, whatever the others say.
        let waiting =
            self.lanes.iter_mut().filter_map(|lane| lane.poll(cx).is_pending().then_some(())).count();
        if waiting == 0 { Poll::Ready(()) } else { Poll::Pending }
    }

    /// The first failure, where nobody answered.
    pub(super) fn failure(&self) -> Option<&GatewayError> {
        let all = self.lanes.iter().all(|lane| lane.error().is_some() && lane.text.is_empty());
        self.lanes.first().filter(|_| all).and_then(Lane::error)
    }
}
