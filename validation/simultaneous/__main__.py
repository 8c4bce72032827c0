"""Run one experiment on simultaneous connectivity, or all."""

import dataclasses

from otlmc import cli
from validation.simultaneous import EXPERIMENTS
from validation.simultaneous.protocol import Options


def main(options: Options) -> None:
    """Simultaneous connectivity: one permutation along training, and along pruning."""
    for name in EXPERIMENTS if options.experiment == "all" else [options.experiment]:
        experiment = EXPERIMENTS[name]
        print(f"{name} on {options.dataset}")
        cli.perform_on_data(
            dataclasses.replace(options, experiment=name),
            experiment.measured,
            experiment.configurations(options),
            draw=experiment.draw,
            summarise=experiment.summarise,
            out=options.out / name,
        )


if __name__ == "__main__":
    cli.run(main, Options)
