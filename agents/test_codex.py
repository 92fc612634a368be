"""Codex's tools that no other dialect has: free text, namespaces, and tools that it is asked to look up."""

import functools
import json
from dataclasses import replace

import pytest

from clients import AGENTS, codex
from conftest import ALIASES, MODELS
from dialects import Answer, Call

CODEX = next(agent for agent in AGENTS if agent.name == "codex")
# A provider that speaks Responses gets these tools as they are; what is bridged is what the others get.
bridged = pytest.mark.parametrize("dialect", [dialect for dialect in MODELS if dialect != "responses"])


def named(asked, name):
    """The tool of that name, however the gateway had to spell it."""
    return next((tool for tool in asked.tools if tool.endswith(name)), None)


@bridged
def test_a_patch_arrives_as_the_text_that_the_model_wrote(dialect, start):
    codex = start(CODEX, dialect, ALIASES[dialect])
    patch = "*** Begin Patch\n*** Add File: greeting.txt\n+\"Grüße\", she said.\n*** End Patch\n"

    def script(asked):
        if asked.results:
            return Answer(text="It is written.")
        return Answer(thinking="Let me write.", calls=[Call("call_1", "apply_patch", {"input": patch})])

    printed, asked, seen = codex.run("Write a greeting.", script)
    assert "It is written." in printed, seen
    assert (codex.place.work / "greeting.txt").read_text() == '"Grüße", she said.\n', seen
    assert "Success" in asked[-1].results[0], seen


@bridged
def test_a_tool_of_a_namespace_is_found_again(dialect, start):
    codex = start(CODEX, dialect)

    def script(asked):
        if asked.results:
            return Answer(text="Nobody is there.")
        return Answer(calls=[Call("call_1", named(asked, "wait_agent"), {"targets": ["nobody"]})])

    printed, asked, seen = codex.run("Wait for your helper.", script)
    assert "Nobody is there." in printed, seen
    assert "invalid agent id" in asked[-1].results[0], seen


@bridged
def test_tools_that_were_looked_up_can_be_called(dialect, start):
    codex = start(CODEX, dialect, ALIASES[dialect])

    def script(asked):
        if len(asked.results) == 0:
            return Answer(calls=[Call("call_1", "tool_search", {"query": "agents", "limit": 8})])
        if len(asked.results) == 1:
            return Answer(calls=[Call("call_2", named(asked, "wait_agent"), {"targets": ["nobody"]})])
        return Answer(text="Nobody is there.")

    printed, asked, seen = codex.run("Wait for your helper.", script)
    assert "Nobody is there." in printed, seen
    assert "invalid agent id" in json.dumps(asked[-1].results[1]), seen


def test_the_list_of_models_is_read(start):
    listed = replace(CODEX, command=functools.partial(codex, listed=True))
    _, _, without = start(CODEX, "chat").run("Hello", lambda asked: Answer(text="Hello."))
    assert "Model metadata" in without, "the model is one that Codex does not know"
    _, asked, seen = start(listed, "chat").run("Hello", lambda asked: Answer(text="Hello."))
    assert "Model metadata" not in seen, seen
    assert "coding agent" in json.dumps(asked[0].body["messages"][0]), seen
