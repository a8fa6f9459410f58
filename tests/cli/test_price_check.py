"""`usageledger prices check`: coverage of a sample, of one's own names, and lists that disagree."""

import json
from pathlib import Path

from tests.cli.support import Run, one_error

from usageledger.pricing.coverage import sample
from usageledger.registry import open_registry

NAMES = b"\xef\xbb\xbfprovider,model\nopenai,gpt-5\nopenai,in-house-7b\nxai,nothing-known\n"


def test_the_sample_is_counted_by_provider_and_reason(call: Run, tmp_path: Path) -> None:
    done = call("prices", "check", "--data", tmp_path / "none", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["names"] == len(sample())
    assert found["priced"] == sum(each["priced"] for each in found["by_provider"]) > 700
    for each in found["by_provider"]:
        assert each["names"] == each["priced"] + sum(each["unpriced"].values())
    for each in found["differences"]:
        assert each["list"].startswith("genai-prices")
        assert each["usd_of_list"] != each["usd_of_file"]


def test_own_names_and_own_prices_count(call: Run, tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "names.csv"
    open_registry(f"sqlite:///{data}/registry.sqlite").close()
    file.write_bytes(NAMES)
    table = call("prices", "check", file, "--data", data).stdout
    rows = {line.split()[0]: line.split()[1:] for line in table.splitlines()[2:]}
    assert rows == {
        "openai": ["2", "1", "50", "no_alias", "1"],
        "x-ai": ["1", "0", "0", "no_alias", "1"],
        "all": ["3", "1", "33", "no_alias", "2"],
    }
    call("prices", "set", "input=1", "output=2", "--model", "in-house-7b", "--new-model", "--data", data)
    found = json.loads(
        call("prices", "check", "-", "--data", data, "--json", stdin=NAMES.lstrip(b"\xef\xbb\xbf")).stdout
    )
    assert [each["priced"] for each in found["by_provider"]] == [2, 0]


def test_a_file_that_is_no_list_of_names_is_refused(call: Run, tmp_path: Path) -> None:
    file = tmp_path / "names.csv"
    file.write_text("gpt-5\n")
    assert "expected a line with the titles provider, model and mode" in one_error(call("prices", "check", file), 1)
