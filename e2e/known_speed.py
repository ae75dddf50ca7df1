"""A device that was measured before, for tests that are not of that: measuring keeps all cores busy."""

from __future__ import annotations

import re

from .server import SITE

_VERSION = re.findall(r"^const VERSION = (\d+);$", (SITE / "js/probe.js").read_text(), re.MULTILINE)
assert len(_VERSION) == 1, "site/js/probe.js does not say what version of rates it keeps"

KNOWN_SPEED = """
  for (let threads = 1; threads <= 16; threads++) {
    const rates = { compute: 5e9 * threads, float32: 8e9, int8: 4e9, threads };
    const known = JSON.stringify({ agent: navigator.userAgent, rates });
    try {
      localStorage.setItem(`pesoleve.probe.VERSION.${threads}`, known);
    } catch {
      // This page is to find no storage.
    }
  }
""".replace("VERSION", _VERSION[0])
"""A script for every page, before its own."""
