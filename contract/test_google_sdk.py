"""Google's real SDK against the real binary, with a provider of every dialect behind it."""

import pytest
from google import genai
from google.genai import errors, types

# One for each dialect that a provider may speak; the first speaks the client's.
MODELS = ["gemini-3.1-pro-preview", "deepseek-v4-pro", "claude-opus-4-7", "gpt-5.5"]
CITIES = [{"city": "Paris"}, {"city": "東京"}]
WEATHER = types.Tool(function_declarations=[types.FunctionDeclaration(
    name="get_weather",
    description="The weather in a city.",
    parameters=types.Schema(type="OBJECT", properties={"city": types.Schema(type="STRING")}, required=["city"]),
)])


def client_of(url, key):
    options = types.HttpOptions(base_url=url, retry_options=types.HttpRetryOptions(attempts=1))
    return genai.Client(api_key=key, vertexai=False, http_options=options)


@pytest.fixture
def client(gateway):
    return client_of(gateway.url, gateway.key)


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_is_whole(client, model):
    config = types.GenerateContentConfig(system_instruction="Be brief.", temperature=0.5, max_output_tokens=100)
    answer = client.models.generate_content(model=model, contents="Hello", config=config)
    assert answer.text == f"This is {model} speaking."
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    usage = answer.usage_metadata
    assert (usage.prompt_token_count, usage.cached_content_token_count, usage.total_token_count) == (20, 8, 29)


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_says_the_same(client, model):
    chunks = list(client.models.generate_content_stream(model=model, contents="Hello"))
    assert "".join(chunk.text or "" for chunk in chunks) == f"This is {model} speaking."
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].usage_metadata.total_token_count == 29


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_parallel_calls_come_whole_and_go_back(client, model, stream):
    config = types.GenerateContentConfig(tools=[WEATHER])
    hello = types.Content(role="user", parts=[types.Part(text="Hello")])
    if stream:
        chunks = client.models.generate_content_stream(model=model, contents=[hello], config=config)
        parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts or []]
    else:
        parts = client.models.generate_content(model=model, contents=[hello], config=config).candidates[0].content.parts
    calls = [part.function_call for part in parts if part.function_call]
    assert [call.args for call in calls] == CITIES
    results = [types.Part(function_response=types.FunctionResponse(id=call.id, name=call.name, response={"result": "sunny"})) for call in calls]
    turns = [hello, types.Content(role="model", parts=parts), types.Content(role="user", parts=results)]
    assert client.models.generate_content(model=model, contents=turns, config=config).text == f"This is {model} speaking."


@pytest.mark.parametrize("model", MODELS)
def test_the_sdks_own_tool_loop_runs_to_its_end(client, model):
    asked = []

    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append({"city": city})
        return "sunny"

    answer = client.models.generate_content(model=model, contents="Hello", config=types.GenerateContentConfig(tools=[get_weather]))
    assert asked == CITIES
    assert answer.text == f"This is {model} speaking."


@pytest.mark.parametrize("model", MODELS)
def test_thinking_is_shown_to_those_who_ask(client, model):
    level = {"thinking_level": "HIGH"} if model.startswith("gemini") else {"thinking_budget": 1024}
    thinking = types.GenerateContentConfig(thinking_config=types.ThinkingConfig(include_thoughts=True, **level))
    parts = client.models.generate_content(model=model, contents="Hello", config=thinking).candidates[0].content.parts
    assert "".join(part.text for part in parts if part.thought) == "Let me think."
    assert "".join(part.text for part in parts if part.text and not part.thought) == f"This is {model} speaking."
    plain = client.models.generate_content(model=model, contents="Hello")
    assert not any(part.thought for part in plain.candidates[0].content.parts)


@pytest.mark.parametrize("model", MODELS)
def test_tokens_are_counted(client, model):
    assert client.models.count_tokens(model=model, contents="Hello, how are you today?").total_tokens > 3


def test_errors_are_googles(client, gateway):
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="gemini-9", contents="Hello")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="too-small", contents="Hello")
    assert (caught.value.code, caught.value.status) == (400, "INVALID_ARGUMENT")
    with pytest.raises(errors.ServerError) as caught:
        client.models.generate_content(model="broken-for-google", contents="Hello")
    assert "engine fault" in caught.value.message
    stranger = client_of(gateway.url, "nsk_" + "x" * 43)
    with pytest.raises(errors.ClientError) as caught:
        stranger.models.generate_content(model=MODELS[0], contents="Hello")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")


def test_models_are_listed_in_googles_shape(client):
    names = [model.name for model in client.models.list()]
    assert {f"models/{model}" for model in MODELS} <= set(names)
    assert client.models.get(model=MODELS[0]).name == f"models/{MODELS[0]}"
