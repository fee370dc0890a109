//! A table of numbers and text, and Arrow's C data interface over it: other libraries read the columns where they lie.
//!
//! The three structs are those of <https://arrow.apache.org/docs/format/CDataInterface.html>. Each holds a share of
//! the table, which lives until the last one was released. No column has nulls.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

use crate::error::{Error, Result};

/// The values of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Signed integers.
    Int64(Vec<i64>),
    /// Counts.
    UInt64(Vec<u64>),
    /// Floating-point numbers; a missing one is NaN.
    Float64(Vec<f64>),
    /// Text.
    Utf8(Text),
}

/// Strings, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Where each string starts, and where the last one ends.
    offsets: Vec<i32>,
    bytes: Vec<u8>,
}

impl Text {
    /// Joins strings into a column.
    ///
    /// # Errors
    /// [`Error::Invalid`] when they come to more than 2 GiB.
    pub fn new<S: AsRef<str>>(strings: impl IntoIterator<Item = S>) -> Result<Self> {
        let (mut offsets, mut bytes) = (vec![0], Vec::new());
        for string in strings {
            bytes.extend_from_slice(string.as_ref().as_bytes());
            offsets.push(
                i32::try_from(bytes.len())
                    .map_err(|_| Error::Invalid("a column of text is longer than 2 GiB".to_owned()))?,
            );
        }
        Ok(Self { offsets, bytes })
    }

    /// The strings.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.offsets.windows(2).map(|bounds| {
            std::str::from_utf8(&self.bytes[bounds[0] as usize..bounds[1] as usize]).unwrap_or_default()
        })
    }
}

impl Column {
    fn rows(&self) -> usize {
        match self {
            Self::Int64(values) => values.len(),
            Self::UInt64(values) => values.len(),
            Self::Float64(values) => values.len(),
            Self::Utf8(text) => text.offsets.len() - 1,
        }
    }

    /// Arrow's name of the type.
    fn format(&self) -> &'static CStr {
        match self {
            Self::Int64(_) => c"l",
            Self::UInt64(_) => c"L",
            Self::Float64(_) => c"g",
            Self::Utf8(_) => c"u",
        }
    }

    /// The buffers in Arrow's order; the first, which tells nulls, is absent.
    fn buffers(&self) -> Box<[*const c_void]> {
        match self {
            Self::Int64(values) => Box::new([ptr::null(), values.as_ptr().cast()]),
            Self::UInt64(values) => Box::new([ptr::null(), values.as_ptr().cast()]),
            Self::Float64(values) => Box::new([ptr::null(), values.as_ptr().cast()]),
            Self::Utf8(text) => {
                Box::new([ptr::null(), text.offsets.as_ptr().cast(), text.bytes.as_ptr().cast()])
            }
        }
    }

    /// The value of a row as text.
    pub fn shown(&self, row: usize) -> String {
        match self {
            Self::Int64(values) => values[row].to_string(),
            Self::UInt64(values) => values[row].to_string(),
            Self::Float64(values) => values[row].to_string(),
            Self::Utf8(text) => text.iter().nth(row).unwrap_or_default().to_owned(),
        }
    }
}

/// Named columns of one length.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    columns: Vec<(CString, Column)>,
    rows: usize,
}

impl Table {
    /// Makes a table of its columns.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the columns differ in length, or a name comes twice or has a NUL in it.
    pub fn new(columns: Vec<(String, Column)>) -> Result<Self> {
        let rows = columns.first().map_or(0, |(_, column)| column.rows());
        let mut named: Vec<(CString, Column)> = Vec::with_capacity(columns.len());
        for (name, column) in columns {
            if column.rows() != rows {
                let count = column.rows();
                return Err(Error::Invalid(format!("column {name} has {count} rows, the first one {rows}")));
            }
            let name = CString::new(name)
                .map_err(|_| Error::Invalid("a column's name has a NUL in it".to_owned()))?;
            if named.iter().any(|(other, _)| *other == name) {
                return Err(Error::Invalid(format!("column {} is there twice", name.to_string_lossy())));
            }
            named.push((name, column));
        }
        Ok(Self { columns: named, rows })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns by name, in their order.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &Column)> {
        self.columns.iter().map(|(name, column)| (name.to_str().unwrap_or_default(), column))
    }

    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns().find(|(other, _)| *other == name).map(|(_, column)| column)
    }

    /// The columns' names and types, as the type of a struct.
    pub fn schema(&self) -> ArrowSchema {
        let children =
            self.columns.iter().map(|(name, column)| ArrowSchema::new(column.format(), name, vec![]));
        ArrowSchema::new(c"+s", c"", children.collect())
    }

    /// The rows as an array of structs.
    pub fn array(self: &Arc<Self>) -> ArrowArray {
        let children =
            self.columns.iter().map(|(_, column)| ArrowArray::new(self, column.buffers(), vec![])).collect();
        ArrowArray::new(self, Box::new([ptr::null()]), children)
    }

    /// The rows as a stream of one batch.
    pub fn stream(self: &Arc<Self>) -> ArrowArrayStream {
        ArrowArrayStream::new(self)
    }
}

