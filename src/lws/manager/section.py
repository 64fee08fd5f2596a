"""What the parts of our files have in common: strict, camel case, null is absent."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

Text = Annotated[str, Field(strict=True)]


class Section(BaseModel):
    """One object of a file: unknown members are refused, values are not coerced."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, populate_by_name=False, validate_default=False
    )

    empty_is_absent: ClassVar[frozenset[str]] = frozenset()  # members whose empty value asks for the default

    @model_validator(mode="before")
    @classmethod
    def _absent_is_default(cls, data: Any) -> Any:
        """A member that is null counts as absent, as everywhere in Kubernetes, and so do some that are empty."""
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if not cls._asks_for_default(name, value)}

    @classmethod
    def _asks_for_default(cls, name: str, value: object) -> bool:
        return value is None or (name in cls.empty_is_absent and value in ("", "0s"))
