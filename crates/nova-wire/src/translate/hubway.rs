//! Two dialects: everything passes through the hub.

use bytes::Bytes;

use super::{Meter, Outbound, Reply, ReplyContext, Target};
use crate::chat;
use crate::dialect::Dialect;
use crate::error::{BadRequest, UpstreamError};

pub(super) fn request(
    client: Dialect,
    _body: &[u8],
    target: &Target<'_>,
) -> Result<Outbound, BadRequest> {
    Err(BadRequest {
        path: String::new(),
        message: format!("no translation from {client} to {} yet", target.dialect),
        code: "unsupported",
    })
}

pub(super) fn reply(_ctx: &ReplyContext, _body: &[u8]) -> Result<Reply, UpstreamError> {
    Err(chat::garbage("no translation yet"))
}

#[derive(Debug)]
pub(super) struct Relay;

impl Relay {
    pub(super) fn new(_ctx: &ReplyContext) -> Self {
        Self
    }

    pub(super) fn push(&mut self, _: &Bytes, _: &mut Meter, _: &mut Vec<Bytes>) -> Result<(), UpstreamError> {
        Err(chat::garbage("no translation yet"))
    }

    pub(super) fn finish(&mut self, _: &mut Meter, _: &mut Vec<Bytes>) -> Result<(), UpstreamError> {
        Err(chat::garbage("no translation yet"))
    }
}
