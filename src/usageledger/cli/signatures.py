"""Detached signatures of files, verified by OpenSSH.

`ssh-keygen -Y sign -n usageledger-prices -f KEY FILE` makes one.
"""

import shutil
import subprocess
from pathlib import Path

from usageledger.cli.terminal.output import CommandError

NAMESPACE = "usageledger-prices"
ALLOWED_SIGNERS = "allowed_signers"  # in the data folder, in the form of `man ssh-keygen`
TIMEOUT_S = 30


def signer(text: bytes, signature: Path, allowed: Path) -> str:
    """Verifies that somebody who is allowed to signed `text`, and names them.

    Raises:
        CommandError: nobody of `allowed` did, or there is no `ssh-keygen`.
    """
    program = shutil.which("ssh-keygen")
    if program is None:
        raise CommandError("ssh-keygen is missing, which verifies signatures: install OpenSSH, or give --sha256.")
    for file, what in ((signature, "signature"), (allowed, "file of allowed signers")):
        if not file.is_file():
            raise CommandError(f"There is no {what} {file}.", exit_code=2)
    common = ["-f", str(allowed), "-s", str(signature)]
    found = _run([program, "-Y", "find-principals", *common], text)
    name = (found.stdout.decode(errors="replace").splitlines() or [""])[0].partition(",")[0]
    if found.returncode or not name:
        raise CommandError(f"Nobody whom {allowed} names made the signature {signature}. Nothing was set.")
    verified = _run([program, "-Y", "verify", *common, "-I", name, "-n", NAMESPACE], text)
    if verified.returncode:
        said = verified.stderr.decode(errors="replace").strip() or verified.stdout.decode(errors="replace").strip()
        raise CommandError(f"The signature {signature} is not one of {name} for this file: {said}. Nothing was set.")
    return name


def _run(command: list[str], text: bytes) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(command, input=text, capture_output=True, timeout=TIMEOUT_S, check=False)  # noqa: S603 - no shell; paths are arguments
