"""The real OpenAI SDK for what is no conversation: passed on as it is, under the gateway's keys."""

import openai
import pytest

from dialects.services import SOUND

MODEL = "of-all-kinds"


@pytest.fixture
def client(gateway):
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0)


def test_texts_become_vectors(client, usage):
    raw = client.embeddings.with_raw_response.create(model=MODEL, input=["a", "b"], encoding_format="float")
    assert [one.embedding for one in raw.parse().data] == [[0.5, -0.25]] * 2
    assert usage(raw.headers["x-request-id"])["usage"]["input"] == 5


def test_texts_are_completed(client):
    assert client.completions.create(model=MODEL, prompt="once").choices[0].text == "once upon a time"
    stream = client.completions.create(model=MODEL, prompt="once", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == "once upon a time"


def test_texts_are_moderated(client):
    assert client.moderations.create(model=MODEL, input="Hello").results[0].flagged is False


def test_images_are_made(client):
    assert client.images.generate(model=MODEL, prompt="a heron").data[0].b64_json == "iVBORw0KGgo="


def test_sound_comes_and_goes_byte_for_byte(client, provider):
    assert client.audio.speech.create(model=MODEL, voice="alloy", input="Hello").content == SOUND
    heard = client.audio.transcriptions.create(model=MODEL, file=("a.mp3", SOUND))
    sent = provider.last()[2]
    assert SOUND in sent and heard.text == f"{len(sent)} bytes"


def test_a_service_that_no_provider_has_is_a_404(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="claude-opus-4-7", input="Hello")
    assert "`/v1/embeddings`" in caught.value.message
