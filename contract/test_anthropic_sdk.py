"""The real Anthropic SDK against the real binary."""

import anthropic
import pytest

TOOLS = [{
    "name": "get_weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}]
# Anthropic speaks the client's dialect; `qwen3-max` is only configured with a chat endpoint.
MODELS = ["claude-opus-4-7", "qwen3-max"]
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def client(gateway):
    return anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0)


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_is_whole(client, model):
    answer = client.messages.create(model=model, max_tokens=100, system="Be brief.", messages=HELLO)
    assert [block.type for block in answer.content] == ["text"], "thinking is shown only to those who ask"
    assert answer.content[0].text.startswith("This is ")
    assert answer.stop_reason == "end_turn"
    assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens, answer.usage.output_tokens) == (12, 8, 9)


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_says_the_same(client, model):
    with client.messages.stream(model=model, max_tokens=100, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text.startswith("This is ") and text.endswith(" speaking.")
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens == 9


@pytest.mark.parametrize("model", MODELS)
def test_parallel_tool_calls_come_whole_and_go_back(client, model):
    first = client.messages.create(model=model, max_tokens=100, tools=TOOLS, messages=HELLO)
    assert first.stop_reason == "tool_use"
    calls = [block for block in first.content if block.type == "tool_use"]
    assert [call.input for call in calls] == [{"city": "Paris"}, {"city": "東京"}]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in calls]
    answer = [block.model_dump(exclude_none=True) for block in first.content]
    second = client.messages.create(
        model=model, max_tokens=100, tools=TOOLS,
        messages=[*HELLO, {"role": "assistant", "content": answer}, {"role": "user", "content": results}],
    )
    assert second.content[0].text.startswith("This is ")


@pytest.mark.parametrize("model", MODELS)
def test_streamed_tool_calls_are_parsed(client, model):
    with client.messages.stream(model=model, max_tokens=100, tools=TOOLS, messages=HELLO) as stream:
        final = stream.get_final_message()
    assert [block.input for block in final.content if block.type == "tool_use"] == [{"city": "Paris"}, {"city": "東京"}]
    assert final.stop_reason == "tool_use"


@pytest.mark.parametrize("model", MODELS)
def test_thinking_is_shown_to_those_who_ask(client, model):
    thinking = {"type": "adaptive"} if model.startswith("claude") else {"type": "enabled", "budget_tokens": 1024}
    with client.messages.stream(model=model, max_tokens=4000, thinking=thinking, messages=HELLO) as stream:
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert final.content[0].thinking == "Let me think."


def test_errors_are_anthropics(client, gateway):
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(model="claude-opus-9-9", max_tokens=10, messages=HELLO)
    assert caught.value.body["type"] == "error"
    assert caught.value.body["error"]["type"] == "not_found_error"
    stranger = anthropic.Anthropic(base_url=gateway.url, api_key="nsk_" + "x" * 43, max_retries=0)
    with pytest.raises(anthropic.AuthenticationError):
        stranger.messages.create(model="claude-opus-4-7", max_tokens=10, messages=HELLO)


def test_a_prompt_that_does_not_fit_is_said_in_the_words_that_clients_look_for(client):
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(model="too-small", max_tokens=10, messages=HELLO)
    assert caught.value.body["error"]["message"] == "prompt is too long: 9000 tokens > 8192 maximum"


def test_models_are_listed_in_anthropics_shape(client):
    every = [model.id for model in client.models.list(limit=1000)]
    assert "claude-opus-4-7" in every
    first = client.models.list(limit=2)
    assert len(first.data) == 2 and first.has_more
    assert [model.id for model in first] == every, "the SDK turns the pages"
    assert client.models.retrieve("claude-opus-4-7").type == "model"


def test_a_base_url_with_v1_is_told_the_right_one(gateway):
    client = anthropic.Anthropic(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0)
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(model="claude-opus-4-7", max_tokens=10, messages=HELLO)
    assert "`/v1/messages`" in str(caught.value)


@pytest.mark.parametrize("model", MODELS)
def test_tokens_are_counted_with_tools_and_system(client, model):
    def count(**more):
        return client.messages.count_tokens(model=model, messages=HELLO, **more).input_tokens

    alone = count()
    assert alone > 0
    if not model.startswith("claude"):
        assert alone < count(system="Be brief.") < count(system="Be brief.", tools=TOOLS)
    assert client.beta.messages.count_tokens(model=model, messages=HELLO).input_tokens == alone
