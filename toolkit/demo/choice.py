"""Which shipped model the demo shows, on which image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toolkit import io
from toolkit.demo.pictures import TISSUE, picture
from toolkit.errors import UsageError
from toolkit.plugins.card import Card
from toolkit.plugins.catalogue import Catalogue
from toolkit.registry.choose import choose


@dataclass(frozen=True)
class Shown:
    """A model, `plugin:name`, the file of an image, and the changes with which it runs there."""

    model: str
    image: Path
    changes: tuple[str, ...]


def shown(catalogue: Catalogue, plugin: str | None, drawn: Path) -> Shown:
    """What this plugin's models say that they show; without a plugin, what the model that suits the tissue best shows.

    An image that has to be made is written to the file `drawn`. Raises `UsageError` if the plugin ships no model.
    """
    if plugin is not None:
        owner = catalogue.plugin(plugin).name
        recipes = catalogue.use(plugin).items["recipes"].values()
        cards = {path: Card.beside(path) for path in recipes if path.with_suffix(".safetensors").is_file()}
        if not cards:
            raise UsageError("this method ships no trained model", plugin, "see seg models list")
        for path, card in cards.items():
            if card.demo is not None:
                image = picture(card.demo.picture, path.parent, drawn)
                return Shown(f"{owner}:{path.stem}", image, card.demo.changes)
    tissue = picture(TISSUE, Path(), drawn)
    best = choose(io.read(tissue), catalogue, plugin)[0]
    demo = Card.beside(best.path).demo
    if demo is not None and plugin is None:
        return Shown(best.name, picture(demo.picture, best.path.parent, drawn), demo.changes)
    return Shown(best.name, tissue, best.changes)
