"""UCUM units as far as clinical quantities need them: parse, reduce to base units, convert.

The Unified Code for Units of Measure (ucum.org), case-sensitive codes. Base units here: m, s, g, K, C, cd, rad.
An unknown code is not an error: such units compare only with themselves.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

_PREFIXES = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
    "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}  # fmt: skip

# Code → (factor, definition); a definition is itself a UCUM expression in units above it. Metric units take prefixes.
_METRIC: dict[str, tuple[str, str]] = {
    "m": ("1", ""), "s": ("1", ""), "g": ("1", ""), "K": ("1", ""), "C": ("1", ""), "cd": ("1", ""), "rad": ("1", ""),
    "mol": ("6.0221367e23", "1"), "sr": ("1", "rad2"), "Hz": ("1", "s-1"), "N": ("1000", "g.m.s-2"),
    "Pa": ("1000", "g.m-1.s-2"), "J": ("1000", "g.m2.s-2"), "W": ("1000", "g.m2.s-3"), "A": ("1", "C.s-1"),
    "V": ("1000", "g.m2.s-2.C-1"), "F": ("0.001", "g-1.m-2.s2.C2"), "Ohm": ("1000", "g.m2.s-1.C-2"),
    "S": ("0.001", "g-1.m-2.s.C2"), "Wb": ("1000", "g.m2.s-1.C-1"), "T": ("1000", "g.s-1.C-1"), "lm": ("1", "cd.sr"),
    "lx": ("1", "cd.sr.m-2"), "Bq": ("1", "s-1"), "Gy": ("1", "m2.s-2"), "Sv": ("1", "m2.s-2"),
    "L": ("0.001", "m3"), "l": ("0.001", "m3"), "t": ("1000000", "g"), "bar": ("100000000", "g.m-1.s-2"),
    "u": ("1.6605402e-24", "g"), "eV": ("1.60217733e-16", "g.m2.s-2"), "ar": ("100", "m2"), "cal": ("4184", "g.m2.s-2"),
    "m[H2O]": ("9806650", "g.m-1.s-2"), "m[Hg]": ("133322000", "g.m-1.s-2"), "eq": ("6.0221367e23", "1"),
    "osm": ("6.0221367e23", "1"), "kat": ("6.0221367e23", "s-1"), "U": ("10036894500000000", "s-1"),
    "[iU]": ("1", "[iU]"), "[IU]": ("1", "[iU]"), "g%": ("10000", "g.m-3"), "Ci": ("37000000000", "s-1"),
    "R": ("0.000000258", "C.g-1"), "RAD": ("0.01", "m2.s-2"), "REM": ("0.01", "m2.s-2"), "dyn": ("0.01", "g.m.s-2"),
    "erg": ("0.0001", "g.m2.s-2"), "P": ("100", "g.m-1.s-1"), "St": ("0.0001", "m2.s-1"),
}  # fmt: skip
_PLAIN: dict[str, tuple[str, str]] = {
    "%": ("0.01", "1"), "[ppth]": ("0.001", "1"), "[ppm]": ("0.000001", "1"), "[ppb]": ("1e-9", "1"),
    "[pi]": ("3.1415926535897932384626433832795", "1"), "deg": ("0.01745329251994329576923690768489", "rad"),
    "'": ("0.000290888208665721596153948461415", "rad"), "''": ("0.00000484813681109535993589914102358", "rad"),
    "min": ("60", "s"), "h": ("3600", "s"), "d": ("86400", "s"), "wk": ("604800", "s"), "a": ("31557600", "s"),
    "a_j": ("31557600", "s"), "a_t": ("31556925.216", "s"), "a_g": ("31556952", "s"), "mo": ("2629800", "s"),
    "mo_j": ("2629800", "s"), "mo_g": ("2629746", "s"), "mo_s": ("2551442.976", "s"),
    "[in_i]": ("0.0254", "m"), "[ft_i]": ("0.3048", "m"), "[yd_i]": ("0.9144", "m"), "[mi_i]": ("1609.344", "m"),
    "[nmi_i]": ("1852", "m"),
    "[in_us]": ("0.0254000508001016002032", "m"), "[ft_us]": ("0.3048006096012192024384", "m"),
    "[sin_i]": ("0.00064516", "m2"), "[sft_i]": ("0.09290304", "m2"), "[syd_i]": ("0.83612736", "m2"),
    "[cin_i]": ("0.000016387064", "m3"), "[cft_i]": ("0.028316846592", "m3"),
    "[lb_av]": ("453.59237", "g"), "[oz_av]": ("28.349523125", "g"), "[dr_av]": ("1.7718451953125", "g"),
    "[gr]": ("0.06479891", "g"), "[ston_av]": ("907184.74", "g"), "[stone_av]": ("6350.29318", "g"),
    "[lb_tr]": ("373.2417216", "g"), "[oz_tr]": ("31.1034768", "g"), "[lbf_av]": ("4448.2216152605", "g.m.s-2"),
    "[gal_us]": ("0.003785411784", "m3"), "[qt_us]": ("0.000946352946", "m3"), "[pt_us]": ("0.000473176473", "m3"),
    "[cup_us]": ("0.0002365882365", "m3"), "[foz_us]": ("0.0000295735295625", "m3"),
    "[tbs_us]": ("0.00001478676478125", "m3"), "[tsp_us]": ("0.00000492892159375", "m3"),
    "[cup_m]": ("0.00024", "m3"), "[foz_m]": ("0.00003", "m3"), "[tbs_m]": ("0.000015", "m3"),
    "[tsp_m]": ("0.000005", "m3"),
    "[drp]": ("5e-8", "m3"), "[psi]": ("6894757.293168361", "g.m-1.s-2"), "atm": ("101325000", "g.m-1.s-2"),
    "[in_i'Hg]": ("3386378.8", "g.m-1.s-2"), "[in_i'H2O]": ("249088.91", "g.m-1.s-2"), "[Cal]": ("4184000", "g.m2.s-2"),
    "[Btu]": ("1055055.85262", "g.m2.s-2"), "[HP]": ("745699.8715822702", "g.m2.s-3"),
    "[kn_i]": ("463/900", "m.s-1"),
    "[c]": ("299792458", "m.s-1"), "[g]": ("9.80665", "m.s-2"), "[Ch]": ("1/3000", "m"),
    "[degF]": ("5/9", "K"), "Cel": ("1", "K"),
}  # fmt: skip
# Scales with a zero of their own: kelvin at their zero.
_ZEROS = {"Cel": Fraction("273.15"), "[degF]": Fraction("459.67") * Fraction(5, 9)}
# Counted things that UCUM leaves arbitrary: comparable only with themselves.
_ARBITRARY = frozenset(
    {"[iU]", "[arb'U]", "[USP'U]", "[CFU]", "[PFU]", "[TCID_50]", "[hnsf'U]", "[beth'U]", "[anti'Xa'U]"}
)

Dimension = tuple[tuple[str, int], ...]
_MAX_CODE = 100


class Unit(NamedTuple):
    """A unit as a factor times powers of base units, plus `zero` for a scale with its own zero."""

    factor: Fraction
    dimension: Dimension
    zero: Fraction = Fraction(0)

    def times(self, other: Unit, power: int = 1) -> Unit:
        """The product with `other` to a power."""
        powers = dict(self.dimension)
        for base, exponent in other.dimension:
            powers[base] = powers.get(base, 0) + exponent * power
        dimension = tuple(sorted((base, exponent) for base, exponent in powers.items() if exponent))
        return Unit(self.factor * other.factor**power, dimension)

    def over(self, other: Unit) -> Unit:
        """The quotient."""
        return self.times(other, -1)

    def base_text(self) -> str:
        """The dimension as a UCUM code, `g.m-1`."""
        return ".".join(base + ("" if power == 1 else str(power)) for base, power in self.dimension)


_ONE = Unit(Fraction(1), ())


def parse(code: str) -> Unit | None:
    """The unit a UCUM code stands for, None when it is not known here."""
    return _parse(code) if code and len(code) <= _MAX_CODE else None


@lru_cache(maxsize=1024)
def _parse(code: str) -> Unit | None:
    result, rest, divide = _ONE, code, False
    if rest.startswith("/"):
        divide, rest = True, rest[1:]
    while True:
        component, separator, rest = _next_component(rest)
        unit = _component(component)
        if unit is None:
            return None
        if unit.zero and (separator or result is not _ONE or divide):
            return None
        result = unit if unit.zero else result.times(unit, -1 if divide else 1)
        if not separator:
            return result
        divide = separator == "/"


def _next_component(text: str) -> tuple[str, str, str]:
    """Up to the next `.` or `/` outside brackets, which is given back too."""
    depth = 0
    for position, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character in "./" and depth == 0:
            return text[:position], character, text[position + 1 :]
    return text, "", ""


def _component(text: str) -> Unit | None:
    if not text:
        return None
    text = re.sub(r"\{[^{}]*\}", "", text) or "1"
    if text.startswith("("):
        return parse(text[1:-1]) if text.endswith(")") else None
    if text.isdigit():
        return Unit(Fraction(text), ())
    if found := re.fullmatch(r"10[*^]([+-]?\d{1,2})", text):
        return Unit(Fraction(10) ** int(found.group(1)), ())
    found = re.fullmatch(r"(.*?[^\d+-])([+-]?\d)?", text)
    if found is None:
        return None
    atom = _atom(found.group(1))
    if atom is None or found.group(2) is None:
        return atom
    return None if atom.zero else _ONE.times(atom, int(found.group(2)))


def _atom(code: str) -> Unit | None:
    if code in _ARBITRARY:
        return Unit(Fraction(1), ((code, 1),))
    if code in _PLAIN:
        factor, definition = _PLAIN[code]
        return _defined(code, factor, definition)._replace(zero=_ZEROS.get(code, Fraction(0)))
    if code in _METRIC:
        return _defined(code, *_METRIC[code])
    for length in (2, 1):
        prefix, base = code[:length], code[length:]
        if prefix in _PREFIXES and base in _METRIC:
            unit = _defined(base, *_METRIC[base])
            return unit._replace(factor=unit.factor * Fraction(10) ** _PREFIXES[prefix])
    return None


def _defined(code: str, factor: str, definition: str) -> Unit:
    if not definition:
        return Unit(Fraction(1), ((code, 1),))
    base = Unit(Fraction(1), (("[iU]", 1),)) if definition == "[iU]" else parse(definition)
    if base is None:
        raise ValueError(f"unit table: {code} = {definition}")
    return base._replace(factor=base.factor * Fraction(factor))
