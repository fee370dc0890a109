"""Tables as other libraries read them, and histograms as other HdrHistogram tools read and write them."""

from __future__ import annotations

import gc

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader, HistogramLogWriter

from rtmbench import _core

START_US = 1_700_000_000_250_000


@pytest.fixture
def table():
    return _core.Table(
        {
            "at_us": np.array([1, -2, 3], dtype=np.int64),
            "count": np.array([4, 2**64 - 1, 6], dtype=np.uint64),
            "share": np.array([0.5, np.nan, 1.0]),
            "engine": ["", "µs", "<b>"],
        }
    )


def _samples(seed, count=4999):
    return np.random.default_rng(seed).lognormal(8, 1.5, count).astype(np.int64) + 1


def _histogram(samples):
    histogram = _core.Histogram()
    histogram.record_many(samples)
    return histogram


def test_a_table_has_the_columns_that_it_was_made_of(table):
    assert table.column_names == ["at_us", "count", "share", "engine"]
    assert len(table) == table.num_rows == 3
    assert table["at_us"].tolist() == [1, -2, 3]
    assert table["count"].dtype == np.uint64
    assert np.isnan(table.to_numpy("share")[1])
    assert table.to_numpy("engine").tolist() == ["", "µs", "<b>"]
    with pytest.raises(KeyError, match="at_us, count"):
        table.to_numpy("other")
    assert repr(table) == "<Table rows=3 columns=at_us, count, share, engine>"


def test_an_array_is_a_read_only_view_that_keeps_the_table_alive(table):
    first, second = table.to_numpy("at_us"), table.to_numpy("at_us")
    assert first.ctypes.data == second.ctypes.data
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 5
    del table, second
    gc.collect()
    assert first.tolist() == [1, -2, 3]


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"a": np.arange(3), "b": np.arange(2)}, ValueError, "column b has 2 rows"),
        ({"a": np.arange(3, dtype=np.int32)}, TypeError, "column a"),
        ({"a": np.zeros((2, 2))}, TypeError, "column a"),
        ({"a": "text"}, TypeError, "column a"),
        ({"a\0": ["x"]}, ValueError, "NUL"),
    ],
)
def test_other_columns_are_refused(columns, error, message):
    with pytest.raises(error, match=message):
        _core.Table(columns)


def test_a_name_that_comes_twice_is_refused():
    class Twice(dict):
        def items(self):
            return [("a", ["x"]), ("a", ["y"])]

    with pytest.raises(ValueError, match="column a is there twice"):
        _core.Table(Twice())


def test_pyarrow_takes_a_table_without_a_copy(table):
    arrow = pa.table(table)
    arrow.validate(full=True)
    assert arrow.schema.names == table.column_names
    assert [str(kind) for kind in arrow.schema.types] == ["int64", "uint64", "double", "string"]
    assert arrow["count"].to_pylist() == [4, 2**64 - 1, 6]
    assert arrow["engine"].to_pylist() == ["", "µs", "<b>"]
    assert arrow["at_us"].chunk(0).buffers()[1].address == table.to_numpy("at_us").ctypes.data
    batch = pa.record_batch(table)
    batch.validate(full=True)
    assert batch.num_rows == 3
    assert pa.schema(table) == arrow.schema
    # The columns outlive the table, and go with the last of their readers.
    column = arrow["share"]
    del table, arrow, batch
    gc.collect()
    assert column.to_pylist()[0] == 0.5


def test_polars_and_duckdb_take_a_table(table):
    frame = pl.DataFrame(table)
    assert frame.schema == {"at_us": pl.Int64, "count": pl.UInt64, "share": pl.Float64, "engine": pl.String}
    assert frame["at_us"].to_list() == [1, -2, 3]
    assert pl.from_arrow(table).struct.unnest().equals(frame)
    with duckdb.connect() as connection:
        connection.register("figures", table)
        assert connection.sql("select sum(at_us), max(engine) from figures").fetchall() == [(2, "µs")]


def test_exports_that_nobody_reads_are_released(table):
    for _ in range(1000):
        table.__arrow_c_stream__()
        table.__arrow_c_array__()
        table.__arrow_c_schema__()
    assert len(_core.Table({})) == 0
    assert pa.table(_core.Table({"a": np.array([], dtype=np.int64), "b": []})).num_rows == 0


def test_a_notebook_shows_the_first_rows_escaped(table):
    html = table._repr_html_()
    assert "<th>at_us</th>" in html
    assert "&lt;b&gt;" in html
    assert html.count("<tr>") == 4
    long = _core.Table({"n": np.arange(1000)})._repr_html_()
    assert long.count("<tr>") == 21
    assert "980 more rows" in long


