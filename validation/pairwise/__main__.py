"""Run one experiment, or all."""

import dataclasses
from functools import partial

from otlmc import cli
from validation.pairwise import EXPERIMENTS
from validation.pairwise.protocol import Options, load


def main(options: Options) -> None:
    """When does averaging work? All pairs of many networks, as they are and aligned."""
    names = list(EXPERIMENTS) if options.experiment == "all" else [options.experiment]
    for name in names:
        known = EXPERIMENTS[name].DATASETS
        dataset = options.dataset if options.dataset in known else known[0]
        print(f"{name} on {dataset}")
        run(dataclasses.replace(options, experiment=name, dataset=dataset))


def run(options: Options) -> None:
    """Run one experiment on its data set, and write its outputs to a folder of its name."""
    experiment, device = EXPERIMENTS[options.experiment], str(options.torch_device)
    dataset = load(options.dataset, data_dir=options.data_dir, device="cpu")
    cli.perform(
        options,
        partial(experiment.measured, data_dir=options.data_dir, device=device),
        experiment.configurations(options),
        draw=experiment.draw,
        summarise=experiment.summarise,
        out=options.out / options.experiment,
        data=dataset.provenance,
    )


if __name__ == "__main__":
    cli.run(main, Options)
