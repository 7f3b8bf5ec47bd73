"""A YAML file of settings: plain values are text, as on the command line, and the setting decides what they mean.

YAML 1.1 would make the label `no` false, `0123` 83 and `12:30:00` 45,000. Only an empty value and `null` are no text.
"""

from pathlib import Path
from typing import Any, ClassVar

import yaml

from lstm_model.config.pipeline import PipelineConfig
from lstm_model.errors import UsageError

KEPT = ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")


class _Loader(yaml.SafeLoader):
    """Leaves plain values text, and refuses a key that is there twice."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {  # type: ignore[misc]
        first: [(tag, pattern) for tag, pattern in resolvers if tag in KEPT]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and first.setdefault(key.value, key) is not key:
                problem = f"{key.value!r} is there twice, first in line {first[key.value].start_mark.line + 1}"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


def read_sections(path: Path) -> dict[str, Any]:
    """Return a YAML file's sections, without empty ones. Raises UsageError if it cannot be read or has other things."""
    try:
        text = path.read_text("utf-8")
        values = yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        number, problem = mark.line if mark else 0, str(error.problem)
        line = [*text.splitlines(), ""][number]
        raise UsageError(f"Cannot read {path} as YAML, line {number + 1}: {problem}.", _remedy(problem, line)) from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        problem = " ".join(str(error).split())
        raise UsageError(f"Cannot read {path} as YAML: {problem}.", "Fix the file or the path.") from None
    if values is not None and not isinstance(values, dict):
        raise UsageError(
            f"{path} has no sections such as `training:`, but a {type(values).__name__}.",
            "docs/configuration.md lists the sections.",
        )
    sections = {name: value for name, value in (values or {}).items() if value is not None}
    for name in map(str, sections):  # A setting may stand where a section should. No setting has a section's name.
        owner = next((section for section, field in PipelineConfig() if name in type(field).model_fields), None)
        if owner is not None:
            place = next((number for number, line in enumerate(text.splitlines(), 1) if line.startswith(name)), 1)
            raise UsageError(f"{path}, line {place}: {name} is a setting of {owner}.", f"Indent it below `{owner}:`.")
    return sections


def _remedy(problem: str, line: str) -> str:
    """Return what to do about a line that YAML refuses."""
    if "twice" in problem:
        return "Keep one of them."
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "Indent with spaces; YAML allows no tab there."
    if "mapping" in problem or "block" in problem:
        return (
            "Indent the settings of a section below it, each by the same number of spaces; quote a text with a colon."
        )
    return "Fix that line; a text that starts with a sign such as * or @ needs quotes."
