"""Deepfake classifiers."""
