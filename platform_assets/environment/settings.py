"""A project's folder and its settings file.

A project is a folder that holds `platform-settings.env`: what people declare, and a dbt project, for a platform that may be
installed elsewhere. Belongs here: finding it, and reading that file line by line. Does not belong here: what a variable means,
or reading the process's own (`reading.py`).
"""

from dataclasses import dataclass
from pathlib import Path

# The file that makes a folder a project.
SETTINGS = "platform-settings.env"
PROJECT_VARIABLE = "PLATFORM_PROJECT_DIR"
MAX_BYTES = 64 * 1024


class EnvironmentVariableError(ValueError):
    """An environment variable or a setting holds something the platform cannot work with; the message names it."""


@dataclass(frozen=True)
class Setting:
    """A line of the settings file; `place` begins a sentence about it."""

    name: str
    text: str
    place: str


def find_project(stated: str | None, here: Path, checkout: Path) -> Path:
    """The project in use: the folder stated, else the nearest at or above `here`, else the checkout if it is one.

    Raises:
        EnvironmentVariableError: no project is there.
    """
    if stated:
        folder = Path(here, Path(stated).expanduser()).resolve()
        if not (folder / SETTINGS).is_file():
            raise EnvironmentVariableError(
                f"{PROJECT_VARIABLE}={stated}: takes a folder that holds {SETTINGS}; `platform-assets init <folder>` makes one"
            )
        return folder
    for folder in (here, *here.parents, checkout):
        if (folder / SETTINGS).is_file():
            return folder.resolve()
    raise EnvironmentVariableError(
        f"there is no project here: neither {here} nor a folder above it holds {SETTINGS}. Go to the project, set "
        f"{PROJECT_VARIABLE} to its folder, or begin one with `platform-assets init <folder>`"
    )


def read_settings(path: Path) -> list[Setting]:
    """What a settings file sets, in its order, no name twice; texts may be empty.

    Raises:
        EnvironmentVariableError: the file, or a line of it, cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        lines = content.decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EnvironmentVariableError(f"{path}: cannot be read as text: {error}") from error
    if len(content) > MAX_BYTES:
        raise EnvironmentVariableError(f"{path}: is larger than {MAX_BYTES} bytes; it holds settings, a line each")
    settings: dict[str, Setting] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        setting = _setting(line, f"{path}:{number}: ")
        if setting.name in settings:
            raise EnvironmentVariableError(f"{setting.place}{setting.name} is set above already; keep one of the two")
        settings[setting.name] = setting
    return list(settings.values())


def _setting(line: str, place: str) -> Setting:
    name, sign, text = (part.strip() for part in line.partition("="))
    if not sign:
        raise EnvironmentVariableError(f"{place}a setting is NAME=value; a comment begins with #")
    if text[:1] in ("'", '"'):
        raise EnvironmentVariableError(f"{place}{name}: write the value without quotes")
    return Setting(name, text, place)
