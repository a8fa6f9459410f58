"""Prices: money, rate cards, line items, and the price book that cards are made from.

The book is not imported here: only who makes cards needs it, and it takes a tenth of a second to load.
"""

from usageledger.pricing.cards import Override, Prices, Reason, Source, Subject
from usageledger.pricing.money import UNITS_PER_USD, decimal_text, to_rate, usd_text

__all__ = ["UNITS_PER_USD", "Override", "Prices", "Reason", "Source", "Subject", "decimal_text", "to_rate", "usd_text"]
