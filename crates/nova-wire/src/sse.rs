//! Frames of server-sent events: an incremental decoder and an encoder, without IO.
