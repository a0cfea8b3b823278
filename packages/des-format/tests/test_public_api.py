import importlib
import pkgutil
import subprocess
import sys

import des_format
import pytest
from des_format import errors


def test_everything_public_is_exported_and_documented() -> None:
    for name in des_format.__all__:
        assert getattr(des_format, name).__doc__, name
    assert list(des_format.__all__) == sorted(des_format.__all__)


def test_modules_export_what_they_say() -> None:
    for info in pkgutil.walk_packages(des_format.__path__, "des_format."):
        if ".cli" in info.name:
            continue  # Needs an extra.
        module = importlib.import_module(info.name)
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{info.name}.{name}"


def test_every_error_has_a_code_of_its_own_and_can_be_caught_as_des_error() -> None:
    classes = [getattr(errors, name) for name in errors.__all__]
    assert all(issubclass(cls, des_format.DesError) for cls in classes)
    assert len({cls.code for cls in classes}) == len(classes)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (des_format.EntryNotFoundError, KeyError),
        (des_format.DuplicateEntryError, ValueError),
        (des_format.ArchiveExistsError, FileExistsError),
        (des_format.BigFileMissingError, FileNotFoundError),
        (des_format.CorruptArchiveError, ValueError),
        (des_format.UnsupportedFormatError, ValueError),
        (des_format.WriterClosedError, RuntimeError),
    ],
)
def test_errors_are_also_the_builtin_that_a_caller_expects(error: type[Exception], builtin: type[Exception]) -> None:
    with pytest.raises(builtin, match=r"^what happened$"):
        raise error("what happened")


def test_importing_the_package_is_light_and_has_no_side_effects() -> None:
    heavy = ("typer", "rich", "numpy", "boto3", "pydantic")
    code = f"import sys, des_format; print(*(module for module in {heavy} if module in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
