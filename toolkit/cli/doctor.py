"""`seg doctor`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import typer

from toolkit.cli import console
from toolkit.cli.catalogue import catalogue


def doctor(
    context: typer.Context,
    timeout: Annotated[float, typer.Option(help="Seconds that the import of a plugin may take.")] = 30.0,
    as_json: console.Json = False,
) -> None:
    """Look at this machine and its plugins and say what to fix.

    Plugins are imported in processes of their own. The exit code is 0 whatever is found.

    Example: seg doctor
    """
    from toolkit.cli.machine import findings
    from toolkit.plugins.catalogue import Loaded
    from toolkit.plugins.probe import probe

    plugins = catalogue(context).plugins
    with ThreadPoolExecutor(max_workers=1) as pool:
        probing = pool.submit(probe, plugins, timeout)
        found = list(findings())
        probes = probing.result()
    fixes = [f"{f.what}: {f.fix}" for f in found if f.fix]
    fixes += [f"plugin {p.plugin.name}: {p.cure}" for p in probes if p.error and p.cure != Loaded.cure]
    if any(p.error and p.cure == Loaded.cure for p in probes):
        fixes.append("plugins marked broken: ask their authors, uninstall them, or leave them out with --no-plugin")
    if as_json:
        console.document(
            {
                "machine": [{"what": f.what, "value": f.value, "fix": f.fix} for f in found],
                "plugins": [
                    {
                        "name": p.plugin.name,
                        "distribution": p.plugin.distribution,
                        "version": p.plugin.version,
                        "error": p.error,
                        **p.items,
                    }
                    for p in probes
                ],
                "fix": fixes,
            }
        )
        return
    out = console.results()
    width = max(14, *(len(p.plugin.name) + 7 for p in probes))
    for f in found:
        out.print(f"{f.what:<{width}}  {f.value}")
    for p in probes:
        said = f"broken: {p.error}" if p.error else "ok"
        about = f"{said}  ({p.plugin.distribution} {p.plugin.version})"
        out.print(f"{'plugin ' + p.plugin.name:<{width}}  {about}")
    console.paragraph(out, "\n".join(["", "to fix", *(f"  {fix}" for fix in fixes)] if fixes else ["nothing to fix"]))
