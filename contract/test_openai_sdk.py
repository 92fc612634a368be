"""The real OpenAI SDK against the real binary."""

import json

import openai
import pytest

TOOLS = [{
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}]
# The provider of `deepseek-v4-pro` speaks the client's dialect, that of `claude-opus-4-7` does not.
MODELS = ["deepseek-v4-pro", "claude-opus-4-7"]
CITIES = [{"city": "Paris"}, {"city": "東京"}]
HELLO = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]


@pytest.fixture
def client(gateway):
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0)


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_is_whole(client, model):
    answer = client.chat.completions.create(model=model, messages=HELLO)
    assert answer.object == "chat.completion"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content.startswith("This is ")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (20, 9, 29)
    assert answer.usage.prompt_tokens_details.cached_tokens == 8


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_says_the_same_and_reports_usage_when_asked(client, model):
    stream = client.chat.completions.create(
        model=model, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text.startswith("This is ") and text.endswith(" speaking.")
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    usage = [c.usage for c in chunks if c.usage]
    assert usage[-1].total_tokens == 29


@pytest.mark.parametrize("model", MODELS)
def test_parallel_tool_calls_come_whole_and_go_back(client, model):
    first = client.chat.completions.create(model=model, messages=HELLO, tools=TOOLS)
    assert first.choices[0].finish_reason == "tool_calls"
    message = first.choices[0].message
    assert [json.loads(c.function.arguments) for c in message.tool_calls] == CITIES
    results = [{"role": "tool", "tool_call_id": c.id, "content": "sunny"} for c in message.tool_calls]
    second = client.chat.completions.create(
        model=model, messages=[*HELLO, message.model_dump(exclude_none=True), *results], tools=TOOLS
    )
    assert second.choices[0].message.content.startswith("This is ")


@pytest.mark.parametrize("model", MODELS)
def test_streamed_tool_calls_keep_their_places(client, model):
    calls = {}
    for chunk in client.chat.completions.create(model=model, messages=HELLO, tools=TOOLS, stream=True):
        for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
            one = calls.setdefault(call.index, {"id": "", "name": "", "arguments": ""})
            one["id"] += call.id or ""
            one["name"] += call.function.name or ""
            one["arguments"] += call.function.arguments or ""
    assert sorted(calls) == [0, 1]
    assert [c["name"] for c in calls.values()] == ["get_weather"] * 2
    assert [json.loads(c["arguments"]) for c in calls.values()] == CITIES
    assert len({c["id"] for c in calls.values()}) == 2


def test_thinking_reaches_chat_clients_as_reasoning_content(client):
    answer = client.chat.completions.create(model="deepseek-v4-pro", messages=HELLO)
    assert answer.choices[0].message.reasoning_content == "Let me think."


def test_an_unknown_model_is_a_404_with_the_nearest_names(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="deepsek-v4-pro", messages=HELLO)
    assert "`deepseek-v4-pro`" in caught.value.message
    assert caught.value.code == "model_not_found"


def test_a_wrong_key_is_a_401(gateway):
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="nsk_" + "x" * 43, max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="deepseek-v4-pro", messages=HELLO)


def test_a_wrong_type_is_a_400_that_names_the_place(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="deepseek-v4-pro", messages="hello")
    assert "messages" in caught.value.message


def test_a_prompt_that_does_not_fit_has_openais_code(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="too-small", messages=HELLO)
    assert caught.value.code == "context_length_exceeded"


def test_a_provider_that_fails_is_a_502_that_says_who(client):
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="broken", messages=HELLO)
    assert caught.value.status_code == 502
    assert "engine fault" in caught.value.message


def test_models_are_listed_and_found_by_any_spelling(client):
    ids = {model.id for model in client.models.list()}
    assert {"deepseek-v4-pro", "claude-opus-4-7"} <= ids
    assert client.models.retrieve("DeepSeek-V4-Pro").id == "deepseek-v4-pro"


def test_headers_say_who_answered(client):
    raw = client.chat.completions.with_raw_response.create(model="DeepSeek-V4-Pro", messages=HELLO)
    assert raw.headers["x-novastack-model"] == "deepseek-v4-pro"
    assert raw.headers["x-novastack-provider"] == "deepseek"
    assert raw.headers["x-novastack-attempts"] == "1"
    assert raw.headers["x-request-id"] == raw.headers["request-id"]
    assert "gateway;dur=" in raw.headers["server-timing"]
