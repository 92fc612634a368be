//! OpenAI Responses: request, reply and stream, to and from the hub.

pub mod reply;
pub mod request;
pub mod stream;
