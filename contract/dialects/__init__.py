"""Four wire schemas as their inventors' servers write them.

Each module reads a request into `Asked` and writes an `Answer` as a response: field order, null fields, where usage
sits and how a stream ends are what recordings of the real providers show. Nothing here knows the gateway.
"""

import re

from . import chat, gemini, messages, responses
from .neutral import Answer, Asked, Call, Failure

__all__ = ["Answer", "Asked", "Call", "Failure", "of_path"]


# Where the real ones answer, below the name that a test's configuration gives them.
PATHS = {
    chat: r"/\w+(/compatible-mode)?(/v1)?/chat/completions",
    messages: r"/\w+/v1/messages(/count_tokens)?",
    responses: r"/\w+/v1/responses",
    gemini: r"/\w+/v1beta/models/[^/:]+:(generateContent|streamGenerateContent\?alt=sse|countTokens)",
}


def of_path(path):
    """The dialect that a provider's path belongs to, or none where nothing answers."""
    return next((dialect for dialect, pattern in PATHS.items() if re.fullmatch(pattern, path)), None)
