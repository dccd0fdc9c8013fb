"""Settings of the site; ``docs/build.sh`` builds it, and a warning fails the build."""

import pathlib
import re
import sys

import concord
import tomllib
from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

DOCS = pathlib.Path(__file__).parent
sys.path.insert(0, str(DOCS))

project = "Concord"
author = "the Concord authors"
copyright = "the Concord authors"
version = release = concord.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "side_by_side",
    "picture_versions",
]
exclude_patterns = ["tests", "figures"]  # tables of figures are included in a page
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(npt|np|numpy|scipy|array|typing|os|collections)\..*"),  # not indexed here
    ("py:class", r"(datasets|haystack|langchain_core|llama_index|fsspec|txtai)\..*"),  # mocked
    ("py:class", r"BaseNode|MetadataFilters"),  # of llama_index
    ("py:.*", r"concord\.(_concord|index)\..*"),  # aliases of types
    (
        "py:class",
        r"(Any|Embeddings|Callable|Iterator|IO|Path|Progress|Vectors|Labels|RangeAnswers|Out|Codes|Device|Durability|Metric|Storage|Adopt|ArrayLike|Document|SupportsIndex|ClassVar|Unpack|Filters|FilterPolicy|SearchOptions|StoreOptions|csr_matrix)",
    ),
]

# Included pages have links from the repository's root; tests/test_pages.py checks the links of all pages.
# Fields may have the name of a type of Python, as `bytes` has.
suppress_warnings = ["myst.xref_missing", "ref.python"]

# Documented without being installed.
autodoc_mock_imports = [
    "datasets",
    "fsspec",
    "haystack",
    "langchain_core",
    "llama_index",
    "ray",
    "starlette",
    "txtai",
]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_type_aliases = {
    name: name
    for name in (
        "Adopt",
        "Codes",
        "Device",
        "Durability",
        "Labels",
        "Metric",
        "Out",
        "Path",
        "Progress",
        "Storage",
        "Vectors",
        "npt.ArrayLike",
    )
}
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # notebooks are shown as they were stored

html_theme = "furo"
html_title = f"Concord {version}"
html_static_path = ["static"]
html_css_files = ["concord.css"]
html_favicon = "static/favicon.svg"
html_copy_source = False

# The address of the repository stands in the package alone; the wheel shows the same.
package = tomllib.loads((DOCS.parent / "python" / "pyproject.toml").read_text())
repository = package["project"].get("urls", {}).get("Repository", "")
html_context = {"repository": repository}
templates_path = ["templates"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/repository.html",
        "sidebar/scroll-end.html",
    ]
}
html_theme_options = {
    "source_repository": repository,
    "source_branch": "main",
    "source_directory": "docs/",
}

# A copied example has neither prompts nor what it prints.
copybutton_exclude = ".linenos, .gp, .go"


def resolve_by_last_name(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contents: nodes.TextElement
) -> nodes.Node | None:
    """Docstrings name things as their module does: find what alone has that name here."""
    if node.get("refdomain") != "py":
        return None
    python = env.domains["py"]
    names = [name for name in python.objects if f".{name}".endswith(f".{node['reftarget']}")]
    # The package comes before its modules.
    least = min((name.count(".") for name in names), default=0)
    names = [name for name in names if name.count(".") == least]
    if len(names) != 1:
        return None
    return python.resolve_xref(
        env, node["refdoc"], app.builder, node["reftype"], names[0], node, contents
    )


def name_aliases(
    app: Sphinx, what: str, name: str, thing: object, options: object, signature: str, returns: str
) -> tuple[str | None, str | None]:
    """Shows the names of type aliases also where they are part of a union."""
    short = [
        text and re.sub(r"TypeAliasForwardRef\('(?:npt\.)?(\w+)'\)", r"\1", text)
        for text in (signature, returns)
    ]
    return short[0], short[1]


def trim_blocks(app: Sphinx, document: nodes.document) -> None:
    """An example ends with an empty line for doctest, which a page does not show."""
    for block in document.findall(nodes.literal_block):
        if block.rawsource == block.astext():
            block.rawsource = block.astext().rstrip()
            block[:] = [nodes.Text(block.rawsource)]


def setup(app: Sphinx) -> None:
    """Register the handlers."""
    app.connect("doctree-read", trim_blocks)
    app.connect("autodoc-process-signature", name_aliases)
    app.connect("missing-reference", resolve_by_last_name)
