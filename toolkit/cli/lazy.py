"""A group of verbs whose files are imported only when a verb is invoked."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

Table = dict[str, tuple[str, str]]


class Verbs(TyperGroup):
    """Holds a stub for each verb of `table`, good for listing; resolving a verb imports the real one."""

    table: ClassVar[Table] = {}
    groups: ClassVar[dict[str, str]] = {}

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for verb, (_, line) in self.table.items():
            word = verb.partition(" ")[0]
            if word == verb:
                self.add_command(TyperCommand(verb, help=line))
            elif word not in self.commands:
                self.add_command(self._group(word))

    def _group(self, word: str) -> TyperGroup:
        """The group of the verbs that begin with `word`."""
        inner = {verb.partition(" ")[2]: entry for verb, entry in self.table.items() if verb.startswith(word + " ")}
        group = type(word, (Verbs,), {"table": inner})
        made: TyperGroup = group(
            name=word,
            help=self.groups[word],
            rich_markup_mode=self.rich_markup_mode,
            context_settings=self.context_settings,
        )
        return made

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """As plain text: importing what draws boxes takes half of the time of `seg --help`."""
        super(TyperGroup, self).format_help(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[Any, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return (name, self._real(name) if name in self.table else command, rest)

    def _real(self, verb: str) -> Any:
        module, _, function = self.table[verb][0].partition(":")
        single = typer.Typer(
            add_completion=False,
            rich_markup_mode="rich",
            pretty_exceptions_enable=False,
            context_settings=dict(self.context_settings),
        )
        single.command(name=verb)(getattr(import_module(module), function))
        command = typer.main.get_command(single)
        for parameter in command.params:
            # What stands in brackets is markup to whoever draws the help.
            if said := getattr(parameter, "help", None):
                parameter.help = said.replace("[", "\\[")  # type: ignore[attr-defined]
        return command