def test_a_histogram_is_a_table():
    histogram = _histogram(_samples(1))
    table = histogram.table()
    values, counts = histogram.counts()
    assert (table["value_us"] == values).all()
    assert (table["count"] == counts).all()
    assert table["percentile"][-1] == 100
    assert (np.diff(table["percentile"]) > 0).all()
    median = values[np.searchsorted(table["percentile"], 50)]
    assert median == pytest.approx(histogram.percentile(50), rel=1e-3)
    assert len(_core.Histogram().table()) == 0


def test_shards_from_other_machines_make_the_whole():
    samples = _samples(2, 10_000)
    sent = [_histogram(part).to_bytes() for part in np.array_split(samples, 7)]
    whole = _core.Histogram()
    for data in sent:
        whole.merge(_core.Histogram.from_bytes(data))
    assert whole == _histogram(samples)


def _assert_same_percentiles(ours, theirs):
    """A rank between two samples is rounded up by ours, to the nearest by theirs: one sample to either side."""
    step = 100 / ours.count
    for q in (0, 1, 50, 90, 99, 99.9, 100):
        low, high = (theirs.get_value_at_percentile(min(max(q + by, 0), 100)) for by in (-step, step))
        assert low * 0.999 - 1 <= ours.percentile(q) <= high * 1.001 + 1, q


def test_another_tool_reads_our_interval_log(tmp_path):
    path = tmp_path / "ours.hlog"
    seconds = [_histogram(_samples(seed)) for seed in range(3)]
    _core.write_interval_log(path, START_US, [(1_000_000, seconds[0]), (500_000, seconds[1]), (250_000, seconds[2])])
    reader = HistogramLogReader(str(path), HdrHistogram(1, 3_600_000_000, 3))
    lengths = []
    for ours in seconds:
        theirs = reader.get_next_interval_histogram()
        lengths.append(theirs.get_end_time_stamp() - theirs.get_start_time_stamp())
        assert theirs.get_total_count() == ours.count
        _assert_same_percentiles(ours, theirs)
        counted = {
            item.value_iterated_to: item.count_added_in_this_iter_step for item in theirs.get_recorded_iterator()
        }
        values, counts = ours.counts()
        assert list(counted) == values.tolist()
        assert list(counted.values()) == counts.tolist()
    assert lengths == [1000, 500, 250]
    assert reader.get_next_interval_histogram() is None
    reader.close()
    read = _core.read_interval_log(path)
    assert [(start, length) for start, length, _ in read] == [
        (START_US, 1_000_000),
        (START_US + 1_000_000, 500_000),
        (START_US + 1_500_000, 250_000),
    ]
    assert [histogram for _, _, histogram in read] == seconds


@pytest.mark.parametrize(
    ("base", "offset_s"),
    [("BaseTime", 0.5), ("StartTime", 0.5), ("StartTime", START_US / 1e6 + 0.5)],
    ids=["after the base time", "after the start time", "since the epoch"],
)
def test_we_read_another_tools_interval_log(base, offset_s, tmp_path):
    path = tmp_path / "theirs.hlog"
    theirs = HdrHistogram(1, 3_600_000_000, 3)
    for value in _samples(4).tolist():
        theirs.record_value(value)
    with path.open("w", encoding="ascii") as file:
        writer = HistogramLogWriter(file)
        writer.output_log_format_version()
        # Written as its output_start_time means to: that one fails on every time of this century.
        file.write(f"#[{base}: {START_US / 1e6:.6f} (seconds since epoch), by hand]\n")
        writer.output_legend()
        writer.output_interval_histogram(theirs, offset_s, offset_s + 2, 1000.0)
    ((start_us, length_us, ours),) = _core.read_interval_log(path)
    assert start_us == pytest.approx(START_US + 500_000, abs=2)
    assert length_us == pytest.approx(2_000_000, abs=2)
    assert ours.count == theirs.get_total_count()
    _assert_same_percentiles(ours, theirs)


def test_what_is_no_interval_log_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        _core.read_interval_log(tmp_path / "none.hlog")
    path = tmp_path / "other.hlog"
    path.write_text("time,value\n1,2\n", encoding="ascii")
    with pytest.raises(ValueError, match="no interval log"):
        _core.read_interval_log(path)
    path.write_text("#[Histogram log format version 1.3]\n0.0,1.0,5.0,HISTnonsense\n", encoding="ascii")
    with pytest.raises(ValueError, match=r"no interval log|HdrHistogram"):
        _core.read_interval_log(path)