/// `struct ArrowSchema`. Released when it is dropped, unless its reader has moved it out.
#[repr(C)]
#[derive(Debug)]
pub struct ArrowSchema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    n_children: i64,
    children: *mut *mut ArrowSchema,
    dictionary: *mut ArrowSchema,
    release: Option<unsafe extern "C" fn(*mut ArrowSchema)>,
    private_data: *mut c_void,
}

struct SchemaHeld {
    name: CString,
    children: Box<[*mut ArrowSchema]>,
}

impl ArrowSchema {
    fn new(format: &'static CStr, name: &CStr, children: Vec<Self>) -> Self {
        let children = children.into_iter().map(|child| Box::into_raw(Box::new(child))).collect();
        let mut held = Box::new(SchemaHeld { name: name.to_owned(), children });
        Self {
            format: format.as_ptr(),
            name: held.name.as_ptr(),
            metadata: ptr::null(),
            flags: 0,
            n_children: held.children.len() as i64,
            children: held.children.as_mut_ptr(),
            dictionary: ptr::null_mut(),
            release: Some(release_schema),
            private_data: Box::into_raw(held).cast(),
        }
    }
}

unsafe extern "C" fn release_schema(schema: *mut ArrowSchema) {
    // SAFETY: the interface passes a schema that `new` made and nobody has released; its children were boxed there.
    unsafe {
        let held = Box::from_raw((*schema).private_data.cast::<SchemaHeld>());
        for &child in &held.children {
            drop(Box::from_raw(child));
        }
        (*schema).release = None;
    }
}

impl Drop for ArrowSchema {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: it is called once: it resets the field.
            unsafe { release(self) }
        }
    }
}

/// `struct ArrowArray`. Released when it is dropped, unless its reader has moved it out.
#[repr(C)]
#[derive(Debug)]
pub struct ArrowArray {
    length: i64,
    null_count: i64,
    offset: i64,
    n_buffers: i64,
    n_children: i64,
    buffers: *mut *const c_void,
    children: *mut *mut ArrowArray,
    dictionary: *mut ArrowArray,
    release: Option<unsafe extern "C" fn(*mut ArrowArray)>,
    private_data: *mut c_void,
}

struct ArrayHeld {
    buffers: Box<[*const c_void]>,
    children: Box<[*mut ArrowArray]>,
    _table: Arc<Table>,
}

impl ArrowArray {
    fn new(table: &Arc<Table>, buffers: Box<[*const c_void]>, children: Vec<Self>) -> Self {
        let children = children.into_iter().map(|child| Box::into_raw(Box::new(child))).collect();
        let mut held = Box::new(ArrayHeld { buffers, children, _table: Arc::clone(table) });
        Self {
            length: table.rows as i64,
            null_count: 0,
            offset: 0,
            n_buffers: held.buffers.len() as i64,
            n_children: held.children.len() as i64,
            buffers: held.buffers.as_mut_ptr(),
            children: held.children.as_mut_ptr(),
            dictionary: ptr::null_mut(),
            release: Some(release_array),
            private_data: Box::into_raw(held).cast(),
        }
    }

    /// What a stream gives after its last batch.
    fn ended() -> Self {
        Self {
            length: 0,
            null_count: 0,
            offset: 0,
            n_buffers: 0,
            n_children: 0,
            buffers: ptr::null_mut(),
            children: ptr::null_mut(),
            dictionary: ptr::null_mut(),
            release: None,
            private_data: ptr::null_mut(),
        }
    }
}

unsafe extern "C" fn release_array(array: *mut ArrowArray) {
    // SAFETY: the interface passes an array that `new` made and nobody has released; its children were boxed there.
    unsafe {
        let held = Box::from_raw((*array).private_data.cast::<ArrayHeld>());
        for &child in &held.children {
            drop(Box::from_raw(child));
        }
        (*array).release = None;
    }
}

impl Drop for ArrowArray {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: it is called once: it resets the field.
            unsafe { release(self) }
        }
    }
}

/// `struct ArrowArrayStream`. Released when it is dropped, unless its reader has moved it out.
#[repr(C)]
#[derive(Debug)]
pub struct ArrowArrayStream {
    get_schema: Option<unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowSchema) -> c_int>,
    get_next: Option<unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowArray) -> c_int>,
    get_last_error: Option<unsafe extern "C" fn(*mut ArrowArrayStream) -> *const c_char>,
    release: Option<unsafe extern "C" fn(*mut ArrowArrayStream)>,
    private_data: *mut c_void,
}

