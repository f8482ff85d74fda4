"""Deployments: the manifest file and the `kn` commands that apply it."""
