"""Readable names for a flow's parameters in the form of Prefect's UI."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import Field

from lstm_model.config.section import title

Function = TypeVar("Function", bound=Callable[..., Any])


def readable(function: Function) -> Function:
    """Give each parameter a title: text_column is "Text column". Put it below `@flow`, which uses names as titles."""
    for name, parameter in inspect.signature(function).parameters.items():
        label = Field(json_schema_extra={"title": title(name)})
        function.__annotations__[name] = Annotated[parameter.annotation, label]
    return function
