"""Several models for one prompt: as one model of a real SDK, and with requests, as there is no SDK for comparisons."""

import json

import anthropic
import openai
import pytest
import requests

HELLO = [{"role": "user", "content": "Hello"}]
# Their providers speak different dialects.
MODELS = ["deepseek-v4-pro", "claude-opus-4-7"]
TOGETHER = "compare:" + "+".join(MODELS)


@pytest.fixture
def client(gateway):
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0)


def in_order(text):
    first, second = (text.index(f"## {model}\n\nThis is ") for model in MODELS)
    return first == 0 and second > 0


def test_openais_sdk_reads_several_models_as_one(client):
    answer = client.chat.completions.create(model=TOGETHER, messages=HELLO)
    assert answer.model == TOGETHER
    assert answer.choices[0].finish_reason == "stop"
    assert in_order(answer.choices[0].message.content)
    assert (answer.usage.completion_tokens, answer.usage.total_tokens) == (18, 58)


def test_openais_sdk_reads_their_stream(client):
    stream = client.chat.completions.create(
        model=TOGETHER, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert in_order("".join(c.choices[0].delta.content or "" for c in chunks if c.choices))
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert [c.usage.total_tokens for c in chunks if c.usage] == [58]


def test_openais_responses_and_their_stream(client):
    assert in_order(client.responses.create(model=TOGETHER, input="Hello").output_text)
    events = list(client.responses.create(model=TOGETHER, input="Hello", stream=True))
    assert events[-1].type == "response.completed"
    assert in_order(events[-1].response.output_text)


def test_anthropics_sdk_reads_several_models_as_one(gateway):
    client = anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0)
    asked = {"model": TOGETHER, "max_tokens": 100, "messages": HELLO}
    assert in_order(client.messages.create(**asked).content[0].text)
    with client.messages.stream(**asked) as stream:
        assert in_order("".join(stream.text_stream))
        assert stream.get_final_message().stop_reason == "end_turn"


def test_a_comparison_has_every_answer_with_its_cost_and_times(gateway):
    headers = {"authorization": f"Bearer {gateway.key}"}
    asked = {"models": MODELS, "messages": HELLO}
    said = requests.post(f"{gateway.url}/v1/compare", json=asked, headers=headers, timeout=30).json()
    assert said["object"] == "comparison"
    assert [result["model"] for result in said["results"]] == MODELS
    for result in said["results"]:
        assert result["text"].startswith("This is ") and result["error"] is None
        assert float(result["cost"]) > 0 and 0 < result["ttft_ms"] <= result["total_ms"]
        url = f"{gateway.url}/v1/generation?id={result['request_id']}"
        record = requests.get(url, headers=headers, timeout=30).json()["data"]
        assert record["novastack"]["experiment"] == f"compare:{said['id']}"
    assert said["cheapest"] in MODELS and said["fastest"] in MODELS
    unknown = requests.post(f"{gateway.url}/v1/compare", json={**asked, "models": ["x", *MODELS]}, headers=headers, timeout=30)
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (404, "models[0]")


def test_a_comparisons_stream_says_whose_each_piece_is(gateway):
    headers = {"authorization": f"Bearer {gateway.key}"}
    asked = {"models": MODELS, "messages": HELLO, "stream": True}
    answer = requests.post(f"{gateway.url}/v1/compare", json=asked, headers=headers, timeout=30)
    blocks = [block.split("\n") for block in answer.text.strip().split("\n\n") if block.startswith("event: ")]
    events = [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]
    done = events[-1][1]
    assert events[-1][0] == "done" and done["object"] == "comparison"
    for index, result in enumerate(done["results"]):
        deltas = [data["delta"] for name, data in events if name == "delta" and data["index"] == index]
        assert "".join(deltas) == result["text"]
        assert [data["text"] for name, data in events if name == "result" and data["index"] == index] == [result["text"]]
