"""`usageledger prices update` and `status`: what is taken, what is refused, and that then nothing is set."""

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from msgspec import structs
from tests.cli.support import Run, one_error
from tests.support.services.programs import program
from tools.price_file import finished, following

from usageledger import __version__
from usageledger.pricing.price_file import Correction, PriceFile, id_of, shipped, shipped_text, written
from usageledger.registry import open_registry

SERIAL = shipped().serial
NEXT = following(shipped(), "2026-11-28")
ROW = structs.replace(
    next(row for row in NEXT.rows if row.model == "gpt-4o-2024-08-06"),
    model="brand-new-1",
    start="2026-11-28",
    price="7",
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    open_registry(f"sqlite:///{folder}/registry.sqlite").close()
    return folder


def made(**given: object) -> PriceFile:
    return finished(structs.replace(NEXT, **{"rows": (*NEXT.rows, ROW), **given}))


def saved(tmp_path: Path, text: bytes) -> tuple[Path, str]:
    """A file of this text, and its SHA-256."""
    path = tmp_path / "prices.json"
    path.write_bytes(text)
    return path, hashlib.sha256(text).hexdigest()


def key(folder: Path, name: str) -> Path:
    command = [str(program("ssh-keygen")), "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)]
    subprocess.run(command, check=True, timeout=30)
    return folder / name


def sign(file: Path, by: Path, namespace: str = "usageledger-prices") -> Path:
    signature = file.with_name(f"{file.name}.sig")
    signature.unlink(missing_ok=True)
    command = [str(program("ssh-keygen")), "-Y", "sign", "-q", "-f", str(by), "-n", namespace, str(file)]
    subprocess.run(command, check=True, timeout=30, capture_output=True)
    return signature


def allow(data: Path, by: Path) -> None:
    public = by.with_name(f"{by.name}.pub").read_text()
    (data / "allowed_signers").write_text(f'prices@ledger.test,other namespaces="usageledger-prices" {public}')


def nothing_is_set(call: Run, data: Path) -> bool:
    with open_registry(f"sqlite:///{data}/registry.sqlite") as registry:
        trail = registry.audit_log.list().data
    return not trail and json.loads(call("prices", "status", "--data", data, "--json").stdout)["serial"] == SERIAL


def test_a_file_of_a_known_sha256_is_taken(call: Run, data: Path, tmp_path: Path) -> None:
    path, digest = saved(tmp_path, written(made()))
    assert "has no price on" in one_error(call("prices", "show", "brand-new-1", "--data", data), 1)
    done = call("prices", "update", path, "--sha256", digest.upper(), "--data", data)
    assert (done.returncode, done.stdout) == (0, "")
    assert f"Prices {SERIAL + 1} of 2026-11-28, SHA-256 {digest}.\n" in done.stderr
    assert f"1 row new against prices {SERIAL}, and 0 of theirs gone.\nSet." in done.stderr
    shown = call("prices", "show", "brand-new-1", "--on", "2026-11-28", "--data", data, "--json")
    assert [line["usd_per_unit"] for line in json.loads(shown.stdout)] == ["0.000007"]
    (entry,) = json.loads(call("audit", "--data", data, "--json").stdout)
    assert (entry["type"], entry["details"]["sha256"]) == ("price.updated", digest)
    assert f"is not newer than {SERIAL + 1}" in one_error(
        call("prices", "update", path, "--sha256", digest, "--data", data), 1
    )


@pytest.mark.external
def test_a_signed_file_is_taken(call: Run, data: Path, tmp_path: Path) -> None:
    path, digest = saved(tmp_path, written(made()))
    by = key(tmp_path, "maintainer")
    allow(data, by)
    done = call(
        "prices", "update", path, "--signature", sign(path, by), "--data", data, "--json", PATH=os.environ["PATH"]
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "serial": SERIAL + 1,
        "made": "2026-11-28",
        "confirmed_through": shipped().confirmed_through,
        "sha256": digest,
        "signed_by": "prices@ledger.test",
        "rows_added": 1,
        "rows_gone": 0,
        "set": True,
    }


@pytest.mark.external
def test_a_signature_that_does_not_hold_is_refused(call: Run, data: Path, tmp_path: Path) -> None:
    path, _ = saved(tmp_path, written(made()))
    by, stranger = key(tmp_path, "maintainer"), key(tmp_path, "stranger")
    update = ("prices", "update", path, "--data", data, "--signature")
    assert "There is no signature" in one_error(call(*update, tmp_path / "none.sig"), 2)
    assert "There is no file of allowed signers" in one_error(call(*update, sign(path, by)), 2)
    allow(data, by)
    assert "Nobody whom" in one_error(call(*update, sign(path, stranger)), 1)
    assert "is not one of prices@ledger.test" in one_error(call(*update, sign(path, by, "git")), 1)
    signature = sign(path, by)
    path.write_bytes(path.read_bytes().replace(b'"price":"7"', b'"price":"8"'))
    assert "is not one of prices@ledger.test for this file" in one_error(call(*update, signature), 1)
    assert nothing_is_set(call, data)


def test_an_unsigned_file_is_only_checked(call: Run, data: Path, tmp_path: Path) -> None:
    path, digest = saved(tmp_path, written(made()))
    assert "give --signature or --sha256" in one_error(call("prices", "update", path, "--data", data), 2)
    words = one_error(call("prices", "update", path, "--sha256", "0" * 64, "--data", data), 1)
    assert f"The file's SHA-256 is {digest}, not 000" in words
    done = call("prices", "update", path, "--check", "--data", data)
    assert done.returncode == 0
    assert digest in done.stderr
    assert "Nothing was set: this was a check." in done.stderr
    assert nothing_is_set(call, data)


def changed(file: PriceFile) -> PriceFile:
    """One price of days past is another."""
    first = structs.replace(file.rows[0], price="11")
    return finished(structs.replace(file, rows=(first, *file.rows[1:])))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (lambda: written(made()).replace(b'"price":"7"', b'"price":"8"'), "it was changed after it was made"),
        (lambda: written(made()).replace(b'"price":"7"', b'"price":"7'), "it is not a price file"),
        (lambda: written(made(serial=SERIAL)), f"serial {SERIAL} is not newer than {SERIAL}, which is in use"),
        (lambda: written(made(previous_sha256="0" * 64)), f"serial {SERIAL + 1} was made from 000"),
        (lambda: written(structs.replace(made(), format=2)), "format 2 is not known"),
        (shipped_text, f"serial {SERIAL} is not newer than {SERIAL}"),
        (lambda: written(changed(made())), f"no correction names {id_of(shipped().rows[0])}"),
    ],
    ids=range(7),
)
def test_what_is_refused_sets_nothing(
    call: Run, data: Path, tmp_path: Path, text: Callable[[], bytes], words: str
) -> None:
    path, digest = saved(tmp_path, text())
    assert words in one_error(call("prices", "update", path, "--sha256", digest, "--data", data), 1)
    assert nothing_is_set(call, data)


