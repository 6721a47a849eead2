"""The picture of a schema, and of what a change does to it."""

from __future__ import annotations

from faberdb.diagram.change import chosen, compared, neighbourhood, seen_at_once
from faberdb.diagram.mermaid import diagram_mermaid
from faberdb.diagram.model import picture_of
from faberdb.diagram.parts import Mark, Picture
from faberdb.diagram.svg import change_svg, diagram_svg, svg_image

__all__ = [
    "Mark",
    "Picture",
    "change_svg",
    "chosen",
    "compared",
    "diagram_mermaid",
    "diagram_svg",
    "neighbourhood",
    "picture_of",
    "seen_at_once",
    "svg_image",
]
