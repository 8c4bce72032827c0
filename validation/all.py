"""Re-run all experiments of the papers, and read their claims off what was measured."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from otlmc import cli
from otlmc.sweep import SweepError
from validation import covariance_matching, report, strong, width_prediction
from validation.pairwise import __main__ as pairwise
from validation.simultaneous import __main__ as simultaneous

PROGRAMS: dict[str, tuple[Callable[[Any], None], type[cli.NetworkOptions]]] = {
    "covariance_matching": (covariance_matching.main, covariance_matching.Options),
    "pairwise": (pairwise.main, pairwise.Options),
    "simultaneous": (simultaneous.main, simultaneous.Options),
    "strong": (strong.main, strong.Options),
    "width_prediction": (width_prediction.main, width_prediction.Options),
}
"""What is run, each on its own data set, in a folder of its name."""


@dataclass(frozen=True, kw_only=True)
class Options(cli.DeviceOptions):
    """Options of all programs."""


def main(options: Options) -> None:
    """Every program of this package on its own small data, and one report of all claims.

    The report, report.md in the output folder, has a line for every claim of the papers: what was
    published, what was measured, and whether that is the same.
    """
    shared: dict[str, Any] = {
        field.name: getattr(options, field.name) for field in fields(cli.DeviceOptions)
    }
    failed = []
    for name, (program, kind) in PROGRAMS.items():
        print(f"\n{name}")
        try:
            program(kind(**{**shared, "out": options.out / name}))
        except SweepError as error:  # the others are worth having all the same
            failed.append(f"{name}: {error}")
    report.main(report.Options(results=options.out, out=options.out / "report.md"))
    if failed:
        raise SweepError("\n".join(failed))


if __name__ == "__main__":
    cli.run(main, Options)
