"""The table of keys is the only place that spells them, and tells who writes them."""

import ast
from collections.abc import Iterator
from pathlib import Path

from gateway.storage import layout
from gateway.storage.layout import PLACES, STORE

GATEWAY = Path(layout.__file__).parents[1]


def spelt(module: Path) -> Iterator[str]:
    """Yield the texts of a module that are part of its code."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_keys_stay_where_gateways_of_other_versions_look_for_them():
    assert [place.prefix for place in PLACES] == [
        *("results/", "instances/", "work/submissions/", "work/readings/", "work/callbacks/"),
        *("work/deliveries/", "work/completion/", "work/roll-backs/", "work/canaries/"),
        *("work/quotas/", "work/commitments/", "work/asked/"),
        *("parked/", "pairing/waiting/", "pairing/bindings/", "index/"),
        *("work/deletions/", "work/withdrawals/", "deleted/", "acceptances/"),
        "routing/",
        *("monitoring/minutes/", "monitoring/models/", "audit/", "images/"),
    ]


def test_no_place_lies_in_another():
    for place in PLACES:
        assert place.prefix.endswith("/")
        assert not [other for other in PLACES if other.prefix.startswith(place.prefix)][1:]


def test_every_writer_is_a_package_of_the_gateway():
    for place in PLACES:
        assert place.writer is None or (GATEWAY / place.writer / "__init__.py").is_file()


def test_no_other_module_spells_a_prefix_of_the_store():
    spellings = {
        (str(module.relative_to(GATEWAY)), text)
        for module in GATEWAY.rglob("*.py")
        for text in spelt(module)
        if text.startswith(STORE) and "*" not in text and module != Path(layout.__file__)
    }
    assert spellings == set()
