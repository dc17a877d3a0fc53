"""Which plugins there are, what they bring, and what is said of those that are broken."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.battery.installed import BAD, SAID, install, install_bad, install_good
from toolkit.errors import PluginError, UsageError
from toolkit.plugins import catalogue
from toolkit.plugins.catalogue import Catalogue
from toolkit.plugins.probe import healthy, probe


def names(catalogue: Catalogue) -> list[str]:
    return [plugin.name for plugin in catalogue.plugins]


def test_listing_imports_no_plugin(site: Path) -> None:
    install_bad(site, "raises")
    found = {p.name: (p.distribution, p.version) for p in Catalogue().plugins}
    assert found["bad"] == ("bad_raises", "1.0")
    assert found["builtin"][0] == "seg-toolkit"
    assert not (site / "bad_raises.imported").exists()


@pytest.mark.parametrize("kind", sorted(set(BAD) - {"kills", "hangs"}))
def test_a_broken_plugin_is_recorded_and_raises_only_for_who_uses_it(site: Path, kind: str) -> None:
    install_bad(site, kind)
    catalogue = Catalogue()
    assert "builtin:unet" in catalogue.collect("networks")
    assert [loaded.plugin.name for loaded in catalogue.broken()] == ["bad"]
    with pytest.raises(PluginError) as caught:
        catalogue.use("bad")
    assert SAID[kind] in str(caught.value)


def test_an_interrupt_during_an_import_is_an_interrupt(site: Path) -> None:
    install(site, "bad", "bad_interrupt", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Catalogue().use("bad")


def test_what_a_plugin_prints_at_import_stays_off_standard_output(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(site, "loud", "loud_plugin", "print('hello')\nSEG_API = 2")
    Catalogue().use("loud")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "hello\n")


def test_what_is_waited_for_is_said(
    site: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(catalogue, "LATE", 0.05)
    install(site, "slow", "slow_plugin", "import time\ntime.sleep(0.5)\nSEG_API = 2")
    Catalogue().use("slow")
    assert (
        "the import of plugin slow (slow_plugin) takes long; if it hangs, leave it out: --no-plugin slow" in caplog.text
    )


def test_what_is_waited_for_elsewhere_is_said_too(
    site: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(catalogue, "LATE", 0.05)
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    install(site, "hangs", "hanging_plugin", "import time\ntime.sleep(60)\nSEG_API = 2")
    with pytest.raises(PluginError, match="its import took longer than 1 seconds"):
        healthy(Catalogue().plugin("hangs"), 1)
    assert "the import of plugin hangs (hanging_plugin) takes long; it is given 1 seconds" in caplog.text


def test_a_plugin_is_imported_once(site: Path) -> None:
    install_good(site)
    catalogue = Catalogue()
    assert catalogue.use("good") is catalogue.use("good")


def test_the_owner_goes_before_builtin_and_builtin_before_all_others(site: Path) -> None:
    install_good(site)
    module = site / "good_plugin.py"
    module.write_text(module.read_text().replace('"good"] = "good"', '"threshold"] = "threshold"'))
    catalogue = Catalogue()
    assert catalogue.locate("postprocessors", "threshold")[0] == "builtin"
    assert catalogue.locate("postprocessors", "threshold", "good")[0] == "good"
    assert catalogue.locate("postprocessors", "good:threshold")[0] == "good"
    assert catalogue.locate("postprocessors", "builtin:threshold", "good")[0] == "builtin"


def test_names_that_builtin_knows_import_nobody_else(site: Path) -> None:
    install_bad(site, "raises")
    Catalogue().find("networks", "unet")
    assert not (site / "bad_raises.imported").exists()


def test_two_plugins_with_one_kind_are_both_named_and_disturb_nobody(site: Path) -> None:
    install_good(site)
    install_bad(site, "double")
    catalogue = Catalogue()
    with pytest.raises(UsageError, match="two plugins have this network: good; choose bad:good or good:good"):
        catalogue.find("networks", "good")
    assert catalogue.find("networks", "good:good").__module__ == "good_plugin"
    assert catalogue.find("networks", "good", owner="bad").__module__ == "bad_double"
    assert catalogue.find("networks", "unet").named() == "unet"


def test_two_plugins_with_one_name_are_told_apart_by_their_distributions(site: Path) -> None:
    install_good(site)
    install_bad(site, "double", name="good")
    catalogue = Catalogue()
    with pytest.raises(UsageError, match="two plugins have one name: good in bad_double and good_plugin"):
        catalogue.use("good")
    with pytest.raises(UsageError, match="choose bad_double:good or good_plugin:good"):
        catalogue.find("networks", "good")
    assert catalogue.find("networks", "good_plugin:good").__module__ == "good_plugin"


def test_nobody_takes_the_name_of_the_built_in_plugin(site: Path) -> None:
    install(site, "builtin", "impostor", "SEG_API = 2")
    catalogue = Catalogue()
    assert catalogue.find("networks", "unet").named() == "unet"
    assert "builtin:unet" in catalogue.collect("networks")
    assert [loaded.plugin.distribution for loaded in catalogue.broken()] == ["impostor"]


def test_a_wrong_name_gets_the_nearest_one(site: Path) -> None:
    with pytest.raises(UsageError, match="no such post-processor: watersched; did you mean 'watershed'"):
        Catalogue().find("postprocessors", "watersched")
    with pytest.raises(UsageError, match="plugin builtin has no network: unit; did you mean 'unet'"):
        Catalogue().find("networks", "builtin:unit")
    with pytest.raises(UsageError, match="no such plugin: buildin; did you mean 'builtin'"):
        Catalogue().use("buildin")


def test_an_unknown_plugin_is_not_guessed_to_be_a_package(site: Path) -> None:
    with pytest.raises(UsageError, match=r"no such plugin: xyzzy; .*or install the package that has it"):
        Catalogue().use("xyzzy")


@pytest.mark.parametrize("name", ["../x", "x; rm -rf ~", "x\n", "X", "$(id)", "-r x", "é"])
def test_a_name_that_is_none_is_never_part_of_a_command(site: Path, name: str) -> None:
    with pytest.raises(UsageError) as said:
        Catalogue().use(name)
    assert "pip" not in str(said.value)


def test_a_search_says_which_plugins_could_not_be_asked(site: Path) -> None:
    install_bad(site, "raises")
    with pytest.raises(UsageError, match=r"note: plugin bad is broken \(RuntimeError: bad on purpose\)"):
        Catalogue().find("losses", "nowhere")


def test_allow_and_block_limit_loading_but_never_the_built_in_plugin(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_good(site)
    assert names(Catalogue(allow=["good"])) == ["builtin", "good"]
    assert names(Catalogue(allow=["good"], block=["good", "builtin"])) == ["builtin"]
    assert "good" not in names(Catalogue(block=["good"]))
    monkeypatch.setenv("TOOLKIT_PLUGINS", "fine, good")
    assert names(Catalogue()) == ["builtin", "fine", "good"]
    monkeypatch.setenv("TOOLKIT_PLUGINS", "fine")
    with pytest.raises(UsageError, match="this plugin is left out: good; see --no-plugin and TOOLKIT_PLUGINS"):
        Catalogue().use("good")


def test_kinds_and_recipes_are_found_under_their_names(site: Path) -> None:
    install_good(site)
    loaded = Catalogue().use("good")
    assert {family: sorted(items) for family, items in loaded.items.items()} == {
        "networks": ["good"],
        "losses": [],
        "postprocessors": ["good"],
        "metrics": [],
        "recipes": ["good"],
    }
    assert Catalogue().find("recipes", "good") == site / "good.yaml"


@pytest.mark.slow
def test_a_probe_reports_what_a_plugin_brings_or_why_it_does_not(site: Path) -> None:
    install_good(site)
    install_bad(site, "kills")
    plugins = [p for p in Catalogue().plugins if p.name in ("good", "bad")]
    bad, good = probe(plugins, timeout=60)
    assert good.error is None
    assert good.items["networks"] == ["good"]
    assert bad.error == "its import ended the process with status 7"
    with pytest.raises(PluginError, match="status 7"):
        healthy(plugins[0], timeout=60)


def test_a_probe_does_not_wait_for_ever(site: Path) -> None:
    install_bad(site, "hangs")
    (plugin,) = (p for p in Catalogue().plugins if p.name == "bad")
    assert probe([plugin], timeout=2)[0].error == "its import took longer than 2 seconds"


def test_a_name_that_looks_like_a_hook_and_is_none_is_said_to_be_reserved(site: Path) -> None:
    install(site, "odd", "odd_plugin", "SEG_API = 2\ndef seg_mask():\n    return ()")
    with pytest.raises(PluginError, match="no such hook: seg_mask") as caught:
        Catalogue().use("odd")
    assert "names that begin with seg_ are hooks" in str(caught.value)


def test_what_is_slow_to_import_when_a_plugin_is_loaded_is_named(site: Path) -> None:
    (site / "ponderous.py").write_text("import time\ntime.sleep(0.4)")
    (site / "swift.py").write_text("")
    install(site, "slow", "slow_plugin", "SEG_API = 2\nimport swift\nfrom ponderous import time")
    found = healthy(Catalogue().plugin("slow"))
    assert re.fullmatch(r"it imports ponderous \(\d\.\d s\) when it is loaded: import inside .*", found.burden)
    (site / "ponderous.py").write_text("import time")
    assert healthy(Catalogue().plugin("slow")).burden == ""
