"""What the pages name exists: addresses within them, commands, options, settings, error codes, tests, files."""

import re
import shlex
import tomllib
from dataclasses import fields
from itertools import chain
from pathlib import Path

import pytest
from tests.support.commands import COMMANDS
from tests.support.documentation import PAGES, ROOT, blocks, prose, read, tables

from usageledger.cli import server_connection
from usageledger.server.endpoints import ENDPOINTS
from usageledger.server.openapi.document import document
from usageledger.settings import Settings

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?<![\w/-])usageledger((?: +[^|&;`'\n#]+)?)")
SOURCES = ("*.py", "events/*.py", "questions/*.py", "server/**/*.py", "spending/*.py", "ledger/**/*.py")
CODE = re.compile(
    r'code="(\w+)"|default_code\b.*= "(\w+)"|"((?:missing|unknown|invalid|contradictory)_\w+|conflict|too_old)"'
)
OTHER_OPTIONS = {"--check", "--next", "--data-binary", "--compressed"}  # of modules of tools/ and of curl
NO_ERROR_CODES = {"invalid_request_error"}  # also the type of errors


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    broken: list[str] = []
    for target in LINK.findall(prose(page)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        known = anchors(str(file.resolve().relative_to(ROOT))) if file.suffix == ".md" and file.exists() else set()
        if not file.exists() or (anchor and anchor not in known):
            broken.append(target)
    assert not broken


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {target.partition("#")[0] for target in LINK.findall(prose("README.md"))}
    assert {page for page in PAGES if page != "README.md"} <= linked


# --- the command line --------------------------------------------------------------------------------------------


OPTIONS = {
    name: {option for p in command.params for option in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}
    for name, command in COMMANDS.items()
}
VARIABLES = {f"USAGELEDGER_{setting.name.upper()}" for setting in fields(Settings)} | set(server_connection.VARIABLES)
for _command in COMMANDS.values():
    for _parameter in _command.params:
        _named = getattr(_parameter, "envvar", None) or []
        VARIABLES |= {_named} if isinstance(_named, str) else set(_named)


def complaint(words: list[str]) -> str | None:
    """What is wrong with a command line after `usageledger`; None where it can be given like this."""
    name = ""
    while words and f"{name} {words[0]}".strip() in COMMANDS:
        name = f"{name} {words.pop(0)}".strip()
    if words and getattr(COMMANDS[name], "commands", None) and not words[0].startswith("-"):
        return f"no command {words[0]!r}"
    unknown = [word for word in words if word.startswith("-") and word != "-" and word not in OPTIONS[name]]
    return f"{name or 'usageledger'} has no {unknown}" if unknown else None


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page: str) -> None:
    code = [block.text for block in blocks(page) if block.info in ("sh", "console")]
    code += re.findall(r"`([^`\n]+)`", prose(page))
    wrong = []
    for text in code:
        for arguments in COMMAND.findall(text.replace("\\\n", " ")):
            given = arguments.replace("…", "").strip()
            if given.startswith(("/", ".", "_", ":")):
                continue  # a path or a module
            if reason := complaint(shlex.split(given)):
                wrong.append(f"usageledger {given}: {reason}")
    assert not wrong


@pytest.mark.parametrize("page", PAGES)
def test_options_and_settings_exist(page: str) -> None:
    text = read(page)
    options = set(re.findall(r"`(--[a-z][a-z0-9-]*)", text))
    assert options <= set().union(*OPTIONS.values()) | OTHER_OPTIONS
    assert set(re.findall(r"USAGELEDGER_[A-Z_]+", text)) <= VARIABLES | {"USAGELEDGER_TEST_EFFORT"}


def test_every_command_is_documented() -> None:
    headings = read("docs/cli.md").splitlines()
    assert not [name for name in COMMANDS if f"### usageledger {name}".strip() not in headings]


# --- addresses, errors, files ------------------------------------------------------------------------------------


def test_addresses_exist() -> None:
    known = [re.sub(r"\{\w+\}", "[^`]+", path) for path in document(Settings(), ENDPOINTS)["paths"]]
    known += ["/v1/organization/usage/…", "/v1/organization/costs", "/v1"]
    for page in PAGES:
        for address in re.findall(r"`(?:GET |POST |DELETE )?(/(?:v1|healthz|readyz|openapi)[^`? ]*)`", prose(page)):
            path = re.sub(r"\{\w+\}", "x", address)
            assert any(re.fullmatch(pattern, path) for pattern in known), f"{page}: {address}"


def codes_of_the_server() -> set[str]:
    files = [file for pattern in SOURCES for file in (ROOT / "src" / "usageledger").glob(pattern)]
    found = {code for file in files for groups in CODE.findall(file.read_text("utf-8")) for code in groups if code}
    return found | NO_ERROR_CODES


def test_error_codes_are_those_of_the_server() -> None:
    documented = {
        row[column].strip("`")
        for page in ("docs/events.md", "docs/queries.md", "docs/spend.md")
        for rows in tables(page)
        for column, title in enumerate(rows[0])
        if title.startswith("`code`")
        for row in rows[1:]
    }
    assert documented == codes_of_the_server()


@pytest.mark.parametrize("page", PAGES)
def test_files_and_tests_exist(page: str) -> None:
    """Paths in code, and tests named as `tests/…/test_x.py::test_name`."""
    for path, _, test in re.findall(r"`((?:src|tests|tools|bench|docs)/[\w/.]+)(::(\w+))?`", prose(page)):
        file = Path(ROOT / path)
        assert file.exists(), f"{page}: {path}"
        assert not test or f"def {test}(" in file.read_text("utf-8"), f"{page}: {path} has no {test}"


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups = project["dependency-groups"]
    extras = project["project"]["optional-dependencies"].values()
    needed = [*project["project"]["dependencies"], *chain(*extras), *groups["build"], *groups["dev"]]
    names = {re.split(r"[^\w-]", text)[0] for text in needed if isinstance(text, str)}
    reasons = {
        name for rows in tables("docs/dependencies.md") for row in rows[1:] for name in re.findall(r"[\w-]+", row[0])
    }
    assert names <= reasons
