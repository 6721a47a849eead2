"""The picture that a page carries along."""

from __future__ import annotations

import base64
import re
from xml.etree import ElementTree


def picture_in(page: str) -> ElementTree.Element:
    found = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", page)
    assert len(found) == 1
    return ElementTree.fromstring(base64.b64decode(found[0]))
