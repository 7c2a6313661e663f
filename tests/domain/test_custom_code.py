from __future__ import annotations

from pathlib import Path

import pytest

from initlab_tui.domain.custom_code import CodeSource, Consent, locate
from initlab_tui.domain.initializer import Initializer


def custom(path: str) -> Initializer:
    return Initializer.parse(f"import:{path}")


def test_a_module_in_the_folder_is_found_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("raise SystemExit('imported')")
    (tmp_path / "package" / "sub").mkdir(parents=True)
    (tmp_path / "package" / "__init__.py").touch()
    (tmp_path / "namespace").mkdir()
    assert locate(custom("mine.draw"), tmp_path) == CodeSource("mine", tmp_path / "mine.py")
    assert locate(custom("package.sub.draw"), tmp_path).file == tmp_path / "package" / "__init__.py"
    assert locate(custom("namespace.mine.draw"), tmp_path).file == tmp_path / "namespace"


def test_an_installed_package_comes_before_a_file_of_the_same_name_as_when_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").touch()
    assert locate(custom("numpy.zeros"), tmp_path) == CodeSource("numpy", None)


def test_the_working_folder_is_no_installed_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend("")
    assert locate(custom("mine.draw"), tmp_path).file == tmp_path / "mine.py"


@pytest.mark.parametrize("path", ["subprocess.Popen", "os.system", "builtins.exec", "shutil.rmtree", "posix.system"])
def test_modules_of_python_are_refused_even_if_the_folder_has_one(path: str, tmp_path: Path) -> None:
    (tmp_path / f"{path.partition('.')[0]}.py").touch()
    with pytest.raises(ValueError, match="is a module of Python"):
        locate(custom(path), tmp_path)


def test_a_module_that_does_not_exist_is_refused_with_the_places_that_were_searched(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"no module named 'gone' in {tmp_path} or among the installed packages"):
        locate(custom("gone.draw"), tmp_path)


def test_consent_covers_the_folder_and_named_packages_apart(tmp_path: Path) -> None:
    own, installed = CodeSource("mine", tmp_path / "mine.py"), CodeSource("torch_init", None)
    assert not Consent().covers(own)
    assert Consent(folder=True).covers(own) and not Consent(folder=True).covers(installed)
    assert Consent(packages=frozenset({"torch_init"})).covers(installed)
    assert not Consent(packages=frozenset({"mine"})).covers(own)
