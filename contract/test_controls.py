"""What one request asks of routing, with the real SDKs: OpenRouter's and LiteLLM's fields, suffixes, presets."""

import anthropic
import openai
import pytest

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def client(gateway):
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0)


def asked(client, model, **extra):
    raw = client.chat.completions.with_raw_response.create(model=model, messages=HELLO, extra_body=extra)
    assert raw.parse().choices[0].message.content.startswith("This is ")
    return raw.headers


def test_a_request_chooses_the_provider_and_no_provider_sees_that_it_did(client, provider):
    for preferences in [{"order": ["dashscope"]}, {"only": ["DashScope"]}, {"ignore": ["deepseek"]}]:
        headers = asked(client, "deepseek-v4-pro", provider=preferences)
        assert headers["x-novastack-provider"] == "dashscope", preferences
        assert "provider" not in provider.requests[-1][2]


def test_a_request_names_its_own_fallbacks_in_either_spelling(client):
    for fields in [
        {"models": ["deepseek-v4-pro"]},
        {"fallbacks": ["deepseek-v4-pro"]},
        {"fallbacks": [{"model": "deepseek-v4-pro"}]},
    ]:
        headers = asked(client, "broken-for-controls", **fields)
        assert headers["x-novastack-model"] == "deepseek-v4-pro", fields
    with pytest.raises(openai.APIStatusError):
        asked(client, "broken-for-controls", disable_fallbacks=True)


def test_the_name_switches_thinking_and_sorts(client, provider):
    asked(client, "deepseek-v4-pro:nothink:floor", provider={"only": ["deepseek"]})
    assert provider.requests[-1][2]["thinking"] == {"type": "disabled"}
    asked(client, "deepseek-v4-pro:thinking", provider={"only": ["deepseek"]})
    assert provider.requests[-1][2]["thinking"] == {"type": "enabled"}


def test_a_preset_brings_its_prompt_to_a_client_of_any_dialect(client, gateway, provider):
    headers = asked(client, "preset/terse")
    assert headers["x-novastack-route"].startswith("preset=terse ")
    assert provider.requests[-1][2]["messages"][0] == {"role": "system", "content": "One word."}
    other = anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0)
    other.messages.create(model="preset/terse", max_tokens=50, system="In French.", messages=HELLO)
    sent = provider.requests[-1][2]["messages"][0]
    assert (sent["role"], sent["content"]) == ("system", "One word.\n\nIn French.")
    assert "preset/terse" in [model.id for model in client.models.list()]


def test_what_is_wrong_is_told_with_its_place(client):
    with pytest.raises(openai.BadRequestError) as wrong:
        asked(client, "deepseek-v4-pro", provider={"sort": "cheapest"})
    assert wrong.value.param == "provider.sort"
    with pytest.raises(openai.NotFoundError) as nobody:
        asked(client, "deepseek-v4-pro", provider={"zdr": True})
    assert "`provider.zdr` is true" in nobody.value.message
