"""The command line: one module per verb, no logic of its own.

Help must answer within 0.2 s, so a verb imports what it needs inside its function.
"""

import io
import sys
from collections.abc import Sequence

import typer

from battlife import __version__
from battlife.cli import (
    calibrate,
    clear_faults,
    contactor,
    convert,
    decode,
    demo,
    devices,
    estimate,
    formats,
    grade,
    info,
    keys,
    plot,
    read,
    record,
    recover,
    screen,
    simulate,
    verify,
    watch,
)
from battlife.errors import BattlifeError

INTERRUPTED = 130

app = typer.Typer(
    name="battlife",
    help="Diagnostics bench for second-life batteries: log in, audited route out.",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich at start-up would cost half of the time allowed
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _module in (
    demo,
    formats,
    info,
    convert,
    plot,
    estimate,
    grade,
    calibrate,
    screen,
    decode,
    devices,
    read,
    record,
    watch,
    recover,
    simulate,
    clear_faults,
    contactor,
    verify,
    keys,
):
    app.command(name=_module.NAME)(_module.command)


def _version(value: bool) -> None:
    if value:
        print(f"battlife {__version__}")
        raise typer.Exit()


@app.callback()
def _main(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    pass


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Errors of battlife print as message and hint on stderr; anything else is our bug
    and keeps its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A console of another encoding must not stop a run at a degree sign.
            stream.reconfigure(errors="backslashreplace")
    try:
        result = app(args=list(arguments), standalone_mode=False)
    except BattlifeError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"hint:  {error.hint}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        result = INTERRUPTED
    except Exception as error:
        # Usage errors of the command-line library carry their own text and code.
        show = getattr(error, "show", None)
        code = getattr(error, "exit_code", None)
        if show is None or code is None:
            raise
        show()
        return int(code)
    if result == INTERRUPTED:  # the command-line library turns Ctrl-C into this
        print("stopped; everything finished so far is kept", file=sys.stderr)
    return result if isinstance(result, int) else 0
