"""``python -m lws`` is ``lws-controller``."""

from __future__ import annotations

import sys

from lws.cli.controller import main

if __name__ == "__main__":
    sys.exit(main())
