"""The commands that show and hold decisions: `route test`, `replay`, `explain`, and keys with a budget."""

import json
import os
import subprocess

import openai
import pytest

from gateway import BINARY, Gateway

CONFIG = """
providers:
  deepseek: {{ base_url: {url}/deepseek, endpoints: [{{ dialect: chat }}] }}
  moonshot: {{ base_url: {url}/moonshot, endpoints: [{{ dialect: chat }}] }}
{rules}default_model: deepseek-v4-pro
"""

RULES = """route:
  - if: header.x-team == "infra"
    use: kimi-2.6
"""

CASES = """
- name: the infra team gets Kimi
  request: { header: { x-team: infra } }
  expect: { model: kimi-2.6, rule: 1, then: [deepseek-v4-pro] }
- name: everybody else does not
  expect: { model: deepseek-v4-pro, never: [kimi-2.6] }
"""


@pytest.fixture(scope="module")
def place(provider, tmp_path_factory):
    """A folder with a configuration, the same without its rules, and the store of a gateway that answered three requests."""
    folder = tmp_path_factory.mktemp("routing")
    for name, rules in {"nova.yaml": RULES, "new.yaml": ""}.items():
        (folder / name).write_text(CONFIG.format(url=provider.url, rules=rules))
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "DEEPSEEK_API_KEY": "sk-d", "MOONSHOT_API_KEY": "sk-m"}
    running = Gateway(folder / "nova", ["--config", str(folder / "nova.yaml")], environment)
    client = openai.OpenAI(base_url=f"{running.url}/v1", api_key=running.key, max_retries=0)
    for headers in [{}, {"x-team": "infra"}, {}]:
        client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Hello"}], extra_headers=headers)
    assert running.stop() == 0, "all records are written then"
    return folder, environment


def novastack(place, *arguments):
    folder, environment = place
    command = [str(BINARY), "--data", str(folder / "nova"), "--config", str(folder / "nova.yaml"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_a_file_of_cases_holds_the_rules(place):
    cases = place[0] / "cases.yaml"
    cases.write_text(CASES)
    held = novastack(place, "route", "test", str(cases))
    assert (held.returncode, held.stdout.count("ok ")) == (0, 2), held.stdout + held.stderr
    cases.write_text(CASES.replace("never: [kimi-2.6]", "rule: 1"))
    failed = novastack(place, "route", "test", str(cases))
    assert failed.returncode != 0
    assert "FAIL  everybody else does not" in failed.stdout and "cases.yaml:6" in failed.stdout, failed.stdout


def test_the_past_is_decided_again_as_it_was_and_by_another_file_otherwise(place):
    def replayed(*arguments):
        return json.loads(novastack(place, "--json", "replay", "--since", "1h", *arguments).stdout)

    again = replayed()
    assert (again["requests"], again["recorded"], again["same"], again["moved"]) == (3, 3, 3, [])
    assert again["cost"] == again["would_cost"]
    other = replayed("--with", str(place[0] / "new.yaml"))
    assert [(move["from"], move["to"], move["requests"]) for move in other["moved"]] == [("kimi-k2.6", "deepseek-v4-pro", 1)]
    assert other["would_cost"] != other["cost"]


def test_a_comparison_is_explained_model_by_model(place):
    asked = ["--model", "compare:kimi-2.6+deepseek-v4-pro", "--prompt", "Hello"]
    plans = json.loads(novastack(place, "--json", "explain", *asked).stdout)["plans"]
    assert [plan["model"] for plan in plans] == ["kimi-k2.6", "deepseek-v4-pro"]
    shown = novastack(place, "explain", *asked).stdout
    assert shown.count("DEPLOYMENT") == 2, shown


def test_a_key_is_made_with_a_budget(place):
    made = novastack(place, "keys", "create", "team", "--budget", "5/month")
    assert made.stdout.startswith("nsk_"), made.stderr
    listed = novastack(place, "keys", "list").stdout
    assert "$5.00/month" in listed, listed
    wrong = novastack(place, "keys", "create", "other", "--budget", "5/year")
    assert wrong.returncode != 0 and "hint: `5/month`" in wrong.stderr, wrong.stderr
