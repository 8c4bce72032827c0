"""Run one experiment, or all."""

import dataclasses
import time
from functools import partial

from otlmc import cli, sweep
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
    start = time.perf_counter()
    provenance = load(options.dataset, data_dir=options.data_dir, device="cpu").provenance
    experiment, out = EXPERIMENTS[options.experiment], options.out / options.experiment
    device = str(options.torch_device)
    table = sweep.run(
        partial(experiment.measured, data_dir=options.data_dir, device=device),
        experiment.configurations(options),
        folder=out / "tasks",
        jobs=options.jobs,
        scheduler=options.scheduler,
        resume=options.resume,
    )
    seconds = time.perf_counter() - start
    manifest = cli.manifest(options, seconds=seconds, data=provenance)
    summary = experiment.summarise(table)
    cli.write_outputs(out, table, manifest, experiment.draw(table), summary=summary)


if __name__ == "__main__":
    cli.run(main, Options)
