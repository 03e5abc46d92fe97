"""Kinds of values that several tables of the configuration have, each checked, and what all tables have in common."""

from __future__ import annotations

import difflib
from datetime import date
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from posturewatch.config.quiet import read_period
from posturewatch.errors import ConfigError
from posturewatch.publishing.payloads import HAPPENINGS
from posturewatch.radio import check_name

Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_-]{1,32}$")]
BaseTopic = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", max_length=128)]
Rung = Annotated[int, Field(ge=0, le=3)]
PROMPTS = ("shift_due", "break_due", "break_due_firm")


def _check_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # unknown, or no name of a zone at all
        raise ValueError(f"no such time zone: {name!r}; write it like 'Europe/Berlin'") from error
    return name


def _check_period(period: str) -> str:
    read_period(period)
    return period


def _check_day(day: str) -> str:
    try:
        return date.fromisoformat(day).isoformat()
    except ValueError:
        raise ValueError(f"not a day: {day!r}; write it like '2026-12-24'") from None


def _check_radio(name: str) -> str:
    try:
        check_name(name)
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return name


def _check_event(name: str) -> str:
    words = (*PROMPTS, *HAPPENINGS)
    if name not in words:
        near = difflib.get_close_matches(name, words, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"possible are: {', '.join(words)}"
        raise ValueError(f"no such event: {name!r}; {hint}")
    return name


RadioName = Annotated[str, AfterValidator(_check_radio)]
TimeZone = Annotated[str, AfterValidator(_check_zone)]
Period = Annotated[str, AfterValidator(_check_period)]
Day = Annotated[str, AfterValidator(_check_day)]
EventName = Annotated[str, AfterValidator(_check_event)]


class Section(BaseModel):
    """What all tables have in common: no unknown keys, no change afterwards, no guessing of types."""

    # A table inside another needs nothing built of its own.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)
