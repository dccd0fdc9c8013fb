//! Parameters of indexes and searches.

use crate::{ffi, Filter};
use std::mem::{size_of, MaybeUninit};
use std::ptr;

/// How near two vectors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Squared Euclidean distance.
    L2Sq = 0,
    /// 1 − x·y.
    InnerProduct = 1,
    /// 1 − cos(x, y).
    Cosine = 2,
}

/// What defines an index: these parameters, the vectors and their order. Defaults are those of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexParams {
    /// 1 to 65,536.
    pub dimension: u32,
    pub metric: Metric,
    /// 2 to 64 links of a new vector in each layer.
    pub m: u32,
    /// 1 to 1,024 candidates of an insertion.
    pub ef_construction: u32,
    /// Of the hash that gives levels.
    pub seed: u64,
}

impl IndexParams {
    pub fn new(dimension: u32, metric: Metric) -> Self {
        let defaults = IndexParams::defaults();
        IndexParams {
            dimension,
            metric,
            m: defaults.m,
            ef_construction: defaults.ef_construction,
            seed: defaults.seed,
        }
    }

    pub(crate) fn to_c(self) -> ffi::concord_index_params {
        ffi::concord_index_params {
            dimension: self.dimension,
            metric: self.metric as i32,
            m: self.m,
            ef_construction: self.ef_construction,
            seed: self.seed,
            ..IndexParams::defaults()
        }
    }

    pub(crate) fn defaults() -> ffi::concord_index_params {
        let mut params = MaybeUninit::<ffi::concord_index_params>::uninit();
        // SAFETY: the function writes so many bytes, all of the struct.
        unsafe {
            ffi::concord_index_params_init(
                params.as_mut_ptr(),
                size_of::<ffi::concord_index_params>(),
            );
            params.assume_init()
        }
    }
}

/// What a search asks for.
#[derive(Debug, Clone, Copy)]
pub struct SearchParams<'a> {
    /// Neighbors asked for.
    pub k: u32,
    /// Candidates kept.
    pub ef: u32,
    /// The vectors that may be found; None for all.
    pub filter: Option<&'a Filter>,
}

impl Default for SearchParams<'_> {
    fn default() -> Self {
        let defaults = SearchParams::defaults();
        SearchParams {
            k: defaults.k,
            ef: defaults.ef,
            filter: None,
        }
    }
}

impl SearchParams<'_> {
    /// Good for as long as the filter.
    pub(crate) fn to_c(self) -> ffi::concord_search_params {
        ffi::concord_search_params {
            k: self.k,
            ef: self.ef,
            filter: self.filter.map_or(ptr::null(), Filter::as_ptr),
            ..SearchParams::defaults()
        }
    }

    fn defaults() -> ffi::concord_search_params {
        let mut params = MaybeUninit::<ffi::concord_search_params>::uninit();
        // SAFETY: the function writes so many bytes, all of the struct.
        unsafe {
            ffi::concord_search_params_init(
                params.as_mut_ptr(),
                size_of::<ffi::concord_search_params>(),
            );
            params.assume_init()
        }
    }
}
