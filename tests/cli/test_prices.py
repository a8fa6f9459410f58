"""`usageledger prices` on a data folder: setting, importing, listing and showing prices of one's own."""

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.cli.support import Run, one_error

from usageledger.pricing import UNITS_PER_USD, Prices, Subject
from usageledger.pricing.operator_prices import FIELD_NAMES
from usageledger.registry import Registry, open_registry

TODAY = datetime.now(UTC).strftime("%Y-%m-%d")
DAY = 86_400


def opened(data: Path) -> Registry:
    return open_registry(f"sqlite:///{data}/registry.sqlite")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    opened(folder).close()
    return folder


def own(call: Run, data: Path) -> list[dict[str, str]]:
    return json.loads(call("prices", "list", "--data", data, "--json").stdout)


def shown(call: Run, *arguments: object) -> list[dict[str, Any]]:
    done = call("prices", "show", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_price_that_is_set_is_listed_and_shown(call: Run, data: Path) -> None:
    assert "no prices of your own" in call("prices", "list", "--data", data).stderr
    done = call("prices", "set", "input=0.20", "output=0.60/1M", "--model", "in-house", "--new-model", "--data", data)
    assert (done.returncode, done.stdout) == (0, "")
    assert f"in-house, input from {TODAY}: no price -> 0.2 USD per 1M tokens\n" in done.stderr
    assert "Set 2 prices." in done.stderr
    assert [(price["part"], price["price"], price["from"]) for price in own(call, data)] == [
        ("input", "0.2/1000000", TODAY),
        ("output", "0.6/1000000", TODAY),
    ]
    table = call("prices", "list", "--data", data).stdout
    assert all(word in table for word in ("openai in-house", "input", "0.2", "1M tokens", TODAY))
    lines = {line["part"]: line for line in shown(call, "in-house", "--data", data)}
    assert lines.keys() == {"input_text_tokens", "output_text_tokens"}
    assert (lines["input_text_tokens"]["usd_per_unit"], lines["input_text_tokens"]["source"]) == (
        "0.0000002",
        "operator",
    )


def test_a_price_is_dated_and_ends(call: Run, data: Path) -> None:
    given = ("--model", "gpt-4o", "--data", data, "--note", "contract")
    assert call("prices", "set", "input=2", "--from", "2026-06-01", *given).returncode == 0
    done = call("prices", "set", "input=list", "--from", "2026-07-01", *given)
    words = "gpt-4o, input from 2026-07-01: own 2 (since 2026-06-01) -> list 2.5 (curated, since 2024-10-02) USD per 1M"
    assert words in done.stderr

    def on(day: str) -> tuple[str, str]:
        (line,) = [
            line
            for line in shown(call, "gpt-4o", "--on", day, "--data", data)
            if (line["part"], line["tier"]) == ("input_text_tokens", "standard")
        ]
        return line["usd_per_unit"], line["source"].partition(" ")[0]

    assert on("2026-05-31") == ("0.0000025", "OpenAI")
    assert on("2026-06-01") == ("0.000002", "operator:")
    assert on("2026-06-30") == ("0.000002", "operator:")
    assert on("2026-07-01") == ("0.0000025", "OpenAI")


@pytest.mark.parametrize(("price", "refused"), [("25", False), ("25.1", True), ("0.25", False), ("0.24", True)])
def test_a_price_far_off_needs_a_yes(call: Run, data: Path, price: str, refused: bool) -> None:
    command = ("prices", "set", f"input={price}", "output=10", "--model", "gpt-4o", "--data", data)
    done = call(*command)
    if refused:
        message = one_error(done, 1)
        before = f"gpt-4o, input from {TODAY}: list 2.5 (curated, since 2024-10-02)"
        assert f"More than 10 times off: {before} -> {price} USD per 1M tokens." in message
        assert own(call, data) == []
        done = call(*command, "--yes")
    assert done.returncode == 0
    assert len(own(call, data)) == 2


def test_prices_of_one_command_are_compared_with_each_other(call: Run, data: Path) -> None:
    done = call("prices", "set", "input=1", "input=20", "--model", "new", "--new-model", "--data", data)
    assert f"own 1 (since {TODAY}) -> 20 USD per 1M tokens" in one_error(done, 1)


def test_a_name_that_nobody_has_is_refused(call: Run, data: Path) -> None:
    """A slip would price nothing, in silence."""
    given = ("prices", "set", "input=1.1", "--data", data)
    message = one_error(call(*given, "--model", "gpt-5-2025-08-70"), 1)
    assert (
        "No list of openai and no usage has the model 'gpt-5-2025-08-70'. Did you mean 'gpt-5-2025-08-07'?" in message
    )
    assert "Nothing was set: give --new-model if it is right." in message
    message = one_error(call(*given, "--model", "claude-opus-4-1"), 1)
    assert "Lists of other providers know it: anthropic" in message
    assert "no usage has the model 'in-house-*'" in one_error(call(*given, "--model", "in-house-*"), 1)
    assert own(call, data) == []
    with opened(data) as registry:
        registry.rate_cards.give([(Subject(0, "completions", "OpenAI", "In-House-7b"), Prices({}))])
    assert call(*given, "--model", "in-house-*").returncode == 0
    assert call(*given, "--model", "in-house-7b").returncode == 0
    assert len(own(call, data)) == 2


def test_set_says_for_which_names_a_price_holds_and_what_it_overrides(call: Run, data: Path) -> None:
    done = call("prices", "set", "input=1.1", "--model", "GPT-5", "--provider", "OpenAI", "--data", data)
    before = f"GPT-5, input from {TODAY}: list 1.25 (observed, since 2025-08-07)"
    assert f"{before} -> 1.1 USD per 1M tokens\n" in done.stderr
    assert "GPT-5 holds today for gpt-5, gpt-5-2025-08-07.\n" in done.stderr
    (line, *_) = shown(call, "openai/gpt-5-2025-08-07", "--data", data)
    assert (line["usd_per_unit"], line["layer"]) == ("0.0000011", "operator")
    done = call("prices", "set", "input=1.2", "--model", "gpt-5-2025-08*", "--data", data)
    assert f"gpt-5-2025-08* from {TODAY}: no price of a name in lists changes.\n" in done.stderr
    every = ("prices", "set", "input=1", "--model", "*", "--data", data)
    assert "A price for every model (*)" in one_error(call(*every), 1)


def test_set_says_what_a_project_keeps(call: Run, data: Path) -> None:
    words = "What a project used before it had prices of its own shares its rate cards with other projects"
    given = ("prices", "set", "input=1.2", "--model", "gpt-5", "--data", data)
    done = call(*given, "--project", "proj_a")
    assert "No usage of the project 'proj_a' has come in yet.\n" in done.stderr
    assert words in done.stderr
    assert words not in call(*given).stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["input=1", "--model", "gpt-*-mini"], "model: a * may stand at the end only, got 'gpt-*-mini'."),
        (["input"], "Expected PART=USD such as input=1.25, got 'input'."),
        (["inptu=1", "--model", "m"], "inptu=1: part: completions are not charged for 'inptu'."),
        (["input=1"], "input=1: model: prices of completions are by model"),
        (["input=x", "output=y", "--model", "m", "--from", "now"], "output=y: price: expected USD"),
        (["images=1", "--kind", "image"], "kind: there is no kind 'image'. Kinds are:"),
    ],
)
def test_what_set_refuses(call: Run, data: Path, arguments: list[str], words: str) -> None:
    assert words in one_error(call("prices", "set", *arguments, "--data", data), 2)
    assert own(call, data) == []


