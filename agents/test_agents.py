"""Every agent with a provider of every dialect: a plain turn, and a turn in which the model reads a file with the agent's own tool."""

import re
import secrets
import shutil
import subprocess

import pytest

import dialects
from clients import AGENTS, PROGRAMS, Place
from conftest import MODELS
from dialects import Answer, Call

pytestmark = [
    pytest.mark.parametrize("dialect", MODELS),
    pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name),
]
NODE = shutil.which("node")


@pytest.fixture
def run(agent, dialect, gateway, provider, tmp_path):
    """Runs the agent with a script behind it; gives what it printed and what the provider was asked."""
    place = Place(tmp_path / "home", tmp_path / "work", gateway.url, gateway.key, MODELS[dialect])
    place.home.mkdir()
    place.work.mkdir()

    def turn(prompt, script):
        provider.requests.clear()
        provider.script = script
        (program, *arguments), more = agent.command(place, prompt)
        done = subprocess.run(
            [PROGRAMS / program, *arguments], cwd=place.work, env=place.environment(NODE, **more),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )
        asked = [(path, dialects.of_path(path).read(path, body)) for path, _, body in provider.requests]
        seen = f"{done.stdout}\n--- stderr\n{done.stderr}\n--- asked\n" + "\n".join(str(one)[:2_000] for one in asked)
        assert done.returncode == 0, seen
        assert asked, seen
        for path, one in asked:
            assert dialects.of_path(path).__name__ == f"dialects.{dialect}", seen
            assert one.model == MODELS[dialect], seen
        return done.stdout, [one for _, one in asked], seen

    turn.work = place.work
    return turn


def test_a_plain_turn_is_answered(run):
    word = secrets.token_hex(4)
    printed, asked, seen = run(f"Say {word}.", lambda asked: Answer(thinking="Let me think.", text=f"Here it is: {word}."))
    assert f"Here it is: {word}." in printed, seen
    assert any(f"Say {word}." in str(one.body) for one in asked), seen


def test_a_tool_of_the_agent_is_called_and_its_result_comes_back(agent, run):
    word = secrets.token_hex(4)
    note = run.work / "note.txt"
    note.write_text(f"the word is {word}\n")
    tool, arguments = agent.reads(note)

    def script(asked):
        found = re.search(r"the word is (\w+)", " ".join(asked.results))
        if found:
            return Answer(thinking="There it is.", text=f"The note says {found[1]}.")
        if tool in asked.tools and not asked.results:
            return Answer(thinking="Let me look.", calls=[Call(f"call_{secrets.token_hex(8)}", tool, arguments)])
        return Answer(text="Nothing found.")

    printed, asked, seen = run("What does the note say?", script)
    assert f"The note says {word}." in printed, seen
    assert [one for one in asked if one.results], seen
