"""What a result rests on: the papers with their statements, and the proofs of this package.

A paper stands once, in ``references.bib`` beside this module, from which the documentation takes
its bibliography too. Where a paper enters is said once as well: in the section *References* of the
function or class that uses it, or in the ``reference`` of a bound. :func:`cite` reads both.
"""

import dataclasses
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.resources import files
from typing import Any

from otlmc.results import Record

# What is documented by another object than its class: by the type of a result ...
_MAKERS = {
    "Certificate": "certificate:certify",
    "FeatureReport": "connectivity:features",
    "JointMatching": "matching:match_all",
    "PathReport": "connectivity:path",
    "PathsReport": "connectivity:path",
    "PlaneReport": "connectivity:plane",
    "SimplexReport": "connectivity:simplex",
    "Transport": "wasserstein:distance",
    "WidthPrediction": "prediction:predict_widths",
}
# ... and by the name of a bound's method; matchings have a table of their own.
_BOUNDS = {
    "cap": "bounds.cap:cap_bound",
    "covariance matching": "bounds:DeepReLU",
    "density": "bounds.nearest:density_bound",
    "first layer": "bounds:DeepReLU",
    "k-d tree": "bounds.partition:partition_bound",
    "kink": "bounds.kink:kinked_deviation",
    "lipschitz": "bounds:TwoLayer",
    "mean": "bounds.nearest:mean_bound",
    "nearest neighbour": "bounds.nearest:nearest_neighbour_bound",
    "partition": "bounds.partition:partition_bound",
    "preactivation matching": "bounds:DeepReLU",
    "rank": "bounds.rank:rank_bound",
    "rate-distortion": "bounds.rate_distortion:rate_distortion",
    "smoothness": "bounds:TwoLayer",
    "sorting": "bounds.rank:sorting_cost",
}


@dataclass(frozen=True)
class Reference:
    """A source and the place in it.

    Attributes
    ----------
    key : str
        Key of the entry of ``references.bib``; ``"otlmc"`` for a proof of this package.
    name : str
        Authors and year, as one writes them.
    where : str
        Theorem, section or figure, or the page of the proof; empty for the whole.
    """

    key: str
    name: str
    where: str

    def __str__(self) -> str:
        """Print in one line."""
        return f"{self.name}: {self.where}" if self.where else self.name


@dataclass(frozen=True, kw_only=True)
class Citation(Record):
    """The references of a result; it prints as a list, with BibTeX below.

    Attributes
    ----------
    references : tuple of Reference
        The papers in the order in which they enter, and this package last.
    """

    references: tuple[Reference, ...]

    @property
    def bibtex(self) -> str:
        """The entries of all references, each once."""
        entries = _entries()
        keys = dict.fromkeys(reference.key for reference in self.references)
        return "\n\n".join(entries[key].text for key in keys)

    def __str__(self) -> str:
        """Print the list and the entries."""
        return "\n".join([*map(str, self.references), "", self.bibtex])


def cite(result: object) -> Citation:
    """Return what a result rests on: papers with theorem numbers, and proofs of this package.

    Parameters
    ----------
    result : Record or network of ``otlmc.bounds``
        Anything that this package returns: a bound, a width, a matching, a report, a certificate.

    Returns
    -------
    Citation
        ``print`` it for a list with BibTeX.

    Raises
    ------
    TypeError
        If the object is no result of this package.

    Examples
    --------
    >>> from otlmc import bounds, laws
    >>> network = bounds.TwoLayer(laws.Gaussian(dim=2), lipschitz=1.0)
    >>> for reference in cite(bounds.min_width(network, tolerance=0.1)).references:
    ...     print(reference)
    Ferbach et al. (2024): section 3
    otlmc: docs/derivations/two_layer
    """
    if not isinstance(result, Record) and not isinstance(getattr(result, "reference", None), str):
        raise TypeError(f"`result` must be a result of otlmc, got {type(result).__name__}")
    found = [reference for text in _texts(result) for reference in _parse(text)]
    papers = [reference for reference in found if reference.key != "otlmc"]
    proofs = [reference for reference in found if reference.key == "otlmc"]
    own = proofs or [Reference("otlmc", "otlmc", "")]
    return Citation(references=tuple(dict.fromkeys([*papers, *own])))


def _texts(result: object) -> Iterator[str]:
    """Yield what is written about a result, about what made it and about what it holds."""
    yield from _written(result)
    if maker := _MAKERS.get(type(result).__name__):
        yield from _written(_load(maker))
    if not isinstance(result, Record):
        return
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if field.name == "statement":
            yield value
        elif field.name in ("method", "permutation", "space") and isinstance(value, str):
            yield from _written(_method(value))
        elif field.name == "recalibrate" and value == "repair":
            yield from _written(_load("connectivity.recalibration:recalibrate"))
        for inner in value if isinstance(value, tuple) else (value,):
            if isinstance(inner, Record):
                yield from _texts(inner)


def _written(thing: object) -> Iterator[str]:
    """Yield the reference of an object, and the part of its docstring that names sources."""
    if isinstance(reference := getattr(thing, "reference", None), str):
        yield reference
    text = inspect.getdoc(thing) or ""
    section = re.search(r"^References\n-+\n(.*?)(?:\n\s*\n|\Z)", text, re.DOTALL | re.MULTILINE)
    yield section[1] if section else ""
    yield from re.findall(r"Proof:\s+``(docs/derivations/\w+)``", text)


def _method(name: str) -> object:
    """Return what is documented under the name of a method, ``None`` if nothing is."""
    if name in _BOUNDS:
        return _load(_BOUNDS[name])
    return _load("matching.pairwise:METHODS").get(name)


def _load(place: str) -> Any:
    module, name = place.split(":")
    return getattr(import_module(f"otlmc.{module}"), name)


def _parse(text: str) -> list[Reference]:
    """Return the references that a text names, each with what follows it up to a semicolon."""
    found = []
    for part in re.split(r";|\.(?: (?=[A-Z])|$)", " ".join(text.split())):
        if proof := re.search(r"docs/derivations/\w+", part):
            found.append(Reference("otlmc", "otlmc", proof[0]))
        for key, entry in _entries().items():
            if match := entry.named.search(part):
                where = part[match.end() :].strip(" ,")
                found.append(Reference(key, entry.name, where))
    return found


@dataclass(frozen=True)
class _Entry:
    """An entry of the bibliography: its text, how it is named, and a pattern for that."""

    text: str
    name: str
    named: re.Pattern[str]


@lru_cache
def _entries() -> dict[str, _Entry]:
    """Return the entries of ``references.bib`` by their keys."""
    source = files("otlmc").joinpath("references.bib").read_text(encoding="utf-8")
    texts = re.findall(r"^@.*?^\}", source, re.DOTALL | re.MULTILINE)
    return {re.findall(r"\{(.*),", text)[0]: _entry(text) for text in texts}


def _entry(text: str) -> _Entry:
    fields = dict(re.findall(r"^  (\w+) = \{(.*)\},$", text, re.MULTILINE))
    families = [author.split(",")[0].strip("{}") for author in fields["author"].split(" and ")]
    *first, last = families
    full = " and ".join([", ".join(first), last]) if first else last
    short = f"{families[0]} et al." if len(families) > 2 else full
    year = f" ({fields['year']})" if "year" in fields else ""
    # A sentence may end in "et al", whose full stop is its own then.
    either = f"(?:{re.escape(full)}|{re.escape(short).removesuffix('.')}.?)"
    return _Entry(text, short + year, re.compile(rf"\b{either}(?:{re.escape(year)})?"))
