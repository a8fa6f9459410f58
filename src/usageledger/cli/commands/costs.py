"""`usageledger costs`: the costs of usage."""

from usageledger.cli.question_command import question_command
from usageledger.meters import COSTS

EPILOG = """\
[bold]Examples[/]

  usageledger costs
  usageledger costs --start 2026-11 --group-by line_item
  usageledger costs --start 30d --group-by project_id,model --csv > costs.csv
  usageledger costs --profile openai --group-by line_item

Amounts are exact: every digit is shown, and totals are sums of them. The
window is widened to whole days or hours. What has no known price is in no
amount; a line on stderr says so.
"""

costs = question_command(COSTS, "Ask what usage cost, by time or by group.")
