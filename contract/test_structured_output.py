"""The SDKs' own ways to ask for an answer of a given form, with a provider of every dialect behind the gateway."""

import anthropic
import openai
import pytest
from google import genai
from google.genai import types
from pydantic import BaseModel


class Place(BaseModel):
    city: str


TOKYO = Place(city="東京")
HELLO = [{"role": "user", "content": "Which city?"}]
pytestmark = pytest.mark.parametrize("model", ["deepseek-v4-pro", "claude-opus-4-7", "gpt-5.5", "gemini-3.1-pro-preview"])


def test_chat_completions_are_parsed(gateway, model):
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0)
    answer = client.chat.completions.parse(model=model, messages=HELLO, response_format=Place)
    assert answer.choices[0].message.parsed == TOKYO
    with client.chat.completions.stream(model=model, messages=HELLO, response_format=Place) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == TOKYO


def test_responses_are_parsed(gateway, model):
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0)
    assert client.responses.parse(model=model, input=HELLO, text_format=Place).output_parsed == TOKYO
    with client.responses.stream(model=model, input=HELLO, text_format=Place) as stream:
        assert stream.get_final_response().output_parsed == TOKYO


def test_messages_are_parsed(gateway, model):
    client = anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0)
    answer = client.messages.parse(model=model, max_tokens=100, messages=HELLO, output_format=Place)
    assert answer.parsed_output == TOKYO


def test_contents_are_parsed(gateway, model):
    client = genai.Client(api_key=gateway.key, vertexai=False, http_options=types.HttpOptions(base_url=gateway.url))
    config = types.GenerateContentConfig(response_mime_type="application/json", response_schema=Place)
    assert client.models.generate_content(model=model, contents="Which city?", config=config).parsed == TOKYO
