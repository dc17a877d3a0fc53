"""How plugins are found, and what they bring. Authors import `toolkit.api`."""

import pluggy

PROJECT = "toolkit"
GROUP = "toolkit.plugins"
API = 2
"""What a plugin module says as `SEG_API`."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
