"""generateContent, as Google writes it: CRLF, no end marker, usage on every chunk, calls whole and without an id."""

import json
import urllib.parse

from .neutral import Asked, as_text, halves

USAGE = {"promptTokenCount": 20, "cachedContentTokenCount": 8, "candidatesTokenCount": 5, "thoughtsTokenCount": 4, "totalTokenCount": 29}
COUNTED = {"totalTokens": 20}
SIGNATURE = "c2lnbmVk"


def read(path, body):
    model, _, method = path.split("?")[0].rsplit("/", 1)[-1].partition(":")
    parts = [part for content in body["contents"] for part in content.get("parts", [])]
    thinking = (body.get("generationConfig") or {}).get("thinkingConfig") or {}
    return Asked(
        model=urllib.parse.unquote(model),
        body=body,
        stream=method.startswith("stream"),
        thinking=bool(thinking.get("includeThoughts") or thinking.get("include_thoughts")),  # proto JSON has both
        json=(body.get("generationConfig") or {}).get("responseMimeType") == "application/json",
        tools=[function["name"] for tool in body.get("tools") or [] for function in tool.get("functionDeclarations") or []],
        results=[as_text(part["functionResponse"]["response"]) for part in parts if "functionResponse" in part],
    )


def error(failure):
    return {"error": {"code": failure.status, "message": failure.message, "status": failure.kind}}


def write(asked, answer):
    if not asked.stream:
        parts = [part for group in groups(asked, answer, whole=True) for part in group]
        return 200, "application/json; charset=UTF-8", json.dumps(chunk(asked, parts, last=True), ensure_ascii=False).encode()
    pieces = list(groups(asked, answer, whole=False))
    lines = [chunk(asked, parts, last=i + 1 == len(pieces)) for i, parts in enumerate(pieces)]
    return 200, "text/event-stream", "".join(f"data: {json.dumps(line, ensure_ascii=False)}\r\n\r\n" for line in lines).encode()


def groups(asked, answer, whole):
    cut = (lambda text: [text] if text else []) if whole else halves
    if asked.thinking:
        for piece in cut(answer.thinking):
            yield [{"text": piece, "thought": True}]
    for piece in cut(answer.text):
        yield [{"text": piece}]
    for i, call in enumerate(answer.calls):
        # Of parallel calls the first alone is signed.
        signed = {"thoughtSignature": SIGNATURE} if i == 0 else {}
        yield [{"functionCall": {"name": call.name, "args": call.arguments}, **signed}]


def chunk(asked, parts, last):
    candidate = {"content": {"parts": parts, "role": "model"}, **({"finishReason": "STOP"} if last else {}), "index": 0}
    return {"candidates": [candidate], "usageMetadata": USAGE, "modelVersion": asked.model, "responseId": "kYq6aKqmJ"}
