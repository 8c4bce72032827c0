"""Configuration of the documentation, built with `make docs`."""

import os
import pkgutil
import re
import sys
from pathlib import Path

from sphinx.errors import ConfigError
from sphinx.ext.napoleon import GoogleDocstring

import otlmc

project = "otlmc"
author = "The otlmc developers"
copyright = "2026, the otlmc developers"
version = release = otlmc.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx-mathjax-offline",
    "sphinx_proof",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_build", "_templates", "jupyter_execute", "gallery/*.ipynb", "gallery/*.py"]

# Pages are MyST Markdown; those with a kernel in their front matter are executed at every build.
myst_enable_extensions = [
    "amsmath",
    "attrs_inline",
    "colon_fence",
    "deflist",
    "dollarmath",
    "substitution",
]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
# Pages of results import docs/pages.py.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
)
# The shell blocks of the tutorials call the programs of this environment.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
# Text that a cell displays as Markdown may use directives: see otlmc.derivations.render.
nb_render_markdown_format = "myst"

# The gallery is written from the programs in examples/, all of which run at every build.
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": "",
    "abort_on_example_error": True,
    "capture_repr": (),
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

# One page per public module, listed by topic in api/index.md; a package shows its public names.
MODULES = [m for m in pkgutil.iter_modules(otlmc.__path__, "otlmc.") if "._" not in m.name]
listed = set(
    re.findall(
        r"^ +(otlmc\.\w+)$", (Path(__file__).parent / "api/index.md").read_text(), re.MULTILINE
    )
)
if unlisted := {m.name for m in MODULES} - listed:
    raise ConfigError(f"docs/api/index.md does not list {', '.join(sorted(unlisted))}")
templates_path = ["_templates"]
autosummary_context = {"packages": [m.name for m in MODULES if m.ispkg]}

# Docstrings follow NumPy's sections; they name the types, so signatures need not.
# What a package passes on of another library is documented there.
autodoc_default_options = {"members": True, "exclude-members": "Axes, Figure"}
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_param = False
napoleon_use_rtype = False
# The docstring of an attribute is prose: what stands before a colon is not its type.
GoogleDocstring._consume_inline_attribute = lambda self: ("", self._consume_to_end())
add_module_names = False
toc_object_entries_show_parents = "hide"

# Every reference into otlmc must resolve; the build looks nothing up elsewhere.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!otlmc).*")]

bibtex_bibfiles = ["../otlmc/references.bib"]
bibtex_default_style = "alpha"
bibtex_reference_style = "author_year"

html_theme = "furo"
html_title = "otlmc"
html_static_path = ["_static"]
html_css_files = ["otlmc.css"]
html_js_files = ["tables.js"]
html_copy_source = False
html_show_sourcelink = False
proof_minimal_theme = True


def setup(app):
    """Keep aliases of builtin types out of the list of modules that have a page of source."""
    app.connect("env-updated", drop_builtins)


def drop_builtins(app, env):
    env._viewcode_modules.pop("builtins", None)
