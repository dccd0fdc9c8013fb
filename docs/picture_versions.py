"""Pictures that have versions for the dark theme, and for narrow pages such as those of a phone.

A page names ``NAME-light.EXT``. The file ``NAME-dark.EXT`` is shown in its place in the dark theme. If there is
a ``NAME-narrow-light.EXT``, it and its dark version are shown on narrow pages. A notebook holds one picture,
inside of it; ``NOTEBOOKS`` names the file that stands for it here.
"""

from __future__ import annotations

import pathlib

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

NOTEBOOKS = {"package_search": "../examples/package_search/pictures/map-light.png"}


class PictureVersions(SphinxPostTransform):
    """Puts the other versions behind a picture; the style sheet shows one of them (``static/concord.css``)."""

    default_priority = 20  # behind the choice of what a notebook shows

    def run(self, **kwargs: object) -> None:
        """Look at every picture of the document."""
        for picture in list(self.document.findall(nodes.image)):
            named = NOTEBOOKS.get(self.env.docname, picture["uri"])
            if "-light." in named:
                self._replace(picture, named)

    def _replace(self, picture: nodes.image, named: str) -> None:
        """Raises FileNotFoundError where the dark version is missing."""
        narrow = named.replace("-light.", "-narrow-light.")
        widths = {"": named}
        if self._exists(narrow):
            widths = {"on-wide-pages": named, "on-narrow-pages": narrow}
        versions = []
        for width, light in widths.items():
            for theme in ("light", "dark"):
                uri = light.replace("-light.", f"-{theme}.")
                if not self._exists(uri):
                    raise FileNotFoundError(f"{self.env.docname}: {uri}")
                version = picture.deepcopy()
                version["uri"], version["candidates"] = uri, {"*": uri}
                version["classes"] = [*picture["classes"], f"only-{theme}", *width.split()]
                self.env.images.add_file(self.env.docname, uri)
                versions.append(version)
        picture.replace_self(versions)

    def _exists(self, uri: str) -> bool:
        return pathlib.Path(self.env.srcdir, uri).exists()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the transform."""
    app.add_post_transform(PictureVersions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
