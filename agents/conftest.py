"""Real agents before the real binary, and behind it a scripted provider of each dialect. Started by `make test-agents`."""

import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "contract"))

import provider as scripted  # noqa: E402
from gateway import Gateway  # noqa: E402

# The providers that invented the dialects, with their real quirks; each model is served in exactly one dialect.
MODELS = {
    "chat": "deepseek-v4-pro",
    "messages": "claude-opus-4-7",
    # "responses": "gpt-5.5",
    # "gemini": "gemini-3.1-pro-preview",
}
CONFIG = """
providers:
  deepseek:
    endpoints: [{{ dialect: chat, base_url: "{url}/deepseek" }}]
  anthropic:
    endpoints: [{{ dialect: messages, base_url: "{url}/anthropic/v1" }}]
"""


@pytest.fixture(scope="session")
def provider():
    server = scripted.Provider(None)
    yield server
    server.close()


@pytest.fixture(scope="session")
def gateway(provider, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gateway")
    config = folder / "nova.yaml"
    config.write_text(CONFIG.format(url=provider.url))
    names = ["DEEPSEEK", "ANTHROPIC", "OPENAI", "GEMINI"]
    keys = {f"{name}_API_KEY": f"sk-{name.lower()}-0123456789" for name in names}
    running = Gateway(folder / "nova", ["--config", str(config)], {"PATH": os.environ["PATH"], "HOME": str(folder), **keys})
    yield running
    assert running.stop() == 0, "a stop is no failure"
