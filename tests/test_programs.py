"""Every program of simulations and validation, found by looking: the same command line for all."""

import ast
import dataclasses
import importlib
import itertools
import pkgutil
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import simulations
import validation
from otlmc import cli
from otlmc.data import DataError
from validation.report import collect

COMMON = {"preset", "seed", "jobs", "scheduler", "out", "resume"}
REPORTS = {"validation.report", "validation.all"}
"""They compute nothing of their own: they read tables, or call the other programs."""


def guarded(path: Path) -> bool:
    """Whether the file ends in a block that runs it as a program."""
    last = ast.parse(path.read_text(encoding="utf-8")).body[-1]
    return isinstance(last, ast.If) and ast.unparse(last.test) == "__name__ == '__main__'"


def find() -> dict[str, Path]:
    """Return the programs by the name that ``python -m`` takes, each with its file."""
    found = {}
    for package in (simulations, validation):
        for module in pkgutil.iter_modules(package.__path__):
            home = Path(package.__path__[0]) / module.name
            path = home / "__main__.py" if module.ispkg else home.with_suffix(".py")
            if path.exists() and guarded(path):
                found[f"{package.__name__}.{module.name}"] = path
    return found


PROGRAMS = find()
JOBS = sorted(PROGRAMS.keys() - REPORTS)


def program(name: str):
    """Return ``main`` of a program, and the options that it passes to :func:`cli.run`."""
    suffix = ".__main__" if PROGRAMS[name].name == "__main__.py" else ""
    module = importlib.import_module(name + suffix)
    call = ast.parse(PROGRAMS[name].read_text(encoding="utf-8")).body[-1].body[0].value
    assert ast.unparse(call.func) == "cli.run"
    main, options = (eval(ast.unparse(argument), vars(module)) for argument in call.args)
    return main, options


def parse(name, *args):
    """Return the options that a program would run with."""
    main, options = program(name)
    received = []

    def record(chosen):
        received.append(chosen)

    record.__doc__ = main.__doc__
    cli.run(record, options, args=args)
    return received[0]


def test_the_programs_are_found():
    assert {"simulations.support_dimension", "validation.strong", "validation.report"} <= set(
        PROGRAMS
    )


@pytest.mark.parametrize("name", JOBS)
def test_the_common_options_are_there_and_typed(name):
    _, options = program(name)
    assert issubclass(options, cli.Options)
    fields = {field.name for field in dataclasses.fields(options)}
    assert fields >= COMMON
    # Who reads data takes it from the common option, who runs networks takes the device.
    assert ("dataset" in fields) == issubclass(options, cli.DataOptions)
    assert ("device" in fields) == issubclass(options, cli.DeviceOptions)
    assert parse(name) == options()
    args = ("--preset", "full", "--seed", "3", "--jobs", "2", "--out", "x", "--resume")
    chosen = parse(name, *args, "--scheduler", "tcp://127.0.0.1:1")
    expected = options(
        preset="full",
        seed=3,
        jobs=2,
        out=Path("x"),
        resume=True,
        scheduler="tcp://127.0.0.1:1",
    )
    assert chosen == expected


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_help_says_what_every_option_is(name, capsys):
    main, options = program(name)
    assert main.__doc__ and main.__doc__.strip()
    with pytest.raises(SystemExit) as ended:
        parse(name, "--help")
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert " ".join(main.__doc__.split()) in shown
    source = {line for cls in options.__mro__ for line in documented(cls)}
    for field in dataclasses.fields(options):
        assert f"--{field.name.replace('_', '-')}" in shown
        assert field.name in source, f"{name}: --{field.name} has no docstring"


def documented(cls: type) -> set[str]:
    """Return the fields of a dataclass that a docstring follows."""
    if cls is object:
        return set()
    path = Path(sys.modules[cls.__module__].__file__ or "")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    [body] = [
        n.body for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == cls.__name__
    ]
    return {
        field.target.id
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


BAD = [
    ("--seed", "-1"),
    ("--seed", "one"),
    ("--jobs", "0"),
    ("--preset", "slow"),
    ("--scheduler", "localhost"),
    ("--out", __file__),
    ("--out", "x" * 5000),
    ("--dataset", "imagenet"),
    ("--data-dir", "no/such/folder"),
    ("--device", "abacus"),
    ("--unheard-of", "1"),
]


@pytest.mark.parametrize("name", JOBS)
def test_bad_values_end_with_a_message(name, capsys):
    _, options = program(name)
    known = {field.name for field in dataclasses.fields(options)}
    for option, value in BAD:
        with pytest.raises(SystemExit) as ended:
            parse(name, option, value)
        assert ended.value.code in (1, 2)
        output = capsys.readouterr()
        assert not output.out
        assert "Traceback" not in output.err
        if option[2:].replace("-", "_") in known:
            assert option in output.err or "File name too long" in output.err


WORDS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["", "-", "--", "None", "True", "cuda:-1", "tcp://", "/dev/null", "[]", "{}"]),
)


@settings(max_examples=60, deadline=None)
@given(draw=st.data())
@example(None)
def test_any_command_line_is_taken_or_refused(tmp_path_factory, draw):
    """No mixture of options and words ends in anything but options or an exit code."""
    name = "simulations.two_sample" if draw is None else draw.draw(st.sampled_from(JOBS))
    _, options = program(name)
    names = [f"--{field.name.replace('_', '-')}" for field in dataclasses.fields(options)]
    words = st.lists(st.sampled_from(names) | WORDS, max_size=4)
    args = ["--jobs"] if draw is None else draw.draw(words)
    try:
        chosen = parse(name, *args)
    except SystemExit as ended:
        assert ended.code in (0, 1, 2)
    else:
        assert isinstance(chosen, options)


@pytest.mark.parametrize("name", JOBS)
def test_missing_data_are_said_before_anything_is_computed(name, tmp_path, capsys):
    main, options = program(name)
    if "mnist" not in get_args(get_type_hints(options).get("dataset")):
        pytest.skip("it reads no files of data")
    (tmp_path / "data").mkdir()
    args = ["--data-dir", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        cli.run(main, options, args=["--dataset", "mnist", *args])
    assert ended.value.code == 2
    assert "train-images-idx3-ubyte[.gz] is not in" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_report_of_nothing_shows_no_traceback(tmp_path, capsys):
    main, options = program("validation.report")
    with pytest.raises(SystemExit) as ended:
        cli.run(main, options, args=["--results", str(tmp_path)])
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("error: `results`: no table in")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"a,b\n1\n1,2,3\n", b"quantity\nx\n"])
def test_a_damaged_table_is_named(tmp_path, content):
    path = tmp_path / "strong" / "digits" / "table.csv"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"table\.csv is no table of strong"):
        collect(tmp_path)
