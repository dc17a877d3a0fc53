"""Every call in the source that removes, replaces or writes over something, and why no file of a user is lost by it."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SAFE = {
    # what makes whole files and folders
    "whole.file: replace": "over the file that the caller names; links, folders, devices were refused",
    "whole.file: unlink": "the draft, whose random name was created with O_EXCL",
    "whole.folder: rename": "a folder's rename replaces nothing but an empty folder",
    "whole.folder: rmtree": "the draft, whose random name mkdir has just made",
    "whole.text: write_text": "the draft that `file` made",
    "whole.prune: unlink": "regular files with the names of drafts, in a folder that is held",
    # the lock
    "lock.held: unlink": "the lock that this process holds: same inode; what was no lock was refused",
    "lock.held: ftruncate": "the lock that this process holds; what is no number and what is a link was refused",
    # a run
    "workspace.Workspace.forget: rmtree": "inside the marked folder, under a digest; rmtree follows no links",
    "journal.Journal.add: open": "appends to a journal in a marked folder; what led out of it by a link was removed; "
    "or to that of corrections: links, and what does not begin as one, were refused",
    "journal.Journal.mend: truncate": "a journal in a marked folder; what led out of it by a link was removed; "
    "or that of corrections: links, and what does not begin as one, were refused",
    "shelf.Shelf.tidy: unlink": "inside the marked folder; what led out of it by a link was removed before",
    "workspace.Workspace.publish: rename ×3": "the output, all of which a run wrote, steps into the work folder or "
    "back; the result's rename replaces nothing but an empty folder",
    "workspace.Workspace.publish: rmtree": "inside the marked folder; rmtree follows no links",
    "workspace.Workspace.publish: unlink": "the journal in the marked folder, once the result has its name",
    "workspace._tidy: unlink": "mark and lock of the marked folder",
    "workspace._tidy: rmdir": "only an empty folder",
    "workspace._restore: rename": "to a name where nothing is, not even a broken link",
    "workspace._clear: rename": "to a random name inside the marked folder",
    "swept.prune: unlink": "inside the marked folder; a link goes, not what it points to",
    "swept.prune: rmtree": "inside the marked folder; rmtree follows no links",
    "scratch._remove: rmtree": "a marked folder of an output's own name, which is held; rmtree follows no links",
    "trespass.marked: write_bytes": "the mark, in a folder that held nothing but a lock and the beginning of a mark",
    # what the network said of an image
    "arrays.write: write_bytes": "the draft that `whole.file` made",
    # results of one image
    "output._publish: replace ×2": "over an older result: links, and Zarrs without our objects, were refused",
    "overlay.write_overlay: write_bytes": "called with a path in a scratch folder",
    "zarrlabels._put: write_bytes": "called with a path in a scratch folder",
    "table.write_csv: open": "called with a path in a scratch folder",
    "geojson.write_geojson: open": "the draft that `whole.file` made",
    # a training
    "log.Log._write: open": "the draft that `whole.file` made",
    "log.Log.add: open": "appends to the log that this training has begun",
    "run.Run.tried: replace": "weights of this training: a folder with those of another is refused, links too",
    "run.Run.tried: unlink": "now.safetensors, which this training wrote",
    # tuning
    "kept.save: copyfile": "into the new folder that `whole.folder` made",
    "kept.save: write_text ×2": "into the new folder that `whole.folder` made",
    # a repaired data set
    "repair.repair: write_text": "into the new folder that `whole.folder` made",
    "repair._copy: copytree": "into the new folder that `whole.folder` made; fails where something is",
    "repair._copy: copyfile": "into the new folder that `whole.folder` made",
    "repair._describe: copyfile": "into the new folder that `whole.folder` made",
    "repair._describe: open": "into the new folder that `whole.folder` made",
    "repair._describe: write_text": "into the new folder that `whole.folder` made",
    # a sparse data set
    "sparsify.sparsify: write_text": "into the new folder that `whole.folder` made",
    "sparsify._copy: copytree": "into the new folder that `whole.folder` made; fails where something is",
    "sparsify._copy: copyfile": "into the new folder that `whole.folder` made",
    "sparsify._describe: copyfile": "into the new folder that `whole.folder` made",
    "sparsify._describe: write_text ×2": "into the new folder that `whole.folder` made",
    # corrections
    "writer.save: open": "the draft that `whole.file` made; what it replaces a person opened, edited and saves",
    "dataset._text: write_text": "into the new folder that `whole.folder` made",
    "dataset.build: open": "into the new folder that `whole.folder` made",
    # commands
    "pictures._filaments: write_bytes": "the draft that `whole.file` made; another image of that name was refused",
    "spreadsheet._write: open": "the draft that `whole.file` made; a table that is none of an evaluation was refused",
    "streams.prepare: open": "the device that takes everything",
    # the registry
    "export._publish: write_bytes": "the draft that `whole.file` made; what exists needs --overwrite",
    "package.save: write_bytes": "the draft that `whole.file` made",
    "checkpoint.write: write_bytes": "the draft that `whole.file` made",
    "beside.beside: write_text ×2": "into the temporary folder of an export",
    "write._architecture: write_text": "into the temporary folder of an export",
    "to_onnx.to_onnx: unlink": "in the temporary folder of an export",
    "objects.Objects.staged: rmtree": "the folder that mkdtemp has made",
    "objects.Objects.place: rename": "a folder's rename replaces nothing but an empty folder",
    "objects.Objects.prune: rmtree ×2": "folders, not links, named by a digest or by mkdtemp with our prefix",
    "objects.Objects.prune: unlink": "files named by the hash of an address, a day old",
    "objects.copy.write: open": "into a new folder: mkdir fails where one is",
    "fetch.package: unlink": "the download of this process, named by the hash of its address and its number",
    "fetch._described: replace ×2": "into a temporary folder; names that lead out of it were refused",
    "fetch._own: open": "appends to a file named by the hash of an address",
    "fetch._Resuming.__call__: unlink": "a file named by the hash of an address",
    "fetch._Resuming.__call__: open": "a file named by the hash of an address",
    "fetch._Resuming.__call__: replace": "over the temporary file that pooch made",
    "process._end: rmtree": "the folder that mkdtemp has made",
    "process._started: rmtree": "the folder that mkdtemp has made",
    # conformance suites
    "recipe.RecipeTests._saved: write_text": "into the temporary folder of a test",
    "device._compiled: write_text": "into a temporary folder",
    "seeded.same_for_any_seed: write_text": "into a temporary folder",
    # a new plugin
    "scaffold._written: write_text": "into the new folder that `whole.folder` made",
}
"""`module.function: call ×how often`, by the module's last name."""

