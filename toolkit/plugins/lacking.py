"""What to do where a plugin needs what is not there: a module, or a GPU."""

from __future__ import annotations

import shlex
from importlib.metadata import PackageNotFoundError, distribution, entry_points, requires

from toolkit.gpu import absent
from toolkit.plugins import GROUP


def lacking(name: str, error: BaseException) -> str | None:
    """`pip install REQUIREMENT` for what the distribution `name` says that it needs, if `error` is that a module is
    missing; what to do if it is that there is no GPU; None for other errors.

    A module is that of the requirement of the same name, else of the first one that is not installed.
    """
    if (cure := absent.cure(error)) or not isinstance(error, ModuleNotFoundError) or not error.name:
        return cure
    if any(_top(entry.module) == _top(error.name) for entry in entry_points(group=GROUP)):
        return f"{error.name} belongs to a plugin: is its name right, and does the wheel contain all files?"
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    module = _top(error.name)
    try:
        said = [Requirement(text) for text in requires(name) or ()]
    except PackageNotFoundError:
        return None
    wanted = [one for one in said if one.marker is None or one.marker.evaluate({"extra": ""})]
    same = [one for one in wanted if canonicalize_name(one.name) == canonicalize_name(module)]
    for one in (*same, *(one for one in wanted if not _installed(one.name))):
        return f"pip install {shlex.quote(one.name + str(one.specifier))}"
    return f"pip install {module}, or what has this module: {name} does not say that it needs it"


def lacking_in(module: str, error: BaseException) -> str | None:
    """`lacking` of the distribution that has the plugin to which `module` belongs."""
    for entry in entry_points(group=GROUP):
        if entry.dist is not None and _top(entry.module) == _top(module):
            return lacking(entry.dist.name, error)
    return absent.cure(error)


def _top(module: str) -> str:
    return module.partition(".")[0]


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
