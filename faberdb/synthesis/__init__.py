"""The SQL that leads from one schema to another: written from their difference, and proven on a copy."""

from faberdb.synthesis.ordering import Act, Step
from faberdb.synthesis.proof import prove
from faberdb.synthesis.writing import Left, Synthesis, synthesise

__all__ = ["Act", "Left", "Step", "Synthesis", "prove", "synthesise"]
