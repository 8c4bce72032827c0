"""Run the experiments on simultaneous connectivity."""

import dataclasses
import time
from functools import partial

from otlmc import cli, data, sweep
from validation.simultaneous import EXPERIMENTS
from validation.simultaneous.protocol import Options


def main(options: Options) -> None:
    """Simultaneous connectivity: one permutation along training, and along pruning."""
    dataset = data.load(options.dataset, data_dir=options.data_dir)
    for name, experiment in EXPERIMENTS.items():
        if options.experiment not in ("all", name):
            continue
        start = time.perf_counter()
        out = options.out / name
        table = sweep.run(
            partial(
                experiment.measured, data_dir=options.data_dir, device=str(options.torch_device)
            ),
            experiment.configurations(options),
            folder=out / "tasks",
            jobs=options.jobs,
            scheduler=options.scheduler,
            resume=options.resume,
        )
        chosen = dataclasses.replace(options, experiment=name)
        seconds = time.perf_counter() - start
        manifest = cli.manifest(chosen, seconds=seconds, data=dataset.provenance)
        summary = experiment.summarise(table)
        cli.write_outputs(out, table, manifest, experiment.draw(table), summary=summary)


if __name__ == "__main__":
    cli.run(main, Options)
