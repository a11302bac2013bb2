"""``battlife keys``: who signs, and whom you trust."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from battlife.cli._output import JsonOption, Output, QuietOption

NAME = "keys"


class Action(StrEnum):
    """What to do with keys."""

    SHOW = "show"
    EXPORT = "export"
    TRUST = "trust"


def command(
    action: Annotated[
        Action, typer.Argument(help="show (default), export or trust.")
    ] = Action.SHOW,
    key: Annotated[
        str | None, typer.Argument(help="With trust: a public key file.")
    ] = None,
    name: Annotated[
        str, typer.Option("--name", help="Name of the operator or of the trusted key.")
    ] = "",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="With export: the file.")
    ] = None,
    json_lines: JsonOption = False,
    quiet: QuietOption = False,
) -> int:
    """Show the operator's key (made at first use), export it, trust another."""
    from battlife.archive.keys import (
        export_public,
        load_or_create_key,
        rename,
        trust,
        trusted_keys,
    )
    from battlife.errors import InputError
    from battlife.pipeline.rows import SCHEMA

    out = Output(json_lines, quiet)
    own = load_or_create_key()
    if name and action is Action.SHOW and own.persistent:
        rename(name)
        own = load_or_create_key()
    if not own.persistent:
        out.note(
            "warning: no folder for keys is writable; this key lives for one run only. "
            "Set BATTLIFE_HOME to a folder that you keep."
        )
    if action is Action.TRUST:
        if key is None:
            raise InputError("no key to trust", "battlife keys trust FILE --name NAME")
        path = Path(key)
        text = path.read_text("utf-8", "replace") if path.is_file() else key
        trust(text, name)
    if action is Action.EXPORT:
        pem = export_public(own)
        if output is None:
            out.text(pem.rstrip())
        else:
            output.write_text(pem, "utf-8")
            out.note(f"public key written to {output}")
    rows = [(own.name, own.fingerprint, "own")]
    rows += [
        (trusted_name, fingerprint, "trusted")
        for fingerprint, trusted_name in trusted_keys().items()
        if fingerprint != own.fingerprint
    ]
    for who, fingerprint, role in rows:
        out.row(
            {"schema": SCHEMA, "name": who, "fingerprint": fingerprint, "role": role}
        )
        if action is not Action.EXPORT:
            out.text(f"{role:<8} {fingerprint}  {who}")
    return out.exit_code
