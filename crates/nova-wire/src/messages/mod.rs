//! Anthropic Messages: request, reply and stream, to and from the hub.
