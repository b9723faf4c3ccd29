"""Train and run fully connected handwritten-digit recognisers on a CPU, fast."""

__version__ = "0.1.0"
