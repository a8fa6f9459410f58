"""The price file that is shipped: its form, and what it says of its sources."""

import hashlib
import json
import re

import pytest
from msgspec import structs
from tests.support.price_rows import price_file, row
from tools import price_file as tool

from usageledger.errors import PriceFileError
from usageledger.pricing.price_checks import check
from usageledger.pricing.price_file import Alias, PriceFile, canonical, digest, id_of, read, shipped, written

RELEASE = re.compile(r"(?P<package>[\w/-]+)(?: (?P<version>[\w.]+) \(PyPI|@(?P<commit>\w{12}))")


def test_the_shipped_file_passes_its_checks() -> None:
    check(shipped())
    assert len(shipped().rows) > 5_000


def test_the_shipped_file_is_written_in_its_one_form() -> None:
    assert written(shipped()) == tool.PATH.read_bytes()


def test_the_canonical_form_can_be_made_without_our_code() -> None:
    file = json.loads(tool.PATH.read_bytes())
    said = [
        each for name in ("rows", "aliases", "factors", "hosted", "alike", "corrections") for each in file.get(name, ())
    ]
    lines = [json.dumps(each, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() for each in said]
    assert hashlib.sha256(b"\n".join(lines)).hexdigest() == file["rows_sha256"]
    assert hashlib.sha256(lines[0]).hexdigest().startswith(id_of(shipped().rows[0]))


def test_what_was_first_seen_was_so_in_a_release_of_that_day_at_the_latest() -> None:
    lists, seen = shipped().lists, 0
    for each in shipped().rows:
        if each.start_is == "first_seen" and each.origin == "observed" and "(dated rule)" not in each.source:
            found = [m.groupdict() for m in RELEASE.finditer(each.source)]
            days = [lists[m["package"]][m["version"] or m["commit"]] for m in found]
            assert min(days) <= each.start[:10], each
            seen += 1
    assert seen > 3_000


def test_every_price_and_day_reads_back_as_written() -> None:
    file = tool.finished(
        price_file(row("input_text_tokens", "0.10"), aliases=(Alias("acme", "a", "m", "2020-01-01", "s"),))
    )
    assert read(written(file)) == file
    assert digest(read(written(file))) == file.rows_sha256
    assert canonical(file.rows[0]) == (
        b'{"confidence":"high","from":"2020-01-01","from_is":"launch","kind":"completions","model":"m","part":'
        b'"input_text_tokens","per":1000000,"price":"0.10","provider":"acme","source":"https://acme.test/prices"}'
    )


def changed(text: bytes, before: str, after: str) -> bytes:
    assert before.encode() in text
    return text.replace(before.encode(), after.encode(), 1)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('"format":1', '"format":2', "format 2 is not known: this version reads format 1"),
        ('"format":1,', "", "missing required field `format`"),
        ('"from_is":"launch"', '"from_is":"guessed"', "Invalid enum value 'guessed' - at `$.rows[0].from_is`"),
        ('"per":', '"rounded":true,"per":', "Object contains unknown field `rounded` - at `$.rows[0]`"),
        ("}\n]", "}\n", "it is not a price file"),
        ("https", "\udcff", "it is not a price file"),
    ],
)
def test_a_text_that_is_no_price_file_of_ours_is_refused(before: str, after: str, words: str) -> None:
    text = written(tool.finished(price_file(row("input_text_tokens", "1"))))
    with pytest.raises(PriceFileError) as raised:
        read(changed(text, before, after) if after.isascii() else text.replace(before.encode(), b"\xff"))
    assert words in str(raised.value)


def test_the_next_release_is_made_from_the_one_before() -> None:
    first = tool.finished(price_file(row("input_text_tokens", "1")))
    more = (*first.rows, row("output_text_tokens", "2"))
    second = tool.finished(structs.replace(tool.following(first, "2030-01-02"), rows=more))
    assert (second.serial, second.made, second.previous_sha256) == (2, "2030-01-02", first.rows_sha256)
    assert tool.following(second, "2030-01-03").made_from == (second.rows_sha256, first.rows_sha256)
    assert isinstance(second, PriceFile)
    assert second.rows_sha256 != first.rows_sha256
