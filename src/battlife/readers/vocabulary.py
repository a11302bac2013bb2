"""Names and units that testers write, by quantity."""

from typing import Final

_POWERS = {"n": 1e-9, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3}


def _prefixed(symbols: str, factor: float = 1.0) -> dict[str, float]:
    return {
        prefix + symbol: power * factor
        for symbol in symbols.split()
        for prefix, power in _POWERS.items()
    }


UNITS: Final[dict[str, dict[str, float]]] = {
    "time": {
        **dict.fromkeys(
            "s sec secs second seconds S Sec Secs Second Seconds".split(), 1.0
        ),
        **dict.fromkeys("ms msec millisecond milliseconds".split(), 1e-3),
        **dict.fromkeys("us µs μs".split(), 1e-6),
        **dict.fromkeys("min mins minute minutes Min Minutes".split(), 60.0),
        **dict.fromkeys("h hr hrs hour hours H Hr Hours".split(), 3600.0),
        **dict.fromkeys("d day days Days".split(), 86400.0),
    },
    "voltage": _prefixed("V v volt volts Volt Volts VOLTS"),
    "current": _prefixed("A a amp amps Amp Amps ampere amperes Ampere AMPS"),
    "charge": {
        **_prefixed(
            "Ah ah AH A.h A*h A·h A-h A-hr Amp-hr Amp-hrs Amp-hour AmpHr ampere_hour"
        ),
        **_prefixed("As A.s C coulomb", 1.0 / 3600.0),
    },
    "energy": {
        **_prefixed(
            "Wh wh WH W.h W*h W·h W-h W-hr Watt-hr Watt-hrs Watt-hour watt_hour"
        ),
        **_prefixed("Ws W.s J joule", 1.0 / 3600.0),
    },
    "power": _prefixed("W w watt watts Watt Watts"),
    "temperature": dict.fromkeys(
        (
            "C °C ℃ degC deg_C deg.C degc celsius Celsius deg oC ºC ˚C K kelvin °F F"
        ).split(),
        1.0,
    ),
    "resistance": _prefixed("Ohm ohm Ohms ohms OHM Ω Ω"),
    "frequency": _prefixed("Hz hz hertz"),
    "pressure": {
        "Pa": 1.0,
        "kPa": 1e3,
        "MPa": 1e6,
        "bar": 1e5,
        "mbar": 100.0,
        "psi": 6894.757293168,
        "Psi": 6894.757293168,
        "PSI": 6894.757293168,
    },
    "count": {"": 1.0, "1": 1.0, "#": 1.0},
}
"""Unit spellings by dimension, with the factor to the base unit. Case matters: mV is
not MV, and a spelling that is not here is unknown rather than guessed."""

CLOCK_UNIT: Final = "h:m:s"
"""Unit of a column written as hh:mm:ss."""

DIMENSIONS: Final[dict[str, str]] = {
    "time_s": "time",
    "unix_time_s": "time",
    "step_time_s": "time",
    "voltage_v": "voltage",
    "current_a": "current",
    "power_w": "power",
    "temperature_degc": "temperature",
    "temperature_2_degc": "temperature",
    "temperature_3_degc": "temperature",
    "temperature_4_degc": "temperature",
    "ambient_temperature_degc": "temperature",
    "cycle_index": "count",
    "step_index": "count",
    "step_count": "count",
    "charge_capacity_ah": "charge",
    "discharge_capacity_ah": "charge",
    "step_capacity_ah": "charge",
    "net_capacity_ah": "charge",
    "charge_energy_wh": "energy",
    "discharge_energy_wh": "energy",
    "step_energy_wh": "energy",
    "internal_resistance_ohm": "resistance",
    "pressure_pa": "pressure",
    "load_voltage_v": "voltage",
    "load_current_a": "current",
    "frequency_hz": "frequency",
    "z_re_ohm": "resistance",
    "z_im_ohm": "resistance",
    "minus_z_im_ohm": "resistance",
    "date_time": "text",
    "state": "text",
    "unit_id": "text",
}
"""What a column may be mapped to: quantities, the parts of a spectrum (``z_im_ohm``,
or ``minus_z_im_ohm`` where the file gives -Im), and three columns of text."""


