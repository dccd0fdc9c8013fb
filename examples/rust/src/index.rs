//! The index itself.

use crate::callback::Caught;
use crate::error::{check, refuse};
use crate::{ffi, Error, IndexParams, SearchParams};
use std::ffi::{c_char, c_int, c_void, CStr, CString};
use std::mem::{size_of, MaybeUninit};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{self, NonNull};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for u8 {}
    impl Sealed for i8 {}
}

/// What vectors may consist of.
pub trait Element: sealed::Sealed + Copy {
    #[doc(hidden)]
    const TYPE: i32;
}
impl Element for f32 {
    const TYPE: i32 = 0;
}
impl Element for u8 {
    const TYPE: i32 = 3;
}
impl Element for i8 {
    const TYPE: i32 = 4;
}

/// The results of a batch of queries. [`Hits::of`] has those of one.
#[derive(Debug, Clone, PartialEq)]
pub struct Hits {
    k: usize,
    labels: Vec<u64>,
    distances: Vec<f32>,
    counts: Vec<u32>,
}

impl Hits {
    /// Places for k results of each query.
    fn new(queries: usize, k: usize) -> Result<Hits, Error> {
        let places = queries.saturating_mul(k);
        Ok(Hits {
            k,
            labels: zeros(places)?,
            distances: zeros(places)?,
            counts: zeros(queries)?,
        })
    }

    /// Number of queries.
    pub fn queries(&self) -> usize {
        self.counts.len()
    }

    /// Labels and distances of what was found for query `q`, nearest first. Panics if there is no such query.
    pub fn of(&self, q: usize) -> impl Iterator<Item = (u64, f32)> + '_ {
        let found = q * self.k..q * self.k + self.counts[q] as usize;
        let labels = self.labels[found.clone()].iter().copied();
        labels.zip(self.distances[found].iter().copied())
    }
}

/// A set of vectors with labels, and the HNSW graph over them.
#[derive(Debug)]
pub struct Index {
    handle: NonNull<ffi::concord_index>,
    dimension: usize,
}

// SAFETY: the library ties no index to a thread. Its one owner frees it.
unsafe impl Send for Index {}
// SAFETY: methods of &Index call functions that take a const concord_index*, which any number of threads may call at a
// time. What changes the index takes &mut Index, so Rust lets nothing run beside it. (The library would allow searches
// beside a change.)
unsafe impl Sync for Index {}

impl Index {
    /// An empty index.
    pub fn new(params: &IndexParams) -> Result<Index, Error> {
        let params = params.to_c();
        // SAFETY: params lives until the call returns.
        Index::made(|index| unsafe { ffi::concord_index_create(&params, ptr::null(), index) })
    }

    /// Reads a file that [`Index::save`] wrote, on `threads` threads from then on; 0 means all.
    pub fn load(path: impl AsRef<Path>, threads: u32) -> Result<Index, Error> {
        let path = c_path(path.as_ref())?;
        let mut options = MaybeUninit::<ffi::concord_runtime_options>::uninit();
        // SAFETY: the function writes so many bytes, all of the struct.
        let mut options = unsafe {
            ffi::concord_runtime_options_init(
                options.as_mut_ptr(),
                size_of::<ffi::concord_runtime_options>(),
            );
            options.assume_init()
        };
        options.threads = threads;
        // SAFETY: path and options live until the call returns.
        Index::made(|index| unsafe { ffi::concord_index_load(path.as_ptr(), &options, index) })
    }

