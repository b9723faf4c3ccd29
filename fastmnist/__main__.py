"""`python -m fastmnist`."""

from fastmnist.cli.main import run

run()