ALWAYS = {
    "rmtree", "unlink", "rmdir", "removedirs", "rename", "renames", "copytree", "copyfile", "copy2", "copymode",
    "move", "truncate", "ftruncate", "write_text", "write_bytes", "symlink_to", "hardlink_to",
}  # fmt: skip
"""Names that mean a file whatever they are called on."""
WRITING = set("wax+")


def destroys(call: ast.Call) -> str | None:
    """The name of a call that removes or writes over files, else None."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    of = call.func.value.id if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name) else None
    if name in ALWAYS:
        return name
    if name in ("replace", "remove", "copy") and of in ("os", "shutil"):
        return name
    # Text is replaced by two values, a dataclass by named ones; a path by one.
    if name == "replace" and isinstance(call.func, ast.Attribute) and len(call.args) == 1 and not call.keywords:
        return name
    if name in ("open", "fdopen") and of != "os":
        modes = [a for a in [*call.args, *(k.value for k in call.keywords if k.arg == "mode")] if not _closed(a)]
        return name if any(set(m) & WRITING for a in modes for m in _texts(a) if len(m) <= 3) else None
    return None


def _closed(node: ast.expr) -> bool:
    return not _texts(node)


def _texts(node: ast.expr) -> list[str]:
    return [n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def calls(source: str, module: str) -> Iterator[str]:
    def walk(node: ast.AST, names: tuple[str, ...]) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = (*names, node.name)
        if isinstance(node, ast.Call) and (name := destroys(node)):
            yield f"{'.'.join(names)}: {name}"
        for child in ast.iter_child_nodes(node):
            yield from walk(child, names)

    return walk(ast.parse(source), (module,))


def found() -> set[str]:
    files = [*(ROOT / "toolkit").rglob("*.py"), *ROOT.glob("plugins/*/toolkit_*/**/*.py")]
    assert len(files) > 150
    named = ((f, f.parent.name if f.stem == "__init__" else f.stem) for f in files)
    seen = Counter(call for f, name in named for call in calls(f.read_text(encoding="utf8"), name))
    return {f"{call} ×{count}" if count > 1 else call for call, count in seen.items()}


@pytest.mark.slow
def test_every_call_that_removes_or_writes_over_a_file_is_listed_with_the_reason_why_it_is_safe() -> None:
    there = found()
    assert sorted(there - SAFE.keys()) == [], "say in SAFE why no file of a user is lost by these"
    assert sorted(SAFE.keys() - there) == [], "these are gone"


@pytest.mark.parametrize(
    "line",
    [
        "shutil.rmtree(a)", "rmtree(a)", "a.unlink(missing_ok=True)", "os.remove(a)", "a.rename(b)", "os.replace(a, b)",
        "a.replace(b)", "a.open('w')", "open(a, 'r+b')", "open(a, mode='a')", "a.write_text('')", "shutil.copy(a, b)",
        "a.open('ab' if b else 'wb')", "shutil.move(a, b)", "os.truncate(a, 0)",
    ],
)  # fmt: skip
def test_such_a_call_is_seen(line: str) -> None:
    assert len(list(calls(f"def f(a, b):\n    {line}\n", "m"))) == 1


@pytest.mark.parametrize(
    "line", ["'a'.replace('a', 'b')", "replace(a, step=1)", "a.open()", "open(a, 'rb')", "a.remove(b)", "a.copy()"]
)
def test_other_calls_are_not(line: str) -> None:
    assert list(calls(f"def f(a, b):\n    {line}\n", "m")) == []
