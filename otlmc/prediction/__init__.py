"""Predict, from two trained networks of one width, how two networks of another width connect."""

from otlmc.prediction.predict import predict_widths
from otlmc.prediction.record import (
    PredictedValue,
    PredictedWidth,
    ScalingLaw,
    SupportDimension,
    WidthPrediction,
)

__all__ = [
    "PredictedValue",
    "PredictedWidth",
    "ScalingLaw",
    "SupportDimension",
    "WidthPrediction",
    "predict_widths",
]
