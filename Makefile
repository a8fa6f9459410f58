# Every target does its own set-up; all need Python 3.11+, make and pip, and those of $(PROGRAMS) Debian's packages too.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal
NODE_TESTS := tests/contract/node
NODE := $(NODE_TESTS)/node_modules/.installed
SERVERS := tests/support/services/.installed
CLICKHOUSE := tests/support/services/clickhouse/node_modules/.installed
CHROMIUM_FOUND := $(VENV)/.chromium
JAVA := $(VENV)/.java
GENERATORS := .cache/generators/.installed
PROGRAMS := $(NODE) $(SERVERS) $(CLICKHOUSE) $(CHROMIUM_FOUND) $(JAVA) $(GENERATORS)
FUZZ_SECONDS ?= 60
KILLS ?= 100
UNIT := packaging/usageledger.service
# Python keeps what it compiled, whatever the environment says: else each process of the tests compiles it anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run quick test generate goldens programs test-engines test-emitters test-agents test-generated check docs crash crash-cluster fuzz bench bench-clickhouse bench-sweep wheel check-packaging check-image lock format clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 16

run: $(VENV)/.run  ## start the server on the embedded ledger; prints its address and, once, an admin key
	@$(BIN)/usageledger serve

quick: $(VENV)/.dev  ## style, types (mypy), and the tests of units, server, client and golden files that need nothing but Python and start no servers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST) -m "not external and not processes" tests/unit tests/sources tests/golden tests/server tests/client

# Four processes keep two cores busy: many tests wait for a server, a browser or a clock.
test: check $(PROGRAMS)  ## the whole suite: style, types, tests
	$(PYTEST) -n 4

programs: $(PROGRAMS)  ## install what tests need beside Python: Node.js, PostgreSQL, nginx, OpenSSH, ClickHouse, Chromium, Java (as root)

test-engines: $(VENV)/.dev $(SERVERS) $(CLICKHOUSE)  ## every test of the ledger on every engine, those included that take long on ClickHouse
	$(PYTEST) --whole tests/ledger tests/property/test_engines.py

test-emitters: $(VENV)/.dev $(NODE)  ## real instrumentations from PyPI and npm call a fake vendor, and the ledger counts what is right (EMITTERS= for some)
	$(BIN)/python -m tests.emitters $(EMITTERS)

test-agents: $(VENV)/.dev $(NODE)  ## Claude Code, Codex, Gemini CLI and Copilot CLI from npm (1 GB) answer by a fake vendor, and the ledger counts it (AGENTS= for some)
	$(BIN)/python -m tests.agents $(AGENTS)

test-generated: $(VENV)/.dev $(NODE) $(JAVA) $(GENERATORS)  ## clients that generators make of our description, in Python, TypeScript and Java, answer right (CLIENTS= for some)
	$(BIN)/python -m tests.generated $(CLIENTS)

generate: $(VENV)/.dev  ## write what is made from METERS, Settings and the commands: pages of the documentation, modules of the client
	$(BIN)/python -m tools.generate

goldens: $(VENV)/.dev  ## write the golden files anew: SQL of both engines, tables of the command line; then read what git shows of them
	UPDATE_GOLDEN=1 $(PYTEST) tests/golden/test_sql.py tests/cli/test_tables.py

check: $(VENV)/.dev $(NODE)  ## style and types, by mypy and pyright side by side
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(NODE_TESTS)/node_modules/.bin/pyright --pythonpath $(BIN)/python & pyright=$$!; $(BIN)/mypy && wait $$pyright

fuzz: $(VENV)/.fuzz $(SERVERS) $(CLICKHOUSE)  ## the long forms of the property and schema tests, then each parser for FUZZ_SECONDS (60)
	USAGELEDGER_TEST_EFFORT=40 $(PYTEST) --timeout 3600 tests/property tests/fuzz tests/contract/test_schemathesis.py
	for target in $$(ls tests/fuzz/corpus); do $(BIN)/python -m tests.fuzz $$target $(FUZZ_SECONDS) || exit 1; done

docs: $(VENV)/.dev  ## build the site of the documentation into site/; every warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

crash: $(VENV)/.dev  ## kill a working server KILLS times (100), then compare its ledger event by event with what it acknowledged
	$(BIN)/python -m tests.crash --kills $(KILLS) $(if $(SEED),--seed $(SEED))

crash-cluster: $(VENV)/.dev $(SERVERS) $(CLICKHOUSE)  ## kill servers and shards of a cluster under load, 36 faults, then compare event by event
	$(BIN)/python -m tests.cluster --faults 36

bench-clickhouse: $(VENV)/.dev $(CLICKHOUSE)  ## measure the server on ClickHouse, beside what ClickHouse alone does
	$(BIN)/python -m bench.clickhouse

bench: $(VENV)/.dev $(CHROMIUM_FOUND)  ## measure ingestion and queries; prints a table, writes bench/results.json
	$(BIN)/python -m bench

bench-sweep: $(VENV)/.dev $(CHROMIUM_FOUND)  ## grow one ledger from 1 to 100 million events (SIZES=) and measure each; writes bench/results-sweep.json and a plot
	$(BIN)/python -m bench.sweep $(if $(SIZES),--sizes $(SIZES))

wheel: $(VENV)/.dev  ## build wheel and source distribution into dist/; a fresh virtual environment installs the wheel and serves
	rm -rf dist
	$(BIN)/hatchling build
	$(BIN)/python -m tools.check_wheel

