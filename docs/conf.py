"""How `make docs` builds the documentation: Sphinx, pages in Markdown (MyST). Needs no network."""

from __future__ import annotations

from deqc.version import __version__

project = "deqc"
author = "the deqc authors"
project_copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinxcontrib.mermaid"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
myst_fence_as_directive = ["mermaid"]
myst_enable_extensions = ["deflist"]

nitpicky = True
nitpick_ignore = [  # described elsewhere, and no inventory of theirs is fetched
    ("py:class", "nn.Module"),
    ("py:class", "os.PathLike"),
    ("py:class", "PathOrText"),
    ("py:class", "Constants"),
    ("py:class", "collections.abc.Iterable"),
]
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"deqc {release}"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["deqc.css"]
