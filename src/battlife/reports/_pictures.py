"""Figures as files: the same input gives the same bytes, on any machine."""

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from battlife.errors import InputError
from battlife.reports._writing import write_whole
from battlife.reports.wording import escaped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES: Final = (".png", ".svg", ".html")

_MISSING_GLYPH: Final = "\u25a1"
_NARROWEST_IN: Final = 2.0


def draw(
    path: Path, title: str, height_in: float, build: Callable[["Figure"], None]
) -> None:
    """Draw a figure and write it; it appears whole or not at all.

    Parameters
    ----------
    path : its suffix chooses PNG, SVG, or a page that holds the SVG
    title : of the page
    height_in : inches; the width is fixed
    build : draws into the figure it is given

    Raises
    ------
    InputError
        matplotlib is not installed, the suffix is not known, or the file cannot be
        written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(
            f"{path}: no picture format is called {suffix!r}",
            f"one of {', '.join(SUFFIXES)}",
        )
    with _house_style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        size = (9.5, max(height_in, _NARROWEST_IN))
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        build(figure)
        content = _rendered(figure, "png" if suffix == ".png" else "svg")
    if suffix == ".html":
        content = _page(content, title)
    write_whole(path, content)


def printable(text: str) -> str:
    """Return text with what the font cannot draw as boxes, on one line.

    Must be called while drawing: the font is that of the figure.
    """
    from matplotlib.font_manager import findfont, get_font

    font = get_font(findfont("DejaVu Sans"))
    known = [c if font.get_char_index(ord(c)) else _MISSING_GLYPH for c in text]
    return "".join(" " if c.isspace() else k for c, k in zip(text, known, strict=True))


@contextmanager
def _house_style() -> Iterator[None]:
    """Draw by matplotlib's own defaults, whatever the user's matplotlibrc says.

    Its first import may log that it builds a font cache, or that the folder for it
    cannot be written; neither concerns who asked for a picture.
    """
    log = logging.getLogger("matplotlib")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        try:
            import matplotlib
            import matplotlib.style
        except ImportError as error:
            raise InputError(
                "plots need matplotlib, which is not installed",
                'pip install "battlife[report]"',
            ) from error
        # A fixed salt instead of a random one: the same trace gives the same file.
        house: Any = {
            "svg.hashsalt": "battlife",
            "font.family": "DejaVu Sans",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#e3e7eb",
            "grid.linewidth": 0.6,
            "axes.axisbelow": True,
            "font.size": 9.5,
        }
        with matplotlib.style.context(["default", house]):
            yield
    finally:
        log.setLevel(level)


def _rendered(figure: "Figure", kind: str) -> bytes:
    options: dict[str, Any] = {"format": "png", "dpi": 110}
    options["metadata"] = {"Software": None}
    if kind == "svg":
        options = {"format": "svg", "metadata": {"Date": None, "Creator": None}}
    drawn = io.BytesIO()
    figure.savefig(drawn, **options)
    return drawn.getvalue()


def _page(svg: bytes, title: str) -> bytes:
    name = escaped(title)
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="'
        "default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{name}</title><style>body{{margin:1rem auto;max-width:72rem;"
        "background:#fff}svg{width:100%;height:auto}</style></head>\n<body>"
        f'<div role="img" aria-label="{name}">'
    )
    drawing = svg[svg.index(b"<svg") :]
    return head.encode("utf-8", "replace") + drawing + b"</div></body></html>\n"
