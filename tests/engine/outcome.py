"""What two equal runs have in common."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from daybreak.engine import checkpoint, rundir


def outcome(folder: Path) -> dict[str, Any]:
    """All that two equal runs have in common, to the last bit: weights, state, data position, log; no seconds."""
    last = checkpoint.whole(folder / rundir.CHECKPOINTS)[-1]
    state = json.loads((last / checkpoint.STATE).read_text(encoding="utf-8"))
    del state["tree"]["run"]["seconds"], state["tree"]["run"]["cpu_seconds"]
    result = rundir.read_json(folder / rundir.RESULT)
    return {
        "checkpoint": last.name,
        "weights": hashlib.sha256((folder / rundir.WEIGHTS).read_bytes()).hexdigest(),
        "tensors": hashlib.sha256((last / checkpoint.TENSORS).read_bytes()).hexdigest(),
        "state": hashlib.sha256(json.dumps(state).encode()).hexdigest(),
        "data": state["tree"]["parts"].get("data"),
        "log": [{k: v for k, v in line.items() if k != "seconds"} for line in rundir.read_log(folder)],
        "metrics": result["metrics"],
        "log is whole": result["log_sha256"] == rundir.log_digest(folder),
        "left over": [path.name for path in folder.rglob(".tmp_*")],
    }
