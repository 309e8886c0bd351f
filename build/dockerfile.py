"""Read the Dockerfile's last stage, for those who do the same without a container engine.

build/dockerfile.py env          NAME=value of every ENV, a line each
build/dockerfile.py env NAME     one value
build/dockerfile.py user         UID:GID
build/dockerfile.py start        ENTRYPOINT and CMD, a word a line
build/dockerfile.py health       the command of HEALTHCHECK, a word a line
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = ROOT / "Dockerfile"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: its word in capitals, and the rest with continued lines joined."""

    word: str
    rest: str

    def command(self) -> list[str]:
        """The words of an exec form; ValueError for a shell form."""
        words = json.loads(self.rest[self.rest.index("[") :]) if "[" in self.rest else None
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError(f"{self.word} is not in exec form: {self.rest}")
        return words


def instructions(text: str) -> list[Instruction]:
    """Every instruction in order; comments and empty lines left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found = []
    for line in joined.splitlines():
        word, _, rest = line.strip().partition(" ")
        found.append(Instruction(word.upper(), rest.strip()))
    return found


def last_stage(text: str) -> list[Instruction]:
    """The instructions after the last FROM."""
    every = instructions(text)
    last = max(number for number, instruction in enumerate(every) if instruction.word == "FROM")
    return every[last + 1 :]


def one(stage: list[Instruction], word: str) -> Instruction:
    """The only instruction of its kind."""
    (found,) = (instruction for instruction in stage if instruction.word == word)
    return found


def environment(stage: list[Instruction]) -> dict[str, str]:
    """What ENV sets, with the variables in it replaced."""
    values = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    for instruction in stage:
        if instruction.word == "ENV":
            for pair in shlex.split(instruction.rest):
                name, _, value = pair.partition("=")
                values[name] = re.sub(r"\$\{?(\w+)\}?", lambda match: values.get(match[1], ""), value)
    return values


def main(arguments: list[str]) -> int:
    stage = last_stage(DOCKERFILE.read_text())
    match arguments:
        case ["env"]:
            lines = [f"{name}={value}" for name, value in environment(stage).items()]
        case ["env", name]:
            lines = [environment(stage)[name]]
        case ["user"]:
            lines = [one(stage, "USER").rest]
        case ["start"]:
            lines = [*one(stage, "ENTRYPOINT").command(), *one(stage, "CMD").command()]
        case ["health"]:
            lines = one(stage, "HEALTHCHECK").command()
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
