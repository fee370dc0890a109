//! `Table`.

use std::sync::Arc;

use numpy::ndarray::ArrayView1;
use numpy::{Element, PyArray1, PyReadonlyArray1};
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyCapsule, PyMapping};

use crate::arrow::{self, Column, Text};

/// Rows that a notebook shows.
const SHOWN: usize = 20;

/// Named columns of one length: int64, uint64, float64 or text, without nulls. Anything that speaks Arrow reads it.
#[pyclass(frozen, module = "rtmbench._core")]
pub(super) struct Table(Arc<arrow::Table>);

impl Table {
    pub(super) fn of(columns: Vec<(String, Column)>) -> PyResult<Self> {
        Ok(Self(Arc::new(arrow::Table::new(columns)?)))
    }
}

#[pymethods]
impl Table {
    #[new]
    fn new(columns: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut named = Vec::new();
        for item in columns.cast::<PyMapping>()?.items()? {
            let (name, values) = item.extract::<(String, Bound<'_, PyAny>)>()?;
            let column = column(&name, &values)?;
            named.push((name, column));
        }
        Self::of(named)
    }

    /// The names of the columns, in their order.
    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.0.columns().map(|(name, _)| name.to_owned()).collect()
    }

    /// How many rows there are.
    #[getter]
    fn num_rows(&self) -> usize {
        self.0.rows()
    }

    fn __len__(&self) -> usize {
        self.0.rows()
    }

    /// A column as an array: a read-only view of the numbers, a copy of text. KeyError when there is none.
    fn to_numpy<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        match slf.get().0.column(name) {
            Some(Column::Int64(values)) => view(slf, values),
            Some(Column::UInt64(values)) => view(slf, values),
            Some(Column::Float64(values)) => view(slf, values),
            Some(Column::Utf8(text)) => {
                let strings: Vec<&str> = text.iter().collect();
                slf.py().import("numpy")?.call_method1("array", (strings, "str"))
            }
            None => Err(PyKeyError::new_err(format!(
                "no column {name:?}; there are {}",
                slf.get().column_names().join(", ")
            ))),
        }
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        Self::to_numpy(slf, name)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        PyCapsule::new_with_value(py, self.0.schema(), c"arrow_schema")
    }

    #[pyo3(signature = (requested_schema=None))]
    #[expect(unused_variables, reason = "the protocol lets a producer ignore what it cannot convert to")]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        Ok((self.__arrow_c_schema__(py)?, PyCapsule::new_with_value(py, self.0.array(), c"arrow_array")?))
    }

    #[pyo3(signature = (requested_schema=None))]
    #[expect(unused_variables, reason = "the protocol lets a producer ignore what it cannot convert to")]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        PyCapsule::new_with_value(py, self.0.stream(), c"arrow_array_stream")
    }

    fn _repr_html_(&self) -> String {
        let line = |tag: &str, cells: &mut dyn Iterator<Item = String>| {
            let cells: Vec<String> = cells.map(|cell| format!("<{tag}>{}</{tag}>", escaped(&cell))).collect();
            format!("<tr>{}</tr>", cells.concat())
        };
        let row = |row| line("td", &mut self.0.columns().map(|(_, column)| column.shown(row)));
        let rows = (0..self.0.rows().min(SHOWN)).map(row).collect::<Vec<String>>().concat();
        let head = line("th", &mut self.0.columns().map(|(name, _)| name.to_owned()));
        let more = self.0.rows().saturating_sub(SHOWN);
        let foot = if more > 0 { format!("<p>… and {more} more rows</p>") } else { String::new() };
        format!("<table><thead>{head}</thead><tbody>{rows}</tbody></table>{foot}")
    }

    fn __repr__(&self) -> String {
        format!("<Table rows={} columns={}>", self.0.rows(), self.column_names().join(", "))
    }
}

fn column(name: &str, values: &Bound<'_, PyAny>) -> PyResult<Column> {
    if let Ok(array) = values.extract::<PyReadonlyArray1<'_, i64>>() {
        return Ok(Column::Int64(array.as_array().to_vec()));
    }
    if let Ok(array) = values.extract::<PyReadonlyArray1<'_, u64>>() {
        return Ok(Column::UInt64(array.as_array().to_vec()));
    }
    if let Ok(array) = values.extract::<PyReadonlyArray1<'_, f64>>() {
        return Ok(Column::Float64(array.as_array().to_vec()));
    }
    if let Ok(strings) = values.extract::<Vec<String>>() {
        return Ok(Column::Utf8(Text::new(strings)?));
    }
    Err(PyTypeError::new_err(format!(
        "column {name} is neither a one-dimensional array of int64, uint64 or float64 nor a list of str"
    )))
}

fn view<'py, T: Element>(table: &Bound<'py, Table>, values: &[T]) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: the values are the table's, which the array keeps alive and nobody changes; it is made read-only.
    let array = unsafe { PyArray1::borrow_from_array(&ArrayView1::from(values), table.clone().into_any()) };
    let flags = [("write", false)].into_py_dict(table.py())?;
    array.call_method("setflags", (), Some(&flags))?;
    Ok(array.into_any())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
