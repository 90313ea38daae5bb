"""``repoint init``: a first manifest, from real sources, which the other commands read."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import everything, misuse, refusal, repoint
from tests.publisher.sources_support import deb_bytes, member, tar_bytes, write_wheel

FILES = {"pillow/__init__.py": b"VERSION = 1\n"}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "Acme Kiosk"
    (folder / "dist").mkdir(parents=True)
    return folder


def initialized(work: Path, *sources: str) -> dict[str, Any]:
    answer = repoint("init", *sources, cwd=work)
    assert answer.status == 0, answer
    return tomllib.loads((work / "repoint.toml").read_text())


def test_a_wheel_gives_name_platform_and_pattern(work: Path) -> None:
    write_wheel(work / "dist/Pillow_X-10.0.0-cp311-cp311-manylinux_2_28_aarch64.whl", FILES)
    answer = repoint(
        "init", "dist/Pillow_X-10.0.0-cp311-cp311-manylinux_2_28_aarch64.whl", cwd=work
    )
    assert answer.out == (
        "Wrote repoint.toml for acme-kiosk.\n"
        "  pillow-x: 2 files, 31 B, from dist/Pillow_X-*-cp311-cp311-manylinux_2_28_{arch}.whl\n"
        "Add your release under [[baseline]] there, then run `repoint baseline add`.\n"
    )
    manifest = tomllib.loads((work / "repoint.toml").read_text())
    assert manifest["product"] == {"id": "acme-kiosk", "platforms": ["linux-aarch64"]}
    assert manifest["component"][0]["id"] == "pillow-x"


@pytest.mark.one_quick
@pytest.mark.parametrize(
    ("name", "component", "pattern", "platform"),
    [
        ("libzip4_1.7.3-1+b1_amd64.deb", "libzip4", "libzip4_*_amd64.deb", "linux-x86_64"),
        ("engine-2.5.1.tar.xz", "engine", "engine-*.tar.xz", None),
        ("engine_v2.tar", "engine", "engine_v*.tar", None),
        ("Web Engine.tar.gz", "web-engine", "Web Engine.tar.gz", None),
        ("engine-2.5.1-x86_64.tar.zst", "engine", "engine-*-{arch}.tar.zst", "linux-x86_64"),
    ],
)
def test_a_package_or_an_archive_gives_name_and_pattern(
    work: Path, name: str, component: str, pattern: str, platform: str | None
) -> None:
    members = [member("usr/lib/engine.so")]
    data = deb_bytes(members) if name.endswith(".deb") else tar_bytes(members)
    (work / name).write_bytes(data)
    manifest = initialized(work, name)
    (found,) = manifest["component"]
    assert (found["id"], found["source"]) == (component, pattern)
    if platform is not None:
        assert manifest["product"]["platforms"] == [platform]


@pytest.mark.slow
def test_wheels_of_two_platforms_are_one_component(work: Path) -> None:
    for machine in ("x86_64", "aarch64"):
        write_wheel(work / f"dist/pkg-1.0-cp311-cp311-manylinux_2_28_{machine}.whl", FILES)
    manifest = initialized(work, *(str(path) for path in (work / "dist").iterdir()), "shell=dist")
    assert sorted(manifest["product"]["platforms"]) == ["linux-aarch64", "linux-x86_64"]
    assert [part["id"] for part in manifest["component"]] == ["pkg", "shell"]


@pytest.mark.slow
def test_a_pattern_that_would_fit_another_file_is_left_as_a_path(work: Path) -> None:
    for number in ("1.0", "2.0"):
        write_wheel(work / f"dist/pkg-{number}-py3-none-any.whl", FILES)
    manifest = initialized(work, "dist/pkg-1.0-py3-none-any.whl")
    assert manifest["component"][0]["source"] == "dist/pkg-1.0-py3-none-any.whl"


@pytest.mark.slow
def test_packages_of_two_platforms_need_a_path_that_differs_in_the_machine(work: Path) -> None:
    for name in ("zlib1g_amd64.deb", "zlib1g_arm64.deb"):
        (work / name).write_bytes(deb_bytes([member("usr/lib/z.so")]))
    refusal(repoint("init", "zlib1g_amd64.deb", "zlib1g_arm64.deb", cwd=work),
            "Two sources are the component zlib1g. Give the source of one machine here, and in the")  # fmt: skip


def test_a_source_above_the_manifest_has_a_tidy_path(work: Path) -> None:
    write_wheel(work.parent / "pkg-1.0-py3-none-any.whl", FILES)
    manifest = initialized(work, "../Acme Kiosk/../pkg-1.0-py3-none-any.whl")
    assert manifest["component"][0]["source"] == f"{work.parent}/pkg-*-py3-none-any.whl"


@pytest.mark.slow
def test_a_name_that_toml_must_quote(work: Path) -> None:
    (work / 'a "b" \\ [c]').mkdir()
    (work / 'a "b" \\ [c]/file').touch()
    manifest = initialized(work, 'a "b" \\ [c]')
    assert manifest["component"][0] == {
        "id": "a-b-c", "source": 'a "b" \\ [c]', "restart": "app",
    }  # fmt: skip


@pytest.mark.slow
def test_the_other_commands_read_what_it_writes(work: Path, tmp_path: Path) -> None:
    write_wheel(work / "dist/pkg-1.0-py3-none-any.whl", FILES)
    (work / "dist/shell").mkdir()
    (work / "dist/shell/run").touch()
    initialized(work, "dist/pkg-1.0-py3-none-any.whl", "dist/shell")
    where = {"REPOINT_REPOSITORY": str(tmp_path / "updates")}
    assert repoint("repository", "init", tmp_path / "updates", "--no-passphrase").status == 0
    refusal(repoint("baseline", "add", "--no-passphrase", cwd=work, env=where),
            "repoint.toml has no baseline. Add it under [[baseline]], or give --version and --build")  # fmt: skip
    text = (work / "repoint.toml").read_text()
    for line in ("[[baseline]]", "version", "build"):
        text = text.replace(f"# {line}", line)
    (work / "repoint.toml").write_text(text)
    answer = repoint("baseline", "add", "--no-passphrase", cwd=work, env=where)
    assert answer.out.startswith("Registered acme-kiosk 26.3.1 (25D2128) for linux-"), answer


def test_it_never_replaces_a_file(work: Path) -> None:
    (work / "dist/file").touch()
    (work / "repoint.toml").symlink_to("nowhere")
    before = everything(work)
    refusal(repoint("init", "dist", cwd=work),
            "repoint.toml exists already. Edit it, or name another file with --manifest")  # fmt: skip
    assert everything(work) == before
    assert repoint("init", "dist", "--manifest", "other.toml", cwd=work).status == 0


@pytest.mark.one_quick
@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (("nothing",), "nothing does not exist. Name a folder, a wheel, a .deb or a tar archive"),
        (("empty",), "empty cannot be used as a source"),
        (("dist", "DIST=dist"), "'DIST' cannot name a component"),
        (("dist", "dist"), "Two sources are the component dist. Name one of them with NAME=SOURCE"),
        (("dist", "--manifest", "no/repoint.toml"), "There is no folder no"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    work: Path, sources: tuple[str, ...], expected: str
) -> None:
    (work / "dist/file").touch()
    (work / "empty").mkdir()
    before = everything(work)
    refusal(repoint("init", *sources, cwd=work), expected)
    assert everything(work) == before


@pytest.mark.slow
def test_wrong_usage(work: Path) -> None:
    misuse(repoint("init", cwd=work), "Missing argument")
    misuse(repoint("init", "a=", cwd=work), "neither a path nor of the form NAME=SOURCE")
    misuse(repoint("init", "=a", cwd=work), "neither a path nor of the form NAME=SOURCE")
