"""The command line: ``daybreak <system> <verb> [preset] [--flags]``, and commands that belong to no system.

System, verb and preset are resolved here, with near matches for typos; only the flags go to tyro. Nothing here loads
torch, so that help, lists and mistakes are answered at once.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any

from daybreak import __version__
from daybreak.engine.errors import UserError, unknown
from daybreak.systems import SYSTEMS, claims, verbs

COMMANDS = {
    "list": "the systems, one line each, with their best measured number",
    "data": "data sets: list, prepare NAME, where",
    "demo": "every system for at most 20 s on data that needs no network -> one page",
    "doctor": "versions, device, disk, and a five-second self-test",
    "compare": "one table of finished runs",
    "report": "a run directory as one page",
    "new": "a new system from the template, for developers",
}
"""Commands besides the systems; each is a dataclass of that name in ``daybreak.commands``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line. Returns the exit code: 0, 2 for the user's mistake, 130 for Ctrl-C."""
    logging.basicConfig(format="daybreak: %(message)s")
    logging.getLogger("daybreak").setLevel(logging.INFO)
    try:
        dispatch(list(sys.argv[1:] if argv is None else argv))
    except UserError as mistake:
        print(f"daybreak: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        sys.stderr.close()
        return 0
    return 0


def dispatch(words: list[str]) -> None:
    """Do what the words ask. Raises UserError for what they do not."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
    elif words[0] in ("-V", "--version"):
        print(f"daybreak {__version__}")
    elif words[0] in COMMANDS:
        from daybreak import commands

        parse(getattr(commands, words[0].capitalize()), words[1:], f"daybreak {words[0]}")()
    elif words[0] in SYSTEMS:
        system(words[0], words[1:])
    else:
        raise UserError(unknown("command or system", words[0], [*COMMANDS, *SYSTEMS]) + "; see: daybreak --help")


def system(name: str, words: list[str]) -> None:
    """``daybreak <system> ...``: a loop (train), evaluate, or one of the system's own verbs."""
    loops, own = verbs(name)
    if not words or words[0] in ("-h", "--help"):
        print(system_overview(name, loops, own))
    elif words[0] in loops:
        from daybreak import training

        training.run_loop(name, words[0], loops[words[0]], words[1:])
    elif words[0] == "evaluate":
        from daybreak import evaluation

        evaluation.run(name, own["evaluate"], claims(name), words[1:])
    elif words[0] in own:
        parse(own[words[0]], words[1:], f"daybreak {name} {words[0]}")()
    else:
        raise UserError(unknown(f"verb of {name}", words[0], [*loops, *own]) + f"; see: daybreak {name} --help")


def parse(arguments: Any, words: list[str], program: str, default: Any = None) -> Any:
    """Flags into the dataclass ``arguments``; tyro prints help, or one sentence for a mistake, and exits with 2."""
    import tyro

    extra = {} if default is None else {"default": default}
    return tyro.cli(arguments, args=words, prog=program, **extra)


def overview() -> str:
    """What ``daybreak --help`` prints."""
    rows = [("", "systems:"), *((name, entry.about) for name, entry in SYSTEMS.items())]
    rows += [("", "commands:"), *COMMANDS.items()]
    return "\n".join(
        [
            "daybreak: the deep-learning systems of the start of 2019, trained, measured and used from one install",
            "",
            "usage: daybreak <system> <verb> [preset] [--flags]      daybreak dawnbench train tiny --lr 0.2",
            "       daybreak <system> --help                         its verbs and presets",
            "       daybreak <command>",
            *(f"  {name:<12}{about}" if name else f"\n{about}" for name, about in rows),
            "\n-V, --version: the version",
        ]
    )


def system_overview(name: str, loops: dict[str, Any], own: dict[str, Any]) -> str:
    """What ``daybreak <system> --help`` prints."""
    lines = [f"daybreak {name}: {SYSTEMS[name].about}", ""]
    width = max(map(len, [*own, *(preset for presets in loops.values() for preset in presets)])) + 2
    for loop, presets in loops.items():
        lines += [f"daybreak {name} {loop} [preset] [--flags]; presets, the first is the default:"]
        lines += [f"  {preset:<{width}}{first_line(make)}" for preset, make in presets.items()]
    lines += ["", "other verbs:", *(f"  {verb:<{width}}{first_line(arguments)}" for verb, arguments in own.items())]
    example = next(iter(loops))
    return "\n".join([*lines, "", f"daybreak {name} {example} --help shows every flag of {example}"])


def first_line(thing: Any) -> str:
    """First line of a docstring."""
    return (thing.__doc__ or "").strip().splitlines()[0]
