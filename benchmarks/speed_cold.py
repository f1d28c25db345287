"""Start commands one by one and measure each: wall time and peak memory. Only the standard library.

    python benchmarks/speed_cold.py ROUNDS < commands.json > measured.json

A process of its own, and a small one: on Linux a child's peak counts from the memory of the process that started it
(``exec`` carries the old high-water mark over), so the large process with the other contestants must not start it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time


def start(command: list[str]) -> tuple[float, float]:
    """Run a command to its end.

    :param command: program and arguments; its output is thrown away.
    :return: wall time in seconds, peak resident memory in MB (10^6 bytes).
    :raises RuntimeError: where it fails.
    """
    began = time.perf_counter()
    child = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    assert child.stderr is not None
    said = child.stderr.read()  # to its end, which is the child's
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - began
    child.stderr.close()
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(
            f"{' '.join(command)}: exit code {child.returncode}\n{said.decode(errors='replace')}"
        )
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return wall, usage.ru_maxrss * unit / 1e6


def alternate(commands: dict[str, list[str]], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Start each command once a round, after one round that is not counted.

    :param commands: name → program and arguments.
    :param rounds: how often each is counted.
    :return: name → ``seconds`` and ``megabytes``, one entry a round.
    """
    measured: dict[str, dict[str, list[float]]] = {
        name: {"seconds": [], "megabytes": []} for name in commands
    }
    for number in range(rounds + 1):
        for name, command in commands.items():
            seconds, megabytes = start(command)
            if number:
                measured[name]["seconds"].append(seconds)
                measured[name]["megabytes"].append(megabytes)
    return measured


if __name__ == "__main__":
    json.dump(alternate(json.load(sys.stdin), int(sys.argv[1])), sys.stdout)
