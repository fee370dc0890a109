//! `Table`. Its columns are Arrow's own, so that other libraries read them where they lie, through the Arrow PyCapsule
//! protocol.
//!
//! The capsules are made here, not by `pyo3-arrow`: that crate also converts to a requested schema, which the protocol
//! leaves to the producer, and its casts of all types make the stripped extension 22.1 MB large instead of 12.8 MB.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::types::{Float64Type, Int64Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, Float64Array, Int64Array, PrimitiveArray, RecordBatch,
    RecordBatchIterator, RecordBatchOptions, StringArray, StructArray, UInt64Array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use numpy::ndarray::ArrayView1;
use numpy::{Element, PyArray1, PyReadonlyArray1};
use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyCapsule, PyMapping};

use crate::Error;

/// Rows that a notebook shows.
const SHOWN: usize = 20;

/// Named columns of one length: int64, uint64, float64 or text, without nulls. Anything that speaks Arrow reads it.
#[pyclass(frozen, module = "rtmbench._core")]
pub(super) struct Table(RecordBatch);

impl Table {
    /// Makes a table of columns that have no nulls. ValueError when they differ in length, or a name comes twice or
    /// has a NUL in it.
    pub(super) fn of(columns: Vec<(String, ArrayRef)>) -> PyResult<Self> {
        let rows = columns.first().map_or(0, |(_, column)| column.len());
        let (mut fields, mut arrays) = (Vec::<Field>::new(), Vec::new());
        for (name, column) in columns {
            if column.len() != rows {
                let count = column.len();
                return Err(
                    Error::Invalid(format!("column {name} has {count} rows, the first one {rows}")).into()
                );
            }
            if name.contains('\0') {
                return Err(Error::Invalid("a column's name has a NUL in it".to_owned()).into());
            }
            if fields.iter().any(|field| *field.name() == name) {
                return Err(Error::Invalid(format!("column {name} is there twice")).into());
            }
            fields.push(Field::new(name, column.data_type().clone(), false));
            arrays.push(column);
        }
        // A batch without columns has its number of rows from here.
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options);
        Ok(Self(batch.map_err(refused)?))
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.0.schema_ref().fields().iter().map(|field| field.name())
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
        self.names().cloned().collect()
    }

    /// How many rows there are.
    #[getter]
    fn num_rows(&self) -> usize {
        self.0.num_rows()
    }

    fn __len__(&self) -> usize {
        self.0.num_rows()
    }

    /// A column as an array: a read-only view of the numbers, a copy of text. KeyError when there is none.
    fn to_numpy<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let Some(column) = slf.get().0.column_by_name(name) else {
            return Err(PyKeyError::new_err(format!(
                "no column {name:?}; there are {}",
                slf.get().column_names().join(", ")
            )));
        };
        match column.data_type() {
            DataType::Int64 => view::<Int64Type>(slf, column),
            DataType::UInt64 => view::<UInt64Type>(slf, column),
            DataType::Float64 => view::<Float64Type>(slf, column),
            _ => {
                let strings: Vec<&str> = column.as_string::<i32>().iter().flatten().collect();
                slf.py().import("numpy")?.call_method1("array", (strings, "str"))
            }
        }
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        Self::to_numpy(slf, name)
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(self.0.schema_ref().as_ref()).map_err(refused)?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    #[pyo3(signature = (requested_schema=None))]
    #[expect(unused_variables, reason = "the protocol lets a producer ignore what it cannot convert to")]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        let array = FFI_ArrowArray::new(&StructArray::from(self.0.clone()).into_data());
        Ok((self.__arrow_c_schema__(py)?, PyCapsule::new_with_value(py, array, c"arrow_array")?))
    }

    #[pyo3(signature = (requested_schema=None))]
    #[expect(unused_variables, reason = "the protocol lets a producer ignore what it cannot convert to")]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let batches = RecordBatchIterator::new([Ok(self.0.clone())], self.0.schema());
        let stream = FFI_ArrowArrayStream::new(Box::new(batches));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }

    fn _repr_html_(&self) -> String {
        let line = |tag: &str, cells: &mut dyn Iterator<Item = String>| {
            let cells: Vec<String> = cells.map(|cell| format!("<{tag}>{}</{tag}>", escaped(&cell))).collect();
            format!("<tr>{}</tr>", cells.concat())
        };
        let row = |row| line("td", &mut self.0.columns().iter().map(|column| shown(column, row)));
        let rows = (0..self.0.num_rows().min(SHOWN)).map(row).collect::<Vec<String>>().concat();
        let head = line("th", &mut self.names().cloned());
        let more = self.0.num_rows().saturating_sub(SHOWN);
        let foot = if more > 0 { format!("<p>… and {more} more rows</p>") } else { String::new() };
        format!("<table><thead>{head}</thead><tbody>{rows}</tbody></table>{foot}")
    }

    fn __repr__(&self) -> String {
        format!("<Table rows={} columns={}>", self.0.num_rows(), self.column_names().join(", "))
    }
}

fn column(name: &str, values: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    if let Ok(array) = values.extract::<PyReadonlyArray1<'_, i64>>() {
        return Ok(Arc::new(Int64Array::from(array.as_array().to_vec())));
    }
    if let Ok(array) = values.extract::<PyReadonlyArray1<'_, u64>>() {
        return Ok(Arc::new(UInt64Array::from(array.as_array().to_vec())));
    }
    if let Ok(array) = values.extract::<PyReadonlyArray1<'_, f64>>() {
        return Ok(Arc::new(Float64Array::from(array.as_array().to_vec())));
    }
    if let Ok(strings) = values.extract::<Vec<String>>() {
        // Arrow counts the bytes of such a column in an i32, and would panic.
        if i32::try_from(strings.iter().map(String::len).sum::<usize>()).is_err() {
            return Err(Error::Invalid("a column of text is longer than 2 GiB".to_owned()).into());
        }
        return Ok(Arc::new(StringArray::from_iter_values(strings)));
    }
    Err(PyTypeError::new_err(format!(
        "column {name} is neither a one-dimensional array of int64, uint64 or float64 nor a list of str"
    )))
}

fn view<'py, T>(table: &Bound<'py, Table>, column: &ArrayRef) -> PyResult<Bound<'py, PyAny>>
where
    T: ArrowPrimitiveType<Native: Element>,
{
    let column: &PrimitiveArray<T> = column.as_primitive();
    let values = ArrayView1::from(&column.values()[..]);
    // SAFETY: the values are the table's, which the array keeps alive and nobody changes; it is made read-only.
    let array = unsafe { PyArray1::borrow_from_array(&values, table.clone().into_any()) };
    let flags = [("write", false)].into_py_dict(table.py())?;
    array.call_method("setflags", (), Some(&flags))?;
    Ok(array.into_any())
}

/// The value of a row as text.
fn shown(column: &ArrayRef, row: usize) -> String {
    match column.data_type() {
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(row).to_string(),
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        _ => column.as_string::<i32>().value(row).to_owned(),
    }
}

fn refused(error: ArrowError) -> PyErr {
    Error::Invalid(error.to_string()).into()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
