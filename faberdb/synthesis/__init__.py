"""The SQL that leads from one schema to another: written from their difference, and proven on a copy."""

from faberdb.synthesis.proof import prove
from faberdb.synthesis.statements import Synthesis, synthesise

__all__ = ["Synthesis", "prove", "synthesise"]
