"""``battlife verify``: check archives, offline."""

from pathlib import Path
from typing import Annotated

import typer

from battlife.cli._output import JsonOption, Output, QuietOption

NAME = "verify"


def command(
    files: Annotated[list[Path], typer.Argument(help="Archives, or folders of them.")],
    trust: Annotated[
        list[str] | None,
        typer.Option(
            "--trust", help="Public key file or fingerprint to require; repeatable."
        ),
    ] = None,
    recompute: Annotated[
        bool, typer.Option(help="Also repeat the estimates and the grade.")
    ] = True,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Check archives offline: integrity, signer, and the result computed again.

    Altered archives exit 3; with --trust, so does a signer who is not trusted.
    """
    from battlife.errors import ArchiveError, BattlifeError
    from battlife.pipeline.verifying import expand, trusted_from, verify

    out = Output(json_lines, quiet)
    trusted = trusted_from(trust or [])
    for path in expand(files):
        try:
            row = verify(path, trusted, recompute=recompute)
        except BattlifeError as error:
            out.failure(str(path), error)
            continue
        out.row(row)
        bad = row["integrity"] == "altered" or (
            bool(trust) and row["signer"]["trust"] != "trusted"
        )
        if bad:
            out.exit_code = out.exit_code or ArchiveError.exit_code
        signer = row["signer"]
        who = signer["name"] or signer["fingerprint"] or "nobody"
        out.text(
            f"{path}: {row['integrity']}; signed by {who} ({signer['trust']}); "
            f"recomputed: {row['recompute']}"
        )
        for finding in row["findings"]:
            out.text(f"  {finding['code']}: {finding['message']}")
    return out.exit_code
