"""Chat Completions, as DeepSeek writes it: reasoning beside content, usage in the chunk that finishes."""

import json
import re

from .neutral import Asked, as_text, halves, sse

USAGE = {
    "prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 4},
    "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 12,
}


def read(_path, body):
    return Asked(
        model=body["model"],
        body=body,
        stream=bool(body.get("stream")),
        thinking=True,
        json="response_format" in body,
        tools=[tool["function"]["name"] for tool in body.get("tools") or []],
        results=[as_text(message["content"]) for message in body["messages"] if message["role"] == "tool"],
    )


def error(failure):
    return {"error": {"message": failure.message, "type": failure.kind, "param": None, "code": failure.code}}


def write(asked, answer):
    finish = "tool_calls" if answer.calls else "stop"
    common = {"id": "3f1c", "created": 1770000000, "model": asked.model, "system_fingerprint": "fp_8802369eaa_prod0425fp8"}
    if asked.stream:
        return 200, "text/event-stream", sse(chunks(common, answer, finish), end=b"data: [DONE]\n\n")
    message = {"role": "assistant", "content": answer.text, "reasoning_content": answer.thinking}
    if answer.calls:
        message["tool_calls"] = [
            {"index": i, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.json}}
            for i, call in enumerate(answer.calls)
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    whole = {**common, "object": "chat.completion", "choices": [choice], "usage": USAGE}
    return 200, "application/json", json.dumps(whole, ensure_ascii=False).encode()


def chunks(common, answer, finish):
    def chunk(delta, finish=None, usage=None):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {**common, "object": "chat.completion.chunk", "choices": [choice], "usage": usage}

    yield chunk({"role": "assistant", "content": None, "reasoning_content": ""})
    for piece in halves(answer.thinking):
        yield chunk({"content": None, "reasoning_content": piece})
    for word in re.findall(r"\S+\s*", answer.text):
        yield chunk({"content": word, "reasoning_content": None})
    for i, call in enumerate(answer.calls):
        yield chunk({"tool_calls": [{"index": i, "id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}]})
        for piece in halves(call.json):
            yield chunk({"tool_calls": [{"index": i, "function": {"arguments": piece}}]})
    yield chunk({"content": "", "reasoning_content": None}, finish, USAGE)
