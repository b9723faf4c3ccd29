"""`python -m fastmnist`."""

from fastmnist.cli.main import main

main()
