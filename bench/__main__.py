"""`python -m bench`: measure fastmnist beside its peers, print the tables and keep the figures."""

import argparse
import sys
from pathlib import Path

from bench import report
from bench.machine import describe
from bench.settings import Settings, WrongResultError

SECTIONS = ("kernels", "training", "inference", "commands", "pictures", "numbers", "scaling", "startup", "estimator")


def main() -> int:
    """Run the sections that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a minute's run: little data, no peer but NumPy")
    parser.add_argument("--only", choices=SECTIONS, action="append", help="run one section; may be repeated")
    parser.add_argument("--data", type=Path, default=Path("data"), help="MNIST's folder  [data]")
    parser.add_argument("--fashion", type=Path, default=Path("data/fashion-mnist"), help="Fashion-MNIST's folder")
    parser.add_argument("--all-peers", action="store_true", help="fail if a peer is not installed")
    parser.add_argument("--write-readme", action="store_true", help="put the last figures into bench/README.md")
    arguments = parser.parse_args()
    settings = Settings(arguments.smoke, arguments.data, arguments.fashion)
    machine = describe()
    print("\n".join(f"{name:24}{text}" for name, text in machine.items()), end="\n\n")
    missing: list[str] = []
    try:
        for name in arguments.only or SECTIONS:
            missing += report.run_section(name, settings, machine)
    except WrongResultError as error:
        print(f"bench: wrong result: {error}", file=sys.stderr)
        return 1
    if missing and arguments.all_peers:
        print(f"bench: {len(missing)} rows without their peer: {'; '.join(missing)}", file=sys.stderr)
        return 1
    if arguments.write_readme:
        report.write_readme(SECTIONS)
    return 0


if __name__ == "__main__":
    sys.exit(main())
