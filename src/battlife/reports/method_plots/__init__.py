"""What a method saw and made of it: one module per picture.

A module has ``draw(figure, trace, results)`` where `results` holds each accepted
Estimate with its Curves. A method without a line here gets the overview of its trace.
"""

import types
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from battlife.model import Estimate, Trace
from battlife.model.curve import Curve
from battlife.reports._pictures import draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Results: TypeAlias = Sequence[tuple[Estimate, Sequence[Curve]]]
Drawing: TypeAlias = "Callable[[Figure, Trace, Results], None]"

HEIGHT_IN: Final = 5.5

METHOD_PLOTS: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        "ecm": "battlife.reports.method_plots.ecm",
        "eis": "battlife.reports.method_plots.eis",
        "partial_charge": "battlife.reports.method_plots.partial_charge",
        "impedance_soh": "battlife.reports.method_plots.impedance_soh",
        "power": "battlife.reports.method_plots.power",
        "knee": "battlife.reports.method_plots.knee",
        "self_discharge": "battlife.reports.method_plots.self_discharge",
        "soc_ekf": "battlife.reports.method_plots.soc",
        "soc_spkf": "battlife.reports.method_plots.soc",
        "spread": "battlife.reports.method_plots.spread",
        "anomaly": "battlife.reports.method_plots.anomaly",
        "dva": "battlife.reports.method_plots.dva",
        "ica": "battlife.reports.method_plots.ica",
        "ocv_fit": "battlife.reports.method_plots.ocv_fit",
    }
)
"""Method to the module that draws it."""


def plot_method(method: str, trace: Trace, results: Results, path: Path) -> None:
    """Draw what one method made of a trace.

    Raises
    ------
    InputError
        matplotlib is not installed, the suffix is unknown, or the file cannot be
        written.
    KeyError
        No picture belongs to this method.
    """
    drawing: Drawing = import_module(METHOD_PLOTS[method]).draw

    def build(figure: "Figure") -> None:
        drawing(figure, trace, results)

    draw(path, f"{trace.unit_id}: {method}", HEIGHT_IN, build)
