"""Stacked training against a loop over models: prints both times and their ratio.

The loop trains one plain module after the other with torch's fused AdamW. Both sides draw their
weights, take the same number of steps, at least 100, and evaluate at the end. They alternate on one
thread, so that a busy machine slows both.

    python -m benchmarks.training [--device cuda] [--repetitions 5] [--only 784]
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
import tyro

from otlmc.data import Dataset, load
from otlmc.networks import MLP, Architecture, TrainConfig, evaluate, train
from otlmc.networks.evaluation import losses

LR = 0.01


@dataclass(frozen=True)
class Case:
    """What is trained, and the ratio to reach."""

    widths: tuple[int, ...]
    networks: int
    batch_size: int
    goal: float
    shared_order: bool = False

    @property
    def name(self) -> str:
        """Widths, number of networks, batch order."""
        order = "shared" if self.shared_order else "own"
        return f"{'-'.join(map(str, self.widths))} x {self.networks}, {order} order"


LARGE = (784, 512, 512, 512, 10)
CPU_CASES = (
    Case((2, 8, 1), 50, 256, 12.0),
    Case((2, 64, 1), 50, 256, 5.0),
    Case((2, 512, 1), 50, 256, 0.95),
    Case((784, 16, 10), 32, 128, 1.7),
    Case((784, 16, 10), 32, 128, 4.0, shared_order=True),
    Case(LARGE, 4, 128, 0.95),
)
CUDA_CASES = (Case(LARGE, 32, 128, 20.0), Case(LARGE, 32, 128, 20.0, shared_order=True))


def noise(examples: int = 6400) -> Dataset:
    """Return noise in place of MNIST: only the time matters."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(examples, 784, generator=generator)
    labels = torch.randint(10, (examples,), generator=generator)
    return Dataset("noise", inputs, labels, inputs[:1000], labels[:1000], 10, "uniform noise")


def loop(architecture: Architecture, dataset: Dataset, config: TrainConfig, networks: int) -> None:
    """Train one model after the other; ``dataset`` lies on the device."""
    inputs, labels = dataset.train_inputs, dataset.train_labels
    for seed in range(networks):
        torch.manual_seed(seed)
        network = MLP(architecture).to(inputs.device)
        optimiser = torch.optim.AdamW(network.parameters(), lr=LR, fused=True)
        shared = torch.Generator().manual_seed(seed if config.order_seed is None else 0)
        for _ in range(config.epochs):
            order = torch.randperm(len(labels), generator=shared).to(inputs.device)
            for batch in order.split(config.batch_size):
                optimiser.zero_grad()
                losses(network(inputs[batch]), labels[batch]).mean().backward()
                optimiser.step()
        evaluate(network, inputs, labels)
        evaluate(network, dataset.test_inputs, dataset.test_labels)


def seconds(function: Callable[[], object]) -> float:
    """Return the wall time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measure(case: Case, device: str, repetitions: int) -> tuple[float, float, float]:
    """Return the median seconds of the loop and of the stack, and the median of their ratios."""
    dataset = (load("moons") if case.widths[0] == 2 else noise()).to(device)
    config = TrainConfig(
        optimiser="adamw",
        lr=LR,
        weight_decay=0.01,
        batch_size=case.batch_size,
        epochs=-(-100 * case.batch_size // len(dataset.train_labels)),
        order_seed=0 if case.shared_order else None,
    )
    architecture, seeds = Architecture(widths=case.widths), range(case.networks)
    pairs = [
        (
            seconds(lambda: loop(architecture, dataset, config, case.networks)),
            seconds(lambda: train(architecture, dataset, config, seeds, device=device)),
        )
        for _ in range(repetitions + 1)
    ][1:]  # the first pair warms up
    loops, stacks = zip(*pairs, strict=True)
    ratio = statistics.median(slow / fast for slow, fast in pairs)
    return statistics.median(loops), statistics.median(stacks), ratio


def main(
    device: str = "cpu",
    repetitions: int = 5,
    only: Annotated[str, tyro.conf.arg(help="part of a case's name")] = "",
) -> None:
    """Time stacked training against a loop over models."""
    torch.set_num_threads(1)
    print(f"{'case':<44}{'loop s':>9}{'stack s':>9}{'ratio':>8}{'goal':>7}")
    for case in CPU_CASES if device == "cpu" else CUDA_CASES:
        if only in case.name:
            slow, fast, ratio = measure(case, device, repetitions)
            print(f"{case.name:<44}{slow:>9.3f}{fast:>9.3f}{ratio:>8.2f}{case.goal:>7.2f}")


if __name__ == "__main__":
    tyro.cli(main)
