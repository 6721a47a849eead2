"""The SQL that leads from one schema to another: written from their difference, and proven on a copy."""

from faberdb.synthesis.ordering import Act, Step
from faberdb.synthesis.places import read_places
from faberdb.synthesis.proof import prove, prove_from_nothing
from faberdb.synthesis.writing import Left, Synthesis, synthesise

__all__ = ["Act", "Left", "Step", "Synthesis", "prove", "prove_from_nothing", "read_places", "synthesise"]
