"""`make check-image`: carries out the Dockerfile in a chroot made by debootstrap, then starts what it made.

It knows the instructions that our Dockerfile has, and refuses others. The base image is Debian's minimal system with
its own Python instead of Docker's, of the same releases. It needs root and a registry of Debian's packages.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tools.served import KEY, prove, stop, wait_for

ROOT = Path(__file__).parent.parent
WORK = ROOT / ".cache" / "image"
PYTHON, SUITE = "3.13", "trixie"
BASE = f"python:{PYTHON}-slim-{SUITE}"
MIRROR = "http://deb.debian.org/debian"
PORT = "18080"
IGNORED = ("LABEL", "VOLUME", "EXPOSE", "STOPSIGNAL")


@dataclass
class Stage:
    """An image that is being made.

    Attributes:
        user: who runs its commands, as `uid:gid`.
    """

    root: Path
    variables: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0:0"
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    def inside(self, path: str) -> Path:
        """Finds a path of the image from outside."""
        return self.root / os.path.normpath(f"{self.folder}/{path}" if path[0] != "/" else path).lstrip("/")

    def chrooted(self, command: list[str], **variables: str) -> list[str]:
        """Names the command that runs another one inside, with /proc and its own view of what is mounted."""
        script = 'mount -t proc proc "$0/proc" && cd "$0$1" && shift && exec chroot "$@"'
        entered = [f"--userspec={self.user}", str(self.root), "/usr/bin/env", "-i", "-C", self.folder]
        given = [f"{name}={value}" for name, value in (self.variables | variables).items()]
        return ["unshare", "--mount", "sh", "-c", script, str(self.root), "/", *entered, *given, *command]


def main() -> None:
    """Builds and proves the image.

    Raises:
        SystemExit: something does not work, or needs root.
    """
    if os.geteuid() != 0:
        raise SystemExit("a chroot needs root: sudo make check-image")
    stages: dict[str, Stage] = {}
    made = Stage(WORK)
    for instruction, rest in instructions((ROOT / "Dockerfile").read_text()):
        sys.stderr.write(f"{instruction} {rest[:100]}\n")
        if instruction == "FROM":
            name = rest.partition(" AS ")[2] or "image"
            made = stages[name] = started(name, rest.partition(" ")[0])
        else:
            carry_out(made, instruction, rest, stages)
    prove_image(made)
    shutil.rmtree(stages["build"].root)
    sys.stdout.write("the image serves, is not root, writes to its data alone, and keeps it\n")


def instructions(text: str) -> Iterator[tuple[str, str]]:
    """Splits a Dockerfile; a backslash continues a line."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        instruction, _, rest = line.partition(" ")
        yield instruction, " ".join(rest.split())


def started(name: str, base: str) -> Stage:
    """Starts a stage on the base image.

    Raises:
        SystemExit: it is on another one.
    """
    if base != BASE:
        raise SystemExit(f"this check knows the base image {BASE}, not {base}")
    system = WORK / f"base-{SUITE}"
    if not (system / "complete").exists():
        shutil.rmtree(system, ignore_errors=True)
        packages = "--include=python3,python3-venv,ca-certificates"
        subprocess.run(["debootstrap", "--variant=minbase", packages, SUITE, str(system), MIRROR], check=True)
        (system / "complete").touch()
    root = WORK / name
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(system), str(root)], check=True)
    # The network, its certificates and where packages are from: a build by Docker has those of its machine as well.
    for path in ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt"):
        shutil.copyfile(path, f"{root}{path}")
    return Stage(root, {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/"})


def carry_out(stage: Stage, instruction: str, rest: str, stages: dict[str, Stage]) -> None:
    """Does what one instruction says.

    Raises:
        SystemExit: it is none that is known.
    """
    if instruction == "ENV":
        stage.variables |= dict(word.split("=", 1) for word in shlex.split(rest))
    elif instruction == "WORKDIR":
        stage.folder = rest
        stage.inside(".").mkdir(parents=True, exist_ok=True)
    elif instruction == "USER":
        stage.user = rest
    elif instruction == "RUN":
        network = {name: value for name, value in os.environ.items() if name in {"PIP_CERT", "PIP_INDEX_URL"}}
        subprocess.run(stage.chrooted(["/bin/sh", "-c", rest], **network), check=True)
    elif instruction == "COPY":
        copy(stage, rest.split(), stages)
    elif instruction == "CMD":
        stage.command = words(rest)
    elif instruction == "HEALTHCHECK":
        stage.health = words(rest.partition("CMD ")[2])
    elif instruction not in IGNORED:
        raise SystemExit(f"this check does not know {instruction}")


def words(text: str) -> list[str]:
    """Reads the form of a command that needs no shell."""
    found: list[str] = json.loads(text)
    return found


def copy(stage: Stage, given: list[str], stages: dict[str, Stage]) -> None:
    """Copies from the project, as far as .dockerignore lets it, or from another stage.

    Raises:
        SystemExit: .dockerignore keeps it out.
    """
    *sources, target = [word for word in given if not word.startswith("--")]
    origin = next((word.removeprefix("--from=") for word in given if word.startswith("--from=")), None)
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for source in sources:
        if not origin and source not in allowed:
            raise SystemExit(f".dockerignore keeps {source} out")
        path = stages[origin].inside(source) if origin else ROOT / source
        to = stage.inside(target)
        if path.is_dir():
            shutil.copytree(path, to, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, to / path.name if target.endswith("/") else to)


def prove_image(stage: Stage) -> None:
    """Starts it twice on the same data, asks what Docker would ask for its health, and sends and reads an event.

    Raises:
        SystemExit: it runs as root, or may write elsewhere than to its data.
    """
    if stage.user.startswith("0"):
        raise SystemExit("the image runs as root")
    where = {"USAGELEDGER_PORT": PORT}
    for accepted in (1, 0):
        command = stage.chrooted(stage.command, USAGELEDGER_ADMIN_KEY=KEY, **where)
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                wait_for(f"http://127.0.0.1:{PORT}")
                subprocess.run(stage.chrooted(stage.health, **where), check=True)
                prove(f"http://127.0.0.1:{PORT}", accepted)
                stop(process)
            finally:
                process.kill()
    unhealthy = subprocess.run(stage.chrooted(stage.health, **where), check=False, stderr=subprocess.DEVNULL)
    if unhealthy.returncode == 0:
        raise SystemExit("the health check is content without a server")
    write = "touch /var/lib/usageledger/mine && ! touch /opt/usageledger/mine /etc/mine 2>/dev/null"
    subprocess.run(stage.chrooted(["/bin/sh", "-c", write]), check=True)


if __name__ == "__main__":
    main()
