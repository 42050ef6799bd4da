"""Records: every measured claim is a file ``results/<system>/<name>.json``, and tables are generated from them.

``python -m daybreak.report.records check | tables | stale``
"""

from __future__ import annotations

from daybreak.report.records.record import Mark, Measurement, Record, read, write

__all__ = ["Mark", "Measurement", "Record", "read", "write"]
