"""`rtmbench engines`: what the lock names, what is in the cache."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from rtmbench.cli.options import json_option, setting
from rtmbench.run_settings import DEFAULT_ENGINES

if TYPE_CHECKING:
    from rtmbench.artifacts import BundleStatus, Cache


@click.group()
def engines() -> None:
    """List, fetch or remove the engines in the cache (RTMBENCH_CACHE)."""


@engines.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """Show every engine that this release can run, and whether it is in the cache."""
    cache = _cache(offline=True)
    statuses = [cache.status(name) for name in cache.lock.bundles]
    if as_json:
        _document(cache, [_entry(status) for status in statuses])
        return
    width = max(len(status.name) for status in statuses)
    for status in statuses:
        state = f"cached, {_mb(status.cached_size)}" if status.cached else "not cached"
        download = f"{_mb(status.download_size)} to download"
        click.echo(f"{status.name:<{width}}  {status.build:<10}  {download:>20}  {state}")
    click.echo(f"cache: {cache.root}", err=True)


@engines.command()
@click.argument("names", nargs=-1, metavar="[ENGINE…|all]")
@setting("offline", help="Download nothing; fail if something is missing.")
@json_option
def fetch(names: tuple[str, ...], *, offline: bool, as_json: bool) -> None:
    """Download engines into the cache, so that a run needs no network.

    ENGINE is as in `run` (flink@1.20: with its connector and Kafka) or a name that `list` shows. The default is what a
    run with the default engines needs. Damaged files in the cache are replaced.
    """
    cache = _cache(offline=offline)
    bundles = [
        bundle
        for name in names or DEFAULT_ENGINES
        for bundle in (cache.lock.bundles if name == "all" else cache.lock.resolve(name))
    ]
    ready = cache.fetch(bundles)
    if as_json:
        _document(cache, [_entry(cache.status(name)) for name in ready])
        return
    for bundle in ready.values():
        click.echo(f"{bundle.name}  {bundle.build}  {bundle.root}")


@engines.command()
@click.option("--all", "everything", is_flag=True, help="Also remove what this release still uses.")
@json_option
def prune(*, everything: bool, as_json: bool) -> None:
    """Remove what this release no longer uses, and incomplete downloads."""
    cache = _cache(offline=True)
    removed = cache.prune(everything=everything)
    size = sum(size for _, size in removed)
    if as_json:
        document = {
            "cache": str(cache.root),
            "removed": [{"path": str(path), "bytes": count} for path, count in removed],
        }
        click.echo(json.dumps(document, indent=2))
        return
    for path, count in removed:
        click.echo(f"removed {path} ({_mb(count)})")
    click.echo(f"{_mb(size)} freed in {cache.root}")


def _cache(*, offline: bool) -> Cache:
    # Imported late, so that `--help` does not wait for it.
    from rtmbench.artifacts import Cache  # noqa: PLC0415

    return Cache(offline=offline)


def _document(cache: Cache, entries: list[dict[str, object]]) -> None:
    click.echo(json.dumps({"cache": str(cache.root), "engines": entries}, indent=2))


def _entry(status: BundleStatus) -> dict[str, object]:
    return {
        "name": status.name,
        "build": status.build,
        "cached": status.cached,
        "download_bytes": status.download_size,
        "cached_bytes": status.cached_size,
        "path": str(status.path),
    }


def _mb(size: int) -> str:
    return f"{size / 1_000_000:,.0f} MB"
