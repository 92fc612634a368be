//! Whole answers.

use crate::chat;
use crate::error::UpstreamError;
use crate::hub::reply::Reply;
use crate::quirks::Quirks;
use crate::translate::ReplyContext;

/// An upstream's answer.
///
/// # Errors
/// Where it reports a failure, or cannot be read.
pub fn read(_body: &[u8], _quirks: &Quirks) -> Result<Reply, UpstreamError> {
    Err(chat::garbage("answers of this dialect cannot be read yet"))
}

/// An answer for a client.
pub fn write(_reply: &Reply, _ctx: &ReplyContext) -> Vec<u8> {
    Vec::new()
}
