"""The tasks by name."""

from __future__ import annotations

from daybreak.systems.language.tasks.answer import ANSWER
from daybreak.systems.language.tasks.choose import CHOOSE
from daybreak.systems.language.tasks.classify import CLASSIFY
from daybreak.systems.language.tasks.similarity import SIMILARITY
from daybreak.systems.language.tasks.tag import TAG
from daybreak.systems.language.tasks.task import Task

TASKS: dict[str, Task] = {
    "classify": CLASSIFY,
    "similarity": SIMILARITY,
    "choose": CHOOSE,
    "tag": TAG,
    "answer": ANSWER,
}