def test_what_is_meant_is_taken(call: Run, data: Path, tmp_path: Path) -> None:
    corrected = (Correction(id_of(shipped().rows[0]), "a slip of the pen"),)
    file = finished(structs.replace(changed(made()), corrections=corrected, previous_sha256="0" * 64))
    path, digest = saved(tmp_path, written(file))
    assert call("prices", "update", path, "--sha256", digest, "--rebase", "--data", data).returncode == 0
    assert json.loads(call("prices", "status", "--data", data, "--json").stdout)["serial"] == SERIAL + 1


def test_the_newest_of_several_files_is_taken_at_once(call: Run, data: Path, tmp_path: Path) -> None:
    latest = finished(following(finished(following(made(), "2026-11-29")), "2026-11-30"))
    path, digest = saved(tmp_path, written(latest))
    done = call("prices", "update", path, "--sha256", digest, "--data", data)
    assert done.returncode == 0, done.stderr
    assert json.loads(call("prices", "status", "--data", data, "--json").stdout)["serial"] == SERIAL + 3


def test_the_status_says_how_old_prices_are(call: Run, data: Path, tmp_path: Path) -> None:
    about = json.loads(call("prices", "status", "--data", tmp_path / "none", "--json").stdout)
    assert about["from"] == f"shipped with {__version__}"
    assert about["sha256"] == hashlib.sha256(shipped_text()).hexdigest()
    assert about["rows"]["curated"] + about["rows"]["observed"] == len(shipped().rows)
    installed = version("genai-prices")
    assert about["genai_prices"] == {"version": installed, "published": shipped().lists["genai-prices"][installed]}
    assert not (tmp_path / "none").exists()
    path, digest = saved(tmp_path, written(made(lists={})))
    call("prices", "update", path, "--sha256", digest, "--data", data)
    call("prices", "set", "input=1", "--model", "own", "--new-model", "--data", data)
    about = json.loads(call("prices", "status", "--data", data, "--json").stdout)
    assert about["from"].startswith("taken 20")
    assert about["sha256"] == digest
    assert about["rows"]["operator"] == 1
    assert about["genai_prices"]["published"] is None
    table = call("prices", "status", "--data", data).stdout
    assert "not used: its day of publication is not known" in table
    assert digest in table
