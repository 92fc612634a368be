"""The real SDKs for Node: `node/*.test.js` run once by Node's own test runner, each of their tests counted here."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest

FOLDER = pathlib.Path(__file__).resolve().parent / "node"
TESTS = [(file.name, name) for file in sorted(FOLDER.glob("*.test.js")) for name in re.findall(r'^test\("([^"]+)"', file.read_text(), re.M)]


@pytest.fixture(scope="module")
def outcomes(gateway):
    """What became of each test: nothing for a passed one, otherwise Node's words."""
    if not (FOLDER / "node_modules").is_dir():
        pytest.fail("`contract/node/node_modules` is missing\nhint: run `scripts/setup`")
    beside = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
    node = shutil.which("node", path=beside)
    done = subprocess.run(
        [node, "--test", "--test-reporter=junit", *sorted(str(file) for file in FOLDER.glob("*.test.js"))],
        env={"PATH": beside, "GATEWAY_URL": gateway.url, "GATEWAY_KEY": gateway.key},
        capture_output=True, text=True, timeout=300,
    )
    cases = ElementTree.fromstring(done.stdout).iter("testcase")
    found = {(pathlib.Path(case.get("file")).name, case.get("name")): "".join(case.itertext()).strip() for case in cases}
    assert found, done.stderr
    return found


@pytest.mark.parametrize("file, name", TESTS, ids=[f"{file}: {name}" for file, name in TESTS])
def test_node(outcomes, file, name):
    assert (file, name) in outcomes, f"it did not run: {outcomes}"
    assert not outcomes[file, name], outcomes[file, name]