    /// Writes the index to a file, atomically.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = c_path(path.as_ref())?;
        // SAFETY: the index and the path live.
        check(unsafe { ffi::concord_index_save(self.as_ptr(), path.as_ptr()) })
    }

    /// Adds vectors that stand one behind the other. Their labels are numbers, in order of insertion.
    pub fn add<T: Element>(&mut self, vectors: &[T]) -> Result<usize, Error> {
        self.add_with(vectors, None, |_, _| true)
    }

    /// Adds vectors with labels of the caller.
    pub fn add_labelled<T: Element>(
        &mut self,
        vectors: &[T],
        labels: &[u64],
    ) -> Result<usize, Error> {
        self.add_with(vectors, Some(labels), |_, _| true)
    }

    /// The same, and tells `progress` how many vectors of how many are committed. If it returns false, the addition ends;
    /// what was committed stays. If it panics, so does this call, with the same left behind.
    pub fn add_with<T: Element>(
        &mut self,
        vectors: &[T],
        labels: Option<&[u64]>,
        progress: impl FnMut(u64, u64) -> bool,
    ) -> Result<usize, Error> {
        let matrix = self.matrix_of(vectors)?;
        let labels = match labels {
            None => ptr::null(),
            Some(labels) => of_length(labels, matrix.rows)?,
        };
        let mut caught = Caught::new(progress);
        let call = call_of(&caught.function);
        let context: *mut Caught<_> = &mut caught;
        let mut count = 0;
        // SAFETY: vectors and labels live until the call returns, and have as many elements as the matrix says. `call` is
        // that of the type behind context.
        let status = unsafe {
            let context = context.cast();
            ffi::concord_index_add(
                self.as_mut_ptr(),
                &matrix,
                labels,
                Some(call),
                context,
                &mut count,
            )
        };
        caught.resume();
        check(status).map(|()| count)
    }

    /// Replaces the vectors of these labels, or adds those that are new.
    pub fn upsert<T: Element>(&mut self, vectors: &[T], labels: &[u64]) -> Result<usize, Error> {
        let matrix = self.matrix_of(vectors)?;
        let labels = of_length(labels, matrix.rows)?;
        let mut count = 0;
        // SAFETY: as in add_with.
        check(unsafe {
            let none = ptr::null_mut();
            ffi::concord_index_upsert(self.as_mut_ptr(), &matrix, labels, None, none, &mut count)
        })?;
        Ok(count)
    }

    /// Removes the vectors of these labels, all or none.
    pub fn remove(&mut self, labels: &[u64]) -> Result<usize, Error> {
        let mut count = 0;
        // SAFETY: labels has so many elements.
        check(unsafe {
            ffi::concord_index_remove(self.as_mut_ptr(), labels.as_ptr(), labels.len(), &mut count)
        })?;
        Ok(count)
    }

    /// The nearest vectors of each query; queries stand one behind the other.
    pub fn search<T: Element>(
        &self,
        queries: &[T],
        params: &SearchParams<'_>,
    ) -> Result<Hits, Error> {
        let matrix = self.matrix_of(queries)?;
        let params = params.to_c();
        let k = params.k as usize;
        // The library checks the parameters before there are arrays of a size that they give.
        self.search_to(
            &ffi::concord_matrix { rows: 0, ..matrix },
            &params,
            &mut Hits::new(0, k)?,
        )?;
        let mut hits = Hits::new(matrix.rows, k)?;
        self.search_to(&matrix, &params, &mut hits)?;
        Ok(hits)
    }

    fn search_to(
        &self,
        matrix: &ffi::concord_matrix,
        params: &ffi::concord_search_params,
        hits: &mut Hits,
    ) -> Result<(), Error> {
        let places = ffi::concord_hits {
            labels: hits.labels.as_mut_ptr(),
            distances: hits.distances.as_mut_ptr(),
            counts: hits.counts.as_mut_ptr(),
            queries: hits.counts.len(),
            k: hits.k,
        };
        // SAFETY: queries, parameters, filter and the three arrays live, and the arrays have the sizes that places says.
        check(unsafe { ffi::concord_index_search(self.as_ptr(), matrix, params, &places) })
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        // SAFETY: the index lives.
        unsafe { ffi::concord_index_size(self.as_ptr()) }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Elements of a vector.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Whether there is a vector with this label.
    pub fn contains(&self, label: u64) -> Result<bool, Error> {
        let mut found: c_int = 0;
        // SAFETY: the index lives.
        check(unsafe { ffi::concord_index_contains(self.as_ptr(), label, &mut found) })?;
        Ok(found == 1)
    }

    /// The stored vector of a label.
    pub fn vector(&self, label: u64) -> Result<Vec<f32>, Error> {
        let mut vector = vec![0.0; self.dimension];
        // SAFETY: the vector has so many elements.
        check(unsafe {
            let room = vector.as_mut_ptr();
            ffi::concord_index_vector(self.as_ptr(), label, room, self.dimension)
        })?;
        Ok(vector)
    }

    /// 32 hexadecimal digits that are the same for equal indexes, whatever computed them.
    pub fn digest(&self) -> Result<String, Error> {
        let mut digest = [0 as c_char; ffi::CONCORD_DIGEST_SIZE];
        // SAFETY: the array has the size that the function fills, with a NUL at its end.
        let text = unsafe {
            check(ffi::concord_index_digest(
                self.as_ptr(),
                digest.as_mut_ptr(),
            ))?;
            CStr::from_ptr(digest.as_ptr())
        };
        Ok(text.to_string_lossy().into_owned())
    }

    pub(crate) fn as_ptr(&self) -> *const ffi::concord_index {
        self.handle.as_ptr()
    }

    fn as_mut_ptr(&mut self) -> *mut ffi::concord_index {
        self.handle.as_ptr()
    }

    fn made(
        make: impl FnOnce(*mut *mut ffi::concord_index) -> ffi::ConcordStatus,
    ) -> Result<Index, Error> {
        let mut handle = ptr::null_mut();
        check(make(&mut handle))?;
        let mut index = Index {
            handle: NonNull::new(handle).expect("an index that was made"),
            dimension: 0,
        };
        let mut params = IndexParams::defaults();
        // SAFETY: the index lives, and params has its struct_size.
        check(unsafe { ffi::concord_index_get_params(index.as_ptr(), &mut params) })?;
        index.dimension = params.dimension as usize;
        Ok(index)
    }

    /// Rows of this index's dimension. They borrow the elements without saying so: for one call.
    fn matrix_of<T: Element>(&self, elements: &[T]) -> Result<ffi::concord_matrix, Error> {
        if elements.len() % self.dimension != 0 {
            let (length, dimension) = (elements.len(), self.dimension);
            return Err(refuse(
                ffi::CONCORD_ERROR_DIMENSION_MISMATCH,
                format!("{length} elements are no whole vectors of {dimension}"),
            ));
        }
        Ok(ffi::concord_matrix {
            data: elements.as_ptr().cast(),
            rows: elements.len() / self.dimension,
            cols: self.dimension,
            stride: 0,
            element: T::TYPE,
            zero: 0,
        })
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        // SAFETY: nothing else has the handle, and no call is inside.
        unsafe { ffi::concord_index_free(self.handle.as_ptr()) }
    }
}

