"""Figures: the only package that imports matplotlib.

Every function draws a table of measurements beside their theory into one panel and returns its
axes. Series differ in colour, marker and dash, so that they can be told apart in grey and by the
colour-blind.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from otlmc.plotting.forecasts import plot_forecast, plot_predicted_against_measured
from otlmc.plotting.looks import close, looks, panels, style
from otlmc.plotting.matrices import plot_clusters, plot_pairs
from otlmc.plotting.networks import (
    plot_against_rate,
    plot_barrier_against_width,
    plot_composition,
    plot_decision_regions,
    plot_loss_plane,
    plot_matching,
    plot_path,
)
from otlmc.plotting.populations import plot_beside_published, plot_groups, plot_spread
from otlmc.plotting.sequences import plot_matrix, plot_series
from otlmc.plotting.theory import (
    plot_below_bound,
    plot_bracket,
    plot_campaign,
    plot_ladder,
    plot_predicted_cost,
    plot_two_quantities,
)

__all__ = [
    "Axes",
    "Figure",
    "close",
    "looks",
    "panels",
    "plot_against_rate",
    "plot_barrier_against_width",
    "plot_below_bound",
    "plot_beside_published",
    "plot_bracket",
    "plot_campaign",
    "plot_clusters",
    "plot_composition",
    "plot_decision_regions",
    "plot_forecast",
    "plot_groups",
    "plot_ladder",
    "plot_loss_plane",
    "plot_matching",
    "plot_matrix",
    "plot_pairs",
    "plot_path",
    "plot_predicted_against_measured",
    "plot_predicted_cost",
    "plot_series",
    "plot_spread",
    "plot_two_quantities",
    "style",
]
