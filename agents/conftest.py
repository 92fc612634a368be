"""Real agents before the real binary, and behind it a scripted provider of each dialect. Started by `make test-agents`."""

import os
import pathlib
import shutil
import subprocess
import sys
from dataclasses import dataclass

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "contract"))

import dialects  # noqa: E402
import provider as scripted  # noqa: E402
from clients import PROGRAMS, Agent, Place  # noqa: E402
from gateway import Gateway  # noqa: E402

# The providers that invented the dialects, with their real quirks; each model is served in exactly one dialect.
MODELS = {
    "chat": "deepseek-v4-pro",
    "messages": "claude-opus-4-7",
    "responses": "gpt-5.5",
    "gemini": "gemini-3.1-pro-preview",
}
CONFIG = """
providers:
  deepseek:
    base_url: "{url}/deepseek"
    endpoints: [{{ dialect: chat }}]
  anthropic:
    base_url: "{url}/anthropic"
    endpoints: [{{ dialect: messages }}]
  openai:
    base_url: "{url}/openai/v1"
    endpoints: [{{ dialect: responses }}]
  gemini:
    base_url: "{url}/gemini/v1beta"
    endpoints: [{{ dialect: gemini }}]
aliases:
"""
# Codex offers free-text tools and its tool search to models whose name begins like one that it knows.
ALIASES = {dialect: f"gpt-5.5-by-{dialect}" for dialect in MODELS}
BESIDE = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])


@dataclass
class Started:
    """An agent in its place, with the provider that its model comes from."""

    agent: Agent
    place: Place
    dialect: str
    provider: scripted.Provider

    def run(self, prompt, script):
        """One turn: what the agent printed, what the provider was asked, and both as text for a failed assertion."""
        self.provider.requests.clear()
        self.provider.script = script
        (program, *arguments), more = self.agent.command(self.place, prompt)
        environment = self.place.environment(shutil.which("node", path=BESIDE), **more)
        done = subprocess.run(
            [PROGRAMS / program, *arguments], cwd=self.place.work, env=environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )
        asked = [(path, dialects.of_path(path).read(path, body)) for path, _, body in self.provider.requests]
        seen = f"{done.stdout}\n--- stderr\n{done.stderr}\n--- asked\n" + "\n".join(str(one)[:2_000] for one in asked)
        assert done.returncode == 0, seen
        assert asked, seen
        for path, one in asked:
            assert dialects.of_path(path).__name__ == f"dialects.{self.dialect}", seen
            assert one.model == MODELS[self.dialect], seen
        return done.stdout, [one for _, one in asked], seen


@pytest.fixture
def start(gateway, provider, tmp_path):
    def started(agent, dialect, model=None):
        place = Place(tmp_path / "home", tmp_path / "work", gateway.url, gateway.key, model or MODELS[dialect])
        place.home.mkdir(exist_ok=True)
        place.work.mkdir(exist_ok=True)
        return Started(agent, place, dialect, provider)

    return started


@pytest.fixture(scope="session")
def provider():
    server = scripted.Provider(None)
    yield server
    server.close()


@pytest.fixture(scope="session")
def gateway(provider, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gateway")
    config = folder / "nova.yaml"
    aliases = "".join(f"  {alias}: {MODELS[dialect]}\n" for dialect, alias in ALIASES.items())
    config.write_text(CONFIG.format(url=provider.url) + aliases)
    names = ["DEEPSEEK", "ANTHROPIC", "OPENAI", "GEMINI"]
    keys = {f"{name}_API_KEY": f"sk-{name.lower()}-0123456789" for name in names}
    running = Gateway(folder / "nova", ["--config", str(config)], {"PATH": os.environ["PATH"], "HOME": str(folder), **keys})
    yield running
    assert running.stop() == 0, "a stop is no failure"
