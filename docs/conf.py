"""Settings of the site; ``docs/build.sh`` builds it, and a warning fails the build."""

import pathlib
import sys

import concord

sys.path.insert(0, str(pathlib.Path(__file__).parent))

project = "Concord"
author = "the Concord authors"
copyright = "the Concord authors"
version = release = concord.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "side_by_side"]
exclude_patterns = ["tests"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(npt|np|numpy|array|typing|os|collections)\..*"),  # not indexed here
    ("py:.*", r"concord\.(_concord|index)\..*"),  # aliases of types
    (
        "py:class",
        r"(Any|Callable|Iterator|IO|Path|Progress|Vectors|Answers|Adopt|SupportsIndex|ClassVar)",
    ),
]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"Concord {version}"
html_static_path = ["static"]
html_css_files = ["concord.css"]
html_copy_source = False