def _spellings(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


NAMES: Final[dict[str, tuple[str, ...]]] = {
    # Earlier spellings win where a file has several; all are lower case with blanks
    # for any of _ - . #.
    "time_s": _spellings(
        "test time|total time|run time|prog time|testtime|totaltime|elapsed time|"
        "cumulative time|program duration|programme duration|test duration|"
        "test|time|seconds|second|t|record time|timevec|time vec|zeit|testzeit|"
        "prüfzeit|laufzeit|programmzeit|总时间|测试时间|时间"
    ),
    "unix_time_s": _spellings("unix time|unixtime|epoch|timestamp unix"),
    "step_time_s": _spellings(
        "step time|steptime|step duration|relative time|t step|load step time|"
        "schrittzeit|步骤时间|相对时间"
    ),
    "voltage_v": _spellings(
        "voltage|ewe|<ewe>|ecell|<ecell>|ewe ece|volts|volt|potential|"
        "cell voltage|battery voltage|terminal voltage|vbat|u|v|measured voltage|"
        "working electrode|working electrode voltage|volvec|vol vec|voltvec|volt vec|"
        "spannung|电压"
    ),
    "current_a": _spellings(
        "current|i|<i>|amps|amp|cell current|battery current|ibat|cur|curr|"
        "measured current|currvec|curr vec|strom|电流"
    ),
    "power_w": _spellings("power|p|watt|watts|功率"),
    "temperature_degc": _spellings(
        "temperature|temp|temperature 1|temp 1|temp1|t1|cell temperature|cell temp|"
        "aux temperature 1|aux temperature(1)|surface temperature t1|"
        "cell temperature 1|battery temperature|surface temp|surface temperature|"
        "auxiliary temperature 1|tc 1|temperatur|温度"
    ),
    "temperature_2_degc": _spellings(
        "temperature 2|temp 2|temp2|t2|aux temperature 2|surface temperature t2|tc 2"
    ),
    "temperature_3_degc": _spellings(
        "temperature 3|temp 3|temp3|t3|aux temperature 3|surface temperature t3|tc 3"
    ),
    "temperature_4_degc": _spellings(
        "temperature 4|temp 4|temp4|t4|aux temperature 4|surface temperature t4|tc 4"
    ),
    "ambient_temperature_degc": _spellings(
        "ambient temperature|environment temperature|chamber temperature|"
        "ambient temp|room temperature|chamber temp|evtemp"
    ),
    "cycle_index": _spellings(
        "cycle index|cycle|cyc|cycle c|cycle number|cycle id|cycle count|cycle no|"
        "cyc count|total cycle|zyklus|循环|循环号|循环序号"
    ),
    "step_index": _spellings(
        "step index|step|ns|step id|step number|step no|schritt|"
        "工步|步次|工步号|工步序号"
    ),
    "step_count": _spellings("step count"),
    "charge_capacity_ah": _spellings(
        "charge capacity|charging capacity|q charge|chg capacity|chg cap|q chg|"
        "charge cap|cha cap|cap chg|capacitance chg|ahcha|ah cha|ah charge|"
        "ah ch|capacity charge|充电容量"
    ),
    "discharge_capacity_ah": _spellings(
        "discharge capacity|discharging capacity|q discharge|dchg capacity|dchg cap|"
        "q dchg|q dis|discharge cap|cap dchg|capacitance dchg|ahdch|ahdis|dis cap|"
        "dch capacity|ah dch|ah discharge|"
        "ah dis|capacity discharge|放电容量"
    ),
    "step_capacity_ah": _spellings(
        "capacity|cap|amp hr|amp hrs|step capacity|ah step|ahstep|amphr|容量"
    ),
    "net_capacity_ah": _spellings(
        "(q qo)|net capacity|cumulative charge|ahaccu|ah accu|ah|q qo|"
        "accumulated capacity"
    ),
    "charge_energy_wh": _spellings(
        "charge energy|charging energy|energy charge|chg energy|engy chg|whcha|"
        "wh cha|wh charge|"
        "e chg|充电能量"
    ),
    "discharge_energy_wh": _spellings(
        "discharge energy|discharging energy|energy discharge|dchg energy|engy dchg|"
        "whdch|wh dch|"
        "wh discharge|e dchg|e dis|放电能量"
    ),
    "step_energy_wh": _spellings("energy|ener|watt hr|watt hrs|step energy|能量"),
    "internal_resistance_ohm": _spellings(
        "internal resistance|dcir|dc internal resistance"
    ),
    "pressure_pa": _spellings("pressure|ambient pressure"),
    "frequency_hz": _spellings("freq|frequency|f"),
    "z_re_ohm": _spellings("re(z)|z re|zre|z real|zreal|z'"),
    "minus_z_im_ohm": _spellings(
        "im(z)|z im|zim|zimg|z img|zimag|z imag|z''|z imaginary"
    ),
    "date_time": _spellings(
        "date time|datetime|dpt time|dpttime|dp time|real time|realtime|date|"
        "date and time|timestamp|absolute time|absolutetime|date time iso string|"
        "systime|sys time|abs time|time stamp|date stamp|datestamp|"
        "datum|zeitstempel|datum uhrzeit|绝对时间|系统时间"
    ),
    "state": _spellings(
        "state|md|mode|status|step type|step name|steptype|work mode|"
        "workmode|step state|record type|zustand|工作模式|工步类型|状态"
    ),
    "unit_id": _spellings("cell id|barcode|serial number|cell barcode"),
}
"""Spellings of column names by quantity."""
