"""Measurements of quality, one module per question."""
