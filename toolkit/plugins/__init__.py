"""How plugins are found. A plugin module needs `hookimpl` from here and `SEG_API = 1`."""

import pluggy

PROJECT = "toolkit"
GROUP = "toolkit.plugins"
API = 1

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
