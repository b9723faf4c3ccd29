"""Exports a model to file formats that other programs can run."""
