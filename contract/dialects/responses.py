"""Responses, as OpenAI writes it: items that open, fill and close, and a last event that repeats them all."""

import itertools
import json

from .neutral import Asked, as_text, halves, sse

USAGE = {
    "input_tokens": 20, "input_tokens_details": {"cached_tokens": 8},
    "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 29,
}
ECHOED = ["instructions", "max_output_tokens", "metadata", "previous_response_id", "temperature", "tool_choice", "tools", "top_p"]
NUMBERS = itertools.count(0x68C1)


def read(_path, body):
    items = body["input"] if isinstance(body["input"], list) else []
    return Asked(
        model=body["model"],
        body=body,
        stream=bool(body.get("stream")),
        thinking="reasoning" in body,
        json=((body.get("text") or {}).get("format") or {"type": "text"})["type"] != "text",
        tools=[tool.get("name", tool["type"]) for tool in body.get("tools") or []],
        results=[as_text(item["output"]) for item in items if item.get("type", "").endswith("_call_output")],
    )


def error(failure):
    return {"error": {"message": failure.message, "type": failure.kind, "param": None, "code": failure.code}}


def write(asked, answer):
    items = list(output(asked, answer))
    echo = {name: asked.body.get(name) for name in ECHOED}
    whole = {
        "id": f"resp_{next(NUMBERS):08x}", "object": "response", "created_at": 1770000000, "status": "completed", "background": False,
        "error": None, "incomplete_details": None, **echo, "model": asked.model, "output": items, "store": asked.body.get("store", True),
        "parallel_tool_calls": True, "reasoning": {"effort": "medium", "summary": None}, "service_tier": "default",
        "text": {"format": {"type": "text"}, "verbosity": "medium"}, "truncation": "disabled", "usage": USAGE, "user": None,
    }
    if asked.stream:
        numbered = [dict(event, sequence_number=i) for i, event in enumerate(events(whole))]
        return 200, "text/event-stream; charset=utf-8", sse(numbered, names=True)
    return 200, "application/json", json.dumps(whole, ensure_ascii=False).encode()


def output(asked, answer):
    encrypted = "reasoning.encrypted_content" in (asked.body.get("include") or [])
    custom = {tool["name"] for tool in asked.body.get("tools") or [] if tool["type"] == "custom"}
    if asked.thinking and answer.thinking:
        item = {"id": "rs_68c1", "type": "reasoning", "summary": [{"type": "summary_text", "text": answer.thinking}]}
        yield {**item, "encrypted_content": "gAAAAABo"} if encrypted else item
    if answer.text:
        content = [{"type": "output_text", "annotations": [], "logprobs": [], "text": answer.text}]
        yield {"id": "msg_68c1", "type": "message", "status": "completed", "content": content, "role": "assistant"}
    for i, call in enumerate(answer.calls):
        if call.name in custom:
            yield {"id": f"ctc_68c{i}", "type": "custom_tool_call", "status": "completed", "call_id": call.id, "input": call.arguments["input"], "name": call.name}
        else:
            yield {"id": f"fc_68c{i}", "type": "function_call", "status": "completed", "arguments": call.json, "call_id": call.id, "name": call.name}


def events(whole):
    begun = dict(whole, status="in_progress", output=[], usage=None)
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for i, item in enumerate(whole["output"]):
        place = {"item_id": item["id"], "output_index": i}
        yield {"type": "response.output_item.added", "output_index": i, "item": opened(item)}
        yield from FILLS[item["type"]](item, place)
        yield {"type": "response.output_item.done", "output_index": i, "item": item}
    yield {"type": "response.completed", "response": whole}


def opened(item):
    empty = {"reasoning": {"summary": []}, "message": {"content": []}, "function_call": {"arguments": ""}, "custom_tool_call": {"input": ""}}
    status = {"status": "in_progress"} if "status" in item else {}
    return {**item, **empty[item["type"]], **status}


def reasoning(item, place):
    summary = item["summary"][0]
    place = {**place, "summary_index": 0}
    yield {"type": "response.reasoning_summary_part.added", **place, "part": {"type": "summary_text", "text": ""}}
    for piece in halves(summary["text"]):
        yield {"type": "response.reasoning_summary_text.delta", **place, "delta": piece}
    yield {"type": "response.reasoning_summary_text.done", **place, "text": summary["text"]}
    yield {"type": "response.reasoning_summary_part.done", **place, "part": summary}


def message(item, place):
    part = item["content"][0]
    place = {**place, "content_index": 0}
    yield {"type": "response.content_part.added", **place, "part": dict(part, text="")}
    for piece in halves(part["text"]):
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}


def function_call(item, place):
    for piece in halves(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", **place, "delta": piece}
    yield {"type": "response.function_call_arguments.done", **place, "arguments": item["arguments"]}


def custom_tool_call(item, place):
    for piece in halves(item["input"]):
        yield {"type": "response.custom_tool_call_input.delta", **place, "delta": piece}
    yield {"type": "response.custom_tool_call_input.done", **place, "input": item["input"]}


FILLS = {"reasoning": reasoning, "message": message, "function_call": function_call, "custom_tool_call": custom_tool_call}
