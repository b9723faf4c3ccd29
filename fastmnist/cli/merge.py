"""`fastmnist merge`: the shards of a job, put together."""

import click

from fastmnist.cli.options import quiet_option
from fastmnist.cli.row_output import file_or_stdout, open_stream
from fastmnist.cli.terminal import say
from fastmnist.errors import DataError, counted

OTHER_FILES = 64  # that a process has open, at most: its streams, its libraries, what it writes


@click.command()
@click.argument("parts", nargs=-1, required=True, metavar="PART...", type=click.Path(readable=False))
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(readable=False), callback=file_or_stdout,
    help="File to write, all or nothing.  [default: stdout]",
)  # fmt: skip
@quiet_option
def merge(parts: tuple[str, ...], output: str | None) -> None:
    """Merge the rows of all shards of a job, in the order of the whole run.

    PART... are the files that `predict` or `read` wrote with --shard 1/N to N/N, in that order. Nothing is written if
    they can't all be shards of one job, that is, if their counts or columns do not match or two have the same row. For
    pictures, it can't tell whether the last shards are missing: check the number of parts in the last line on stderr.
    """
    from fastmnist.output.merge import merge as merge_parts

    _allow_files(len(parts))
    with open_stream(output) as stream:
        n_rows = merge_parts(parts, stream)
        stream.flush()
    say(f"{counted(n_rows, 'row')} from {counted(len(parts), 'part')}")


def _allow_files(n_parts: int) -> None:
    """Let the process have all parts open at once; the usual limit is 1,024 files. Raises DataError where it can't."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = n_parts + OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise DataError(f"{n_parts:,} parts, but only {hard:,} files may be open at once", hint="raise `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
