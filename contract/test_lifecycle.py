"""Starts, reloads and stops of the real binary."""

import os
import pathlib
import signal
import subprocess

import pytest
import requests

from conftest import CONFIG
from gateway import BINARY, Gateway

BASE = {"PATH": os.environ["PATH"], "DEEPSEEK_API_KEY": "sk-deepseek-0123456789", "FAULTY_API_KEY": "sk-faulty-0123456789", "VERSATILE_API_KEY": "sk-versatile-0123456789"}


def start(provider, folder, text=CONFIG):
    config = folder / "nova.yaml"
    config.write_text(text.format(url=provider.url))
    return Gateway(folder / "nova", ["--config", str(config)], {**BASE, "HOME": str(folder)})


def ask(gateway, model="deepseek-v4-pro"):
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"authorization": f"Bearer {gateway.key}"}
    return requests.post(f"{gateway.url}/v1/chat/completions", json=body, headers=headers, timeout=30)


def test_a_stop_loses_no_usage_record(provider, tmp_path):
    gateway = start(provider, tmp_path)
    ids = {ask(gateway).headers["x-request-id"] for _ in range(50)}
    ids |= {ask(gateway, "broken").headers["x-request-id"] for _ in range(10)}
    assert gateway.stop() == 0
    # The same data directory again; its keys are still good, and only the first start prints them.
    config = ["--config", str(tmp_path / "nova.yaml")]
    process = subprocess.Popen(
        [str(BINARY), "--data", str(tmp_path / "nova"), *config, "serve", "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE, text=True, env={**BASE, "HOME": str(tmp_path)},
    )
    try:
        lines = iter(process.stdout.readline, "")
        url = next(line.split()[1] for line in lines if line.strip().startswith("API"))
        headers = {"authorization": f"Bearer {gateway.admin}"}
        page = requests.get(url.removesuffix("/v1") + "/admin/v1/usage?limit=1000", headers=headers, timeout=30).json()
        assert {record["request_id"] for record in page["data"]} == ids
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_a_changed_file_takes_over_at_sighup_and_a_broken_one_never_does(provider, tmp_path):
    gateway = start(provider, tmp_path)
    file = pathlib.Path(tmp_path / "nova.yaml")
    good = file.read_text()
    status = lambda: requests.get(
        f"{gateway.url}/admin/v1/status", headers={"authorization": f"Bearer {gateway.admin}"}, timeout=30
    ).json()["configuration"]
    until = lambda condition: next(one for one in iter(status, None) if condition(one))
    try:
        loaded = status()["loaded_ms"]
        file.write_text(good + "aliases:\n  my-model: deepseek-v4-pro\n")
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda one: one["loaded_ms"] > loaded)
        assert ask(gateway, "my-model").headers["x-novastack-model"] == "deepseek-v4-pro"
        file.write_text(good + "aliasses: {}\n")
        gateway.process.send_signal(signal.SIGHUP)
        error = until(lambda one: one["reload_error"])["reload_error"]
        assert "`aliasses`" in error and "did you mean `aliases`" in error
        assert ask(gateway, "my-model").status_code == 200, "the old configuration stays in force"
    finally:
        assert gateway.stop() == 0


def run(*arguments, folder, **environment):
    return subprocess.run(
        [str(BINARY), *arguments], capture_output=True, text=True, env={**BASE, "HOME": str(folder), **environment}, timeout=60
    )


def test_a_broken_configuration_does_not_start_and_says_where(tmp_path):
    file = tmp_path / "nova.yaml"
    file.write_text("providers:\n  mine:\n    bas_url: http://127.0.0.1:1/v1\ntimeouts:\n  idle: soon\n")
    for command in (["serve"], ["check"]):
        done = run("--config", str(file), "--data", str(tmp_path / "data"), *command, folder=tmp_path)
        assert done.returncode == 78, done.stderr
        assert "nova.yaml:3:5" in done.stderr and "did you mean `base_url`?" in done.stderr
        assert "nova.yaml:5:9" in done.stderr and "`soon`" in done.stderr, "all errors at once"


def test_an_address_that_others_can_reach_is_refused(tmp_path):
    done = run("--data", str(tmp_path / "data"), "serve", "--no-engine", "--listen", "0.0.0.0:0", folder=tmp_path)
    assert done.returncode != 0
    assert "hint:" in done.stderr and "--allow-remote" in done.stderr


@pytest.mark.parametrize("arguments", [["models"], ["models", "--all"], ["keys", "list"], ["explain", "--model", "deepseek-v4-pro", "--prompt", "Hi"], ["doctor"]])
def test_commands_read_as_text_and_as_json(tmp_path, arguments):
    import json

    done = run("--data", str(tmp_path / "data"), *arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run("--data", str(tmp_path / "data"), "--json", *arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)


def test_a_fresh_start_without_the_model_says_which_command_fetches_it(tmp_path):
    process = subprocess.Popen(
        [str(BINARY), "--data", str(tmp_path / "data"), "serve", "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE, text=True, env={"PATH": BASE["PATH"], "HOME": str(tmp_path)},
    )
    try:
        hint = next(line for line in iter(process.stdout.readline, "") if line.startswith("hint:"))
        assert "novastack engine pull" in hint
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
