"""What is no conversation, as OpenAI writes it: embeddings, legacy completions, moderations, images and sound."""

import json

from .neutral import sse

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
SOUND = bytes(range(256)) * 16


def write(path, body):
    """The answer at a path, or none where there is no such service."""
    services = {
        "/embeddings": embeddings, "/completions": completions, "/moderations": moderations,
        "/images/generations": images, "/audio/speech": speech, "/audio/transcriptions": transcriptions,
    }
    service = next((write for end, write in services.items() if path.endswith(f"/v1{end}")), None)
    return service and service(body)


def whole(answer):
    return 200, "application/json", json.dumps(answer).encode()


def embeddings(body):
    data = [{"object": "embedding", "index": i, "embedding": [0.5, -0.25]} for i, _ in enumerate(body["input"])]
    return whole({"object": "list", "data": data, "model": body["model"], "usage": {"prompt_tokens": 5, "total_tokens": 5}})


def completions(body):
    def one(text, finish, usage=None):
        choice = {"text": text, "index": 0, "logprobs": None, "finish_reason": finish}
        return {"id": "cmpl-8c1", "object": "text_completion", "created": 1770000000, "model": body["model"], "choices": [choice], "usage": usage}

    if body.get("stream"):
        return 200, "text/event-stream", sse([one("once upon", None), one(" a time", "stop", USAGE)], end=b"data: [DONE]\n\n")
    return whole(one("once upon a time", "stop", USAGE))


def moderations(body):
    return whole({"id": "modr-8c1", "model": body["model"], "results": [{"flagged": False, "categories": {}, "category_scores": {}, "category_applied_input_types": {}}]})


def images(_body):
    return whole({"created": 1770000000, "data": [{"b64_json": "iVBORw0KGgo="}], "usage": {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7, "input_tokens_details": {"image_tokens": 0, "text_tokens": 5}}})


def speech(_body):
    return 200, "audio/mpeg", SOUND


def transcriptions(body):
    # A form; what it holds is told back.
    return whole({"text": f"{len(body)} bytes", "usage": {"type": "tokens", "input_tokens": 5, "output_tokens": 2, "total_tokens": 7}})
