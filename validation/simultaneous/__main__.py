"""Run one experiment on simultaneous connectivity, or all."""

import dataclasses
from functools import partial

from otlmc import cli, data
from validation.simultaneous import EXPERIMENTS
from validation.simultaneous.protocol import Options


def main(options: Options) -> None:
    """Simultaneous connectivity: one permutation along training, and along pruning."""
    dataset = data.load(options.dataset, data_dir=options.data_dir)
    for name in EXPERIMENTS if options.experiment == "all" else [options.experiment]:
        experiment = EXPERIMENTS[name]
        print(f"{name} on {options.dataset}")
        cli.perform(
            dataclasses.replace(options, experiment=name),
            partial(
                experiment.measured, data_dir=options.data_dir, device=str(options.torch_device)
            ),
            experiment.configurations(options),
            draw=experiment.draw,
            summarise=experiment.summarise,
            out=options.out / name,
            data=dataset.provenance,
        )


if __name__ == "__main__":
    cli.run(main, Options)
