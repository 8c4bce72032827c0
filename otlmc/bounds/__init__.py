"""Explicit bounds: two samples, two-layer and deep networks, and the width that they ask for."""

from otlmc.bounds import published, rates
from otlmc.bounds.barrier import cross_entropy_barrier, squared_loss_barrier
from otlmc.bounds.cap import cap_bound
from otlmc.bounds.deep import DeepReLU
from otlmc.bounds.kink import kink_metric, kinked_deviation
from otlmc.bounds.partition import partition_bound
from otlmc.bounds.rank import rank_bound
from otlmc.bounds.rate_distortion import rate_distortion, rate_for_distortion
from otlmc.bounds.two_layer import ORDERS, TwoLayer
from otlmc.bounds.two_sample import lower, upper
from otlmc.bounds.width import min_width, min_widths

__all__ = [
    "ORDERS",
    "DeepReLU",
    "TwoLayer",
    "cap_bound",
    "cross_entropy_barrier",
    "kink_metric",
    "kinked_deviation",
    "lower",
    "min_width",
    "min_widths",
    "partition_bound",
    "published",
    "rank_bound",
    "rate_distortion",
    "rate_for_distortion",
    "rates",
    "squared_loss_barrier",
    "upper",
]
