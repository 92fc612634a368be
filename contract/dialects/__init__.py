"""Four wire schemas as their inventors' servers write them.

Each module reads a request into `Asked` and writes an `Answer` as a response: field order, null fields, where usage
sits and how a stream ends are what recordings of the real providers show. Nothing here knows the gateway.
"""

from . import chat, gemini, messages, responses
from .neutral import Answer, Asked, Call, Failure

__all__ = ["Answer", "Asked", "Call", "Failure", "of_path"]


def of_path(path):
    """The dialect that a provider's path belongs to."""
    plain = path.split("?")[0]
    if plain.endswith(("/messages", "/messages/count_tokens")):
        return messages
    if plain.endswith("/responses"):
        return responses
    if ":" in plain.rsplit("/", 1)[-1]:
        return gemini
    return chat


