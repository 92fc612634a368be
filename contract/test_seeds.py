"""The snippets of the documents that asked for the product, verbatim but for the host."""

import json
import os
import subprocess
from typing import Any, Dict, List, Optional

import openai
import pytest
import requests
from openai import OpenAI

NAMES = ["deepseek-v4-pro", "kimi-2.6", "minimax-2.7", "qwen3-235b"]


@pytest.mark.parametrize("model", NAMES)
def test_the_openai_client_changes_only_base_url_and_key(gateway, model):
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key)
    response = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Explain monads in Python"}]
    )
    assert response.choices[0].message.content.startswith("This is ")


@pytest.mark.parametrize("prefix", ["/v1", "/router/v1"])
@pytest.mark.parametrize("model", NAMES)
def test_requests_post_answers_under_both_prefixes(gateway, prefix, model):
    response = requests.post(
        f"{gateway.url}{prefix}/chat/completions",
        headers={"Authorization": f"Bearer {gateway.key}"},
        json={"model": model, "messages": [{"role": "user", "content": "Explain MCP protocol"}]},
    )
    assert response.status_code == 200, response.text
    assert response.json()["choices"][0]["message"]["content"].startswith("This is ")


def test_the_curl_of_seed_001_answers(gateway):
    command = f"""curl -s {gateway.url}/router/v1/chat/completions \
-H "Content-Type: application/json" \
-H "Authorization: Bearer $NOVASTACK_KEY" \
-d '{{
"model": "qwen3-235b",
"messages": [{{"role": "user", "content": "Optimize this PostgreSQL query..."}}]
}}'"""
    out = subprocess.run(
        ["bash", "-c", command], env={**os.environ, "NOVASTACK_KEY": gateway.key}, capture_output=True, text=True, check=True
    )
    assert json.loads(out.stdout)["choices"][0]["message"]["role"] == "assistant"


AVAILABLE_MODELS = {
    "qwen": "Qwen3-235B-A22B",
    "deepseek": "DeepSeek-V4-Pro",
    "claude": "Claude-Opus-4.7"
}


class NovastackRouter:
    """The class of seed 003, as printed there, but for the host and the key."""

    def __init__(self, api_key: str, base_url: str):
        self.client = OpenAI(
            api_key=api_key,
            base_url=base_url
        )
        self.default_model = AVAILABLE_MODELS["qwen"]

    def route_by_complexity(self, task: str) -> str:
        complexity_indicators = {
            "code_review": ["debug", "refactor", "code review", "optimize"],
            "creative": ["story", "poem", "creative", "brainstorm"],
            "analysis": ["analyze", "summarize", "research", "explain"]
        }

        task_lower = task.lower()

        if any(indicator in task_lower for indicator in complexity_indicators["code_review"]):
            return AVAILABLE_MODELS["deepseek"]
        elif any(indicator in task_lower for indicator in complexity_indicators["creative"]):
            return AVAILABLE_MODELS["claude"]
        else:
            return AVAILABLE_MODELS["qwen"]

    def chat(
        self,
        messages: List[Dict[str, str]],
        model: Optional[str] = None,
        auto_route: bool = False,
        **kwargs
    ) -> Dict[str, Any]:
        if auto_route and messages:
            user_prompt = next(
                (msg["content"] for msg in reversed(messages) if msg["role"] == "user"),
                ""
            )
            selected_model = self.route_by_complexity(user_prompt)
        else:
            selected_model = model or self.default_model

        try:
            params = {
                "model": selected_model,
                "messages": messages,
                "max_tokens": kwargs.get("max_tokens", 4096),
                "temperature": kwargs.get("temperature", 0.7),
                "stream": kwargs.get("stream", False),
            }

            response = self.client.chat.completions.create(**params)
            return self._format_response(response, selected_model)

        except Exception as e:
            return self._handle_failure(e, messages)

    def _format_response(self, response, model_used: str) -> Dict[str, Any]:
        return {
            "content": response.choices[0].message.content,
            "model_used": model_used,
            "usage": {
                "prompt_tokens": response.usage.prompt_tokens,
                "completion_tokens": response.usage.completion_tokens,
                "total_tokens": response.usage.total_tokens
            },
            "finish_reason": response.choices[0].finish_reason
        }

    def _handle_failure(self, error: Exception, messages: List[Dict[str, str]]) -> Dict[str, Any]:
        try:
            response = self.client.chat.completions.create(
                model=AVAILABLE_MODELS["qwen"],
                messages=messages
            )
            return {
                **self._format_response(response, AVAILABLE_MODELS["qwen"]),
                "fallback_triggered": True
            }
        except:
            raise Exception(f"All models failed: {str(error)}")


@pytest.fixture
def router(gateway):
    return NovastackRouter(gateway.key, f"{gateway.url}/router/v1")


@pytest.mark.parametrize(
    "prompt, auto_route, model",
    [
        ("Debug this Python function that's causing a memory leak", True, "DeepSeek-V4-Pro"),
        ("Write a short story about an AI discovering emotions", True, "Claude-Opus-4.7"),
        ("Summarize this report", True, "Qwen3-235B-A22B"),
        ("Debug this Python function that's causing a memory leak", False, "Qwen3-235B-A22B"),
    ],
)
def test_the_router_of_seed_003_routes_and_answers(router, prompt, auto_route, model):
    answer = router.chat(messages=[{"role": "user", "content": prompt}], auto_route=auto_route)
    assert answer["model_used"] == model
    assert "fallback_triggered" not in answer
    assert answer["content"].startswith("This is ")
    assert answer["finish_reason"] == "stop"
    # Anthropic's prompt count leaves cached tokens out, OpenAI's does not: the client sees OpenAI's.
    assert answer["usage"] == {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29}


def test_the_router_of_seed_003_streams_claude(router, capsys):
    stream_response = router.client.chat.completions.create(
        model=AVAILABLE_MODELS["claude"],
        messages=[{
            "role": "user",
            "content": "Write a short story about an AI discovering emotions"
        }],
        stream=True,
        max_tokens=500,
        temperature=0.9
    )

    for chunk in stream_response:
        if chunk.choices[0].delta.content:
            print(chunk.choices[0].delta.content, end="", flush=True)
    assert capsys.readouterr().out.startswith("This is ")
