"""A fresh machine: no configuration, no provider key, the real local model, the real SDKs."""

import os
import re
import stat
import subprocess

import anthropic
import openai
import pytest

PROMPT = [{"role": "user", "content": "What is the capital of France?"}]


def test_the_curl_of_the_banner_answers(fresh):
    text = "".join(fresh.banner)
    command = text[text.index("curl "):]
    out = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
    assert '"finish_reason"' in out and '"role":"assistant"' in out.replace(" ", "")


def test_the_banner_says_what_is_needed_and_data_is_private(fresh):
    text = "".join(fresh.banner)
    assert re.search(r"ready in \d+ ms", text)
    assert "nova-local-mini" in text
    folder = re.search(r"data: (\S+)", text).group(1)
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    for name in ("pepper", "novastack.db"):
        assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o600, name


@pytest.mark.parametrize("prefix", ["/v1", "/router/v1"])
def test_openais_sdk_reads_an_answer_whole_and_streamed(fresh, prefix):
    client = openai.OpenAI(base_url=fresh.url + prefix, api_key=fresh.key)
    ask = dict(model="nova-local-mini", messages=PROMPT, max_tokens=24, temperature=0, seed=1)
    whole = client.chat.completions.create(**ask)
    text = whole.choices[0].message.content
    assert text.strip()
    assert whole.usage.prompt_tokens > 5 and 0 < whole.usage.completion_tokens <= 24
    chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == text, "greedy answers are the same, streamed or not"
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_anthropics_sdk_reads_the_same_answer(fresh):
    client = anthropic.Anthropic(base_url=fresh.url, api_key=fresh.key)
    ask = dict(model="nova-local-mini", max_tokens=24, messages=PROMPT, extra_body={"temperature": 0})
    whole = client.messages.create(**ask)
    assert whole.content[0].text.strip()
    with client.messages.stream(**ask) as stream:
        streamed = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert streamed == whole.content[0].text
    assert final.usage.output_tokens == whole.usage.output_tokens
    assert final.stop_reason in ("end_turn", "max_tokens")


def test_tools_are_refused_by_a_model_that_has_none(fresh):
    client = openai.OpenAI(base_url=f"{fresh.url}/v1", api_key=fresh.key, max_retries=0)
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="nova-local-mini", messages=PROMPT, tools=tools)
    assert caught.value.status_code in (400, 422)
    assert "tools" in caught.value.message


def test_a_second_start_knows_the_same_key_and_shows_none(fresh, tmp_path_factory):
    """The key is stored as an HMAC: it can be checked for ever and shown never again."""
    folder = re.search(r"data: (\S+)", "".join(fresh.banner)).group(1)
    listed = subprocess.run(
        [fresh.process.args[0], "--data", folder, "--json", "keys", "list"], capture_output=True, text=True, check=True
    ).stdout
    assert '"default"' in listed and '"admin"' in listed
    assert fresh.key not in listed and fresh.admin not in listed
    with open(os.path.join(folder, "novastack.db"), "rb") as file:
        assert fresh.key.encode() not in file.read()