def table_of(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


PRICES = [
    {"model": "one", "part": "input", "price": "1/1M", "from": "2026-01-01", "note": 'a "note", with commas'},
    {"kind": "vector_stores", "part": "vector store storage", "price": "0.004", "from": "2026-01-01"},
]


def test_a_csv_file_is_imported(call: Run, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_bytes(b"\xef\xbb\xbf" + table_of(PRICES))  # as spreadsheets write it
    assert "Set 2 prices." in call("prices", "import", file, "--new-model", "--data", data).stderr
    assert [(p["kind"], p["note"]) for p in own(call, data)] == [
        ("completions", 'a "note", with commas'),
        ("vector_stores", ""),
    ]


def test_what_list_prints_can_be_imported(call: Run, data: Path, tmp_path: Path) -> None:
    call("prices", "import", "-", "--new-model", "--data", data, stdin=table_of(PRICES))
    printed = call("prices", "list", "--data", data, "--json").stdout
    other = tmp_path / "other"
    opened(other).close()
    assert call("prices", "import", "-", "--new-model", "--data", other, stdin=printed.encode()).returncode == 0
    assert own(call, other) == own(call, data)
    assert list(own(call, data)[0]) == list(FIELD_NAMES)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "There are no prices in the file."),
        ("[]", "There are no prices in the file."),
        ("[{]", "The file is not JSON"),
        ('[{"model": 1}]', "price 1: expected an object of texts"),
        ("model,part,price,from\na,input,1,2026-01-01\nb,input,x,2026-01-01\n", "line 3: price: expected USD"),
        ("model,part,price,form\na,input,1,2026-01-01\n", "line 2: Unknown field: 'form'. Did you mean 'from'?"),
        ("model,part\na,input,1\n", "line 2: more values than titles."),
        ('model,part\n"a,input\n', "The file is not CSV"),
        ('[{"price": "1", "price": "2"}]', "Field given twice: 'price', as '1' and as '2'."),
        ("model,price,price\na,1,2\n", "line 1: there are two columns titled 'price'."),
    ],
)
def test_a_file_with_an_error_sets_nothing(call: Run, data: Path, text: str, words: str) -> None:
    assert words in one_error(call("prices", "import", "-", "--new-model", "--data", data, stdin=text.encode()), 2)
    assert own(call, data) == []


