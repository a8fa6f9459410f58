"""Writes the table of coverage in `docs/prices.md`: names with a price by the rules of 0.2.0, and those with one now.

`python -m tools.price_coverage` counts anew. `--names FILE` first takes the sample from LiteLLM's file
`model_prices_and_context_window_backup.json`: provider, mode and name, of providers that a list of ours has; as events
name them, without the `provider/` that LiteLLM puts before.
"""

import csv
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

from tools.generate import ROOT, table, with_region
from usageledger.pricing.book import PriceBook
from usageledger.pricing.coverage import MODES, PRICED, coverage, sample
from usageledger.pricing.genai_list import GenaiList
from usageledger.pricing.listed_prices import seconds_of
from usageledger.pricing.names import provider_name
from usageledger.pricing.price_file import shipped

PAGE = ROOT / "docs" / "prices.md"
NAMES = ROOT / "src" / "usageledger" / "pricing" / "data" / "names.csv"
# LiteLLM's own words for one provider's models of some use.
SAME = {
    "azure_text": "azure",
    "cohere_chat": "cohere",
    "fireworks_ai-embedding-models": "fireworks_ai",
    "text-completion-codestral": "codestral",
    "text-completion-openai": "openai",
}
# Provider → names with a price by the rules of 0.2.0, with genai-prices 0.2.3, on 2026-11-27: right or wrong ones.
BEFORE: Mapping[str, int] = {
    "aws": 286,
    "openai": 154,
    "azure": 131,
    "google": 88,
    "novita": 82,
    "fireworks": 47,
    "mistral": 39,
    "github-copilot": 33,
    "together": 28,
    "cloudflare": 24,
    "baseten": 23,
    "databricks": 21,
    "voyageai": 21,
    "anthropic": 19,
    "x-ai": 18,
    "perplexity": 14,
    "zai": 13,
    "moonshotai": 12,
    "ovhcloud": 11,
    "deepseek": 8,
    "groq": 8,
    "cerebras": 6,
    "cohere": 6,
    "meta": 6,
    "minimax": 4,
}


def main(arguments: Sequence[str]) -> int:
    """Writes the files; the exit code."""
    match arguments:
        case []:
            pass
        case ["--names", file]:
            NAMES.write_text(names_csv(json.loads(Path(file).read_text("utf-8"))), "utf-8")
        case _:
            print("usage: python -m tools.price_coverage [--names FILE]", file=sys.stderr)
            return 2
    PAGE.write_text(with_region(PAGE.read_text("utf-8"), "coverage", coverage_table()), "utf-8")
    return 0


def names_csv(listed: Mapping[str, Mapping[str, object]]) -> str:
    """The sample, of the models of LiteLLM's file."""
    known = {row.provider for row in shipped().rows} | set(GenaiList("1970-01-01").providers())
    rows = {
        (provider, str(about["mode"]), name.removeprefix(f"{says}/"))
        for name, about in listed.items()
        if about.get("mode") in MODES
        and (provider := provider_name(says := _provider(str(about.get("litellm_provider"))))) in known
    }
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("provider", "mode", "model"))
    writer.writerows(sorted(rows))
    return text.getvalue()


def _provider(name: str) -> str:
    return "vertex_ai" if name.startswith("vertex_ai-") else SAME.get(name, name)


def coverage_table() -> str:
    """Provider by provider: names, those with a price before and now, and why the others have none."""
    found = coverage(PriceBook(), sample(), seconds_of(shipped().made))
    total: Counter[str] = Counter()
    rows: list[tuple[str, ...]] = []
    for provider, outcomes in sorted(found.items(), key=lambda each: -each[1].total()):
        total.update(outcomes)
        rows.append(_row(provider, outcomes, BEFORE.get(provider, 0)))
    rows.append(_row("**all**", total, sum(BEFORE.values())))
    return table(("provider", "names", "priced by 0.2.0", "priced", "unpriced, and why"), rows)


def _row(provider: str, outcomes: Counter[str], before: int) -> tuple[str, ...]:
    why = ", ".join(f"`{reason}` {number:,}" for reason, number in outcomes.most_common() if reason != PRICED)
    return provider, f"{outcomes.total():,}", f"{before:,}", f"{outcomes[PRICED]:,}", why


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