check-packaging: $(VENV)/.packaging $(VENV)/.systemd  ## check workflows, forms, Dockerfile, compose.yaml, systemd unit and pre-commit's file
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema custom.github-workflows-require-timeout .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/feature.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml
	$(BIN)/actionlint
	$(BIN)/zizmor --offline --quiet --persona auditor .github
	test ! -e $(BIN)/hadolint || $(BIN)/hadolint Dockerfile
	$(BIN)/pre-commit validate-config
	mkdir -p .cache && sed 's,/opt/usageledger/bin,$(CURDIR)/$(BIN),' $(UNIT) > .cache/$(notdir $(UNIT))
	systemd-analyze verify .cache/$(notdir $(UNIT))
	systemd-analyze security --offline=true --threshold=20 --no-pager $(UNIT) > .cache/exposure || { cat .cache/exposure; exit 1; }

check-image: $(VENV)/.dev $(VENV)/.debootstrap  ## carry out the Dockerfile in a chroot, as root, without Docker: it serves, is not root, keeps its data
	$(BIN)/python -m tools.check_image

lock: $(VENV)/.dev  ## resolve the dependencies anew into the lock files
	$(PIP) install uv
	$(BIN)/uv pip compile pyproject.toml --upgrade --group build --universal --generate-hashes --no-header --no-annotate -q -o requirements.lock
	$(BIN)/uv pip compile --upgrade --python-version 3.11 --group fuzz --universal --generate-hashes --no-header --no-annotate -q -o requirements-fuzz.lock
	$(BIN)/uv pip compile pyproject.toml --upgrade --all-extras --group dev --universal --generate-hashes --no-header --no-annotate -q -o requirements-dev.lock
	$(BIN)/uv pip compile pyproject.toml --upgrade --group build --extra clickhouse --extra postgresql -c requirements-dev.lock --universal --generate-hashes --no-header --no-annotate -q -o requirements-image.lock
	$(BIN)/uv pip compile --upgrade --python-version 3.11 --group packaging -c requirements-dev.lock --universal --generate-hashes --no-header --no-annotate -q -o requirements-packaging.lock

format: $(VENV)/.dev  ## bring the code into the one style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:  ## remove everything that these targets made
	rm -rf $(VENV) .cache dist site $(NODE_TESTS)/node_modules $(SERVERS) $(dir $(CLICKHOUSE))

# Debian has Python without its venv module: virtualenv, unpacked beside the project, then does the same.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "UsageLedger needs Python 3.11 or newer; set PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); \
	  $(PYTHON) -m pip --disable-pip-version-check --quiet install --target .cache/virtualenv virtualenv && \
	  PYTHONPATH=.cache/virtualenv $(PYTHON) -m virtualenv --quiet $(VENV); }

$(VENV)/.run: requirements.lock pyproject.toml | $(BIN)/python
	@test -e $(VENV)/.dev || $(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(BIN)/python
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.fuzz: requirements-fuzz.lock $(VENV)/.dev
	@$(PIP) install --require-hashes -r requirements-fuzz.lock
	@touch $@

$(VENV)/.packaging: requirements-packaging.lock $(VENV)/.dev
	@$(PIP) install --require-hashes -r requirements-packaging.lock
	@touch $@

$(VENV)/.systemd: | $(BIN)/python
	@command -v systemd-analyze >/dev/null || { apt-get update -qq && apt-get install -y -qq systemd >/dev/null; } || \
	  { echo "The check of the unit needs systemd-analyze: install Debian's package systemd"; exit 1; }
	@touch $@

$(VENV)/.debootstrap: | $(BIN)/python
	@command -v debootstrap >/dev/null || { apt-get update -qq && apt-get install -y -qq debootstrap >/dev/null; } || \
	  { echo "The check of the image needs debootstrap: install Debian's package debootstrap"; exit 1; }
	@touch $@

$(CHROMIUM_FOUND): | $(BIN)/python
	@command -v "$${CHROMIUM:-chromium}" >/dev/null || { apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
	  { echo "The tests need a browser: install Debian's package chromium, or set CHROMIUM=/path/to/chromium"; exit 1; }
	@touch $@

$(JAVA): | $(BIN)/python
	@command -v javac >/dev/null || { apt-get update -qq && apt-get install -y -qq default-jdk-headless >/dev/null; } || \
	  { echo "The tests need Java 17 or newer: install Debian's package default-jdk-headless"; exit 1; }
	@touch $@

# Beside the project: one of them needs an older library than the project's own tools do.
$(GENERATORS): tests/generated/requirements.txt $(VENV)/.dev
	@rm -rf $(dir $@)
	@$(PIP) install --no-warn-conflicts --target $(dir $@) -r $<
	@touch $@

$(NODE): $(NODE_TESTS)/package-lock.json
	@{ command -v npm && command -v curl; } >/dev/null || { apt-get update -qq && apt-get install -y -qq nodejs npm curl; } || \
	  { echo "The tests need Node.js, npm and curl: install Debian's packages nodejs, npm and curl"; exit 1; }
	@npm ci --prefix $(NODE_TESTS) --no-audit --no-fund --silent
	@touch $@

$(SERVERS): Makefile
	@{ ls -d /usr/lib/postgresql/*/bin && ls /usr/sbin/nginx && command -v ssh-keygen; } >/dev/null 2>&1 || \
	  { apt-get update -qq && apt-get install -y -qq postgresql nginx-light openssh-client; } || \
	  { echo "The tests need PostgreSQL, nginx and OpenSSH: install Debian's packages postgresql, nginx-light and openssh-client"; exit 1; }
	@touch $@

$(CLICKHOUSE): tests/support/services/clickhouse/package-lock.json $(NODE)
	@npm ci --prefix tests/support/services/clickhouse --no-audit --no-fund --silent || \
	  { echo "The tests need ClickHouse: the npm package @chdb/lib-linux-x64-gnu, on x86-64 Linux with glibc"; exit 1; }
	@touch $@