/// So many zeros, or an error where there is no memory for them.
fn zeros<T: Copy + Default>(count: usize) -> Result<Vec<T>, Error> {
    let mut zeros = Vec::new();
    if zeros.try_reserve_exact(count).is_err() {
        return Err(refuse(
            ffi::CONCORD_ERROR_OUT_OF_MEMORY,
            format!("no memory for {count} results"),
        ));
    }
    zeros.resize(count, T::default());
    Ok(zeros)
}

/// The pointer of labels, if there is one for each vector.
fn of_length(labels: &[u64], rows: usize) -> Result<*const u64, Error> {
    if labels.len() == rows {
        return Ok(labels.as_ptr());
    }
    let count = labels.len();
    Err(refuse(
        ffi::CONCORD_ERROR_DIMENSION_MISMATCH,
        format!("{count} labels for {rows} vectors"),
    ))
}

fn c_path(path: &Path) -> Result<CString, Error> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| {
        refuse(
            ffi::CONCORD_ERROR_INVALID_PARAMETER,
            "the path contains a NUL".to_string(),
        )
    })
}

type Call = unsafe extern "C" fn(*mut c_void, u64, u64) -> c_int;

/// The C function that calls a closure of this type. A closure that has panicked ends the call.
fn call_of<F: FnMut(u64, u64) -> bool>(_: &F) -> Call {
    unsafe extern "C" fn call<F: FnMut(u64, u64) -> bool>(
        context: *mut c_void,
        done: u64,
        total: u64,
    ) -> c_int {
        // SAFETY: the context is the one that add_with gave.
        let caught = unsafe { &mut *context.cast::<Caught<F>>() };
        let goes_on = caught.call(|progress| progress(done, total));
        c_int::from(!goes_on.unwrap_or(false))
    }
    call::<F>
}
