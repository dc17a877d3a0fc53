"""What to install where a plugin needs what is not there."""

from __future__ import annotations

import shlex
from importlib.metadata import PackageNotFoundError, distribution, requires


def lacking(name: str, error: BaseException) -> str | None:
    """`pip install REQUIREMENT` for what the distribution `name` says that it needs, if `error` is that a module is
    missing; None for other errors.

    A module is that of the requirement of the same name, else of the first one that is not installed.
    """
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    module = error.name.partition(".")[0]
    try:
        said = [Requirement(text) for text in requires(name) or ()]
    except PackageNotFoundError:
        return None
    wanted = [one for one in said if one.marker is None or one.marker.evaluate({"extra": ""})]
    same = [one for one in wanted if canonicalize_name(one.name) == canonicalize_name(module)]
    for one in (*same, *(one for one in wanted if not _installed(one.name))):
        return f"pip install {shlex.quote(one.name + str(one.specifier))}"
    return f"pip install {module}, or what has this module: {name} does not say that it needs it"


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True
