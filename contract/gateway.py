"""The real binary as the tests start it: where it is, and a running one."""

import os
import pathlib
import re
import signal
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = pathlib.Path(os.environ.get("NOVASTACK_BINARY", TARGET / "debug" / "novastack"))


class Gateway:
    """A running gateway: its URL, its first key, and what it printed."""

    def __init__(self, folder, config, environment):
        # A start is ready when the banner is there; nothing is waited for by the clock.
        self.process = subprocess.Popen(
            [str(BINARY), "--data", str(folder), *config, "serve", "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE, text=True, env=environment,
        )
        self.banner = []
        for line in self.process.stdout:
            self.banner.append(line)
            if "messages" in line or line.startswith("hint:"):
                break
        text = "".join(self.banner)
        self.url = re.search(r"API +(http://\S+)/v1", text).group(1)
        self.key = re.search(r"nsk_\w+", text).group(0)
        self.admin = re.search(r"nsa_\w+", text).group(0)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        return self.process.returncode
