"""Messages, as Anthropic writes it: thinking only for those who ask, `ping` after the first block's start."""

import json

from .neutral import Asked, as_text, halves, sse

USAGE = {"input_tokens": 12, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 8, "output_tokens": 9, "service_tier": "standard"}
COUNTED = {"input_tokens": 20}
SIGNATURE = "EqQBCgIYAhIM"


def read(path, body):
    contents = [message["content"] for message in body["messages"] if isinstance(message["content"], list)]
    return Asked(
        model=body["model"],
        body=body,
        stream=bool(body.get("stream")),
        thinking=(body.get("thinking") or {}).get("type") in ("enabled", "adaptive"),
        json="format" in (body.get("output_config") or {}),
        tools=[tool["name"] for tool in body.get("tools") or []],
        results=[as_text(block.get("content", "")) for content in contents for block in content if block["type"] == "tool_result"],
    )


def error(failure):
    return {"type": "error", "error": {"type": failure.kind, "message": failure.message}, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}


def write(asked, answer):
    blocks = []
    if asked.thinking and answer.thinking:
        blocks.append({"type": "thinking", "thinking": answer.thinking, "signature": SIGNATURE})
    if answer.text:
        blocks.append({"type": "text", "text": answer.text})
    for call in answer.calls:
        blocks.append({"type": "tool_use", "id": call.id.replace("call_", "toolu_"), "name": call.name, "input": call.arguments})
    stop = "tool_use" if answer.calls else "end_turn"
    whole = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant", "model": asked.model,
        "content": blocks, "stop_reason": stop, "stop_sequence": None, "usage": USAGE,
    }
    if asked.stream:
        return 200, "text/event-stream; charset=utf-8", sse(events(whole), names=True)
    return 200, "application/json", json.dumps(whole, ensure_ascii=False).encode()


def events(whole):
    start = dict(whole, content=[], stop_reason=None, usage=dict(USAGE, output_tokens=1))
    yield {"type": "message_start", "message": start}
    for i, block in enumerate(whole["content"]):
        opened, deltas = parts(block)
        yield {"type": "content_block_start", "index": i, "content_block": opened}
        if i == 0:
            yield {"type": "ping"}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": i, "delta": delta}
        yield {"type": "content_block_stop", "index": i}
    yield {"type": "message_delta", "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None}, "usage": USAGE}
    yield {"type": "message_stop"}


def parts(block):
    if block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in halves(block["thinking"])]
        return dict(block, thinking="", signature=""), [*deltas, {"type": "signature_delta", "signature": block["signature"]}]
    if block["type"] == "text":
        return dict(block, text=""), [{"type": "text_delta", "text": piece} for piece in halves(block["text"])]
    arguments = ["", *halves(json.dumps(block["input"], ensure_ascii=False))]
    return dict(block, input={}), [{"type": "input_json_delta", "partial_json": piece} for piece in arguments]
