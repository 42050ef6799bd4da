"""``python -m daybreak`` (and ``torchrun -m daybreak``): the command line."""

from __future__ import annotations

import sys

from daybreak.cli import main

sys.exit(main())
