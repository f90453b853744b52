"""Writes what the benchmarks measured into docs/performance.md, and draws its pictures.

    python -m bench.report

Between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->` the page has what the last run of that
benchmark gave; blocks whose benchmark has not been run stay as they are.
"""

import re

from bench import routes, s3_calls, soak, start
from bench.results import ROOT, kept
from bench.serving import report as serving
from bench.serving import triton_alone, workers

_PAGE = ROOT / "docs" / "performance.md"
_IMAGES = ROOT / "docs" / "images"
_TABLES = {
    "serving": serving.markdown,
    "workers": workers.markdown,
    "triton_alone": triton_alone.markdown,
    "routes": routes.markdown,
    "s3_calls": s3_calls.markdown,
    "start": start.markdown,
    "soak": soak.markdown,
}
_PICTURES = {"serving": serving.draw, "soak": soak.draw}


def filled(page: str, name: str, text: str) -> str:
    """The page with the text in the block of that name.

    Raises
    ------
    ValueError
        The page has no such block, or more than one.
    """
    block = re.compile(rf"(<!-- bench:{name} -->\n).*?(<!-- /bench:{name} -->)", re.DOTALL)
    page, count = block.subn(lambda found: f"{found[1]}\n{text}\n\n{found[2]}", page)
    if count != 1:
        raise ValueError(f"{count} blocks named {name}")
    return page


def main() -> None:
    """Fill the blocks and draw the pictures of all that was measured."""
    page = _PAGE.read_text()
    for name, markdown in _TABLES.items():
        if document := kept(name):
            text = f"{markdown(document['measured'])}\n\n*{document['machine']}*"
            page = filled(page, name, text)
            if draw := _PICTURES.get(name):
                draw(document["measured"], _IMAGES / f"{name}.svg")
            print(f"{name}: {document['machine']}")
    _PAGE.write_text(page)


if __name__ == "__main__":
    main()
