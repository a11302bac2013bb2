"""Entry point of the command line: errors become messages and exit codes."""

import os
import sys


def main() -> None:
    """Run the command line and exit with the contract's code."""
    # The matrices here are small: a second thread of linear algebra makes calibration
    # four times slower, and other last bits on another number of processors.
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")
    try:
        from battlife.cli import run

        code = run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:  # before there was anything to stop
        code = 130
    except BrokenPipeError:
        # The reader of our output went away (`battlife … | head`): not an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        if error.filename is not None:
            raise
        # Nothing was being opened: stdout itself cannot be written (disk full).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.stderr.write(f"error: the output cannot be written: {error}\n")
        code = 3
    sys.exit(code)


if __name__ == "__main__":
    main()
