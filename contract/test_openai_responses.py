"""The real OpenAI SDK's Responses client against the real binary, with a provider of every dialect behind it."""

import json

import openai
import pytest

TOOLS = [{
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False},
    "strict": True,
}]
NOTE = [{"type": "custom", "name": "write_note", "description": "Writes a note, as free text."}]
# One for each dialect that a provider may speak; the first speaks the client's.
MODELS = ["gpt-5.5", "deepseek-v4-pro", "claude-opus-4-7", "gemini-3.1-pro-preview"]
CITIES = [{"city": "Paris"}, {"city": "東京"}]
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def client(gateway):
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0)


def calls(response, kind="function_call"):
    return [item for item in response.output if item.type == kind]


def results(found, kind="function_call_output"):
    return [{"type": kind, "call_id": call.call_id, "output": "sunny"} for call in found]


def back(response):
    """The answer's items, as a client that keeps the conversation itself sends them back."""
    return [item.model_dump(exclude_none=True) for item in response.output]


def continues(sent, previous, turns):
    """Whether the provider got the whole conversation, or its own id of the answer before."""
    return sent.get("previous_response_id") == previous or all(turn in json.dumps(sent) for turn in turns)


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_is_whole(client, model):
    answer = client.responses.create(model=model, instructions="Be brief.", input="Hello")
    assert (answer.object, answer.status, answer.error) == ("response", "completed", None)
    assert answer.output_text == f"This is {model} speaking."
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (20, 9, 29)
    assert answer.usage.input_tokens_details.cached_tokens == 8


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_is_numbered_without_gaps_and_ends_with_the_whole(client, model):
    with client.responses.stream(model=model, input=HELLO) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == final.output_text == f"This is {model} speaking."
    opened = [event.item.id for event in events if event.type == "response.output_item.added"]
    assert opened == [event.item.id for event in events if event.type == "response.output_item.done"] == [item.id for item in final.output]
    assert final.usage.total_tokens == 29


@pytest.mark.parametrize("model", MODELS)
def test_parallel_calls_come_whole_and_go_back(client, model):
    first = client.responses.create(model=model, input=HELLO, tools=TOOLS, store=False)
    assert [json.loads(call.arguments) for call in calls(first)] == CITIES
    assert len({call.call_id for call in calls(first)}) == 2
    second = client.responses.create(model=model, input=[*HELLO, *back(first), *results(calls(first))], tools=TOOLS, store=False)
    assert second.output_text == f"This is {model} speaking."


@pytest.mark.parametrize("model", MODELS)
def test_streamed_calls_end_whole(client, model):
    with client.responses.stream(model=model, input=HELLO, tools=TOOLS) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [json.loads(call.arguments) for call in calls(final)] == CITIES
    ended = [json.loads(event.arguments) for event in events if event.type == "response.function_call_arguments.done"]
    assert ended == CITIES


@pytest.mark.parametrize("model", MODELS)
def test_free_text_tools_get_free_text(client, model):
    first = client.responses.create(model=model, input=HELLO, tools=NOTE, store=False)
    assert [call.input for call in calls(first, "custom_tool_call")] == ["first line\nsecond line"]
    items = [*HELLO, *back(first), *results(calls(first, "custom_tool_call"), "custom_tool_call_output")]
    second = client.responses.create(model=model, input=items, tools=NOTE, store=False)
    assert second.output_text == f"This is {model} speaking."


@pytest.mark.parametrize("model", MODELS)
def test_streamed_free_text_is_free_text(client, model):
    with client.responses.stream(model=model, input=HELLO, tools=NOTE) as stream:
        events = list(stream)
    deltas = "".join(event.delta for event in events if event.type == "response.custom_tool_call_input.delta")
    assert deltas == "first line\nsecond line"


@pytest.mark.parametrize("model", MODELS)
def test_reasoning_is_summarised_and_goes_back(client, provider, model):
    # What the provider wants to see again: what it encrypted or signed, or else the words.
    wanted = {"gpt-5.5": "gAAAAABo", "deepseek-v4-pro": "Let me think.", "claude-opus-4-7": "EqQBCgIYAhIM", "gemini-3.1-pro-preview": "c2lnbmVk"}
    asking = {"model": model, "reasoning": {"effort": "medium", "summary": "auto"}, "include": ["reasoning.encrypted_content"], "store": False}
    first = client.responses.create(input=HELLO, tools=TOOLS, **asking)
    thought = first.output[0]
    assert thought.type == "reasoning"
    assert [part.text for part in thought.summary] == ["Let me think."]
    # DeepSeek does not sign at all, Gemini signs the call.
    assert thought.encrypted_content or model in ("deepseek-v4-pro", "gemini-3.1-pro-preview")
    client.responses.create(input=[*HELLO, *back(first), *results(calls(first))], tools=TOOLS, **asking)
    assert wanted[model] in json.dumps(provider.last()[2])


@pytest.mark.parametrize("model", MODELS)
def test_streamed_reasoning_is_an_item_of_its_own(client, model):
    with client.responses.stream(model=model, input=HELLO, reasoning={"effort": "medium", "summary": "auto"}) as stream:
        events = list(stream)
    summary = "".join(event.delta for event in events if event.type == "response.reasoning_summary_text.delta")
    assert summary == "Let me think."


@pytest.mark.parametrize("model", MODELS)
def test_a_conversation_is_continued_by_its_id(client, provider, model):
    first = client.responses.create(model=model, input="My name is Heron.", store=True)
    second = client.responses.create(model=model, input="What is my name?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert continues(provider.last()[2], first.id, ["My name is Heron.", "speaking.", "What is my name?"])
    third = client.responses.create(model=model, input="And again?", previous_response_id=second.id, stream=True)
    assert [event.type for event in third][-1] == "response.completed"
    assert continues(provider.last()[2], second.id, ["My name is Heron.", "What is my name?", "And again?"])


@pytest.mark.parametrize("model", MODELS)
def test_calls_are_answered_by_the_id_alone(client, model):
    first = client.responses.create(model=model, input=HELLO, tools=TOOLS)
    second = client.responses.create(model=model, input=results(calls(first)), tools=TOOLS, previous_response_id=first.id)
    assert second.output_text == f"This is {model} speaking."


def test_stored_answers_are_read_and_deleted(client):
    made = client.responses.create(model="deepseek-v4-pro", input="Hello")
    assert client.responses.retrieve(made.id).output_text == made.output_text
    assert [item.role for item in client.responses.input_items.list(made.id)] == ["user"]
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_what_was_not_stored_cannot_be_continued(client):
    made = client.responses.create(model="deepseek-v4-pro", input="Hello", store=False)
    for unknown in (made.id, "resp_nobody"):
        with pytest.raises(openai.BadRequestError) as caught:
            client.responses.create(model="deepseek-v4-pro", input="Hello", previous_response_id=unknown)
        assert caught.value.code == "previous_response_not_found"


@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_openais(client, stream):
    def ask(model):
        return client.responses.create(model=model, input="Hello", stream=stream)

    with pytest.raises(openai.NotFoundError) as caught:
        ask("gpt-9")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as caught:
        ask("too-small")
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.InternalServerError) as caught:
        ask("broken-for-responses")
    assert "engine fault" in caught.value.message


def test_a_wrong_type_is_a_400_that_names_the_place(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="deepseek-v4-pro", input=[{"role": "user", "content": [{"type": "input_text", "text": 7}]}])
    assert "input[0].content[0].text" in caught.value.message
