"""Time to import otlmc and its packages, as ratios to ``import torch``.

Every import runs in a fresh interpreter, in turns; a ratio is that of the least times, whose start
of the interpreter is taken off. The aim is a ratio below 1.5 for what users import first.
"""

import subprocess
import sys
import time

MODULES = ("torch", "otlmc", "otlmc.bounds", "otlmc.matching", "otlmc.connectivity")
MODULES += ("otlmc.networks", "otlmc.certificate", "otlmc.cli")
TURNS = 7


def seconds(program: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True)
    return time.perf_counter() - start


def main():
    programs = {"nothing": "pass"} | {name: f"import {name}" for name in MODULES}
    for program in programs.values():
        seconds(program)  # the files are in the cache of the disk from here on
    times = {name: [] for name in programs}
    for _ in range(TURNS):
        for name, program in programs.items():
            times[name].append(seconds(program))
    least = {name: min(values) for name, values in times.items()}
    torch = least["torch"] - least["nothing"]
    print(f"{'import':<20}{'seconds':>9}{'ratio':>8}")
    for name in MODULES:
        spent = least[name] - least["nothing"]
        print(f"{name:<20}{spent:>9.3f}{spent / torch:>8.2f}")


if __name__ == "__main__":
    main()
