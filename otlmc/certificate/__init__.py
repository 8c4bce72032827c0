"""Certificates: rigorous bounds on the path between two given networks, on given data."""

from otlmc.certificate.path import certify
from otlmc.certificate.record import Certificate, LayerCertificate

__all__ = ["Certificate", "LayerCertificate", "certify"]
