"""The manifest ``repoint.toml``: what it may say, and where a wrong one is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repoint.model.baseline import BaselineName
from repoint.publisher.errors import ManifestError, MissingSourceError
from repoint.publisher.manifest.patterns import check_pattern, find_source
from repoint.publisher.manifest.reader import read_manifest

NAME = BaselineName("linux-x86_64", "26.3.1", "25D2128")
PRODUCT = '[product]\nid = "acme-kiosk"\nplatforms = ["linux-x86_64", "linux-aarch64"]\n'
COMPONENT = '[[component]]\nid = "pillow"\nsource = "dist/pillow-*.whl"\n'
BASELINE = '[[baseline]]\nversion = "26.3.1"\nbuild = "25D2128"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "repoint.toml"
    path.write_text(text)
    return path


def test_a_manifest_names_each_release_for_each_platform(tmp_path: Path) -> None:
    other = '[[baseline]]\nversion = "26.2.0"\nbuild = "25C1"\nplatforms = ["linux-aarch64"]\n'
    content = read_manifest(written(tmp_path, PRODUCT + COMPONENT + BASELINE + other)).content
    assert content.names() == (
        NAME,
        BaselineName("linux-aarch64", "26.3.1", "25D2128"),
        BaselineName("linux-aarch64", "26.2.0", "25C1"),
    )


def test_a_manifest_may_start_with_the_mark_of_an_editor(tmp_path: Path) -> None:
    (tmp_path / "repoint.toml").write_text("\ufeff" + PRODUCT + COMPONENT)
    assert read_manifest(tmp_path / "repoint.toml").content.product.id == "acme-kiosk"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "repoint.toml: 'product' is missing. Add [product] with id"),
        (PRODUCT, "repoint.toml: 'component' is missing. Add [[component]] with id"),
        ("[product\n", "repoint.toml: not TOML: Expected ']' at the end of a table declaration (at "
         "line 1, column 9). Correct that line"),
        ("a = " + "[" * 5000, "repoint.toml: not TOML: it is nested too deeply"),
        ("a = " + "9" * 5000, "repoint.toml: not TOML: a number is too long"),
        (PRODUCT + COMPONENT + "[produkt]\n",
         "repoint.toml: 'produkt' is unknown. Did you mean 'product'? Use only product, component"),
        (PRODUCT + COMPONENT + "frobnicate = 1\n", "component 1 (pillow): 'frobnicate' is unknown. Use only id"),
        (PRODUCT.replace("platforms", "platform") + COMPONENT,
         "repoint.toml: product: 'platform' is unknown. Did you mean 'platforms'?"),
        (PRODUCT + COMPONENT + 'restrat = "app"\n',
         "component 1 (pillow): 'restrat' is unknown. Did you mean 'restart'?"),
        (PRODUCT + COMPONENT + 'restart = "sesion"\n',
         "component 1 (pillow): restart = 'sesion' is not possible. Did you mean 'session'? Use one "
         "of none, app, service, session, system"),
        (PRODUCT + COMPONENT + "restart = 1\n", "restart = 1 is not possible. Use one of none"),
        (PRODUCT + COMPONENT + "ignore = 1\n",
         "component 1 (pillow): 'ignore' is not a list of strings. Write it as ignore = [\"…\"]"),
        (PRODUCT + COMPONENT + "ignore = [1]\n", "'ignore' is not a list of strings"),
        (PRODUCT + COMPONENT + 'ignore = [""]\n', "'ignore' has an empty pattern. Remove it"),
        (PRODUCT + COMPONENT + "health = 1\n",
         "component 1 (pillow): 'health' is not a string. Put it in quotation marks"),
        (PRODUCT + COMPONENT + "health = \"say 'hi\"\n",
         "component 1 (pillow): 'health' has a quotation mark that is not closed"),
        ("product = 1\n" + COMPONENT, "repoint.toml: 'product' is not a table. Start it with [product]"),
        (PRODUCT + "[component]\n",
         "repoint.toml: 'component' is not a list of tables. Start each with [[component]]"),
        ("component = []\n" + PRODUCT, "repoint.toml: there is no component. Add one under [[component]]"),
        (PRODUCT + '[[component]]\nid = "pillow"\n',
         "component 1 (pillow): 'source' is missing. Add source = \"dist/pillow-*.whl\""),
        (PRODUCT + COMPONENT + '[[component]]\nsource = "x"\n', "component 2: 'id' is missing"),
        (PRODUCT + COMPONENT + COMPONENT, "the component pillow is there twice. Remove one of them"),
        (PRODUCT + COMPONENT.replace("pillow\"", "Pillow\""), "'Pillow' cannot name a component"),
        (PRODUCT + COMPONENT.replace("dist/pillow-*.whl", " "), "component 1 (pillow): 'source' is empty"),
        (PRODUCT + COMPONENT.replace("*", "{Version}"), "unknown placeholder {Version}"),
        (PRODUCT + COMPONENT.replace("*", "{platfrom}"),
         "component 1 (pillow): 'source' has the unknown placeholder {platfrom}. Did you mean {platform}? Use "
         "{version}, {build}, {platform}, {arch}"),
        (PRODUCT.replace("acme-kiosk", "Acme Kiosk") + COMPONENT,
         "repoint.toml: product: 'Acme Kiosk' cannot name a product. Use at most 63 lower-case"),
        (PRODUCT.replace('"linux-x86_64"', '"windows"') + COMPONENT, "'windows' cannot name a platform"),
        (PRODUCT.replace('"linux-x86_64"', '"linux-aarch64"') + COMPONENT,
         "product: the platform linux-aarch64 is there twice"),
        ('[product]\nid = "kiosk"\nplatforms = []\n' + COMPONENT, "product: 'platforms' is empty"),
        (PRODUCT + 'name = "a\\nb"\n' + COMPONENT, "product: The product's name has more than one line"),
        (PRODUCT + COMPONENT + 'name = "a\\tb"\n', "component 1 (pillow): The name of pillow contains the control character U+0009"),
        (PRODUCT + 'reports = "http://a"\n' + COMPONENT, "product: "),
        (PRODUCT + COMPONENT + '[[baseline]]\nversion = "26.3.1"\n',
         "baseline 1 (26.3.1): 'build' is missing. Add build = \"25D2128\""),
        (PRODUCT + COMPONENT + BASELINE.replace("26.3.1", "26-3"), "'26-3' is not a version or build"),
        (PRODUCT + COMPONENT + BASELINE.replace('"26.3.1"', "26.3"),
         "baseline 1: 'version' is not a string. Put it in quotation marks"),
        (PRODUCT + COMPONENT + BASELINE + 'platforms = ["linux-riscv64"]\n',
         "baseline 1: platforms: 'linux-riscv64' is not a platform of the product. Use one of linux-x86_64, "),
        (PRODUCT + COMPONENT + BASELINE + BASELINE,
         "the baseline 26.3.1 (25D2128) for linux-x86_64 is there twice"),
        ("x = '" + "y" * (1 << 16) + "'", "repoint.toml: larger than 65,536 bytes"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ManifestError) as refused:
        read_manifest(written(tmp_path, text))
    line = str(refused.value)
    assert message in line
    assert "\n" not in line
    assert line.startswith("repoint.toml: ")
    assert refused.value.hint


def test_a_manifest_that_is_not_utf_8_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "repoint.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(ManifestError, match="not UTF-8"):
        read_manifest(tmp_path / "repoint.toml")
    with pytest.raises(ManifestError, match=r"cannot be read: No such file.*`repoint init`"):
        read_manifest(tmp_path / "other.toml")


def test_a_manifest_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "repoint.toml")
    with pytest.raises(ManifestError, match="cannot be read: it is not a plain file"):
        read_manifest(tmp_path / "repoint.toml")


@pytest.mark.parametrize("pattern", ["[" * 100_000, "a\0b"])
def test_a_source_that_is_no_path_is_refused(pattern: str) -> None:
    with pytest.raises(ManifestError, match="'source' is no path"):
        check_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["dist/linux-x86_64/pillow-26.3.1.whl", "dist/{platform}/pillow-{version}.whl", "dist/*_64/p*",
     "dist/linux-{arch}/pillow-*", "dist/{platform}/*{build}*/../pillow-*.whl"],
)  # fmt: skip
def test_a_pattern_leads_to_the_source_of_a_baseline(tmp_path: Path, pattern: str) -> None:
    source = tmp_path / "dist/linux-x86_64/pillow-26.3.1.whl"
    (tmp_path / "dist/linux-x86_64/of-25D2128").mkdir(parents=True)
    source.touch()
    assert find_source(pattern, tmp_path, "pillow", NAME).resolve() == source.resolve()
    assert (
        find_source(f"{tmp_path}/{pattern}", Path("/x"), "pillow", NAME).resolve()
        == source.resolve()
    )


def test_a_path_that_exists_as_it_is_written_is_no_pattern(tmp_path: Path) -> None:
    (tmp_path / "pillow-[1]{version}").mkdir()
    found = find_source("pillow-[1]{version}", tmp_path, "pillow", NAME)
    assert found == tmp_path / "pillow-[1]{version}"


def test_a_pattern_that_fits_nothing_or_several_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingSourceError) as refused:
        find_source("pillow-{version}-*.whl", tmp_path, "pillow", NAME)
    assert f"There is no {tmp_path}/pillow-26.3.1-*.whl, the source of pillow for 26.3.1" in str(
        refused.value
    )
    for number in range(5):
        (tmp_path / f"pillow-{number}.whl").touch()
    with pytest.raises(MissingSourceError) as refused:
        find_source("pillow-*.whl", tmp_path, "pillow", NAME)
    assert "fits 5 files: pillow-0.whl, pillow-1.whl, pillow-2.whl, …" in str(refused.value)
    assert "--component pillow=SOURCE" in str(refused.value)
