//! OpenAI Chat Completions: request, reply and stream, to and from the hub.
