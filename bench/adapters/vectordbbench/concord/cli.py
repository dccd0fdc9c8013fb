"""The command ``vectordbbench concord``."""

from typing import Annotated, Unpack

import click
from vectordb_bench.backend.clients import DB
from vectordb_bench.cli.cli import (
    CommonTypedDict,
    cli,
    click_parameter_decorators_from_typed_dict,
    run,
)

from .config import ConcordConfig, ConcordIndexConfig


class ConcordTypedDict(CommonTypedDict):
    """Options beside those of every client."""

    path: Annotated[str, click.option("--path", help="Where to keep the index", required=True)]
    m: Annotated[int, click.option("--m", type=int, default=16, show_default=True)]
    ef_construction: Annotated[
        int, click.option("--ef-construction", type=int, default=200, show_default=True)
    ]
    ef: Annotated[int, click.option("--ef", type=int, default=128, show_default=True)]


@cli.command("concord")
@click_parameter_decorators_from_typed_dict(ConcordTypedDict)
def concord(**parameters: Unpack[ConcordTypedDict]) -> None:
    """Run a case."""
    run(
        db=DB.Concord,
        db_config=ConcordConfig(db_label=parameters["db_label"], path=parameters["path"]),
        db_case_config=ConcordIndexConfig(
            M=parameters["m"],
            ef_construction=parameters["ef_construction"],
            ef=parameters["ef"],
        ),
        **parameters,
    )
