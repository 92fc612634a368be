"""The real binary, once for all tests: before it the real SDKs, behind it a scripted provider and the real local model."""

import os
import pathlib
import shutil

import pytest
import requests

import provider as scripted
from gateway import Gateway

MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"

CONFIG = """
providers:
  deepseek:
    base_url: {url}/deepseek
    endpoints: [{{ dialect: chat }}]
  moonshot:
    base_url: {url}/moonshot
    endpoints: [{{ dialect: chat }}]
  minimax:
    base_url: {url}/minimax
    endpoints: [{{ dialect: chat }}]
  dashscope:
    base_url: {url}/dashscope
    endpoints: [{{ dialect: chat }}]
  anthropic:
    base_url: {url}/anthropic
    endpoints: [{{ dialect: messages }}]
  openai:
    base_url: {url}/openai/v1
    endpoints: [{{ dialect: responses }}]
  gemini:
    base_url: {url}/gemini/v1beta
    endpoints: [{{ dialect: gemini }}]
  faulty:
    like: openai-compatible
    base_url: {url}/faulty/v1
  versatile:
    like: openai-compatible
    base_url: {url}/versatile/v1
models:
  # One for each client: a deployment that failed often enough is left alone for a while.
  broken:
    offers: [{{ provider: faulty }}]
  broken-for-controls:
    offers: [{{ provider: faulty }}]
  broken-for-node:
    offers: [{{ provider: faulty }}]
  broken-for-responses:
    offers: [{{ provider: faulty }}]
  broken-for-responses-in-node:
    offers: [{{ provider: faulty }}]
  broken-for-google:
    offers: [{{ provider: faulty }}]
  broken-for-google-in-node:
    offers: [{{ provider: faulty }}]
  of-all-kinds:
    offers: [{{ provider: versatile }}]
  too-small:
    context: 8192
    offers: [{{ provider: faulty }}]
presets:
  terse:
    model: deepseek-v4-pro
    system: One word.
    provider: {{ only: [deepseek] }}
credentials:
  faulty: [{{ name: main, key: "${{FAULTY_API_KEY}}" }}]
  versatile: [{{ key: "${{VERSATILE_API_KEY}}" }}]
"""


def weights():
    share = pathlib.Path(os.environ.get("XDG_DATA_HOME") or pathlib.Path.home() / ".local/share")
    data = pathlib.Path(os.environ.get("NOVASTACK_DATA") or share / "novastack")
    path = data / "models" / MODEL
    return path if path.is_file() else None


@pytest.fixture(scope="session")
def provider():
    server = scripted.Provider(scripted.weather)
    yield server
    server.close()


@pytest.fixture(scope="session")
def gateway(provider, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    config = folder / "nova.yaml"
    config.write_text(CONFIG.format(url=provider.url))
    names = ["DEEPSEEK", "MOONSHOT", "MINIMAX", "DASHSCOPE", "ANTHROPIC", "OPENAI", "GEMINI", "FAULTY", "VERSATILE"]
    keys = {f"{name}_API_KEY": f"sk-{name.lower()}-0123456789" for name in names}
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **keys}
    running = Gateway(folder / "nova", ["--config", str(config)], environment)
    yield running
    assert running.stop() == 0, "a stop is no failure"


@pytest.fixture(scope="session")
def fresh(tmp_path_factory):
    """A gateway as on a fresh machine: no configuration, no provider key, the model file where setup puts it."""
    source = weights()
    if source is None:
        pytest.skip("the local model's weights are absent; `scripts/setup` fetches them")
    folder = tmp_path_factory.mktemp("fresh")
    models = folder / "nova" / "models"
    models.mkdir(parents=True)
    try:
        os.link(source, models / MODEL)
    except OSError:
        shutil.copy(source, models / MODEL)
    running = Gateway(folder / "nova", [], {"PATH": os.environ["PATH"], "HOME": str(folder)})
    yield running
    assert running.stop() == 0, "a stop is no failure"


@pytest.fixture
def usage(gateway):
    """What was recorded of a request."""

    def look(request_id):
        headers = {"authorization": f"Bearer {gateway.admin}"}
        url = f"{gateway.url}/admin/v1/usage/{request_id}"
        # Records are written in batches; the writer's own bound is 200 ms.
        for _ in range(2000):
            answer = requests.get(url, headers=headers, timeout=10)
            if answer.status_code == 200:
                return answer.json()["data"]
        raise AssertionError(f"no usage record of {request_id}: {answer.text}")

    return look
