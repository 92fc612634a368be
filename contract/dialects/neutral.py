"""What was asked and what is answered, in no dialect."""

import json
from dataclasses import dataclass, field


@dataclass
class Asked:
    model: str
    body: dict  # as it was sent, for what a dialect echoes
    stream: bool = False
    thinking: bool = False
    json: bool = False  # whether the answer must be JSON
    tools: list = field(default_factory=list)  # their names
    results: list = field(default_factory=list)  # what tools gave, as text, of the whole conversation


@dataclass
class Call:
    id: str
    name: str
    arguments: dict

    @property
    def json(self):
        return json.dumps(self.arguments, ensure_ascii=False)


@dataclass
class Answer:
    """The counts are the same in every dialect: 20 tokens in, of which 8 from the cache; 9 out, of which 4 thought."""

    text: str = ""
    thinking: str = ""
    calls: list = field(default_factory=list)


@dataclass
class Failure:
    """An answer that is an error: HTTP status, the provider's own words, and its name for the kind."""

    status: int
    message: str
    kind: str
    code: str = None


def as_text(content):
    """A tool's result, whether it is text, a list of parts or an object."""
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def halves(text):
    middle = (len(text) + 1) // 2
    return [part for part in (text[:middle], text[middle:]) if part]


def sse(events, names=False, end=b""):
    lines = []
    for event in events:
        if names:
            lines.append(f"event: {event['type']}\n")
        lines.append(f"data: {json.dumps(event, ensure_ascii=False)}\n\n")
    return "".join(lines).encode() + end
