"""The coding agents as their users start them: one turn, no questions asked, telemetry off.

An agent is a function from a `Place` to the command and the environment that point it at the gateway; what it needs in
files it writes into the place's home. Each names the tool of its own that reads a file, with arguments.
"""

import json
import os
import pathlib
from dataclasses import dataclass

PROGRAMS = pathlib.Path(__file__).resolve().parent / "node_modules" / ".bin"


@dataclass
class Place:
    """Where an agent runs: an empty home, a work folder, and the gateway with a key and a model."""

    home: pathlib.Path
    work: pathlib.Path
    url: str
    key: str
    model: str

    def write(self, path, content):
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content if isinstance(content, str) else json.dumps(content))

    def environment(self, node, **more):
        # Nothing but loopback: whatever honours a proxy finds one that refuses.
        nowhere = "http://127.0.0.1:9"
        return {
            "PATH": os.pathsep.join([os.path.dirname(node), "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": str(self.home), "TERM": "dumb", "NO_COLOR": "1", "CI": "1",
            "HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "NO_PROXY": "127.0.0.1,localhost",
            "http_proxy": nowhere, "https_proxy": nowhere, "no_proxy": "127.0.0.1,localhost",
            **more,
        }


@dataclass
class Agent:
    name: str
    speaks: str  # the dialect that it sends
    command: object  # (Place, prompt) -> (arguments, environment)
    reads: object  # (path of a file) -> (the agent's tool, its arguments)


def claude_code(place, prompt):
    environment = {
        "ANTHROPIC_BASE_URL": place.url, "ANTHROPIC_AUTH_TOKEN": place.key,
        "ANTHROPIC_MODEL": place.model, "ANTHROPIC_SMALL_FAST_MODEL": place.model,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_TELEMETRY": "1", "DISABLE_ERROR_REPORTING": "1",
        "DISABLE_AUTOUPDATER": "1", "IS_SANDBOX": "1", "CLAUDE_CODE_MAX_RETRIES": "0",
    }
    return ["claude", "-p", prompt, "--dangerously-skip-permissions"], environment


def codex(place, prompt, listed=False):
    """Where `listed`, Codex asks the gateway which models there are instead of relying on what it knows."""
    provider = f'name = "NovaStack"\nbase_url = "{place.url}/v1"\nenv_key = "NOVASTACK_API_KEY"\nwire_api = "responses"\nrequest_max_retries = 0\nstream_max_retries = 0\n'
    if listed:
        provider += f'model_catalog_url = "{place.url}/v1/models"\n[features]\napi_key_model_discovery = true\n'
    quiet = 'check_for_update_on_startup = false\n[analytics]\nenabled = false\n'
    place.write(".codex/config.toml", f'model = "{place.model}"\nmodel_provider = "nova"\n{quiet}[model_providers.nova]\n{provider}')
    command = ["codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", prompt]
    return command, {"NOVASTACK_API_KEY": place.key}


def gemini_cli(place, prompt):
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}}, "privacy": {"usageStatisticsEnabled": False},
        "telemetry": {"enabled": False}, "general": {"enableAutoUpdate": False},
    }
    place.write(".gemini/settings.json", settings)
    environment = {"GOOGLE_GEMINI_BASE_URL": place.url, "GEMINI_API_KEY": place.key}
    return ["gemini", "--skip-trust", "--yolo", "-m", place.model, "-p", prompt], environment


def qwen_code(place, prompt):
    settings = {"privacy": {"usageStatisticsEnabled": False}, "telemetry": {"enabled": False}, "general": {"enableAutoUpdate": False}}
    place.write(".qwen/settings.json", settings)
    environment = {
        "OPENAI_BASE_URL": f"{place.url}/v1", "OPENAI_API_KEY": place.key, "OPENAI_MODEL": place.model,
        "QWEN_CODE_SUPPRESS_YOLO_WARNING": "1",
    }
    return ["qwen", "--auth-type", "openai", "--yolo", "-p", prompt], environment


def opencode(adapter):
    def command(place, prompt):
        options = {"baseURL": f"{place.url}/v1", "apiKey": place.key}
        model = {"limit": {"context": 100_000, "output": 8_000}, "tool_call": True}
        provider = {"npm": adapter, "name": "NovaStack", "options": options, "models": {place.model: model}}
        place.write(".config/opencode/opencode.json", {"provider": {"nova": provider}, "share": "disabled", "autoupdate": False})
        environment = {
            "OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1", "OPENCODE_PERMISSION": '{"*":"allow"}',
        }
        return ["opencode", "run", "-m", f"nova/{place.model}", prompt], environment

    return command


def bash(path):
    return {"command": f"cat {path}", "description": "Reads the note"}


AGENTS = [
    Agent("claude-code", "messages", claude_code, lambda path: ("Bash", bash(path))),
    Agent("codex", "responses", codex, lambda path: ("exec_command", {"cmd": f"cat {path}"})),
    Agent("gemini-cli", "gemini", gemini_cli, lambda path: ("read_file", {"file_path": str(path)})),
    Agent("qwen-code", "chat", qwen_code, lambda path: ("read_file", {"file_path": str(path)})),
    Agent("opencode-chat", "chat", opencode("@ai-sdk/openai-compatible"), lambda path: ("bash", bash(path))),
    Agent("opencode-messages", "messages", opencode("@ai-sdk/anthropic"), lambda path: ("read", {"filePath": str(path)})),
    Agent("opencode-responses", "responses", opencode("@ai-sdk/openai"), lambda path: ("bash", bash(path))),
]