def test_a_file_that_is_not_there(call: Run, data: Path) -> None:
    assert "No such file" in one_error(call("prices", "import", "nowhere.csv", "--data", data), 1)


def test_what_usage_has_already_is_marked(call: Run, data: Path) -> None:
    """A card that was given keeps its prices: `show` says so, and what they are."""
    day = int(datetime.now(UTC).timestamp()) // DAY * DAY
    old = Prices({"input_text_tokens": 3 * UNITS_PER_USD // 10**6, "output_text_tokens": UNITS_PER_USD // 10**5})
    with opened(data) as registry:
        registry.rate_cards.give([(Subject(day, "completions", "openai", "in-house"), old)])
    call("prices", "set", "input=2", "--model", "in-house", "--data", data)
    lines = {line["part"]: line for line in shown(call, "in-house", "--data", data)}
    assert lines["input_text_tokens"]["usd_per_unit"] == "0.000002"
    assert lines["input_text_tokens"]["usd_per_unit_of_usage"] == "0.000003"
    assert lines["output_text_tokens"]["usd_per_unit"] is None
    done = call("prices", "show", "in-house", "--data", data)
    assert "2*" in done.stdout
    assert "none*" in done.stdout
    assert "* standard, input: usage of this day has 3\n" in done.stderr
    assert "until 'usageledger prices reprice'" in done.stderr


def test_parts_with_the_same_price_share_a_column(call: Run, data: Path) -> None:
    price = ("--model", "m", "--new-model", "--from", "2026-06-01", "--note", "contract", "--data", data)
    assert call("prices", "set", "input=2", "output=8", "audio-output=8", *price).returncode == 0
    done = call("prices", "show", "m", "--on", "2026-06-01", "--data", data)
    assert done.stdout.split()[:6] == ["input", "output", "USD", "per", "1M", "tokens"]
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("standard"))
    assert row == ["standard", "2", "8"]
    assert "output: the same for audio-output" in done.stderr
    assert "Source: operator: contract; since 2026-06-01" in done.stderr


def test_show_says_where_a_price_is_from_and_why_there_is_none(call: Run, data: Path) -> None:
    done = call("prices", "show", "gpt-4o", "--on", "2026-06-01", "--data", data)
    assert "since 2024-10-02 (announced)" in done.stderr
    older = call(
        "prices", "show", "gpt-4o-transcribe", "--on", "2025-06-01", "--kind", "audio_transcriptions", "--data", data
    )
    assert "Why: the price is known from 2026-09-29 on." in one_error(older, 1)
    disputed = call("prices", "show", "gpt-6-luna", "--kind", "decisions", "--on", "2026-11-01", "--data", data)
    assert "No price: standard, cached-input: sources disagree: 0.1 (" in disputed.stderr
    (first, *_) = json.loads(call("prices", "show", "gpt-4o", "--on", "2026-06-01", "--json", "--data", data).stdout)
    assert (first["layer"], first["from"], first["from_is"]) == ("curated", "2024-10-02", "announced")


def test_show_takes_what_an_event_says_beside_its_model(call: Run, data: Path) -> None:
    model = ("claude-opus-4-6", "--provider", "anthropic", "--on", "2026-11-01", "--data", data)
    assert call("prices", "set", "output=20", "--tier", "batch", "--model", *model[:3], "--data", data).returncode == 0

    def prices(*arguments: object) -> dict[str, str]:
        return {line["line_item"]: line["usd_per_unit"] for line in shown(call, *arguments)}

    item = "claude-opus-4-6, input"
    assert prices(*model)[item] == "0.000005"
    assert prices(*model, "--region", "us")[item] == "0.0000055"
    own = prices(*model[:3], "--region", "us", "--data", data)
    assert own["claude-opus-4-6, output (batch)"] == "0.00002"  # a price without a region holds in all of them
    sessions = ("--kind", "code_interpreter_sessions", "--on", "2026-11-01", "--data", data)
    hour = prices(*sessions, "--memory-gb", "4", "--session-minutes", "60")
    assert hour == {"code interpreter sessions": "0.36"}
    searches = ("gpt-4o", "--kind", "web_search_calls", "--on", "2026-11-01", "--data", data)
    tools = {line["tool"] for line in shown(call, *searches, "--tool", "web_search")}
    assert tools == {"web_search"} < {line["tool"] for line in shown(call, *searches)}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["mystery"], 1, "openai 'mystery' has no price on"),
        (["claude-opus-4-1"], 1, "Lists of other providers know it: anthropic"),
        (["gpt-4o", "--kind", "images"], 1, "openai 'gpt-4o' as images has no price"),
        (["gpt-4o", "--kind", "image"], 2, "--kind: there is no kind 'image'"),
        ([], 2, "Missing argument 'MODEL': prices of completions are by model."),
        (["gpt-4o", "--memory-gb", "4"], 2, "memory_gb: completions have none, got '4'."),
        (["gpt-4o", "--kind", "web_search_calls", "--region", "us"], 2, "region: web_search_calls have none, got 'us'"),
        (["gpt-4o", "--region", ""], 2, "Invalid 'region': expected 1 to 256 characters, got ''."),
        (["gpt-4o", "--region", "mars"], 1, "no source says by how much it costs more in the region 'mars'."),
        (["--kind", "code_interpreter_sessions"], 1, "Why: memory_gb is not said: the price depends on it"),
        (["gpt-4o", "--on", "soon"], 2, "--on: expected a day such as 2026-11-01, got 'soon'."),
    ],
)
def test_what_show_cannot_show(call: Run, data: Path, arguments: list[str], code: int, words: str) -> None:
    assert words in one_error(call("prices", "show", *arguments, "--data", data), code)


