"""The command line `seg`. A verb is one file; it is imported when it is invoked or asked for its help, not before.

To add a verb, write `toolkit/cli/VERB.py` and one line in `VERBS`. The file holds one function: its parameters are
typer arguments and options, its docstring is the help (the first sentence is the line in `VERBS`, the last paragraph
an example). It prints results on stdout and everything else on stderr (`toolkit.cli.console`), takes its plugins from
`toolkit.cli.catalogue.catalogue(context)` and raises a `ToolkitError` for whatever is the user's to mend; `main` turns
that into one line and an exit code. Nothing heavy is imported at module level.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence
from typing import Annotated

import typer

from toolkit.cli import start
from toolkit.cli.lazy import Verbs
from toolkit.errors import UsageError

VERBS = {
    "run": ("toolkit.cli.run:run", "Segment images: objects, table, overlay and a record of the run."),
    "train": ("toolkit.cli.train:train", "Train a method on your data."),
    "tune": ("toolkit.cli.tune:tune", "Search the thresholds of a post-processor on validation images."),
    "correct": ("toolkit.cli.correct:correct", "Merge what a person corrected in a result, to learn from it."),
    "suggest": ("toolkit.cli.suggest:suggest", "Say which images of a result to correct next."),
    "check": ("toolkit.cli.check:check", "Find what is wrong with a data set, and which method fits it."),
    "view": ("toolkit.cli.view:view", "Look at a result in the browser."),
    "demo": ("toolkit.cli.demo:demo", "Run a shipped model on a real image of stained tissue."),
    "show": ("toolkit.cli.show:show", "Print a recipe with all its fields."),
    "evaluate": ("toolkit.cli.evaluate:evaluate", "Compare predicted objects with true ones."),
    "doctor": ("toolkit.cli.doctor:doctor", "Look at this machine and its plugins and say what to fix."),
    "plugins list": ("toolkit.cli.plugins.list:list_plugins", "List the installed plugins without importing them."),
    "plugins show": ("toolkit.cli.plugins.show:show", "Show what a plugin brings."),
    "plugins new": ("toolkit.cli.plugins.new:new", "Write a new plugin that works, to be changed from there."),
    "plugins check": ("toolkit.cli.plugins.check:check", "Run the conformance checks on a plugin."),
    "export": ("toolkit.cli.export:export", "Export a model as a bioimage.io package with its instances."),
    "models list": ("toolkit.cli.models.list:list_models", "List the models that run without adding anything."),
    "models search": ("toolkit.cli.models.search:search", "Search the models of the bioimage.io collection, offline."),
    "models show": ("toolkit.cli.models.show:show", "Show what is known of a model."),
    "models add": ("toolkit.cli.models.add:add", "Install a model."),
    "models remove": ("toolkit.cli.models.remove:remove", "Forget an installed model."),
    "models test": ("toolkit.cli.models.test:reproduce", "Run a model on the test input that it brings."),
    "models trust": ("toolkit.cli.models.trust:trust", "Let the code of a model run."),
    "models update": ("toolkit.cli.models.update:update", "Change what is said of an installed model."),
    "models gc": ("toolkit.cli.models.gc:gc", "Free the space of models that no name refers to."),
}
"""Verb → (module:function, its line in `seg --help`)."""

GROUPS = {
    "plugins": "Find, inspect and check plugins.",
    "models": "Keep, find and trust models.",
}
"""First word of two-word verbs → its line in `seg --help`."""


class Seg(Verbs):
    """The group of all verbs."""

    table = VERBS
    groups = GROUPS


app = typer.Typer(
    name="seg",
    cls=Seg,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        sys.stdout.write(f"seg {version('seg-toolkit')}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def seg(
    context: typer.Context,
    no_plugin: Annotated[
        list[str] | None, typer.Option("--no-plugin", metavar="NAME", help="Leave this plugin out; may be repeated.")
    ] = None,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the stack of an error, for authors of plugins.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Instance segmentation of microscopy images, 2-D and 3-D. Start with `seg doctor` and `seg demo`."""
    context.obj = tuple(no_plugin or ())
    if context.invoked_subcommand != "run":  # which says itself when its start is over
        start.over()
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")


def _check(arguments: Sequence[str]) -> None:
    """Refuse what no record and no terminal could show."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise UsageError("this is no UTF-8 text", argument, "rename the file") from error


def _end(number: int, _: object) -> None:
    """End like Ctrl-C; a terminal that is closed may say so twice."""
    signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; every failure is one `error:` line on stderr.

    Without `arguments` it is the program, whose streams are its own.
    """
    given = sys.argv[1:] if arguments is None else arguments
    import logging

    if arguments is None:
        from toolkit.cli.streams import prepare

        start.begin()
        prepare()

    from toolkit.cli.console import Remarks

    if logging.lastResort is not None:
        logging.lastResort.setFormatter(Remarks())
    logging.captureWarnings(True)
    # What a task of a library says at its end was said before, as the error that it is.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    try:
        if sys.platform == "win32":
            raise UsageError("seg does not run on Windows", sys.platform, "run it under WSL, where it finds a Linux")
        _check(given)
        if threading.current_thread() is threading.main_thread():
            for ends in (signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(ends) != signal.SIG_IGN:  # as under nohup
                    signal.signal(ends, _end)
        code = app(arguments, prog_name="seg", standalone_mode=False)
        sys.stdout.flush()
    # The boundary of the program: every exception becomes a sentence and an exit code here.
    except BaseException as error:
        from toolkit.cli.failure import report

        return report(error, "--traceback" in given)
    if code == 130:
        sys.stderr.write("error: interrupted\n")
    return code if isinstance(code, int) else 0
