"""All rules, in the order in which they are told."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from faberdb.lint.columns import COLUMN_RULES
from faberdb.lint.constraints import CONSTRAINT_RULES
from faberdb.lint.flow import FLOW_RULES
from faberdb.lint.indexes import INDEX_RULES
from faberdb.lint.removal import REMOVAL_RULES
from faberdb.lint.rule import Rule
from faberdb.lint.types import TYPE_RULES
from faberdb.lint.upkeep import UPKEEP_RULES

RULES: Final[tuple[Rule, ...]] = (
    *COLUMN_RULES,
    *CONSTRAINT_RULES,
    *INDEX_RULES,
    *REMOVAL_RULES,
    *FLOW_RULES,
    *UPKEEP_RULES,
    *TYPE_RULES,
)
BY_CODE: Final[Mapping[str, Rule]] = MappingProxyType({rule.code: rule for rule in RULES})

# What squawk asks for and a release does by itself: its time-outs come from the plan.
SETTLED: Final = frozenset({"require-lock-timeout", "require-statement-timeout", "require-timeout-settings"})
