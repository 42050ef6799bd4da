"""C that is compiled on the machine it runs on, once, for its own processor; where there is no compiler, there is none.

torch's own building of extensions wants ninja, its headers and half a minute. Functions that see nothing but pointers
need a compiler alone, and two seconds.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

logger = logging.getLogger("daybreak")

# Not -ffast-math: before GCC 13 a library built with it switches off denormal numbers for the whole process.
FLAGS = [
    "-O3", "-march=native", "-mprefer-vector-width=512", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-fPIC",
    "-shared", "-x", "c",
]  # fmt: skip


@functools.cache
def build(source: str) -> ctypes.CDLL | None:
    """Compile ``source`` (C with OpenMP), or take what an earlier process made of it; None where that cannot be.

    OpenMP's threads are torch's: the library is loaded after it, and the loader finds that one's runtime.
    """
    compiler = shutil.which("gcc") if platform.system() == "Linux" else None
    if compiler is None:
        logger.info("no gcc was found: convolutions on the CPU take a slower way")
        return None
    parts = [source, *FLAGS, compiler, processor()]
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
    library = cache() / f"{name}.so"
    try:
        if not library.exists():
            compile_to(library, source, compiler)
        return ctypes.CDLL(str(library))
    except (OSError, subprocess.CalledProcessError) as error:
        logger.info("gcc could not build what makes convolutions on the CPU faster: %s", error)
        return None


def compile_to(library: Path, source: str, compiler: str) -> None:
    """Write the shared library: beside it first, so that no other process loads half of one."""
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        made = Path(folder) / library.name
        command = [compiler, *FLAGS, "-", "-o", str(made)]
        subprocess.run(command, input=source.encode(), check=True, capture_output=True)
        os.replace(made, library)


def cache() -> Path:
    """Where compiled libraries are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "daybreak" / "native"


def processor() -> str:
    """What a library built for this processor depends on: homes are shared between machines."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return "\n".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
