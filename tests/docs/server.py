"""A real server, and the examples of the pages run against it as their readers would."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.support.documentation import Block
from tests.support.server_process import without_pandas
from tests.support.services.programs import program

KEY = "sk-admin-of-the-examples-0000"
ADDRESS_IN_DOCS = "127.0.0.1:8080"
WAIT_SECONDS_MAX = 60


@dataclass
class Running:
    """A server, and the environment in which the examples of a page talk to it."""

    address: str
    environment: dict[str, str]
    folder: Path

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.address, headers={"Authorization": f"Bearer {KEY}"}, timeout=WAIT_SECONDS_MAX)

    def output(self, block: Block) -> str:
        """Runs a block as its reader would; what it writes to stdout."""
        if block.info == "json event":
            with self.client as client:
                headers = {"Content-Type": "application/json"}
                return client.post("/v1/events", content=block.text.encode(), headers=headers).text
        code = block.text.replace(ADDRESS_IN_DOCS, self.address.removeprefix("http://"))
        done = subprocess.run(
            self._command(block, code),
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS_MAX,
            check=False,
        )
        assert done.returncode == 0, f"{block.place} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def _command(self, block: Block, code: str) -> list[str]:
        if block.info == "sh":
            program("curl")
            return [str(program("bash")), "-euo", "pipefail", "-c", code]
        if block.info == "python":
            return [sys.executable, "-W", "error", "-c", code]
        packages = program("openai").parent
        script, modules = self.folder / "example.mjs", self.folder / "node_modules"
        script.write_text(code)
        if not modules.exists():
            modules.symlink_to(packages)
        return [str(program("node")), str(script)]


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    """A server whose data is in `folder`, until the block ends."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("USAGELEDGER_")}
    environment |= {
        "USAGELEDGER_ADMIN_KEY": KEY,
        "XDG_CONFIG_HOME": str(folder),
        "COLUMNS": "80",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
        "no_proxy": "127.0.0.1",
        "NO_PROXY": "127.0.0.1",
    }
    command = [sys.executable, "-m", "usageledger", "serve", "--port", "0", "--data", str(folder / "data"), "--json"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            command, env=without_pandas(environment), stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, (folder / "log").read_text()
            address = json.loads(line)["address"]
            yield Running(address, environment | {"USAGELEDGER_URL": address}, folder)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(WAIT_SECONDS_MAX)
