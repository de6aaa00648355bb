"""Credentials, manifests and the verdict on a video's origin."""
