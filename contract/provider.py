"""A scripted provider: DeepSeek's, Qwen's and Anthropic's wire shapes, on a free loopback port.

It writes what the real ones write (field order, null fields, where usage sits, how a stream ends), so that
the SDKs above and the gateway between are the real parts under test. What it was asked is kept.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def sse(*events, names=False):
    lines = []
    for event in events:
        if names:
            lines.append(f"event: {event['type']}\n")
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        lines.append(f"data: {data}\n\n")
    return "".join(lines).encode()


class Provider:
    """The server and what it was asked."""

    def __init__(self):
        self.requests = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                provider.requests.append((self.path, dict(self.headers), body))
                status, kind, payload = answer(self.path, body)
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def last(self):
        return self.requests[-1]


def answer(path, body):
    if path.endswith("/messages"):
        return messages(body)
    return chat(body)


def text_for(body):
    return f"This is {body['model']} speaking."


def wants_tool(body):
    last = body["messages"][-1]
    return bool(body.get("tools")) and last["role"] != "tool" and "tool_result" not in json.dumps(last)


# Chat Completions, as DeepSeek writes it: reasoning beside content, usage in the chunk that finishes.


def chat(body):
    if body["model"] == "broken":
        return 500, "application/json", json.dumps({"error": {"message": "engine fault", "type": "server_error"}}).encode()
    if body["model"] == "too-small":
        words = "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (8000 in the messages, 1000 in the completion). Please reduce the length of the messages or completion."
        error = {"message": words, "type": "invalid_request_error", "param": None, "code": "invalid_request_error"}
        return 400, "application/json", json.dumps({"error": error}).encode()
    calls = []
    if wants_tool(body):
        name = body["tools"][0]["function"]["name"]
        calls = [
            {"index": i, "id": f"call_0{i}", "type": "function", "function": {"name": name, "arguments": json.dumps({"city": city})}}
            for i, city in enumerate(["Paris", "東京"])
        ]
    text = "" if calls else text_for(body)
    usage = {
        "prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 4},
        "prompt_cache_hit_tokens": 8, "prompt_cache_miss_tokens": 12,
    }
    finish = "tool_calls" if calls else "stop"
    if not body.get("stream"):
        message = {"role": "assistant", "content": text, "reasoning_content": "Let me think."}
        if calls:
            message["tool_calls"] = calls
        whole = {
            "id": "3f1c", "object": "chat.completion", "created": 1770000000, "model": body["model"],
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
            "usage": usage, "system_fingerprint": "fp_8802369eaa_prod0425fp8",
        }
        return 200, "application/json", json.dumps(whole, ensure_ascii=False).encode()

    def chunk(delta, finish=None, usage=None):
        return {
            "id": "3f1c", "object": "chat.completion.chunk", "created": 1770000000, "model": body["model"],
            "system_fingerprint": "fp_8802369eaa_prod0425fp8",
            "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], "usage": usage,
        }

    events = [chunk({"role": "assistant", "content": None, "reasoning_content": ""})]
    events += [chunk({"content": None, "reasoning_content": piece}) for piece in ("Let me", " think.")]
    for call in calls:
        head = {"index": call["index"], "id": call["id"], "type": "function", "function": {"name": call["function"]["name"], "arguments": ""}}
        events.append(chunk({"tool_calls": [head]}))
        arguments = call["function"]["arguments"]
        for piece in (arguments[:5], arguments[5:]):
            events.append(chunk({"tool_calls": [{"index": call["index"], "function": {"arguments": piece}}]}))
    events += [chunk({"content": word, "reasoning_content": None}) for word in re.findall(r"\S+\s*", text)]
    events.append(chunk({"content": "", "reasoning_content": None}, finish, usage))
    return 200, "text/event-stream", sse(*events, "[DONE]")


# Messages, as Anthropic writes it.


def messages(body):
    usage = {"input_tokens": 12, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 8, "output_tokens": 9, "service_tier": "standard"}
    blocks = []
    if (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        blocks.append({"type": "thinking", "thinking": "Let me think.", "signature": "EqQBCgIYAhIM"})
    if wants_tool(body):
        name = body["tools"][0]["name"]
        blocks.append({"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": name, "input": {"city": "Paris"}})
        blocks.append({"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq8", "name": name, "input": {"city": "東京"}})
    else:
        blocks.append({"type": "text", "text": text_for(body)})
    stop = "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn"
    whole = {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant", "model": body["model"],
        "content": blocks, "stop_reason": stop, "stop_sequence": None, "usage": usage,
    }
    if not body.get("stream"):
        return 200, "application/json", json.dumps(whole, ensure_ascii=False).encode()
    start = dict(whole, content=[], stop_reason=None, usage=dict(usage, output_tokens=1))
    events = [{"type": "message_start", "message": start}]
    for i, block in enumerate(blocks):
        events += stream_block(i, block)
        if i == 0:
            events.insert(2, {"type": "ping"})
    events.append({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": usage})
    events.append({"type": "message_stop"})
    return 200, "text/event-stream; charset=utf-8", sse(*events, names=True)


def stream_block(i, block):
    delta = lambda **fields: {"type": "content_block_delta", "index": i, "delta": fields}
    if block["type"] == "thinking":
        yield {"type": "content_block_start", "index": i, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}
        yield delta(type="thinking_delta", thinking=block["thinking"])
        yield delta(type="signature_delta", signature=block["signature"])
    elif block["type"] == "text":
        yield {"type": "content_block_start", "index": i, "content_block": {"type": "text", "text": ""}}
        half = len(block["text"]) // 2
        yield delta(type="text_delta", text=block["text"][:half])
        yield delta(type="text_delta", text=block["text"][half:])
    else:
        yield {"type": "content_block_start", "index": i, "content_block": dict(block, input={})}
        yield delta(type="input_json_delta", partial_json="")
        yield delta(type="input_json_delta", partial_json=json.dumps(block["input"], ensure_ascii=False))
    yield {"type": "content_block_stop", "index": i}
