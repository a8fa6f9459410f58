"""`make wheel`: installs the wheel of dist/ into a fresh virtual environment, as locked, and serves."""

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tools.served import address_of, environment, prove, stop

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Checks what `hatchling build` made.

    Raises:
        SystemExit: something is missing or does not work.
    """
    (wheel,), (source,) = ROOT.glob("dist/*.whl"), ROOT.glob("dist/*.tar.gz")
    with tempfile.TemporaryDirectory(prefix="usageledger-wheel-") as name:
        folder = Path(name)
        binaries = fresh(folder / "venv")
        run(binaries / "python", "-m", "pip", "install", "-q", "--require-hashes", "-r", ROOT / "requirements.lock")
        run(binaries / "python", "-m", "pip", "install", "-q", "--no-deps", wheel)
        run(binaries / "python", "-m", "pip", "check")
        serve(binaries, folder)
        rebuilt(source, wheel, folder)
    sys.stdout.write(f"{wheel.name} installs and serves, {source.name} builds the same files\n")


def fresh(folder: Path) -> Path:
    """Makes a virtual environment as the Makefile does; gives the folder of its programs."""
    unpacked = ROOT / ".cache" / "virtualenv"
    run(sys.executable, "-m", "virtualenv" if unpacked.exists() else "venv", folder, path=unpacked)
    return folder / "bin"


def serve(binaries: Path, folder: Path) -> None:
    """Starts the installed server away from the sources, and sends and reads an event; twice, on the same data."""
    command = [str(binaries / "usageledger"), "serve", "--port", "0", "--data", str(folder / "data"), "--json"]
    for accepted in (1, 0):
        with subprocess.Popen(
            command, env=environment(os.environ), cwd=folder, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                prove(address_of(process), accepted)
                stop(process)
            finally:
                process.kill()


def rebuilt(source: Path, wheel: Path, folder: Path) -> None:
    """Builds the wheel once more from the source distribution, and compares it byte by byte.

    Raises:
        SystemExit: it is another one.
    """
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    (unpacked,) = [path for path in folder.iterdir() if path.name == source.name.removesuffix(".tar.gz")]
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", cwd=unpacked)
    (again,) = unpacked.glob("dist/*.whl")
    if again.read_bytes() != wheel.read_bytes():
        raise SystemExit(f"{source.name} builds another wheel than {wheel.name}")


def run(*command: str | Path, cwd: Path = ROOT, path: Path = ROOT) -> None:
    """Runs a program that must succeed; modules are found in `path` as well."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    subprocess.run(command, check=True, cwd=cwd, env=environment, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
