//! Which vectors a search may find.

use crate::callback::Caught;
use crate::error::check;
use crate::{ffi, Error, Index};
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

/// A set of vectors of one index, as of the moment at which it was made. The index may be dropped before it.
#[derive(Debug)]
pub struct Filter {
    handle: NonNull<ffi::concord_filter>,
}

// SAFETY: a filter never changes, and the library lets any number of threads use one. It is freed by its one owner.
unsafe impl Send for Filter {}
unsafe impl Sync for Filter {}

impl Filter {
    /// The vectors of these labels. Labels without a vector do not count.
    pub fn of_labels(index: &Index, labels: &[u64]) -> Result<Filter, Error> {
        // SAFETY: the index lives, and labels has so many elements.
        Filter::made(|filter| unsafe {
            ffi::concord_filter_of_labels(index.as_ptr(), labels.as_ptr(), labels.len(), filter)
        })
    }

    /// The vectors for whose label `predicate` holds. It is called here, once for each vector. If it panics, so does
    /// this call.
    pub fn of_predicate(
        index: &Index,
        predicate: impl FnMut(u64) -> bool,
    ) -> Result<Filter, Error> {
        let mut caught = Caught::new(predicate);
        let call = call_of(&caught.function);
        let context: *mut Caught<_> = &mut caught;
        // SAFETY: `call` is that of the type behind context, which outlives the call.
        let result = Filter::made(|filter| unsafe {
            ffi::concord_filter_of_predicate(index.as_ptr(), Some(call), context.cast(), filter)
        });
        caught.resume();
        result
    }

    /// What matches both. Both must be of one index.
    pub fn and(&self, other: &Filter) -> Result<Filter, Error> {
        // SAFETY: both filters live.
        Filter::made(|filter| unsafe {
            ffi::concord_filter_and(self.as_ptr(), other.as_ptr(), filter)
        })
    }

    /// What matches either. Both must be of one index.
    pub fn or(&self, other: &Filter) -> Result<Filter, Error> {
        // SAFETY: both filters live.
        Filter::made(|filter| unsafe {
            ffi::concord_filter_or(self.as_ptr(), other.as_ptr(), filter)
        })
    }

    /// What does not match this one.
    pub fn not(&self) -> Result<Filter, Error> {
        // SAFETY: the filter lives.
        Filter::made(|filter| unsafe { ffi::concord_filter_not(self.as_ptr(), filter) })
    }

    /// Vectors that matched when the filter was made.
    pub fn matches(&self) -> usize {
        // SAFETY: the filter lives.
        unsafe { ffi::concord_filter_matches(self.as_ptr()) }
    }

    pub(crate) fn as_ptr(&self) -> *const ffi::concord_filter {
        self.handle.as_ptr()
    }

    fn made(
        make: impl FnOnce(*mut *mut ffi::concord_filter) -> ffi::ConcordStatus,
    ) -> Result<Filter, Error> {
        let mut handle = ptr::null_mut();
        check(make(&mut handle))?;
        let handle = NonNull::new(handle).expect("a filter that was made");
        Ok(Filter { handle })
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // SAFETY: nothing else has the handle.
        unsafe { ffi::concord_filter_free(self.handle.as_ptr()) }
    }
}

type Call = unsafe extern "C" fn(*mut c_void, u64) -> c_int;

/// The C function that calls a predicate of this type.
fn call_of<F: FnMut(u64) -> bool>(_: &F) -> Call {
    unsafe extern "C" fn call<F: FnMut(u64) -> bool>(context: *mut c_void, label: u64) -> c_int {
        // SAFETY: the context is the one that of_predicate gave.
        let caught = unsafe { &mut *context.cast::<Caught<F>>() };
        caught
            .call(|predicate| predicate(label))
            .map_or(-1, c_int::from)
    }
    call::<F>
}
