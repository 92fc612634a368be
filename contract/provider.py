"""A scripted provider on a free loopback port: every dialect at its own path, one script that decides what is answered.

It writes what the real ones write, so that the SDKs above and the gateway between are the real parts under test. What
it was asked is kept.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dialects
from dialects import Answer, Call, Failure, services


class Provider:
    """The server, what it was asked, and the script: a function from `Asked` to an `Answer` or a `Failure`."""

    def __init__(self, script):
        self.script = script
        self.requests = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers["content-type"].startswith("application/json"):
                    body = json.loads(body)
                provider.requests.append((self.path, dict(self.headers), body))
                status, kind, payload = provider.answer(self.path, body)
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

    def answer(self, path, body):
        dialect = dialects.of_path(path)
        if dialect is None:
            served = services.write(path, body)
            return served or (404, "application/json", json.dumps({"error": f"nothing answers at {path}"}).encode())
        if path.endswith(("/count_tokens", ":countTokens")):
            return 200, "application/json", json.dumps(dialect.COUNTED).encode()
        asked = dialect.read(path, body)
        answer = self.script(asked)
        if isinstance(answer, Failure):
            return answer.status, "application/json", json.dumps(dialect.error(answer)).encode()
        return dialect.write(asked, answer)

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def last(self):
        return self.requests[-1]


def weather(asked):
    """Thinks, calls the first tool twice when there is one, and says who it is when it has the results or no tool;
    where JSON is demanded, names a city."""
    if asked.model.startswith("broken"):
        return Failure(500, "engine fault", "server_error")
    if asked.model == "too-small":
        words = "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (8000 in the messages, 1000 in the completion). Please reduce the length of the messages or completion."
        return Failure(400, words, "invalid_request_error", "invalid_request_error")
    if asked.tools == ["write_note"] and not asked.results:
        return Answer(thinking="Let me think.", calls=[Call("call_00", "write_note", {"input": "first line\nsecond line"})])
    if asked.tools and not asked.results:
        calls = [Call(f"call_0{i}", asked.tools[0], {"city": city}) for i, city in enumerate(["Paris", "東京"])]
        return Answer(thinking="Let me think.", calls=calls)
    if asked.json:
        return Answer(thinking="Let me think.", text=json.dumps({"city": "東京"}, ensure_ascii=False))
    return Answer(thinking="Let me think.", text=f"This is {asked.model} speaking.")