struct StreamHeld {
    table: Arc<Table>,
    given: bool,
}

impl ArrowArrayStream {
    fn new(table: &Arc<Table>) -> Self {
        Self {
            get_schema: Some(stream_schema),
            get_next: Some(stream_next),
            get_last_error: Some(stream_error),
            release: Some(release_stream),
            private_data: Box::into_raw(Box::new(StreamHeld { table: Arc::clone(table), given: false }))
                .cast(),
        }
    }
}

unsafe extern "C" fn stream_schema(stream: *mut ArrowArrayStream, out: *mut ArrowSchema) -> c_int {
    // SAFETY: the interface passes a stream that was not released, and room for a schema.
    unsafe {
        let held = &*(*stream).private_data.cast::<StreamHeld>();
        out.write(held.table.schema());
    }
    0
}

unsafe extern "C" fn stream_next(stream: *mut ArrowArrayStream, out: *mut ArrowArray) -> c_int {
    // SAFETY: the interface passes a stream that was not released, from one thread at a time, and room for an array.
    unsafe {
        let held = &mut *(*stream).private_data.cast::<StreamHeld>();
        out.write(if held.given { ArrowArray::ended() } else { held.table.array() });
        held.given = true;
    }
    0
}

unsafe extern "C" fn stream_error(_stream: *mut ArrowArrayStream) -> *const c_char {
    ptr::null()
}

unsafe extern "C" fn release_stream(stream: *mut ArrowArrayStream) {
    // SAFETY: the interface passes a stream that `new` made and nobody has released.
    unsafe {
        drop(Box::from_raw((*stream).private_data.cast::<StreamHeld>()));
        (*stream).release = None;
    }
}

impl Drop for ArrowArrayStream {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: it is called once: it resets the field.
            unsafe { release(self) }
        }
    }
}

// SAFETY: what the pointers lead to is owned by the struct, or is the shared table, which nobody changes.
unsafe impl Send for ArrowSchema {}
// SAFETY: as above.
unsafe impl Send for ArrowArray {}
// SAFETY: as above.
unsafe impl Send for ArrowArrayStream {}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Arc<Table> {
        let columns = [
            ("at", Column::Int64(vec![1, -2])),
            ("count", Column::UInt64(vec![3, u64::MAX])),
            ("share", Column::Float64(vec![0.5, f64::NAN])),
            ("name", Column::Utf8(Text::new(["", "µs"]).unwrap())),
        ];
        Arc::new(Table::new(columns.map(|(name, column)| (name.to_owned(), column)).to_vec()).unwrap())
    }

    #[test]
    fn the_table_lives_until_the_last_export_was_released() {
        let table = table();
        let (array, mut stream) = (table.array(), table.stream());
        assert_eq!(Arc::strong_count(&table), 1 + 5 + 1);
        drop(array);
        assert_eq!(Arc::strong_count(&table), 2);
        let (mut first, mut second) = (ArrowArray::ended(), ArrowArray::ended());
        // SAFETY: the stream and the room for the results are alive.
        unsafe {
            assert_eq!(stream_next(&raw mut stream, &raw mut first), 0);
            assert_eq!(stream_next(&raw mut stream, &raw mut second), 0);
        }
        assert_eq!((first.length, first.n_children), (2, 4));
        assert!(first.release.is_some() && second.release.is_none());
        drop(stream);
        drop(first);
        assert_eq!(Arc::strong_count(&table), 1);
    }

    #[test]
    fn a_child_that_was_moved_out_is_released_by_its_new_owner_alone() {
        let table = table();
        let array = table.array();
        // SAFETY: the interface's way to move a child: copy the struct, mark the source as released.
        let moved = unsafe {
            let child = *array.children;
            let moved = child.read();
            (*child).release = None;
            moved
        };
        drop(array);
        assert_eq!(Arc::strong_count(&table), 2);
        // SAFETY: the moved array is alive and has two buffers of two values.
        let values = unsafe { std::slice::from_raw_parts((*moved.buffers.add(1)).cast::<i64>(), 2) };
        assert_eq!(values, [1, -2]);
        drop(moved);
        assert_eq!(Arc::strong_count(&table), 1);
    }

    #[test]
    fn a_table_is_made_of_named_columns_of_one_length() {
        let one = || Column::Int64(vec![1]);
        let named = |name: &str, column| (name.to_owned(), column);
        assert!(Table::new(vec![named("a", one()), named("b", Column::Int64(vec![]))]).is_err());
        assert!(Table::new(vec![named("a", one()), named("a", one())]).is_err());
        assert!(Table::new(vec![named("a\0", one())]).is_err());
        assert_eq!(Table::new(vec![]).unwrap().rows(), 0);
        assert_eq!(table().column("name").map(|column| column.shown(1)), Some("µs".to_owned()));
    }
}