def test_a_price_can_be_shown_before_there_is_a_ledger(call: Run, tmp_path: Path) -> None:
    done = call("prices", "show", "whisper-1", "--data", tmp_path / "nothing")
    assert done.returncode == 0
    assert "There is no registry" in done.stderr
    assert "0.006" in done.stdout
    assert not (tmp_path / "nothing").exists()


def test_revisions_are_listed(call: Run, data: Path) -> None:
    assert "never given other prices" in call("prices", "revisions", "--data", data).stderr
    with opened(data) as registry:
        (card,) = registry.rate_cards.give([(Subject(0, "completions", "openai", "m"), Prices({}))])
        registry.rate_cards.revise(
            [(card, Prices({"input_text_tokens": 1}))], "the contract of June", now=1_781_526_896
        )
    assert json.loads(call("prices", "revisions", "--data", data, "--json").stdout) == [
        {"id": 1, "created_at": 1_781_526_896, "reason": "the contract of June"}
    ]
    table = call("prices", "revisions", "--data", data).stdout
    assert "2026-06-15 12:34Z" in table
    assert "the contract of June" in table


def test_a_mistyped_folder_is_not_made(call: Run, tmp_path: Path) -> None:
    for command in (["set", "input=1", "--model", "m"], ["list"], ["revisions"]):
        assert "There is no registry" in one_error(call("prices", *command, "--data", tmp_path / "no"), 2)
    assert not (tmp_path / "no").exists()


def test_the_model_as_an_option(call: Run) -> None:
    asked = ["prices", "show", "--on", "2026-06-01", "--json"]
    assert call(*asked, "--model", "gpt-4o").stdout == call(*asked, "gpt-4o").stdout != ""
    assert "--model: the model is given as MODEL as well, 'gpt-4o'." in one_error(
        call(*asked, "gpt-4o", "--model", "gpt-5"), 2
    )
