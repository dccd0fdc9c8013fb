//! What the crate uses of `concord/concord.h`, by hand. The header says what each function does.
//!
//! Structs with `struct_size` may grow at their end. The library takes those of this size for ever.

use std::ffi::{c_char, c_int, c_void};

/// An opaque type of C: it cannot be made, moved or copied here, and says nothing about threads.
macro_rules! opaque {
    ($name:ident) => {
        #[repr(C)]
        pub struct $name {
            _data: [u8; 0],
            _marker: std::marker::PhantomData<(*mut u8, std::marker::PhantomPinned)>,
        }
    };
}
opaque!(concord_index);
opaque!(concord_filter);
opaque!(concord_groups);

pub type ConcordStatus = i32;
pub const CONCORD_OK: ConcordStatus = 0;
pub const CONCORD_ERROR_INVALID_PARAMETER: ConcordStatus = 1;
pub const CONCORD_ERROR_DIMENSION_MISMATCH: ConcordStatus = 2;
pub const CONCORD_ERROR_OUT_OF_MEMORY: ConcordStatus = 7;
pub const CONCORD_DIGEST_SIZE: usize = 33;

#[repr(C)]
pub struct concord_matrix {
    pub data: *const c_void,
    pub rows: usize,
    pub cols: usize,
    pub stride: usize,
    pub element: i32,
    pub zero: i32,
}

#[repr(C)]
pub struct concord_index_params {
    pub struct_size: usize,
    pub dimension: u32,
    pub metric: i32,
    pub m: u32,
    pub ef_construction: u32,
    pub seed: u64,
    pub epoch_limit: u32,
    pub codes: i32,
    pub storage: i32,
    pub zero: i32,
}
const _: () = assert!(std::mem::size_of::<concord_index_params>() == 48);

#[repr(C)]
pub struct concord_runtime_options {
    pub struct_size: usize,
    pub threads: u32,
    pub certificates: i32,
    pub device: *const c_char,
    pub device_memory_budget: u64,
    pub log: Option<unsafe extern "C" fn(*mut c_void, i32, *const c_char, usize)>,
    pub log_context: *mut c_void,
    pub devices: *const *const c_char,
    pub device_count: usize,
    pub checked_share: f64,
}
const _: () = assert!(std::mem::size_of::<concord_runtime_options>() == 72);

#[repr(C)]
pub struct concord_search_params {
    pub struct_size: usize,
    pub k: u32,
    pub ef: u32,
    pub slack: f32,
    pub rescore: u32,
    pub use_codes: i32,
    pub group_hits: u32,
    pub filter: *const concord_filter,
    pub filters: *const *const concord_filter,
    pub filter_count: usize,
    pub groups: *const concord_groups,
}
const _: () = assert!(std::mem::size_of::<concord_search_params>() == 64);

#[repr(C)]
pub struct concord_hits {
    pub labels: *mut u64,
    pub distances: *mut f32,
    pub counts: *mut u32,
    pub queries: usize,
    pub k: usize,
}

pub type Progress = Option<unsafe extern "C" fn(*mut c_void, u64, u64) -> c_int>;
pub type Predicate = Option<unsafe extern "C" fn(*mut c_void, u64) -> c_int>;

extern "C" {
    pub fn concord_status_name(status: ConcordStatus) -> *const c_char;
    pub fn concord_last_error() -> *const c_char;
    pub fn concord_last_system_error() -> c_int;

    pub fn concord_index_params_init(params: *mut concord_index_params, struct_size: usize);
    pub fn concord_runtime_options_init(options: *mut concord_runtime_options, struct_size: usize);
    pub fn concord_search_params_init(params: *mut concord_search_params, struct_size: usize);

    pub fn concord_index_create(
        params: *const concord_index_params,
        options: *const concord_runtime_options,
        index: *mut *mut concord_index,
    ) -> ConcordStatus;
    pub fn concord_index_load(
        path: *const c_char,
        options: *const concord_runtime_options,
        index: *mut *mut concord_index,
    ) -> ConcordStatus;
    pub fn concord_index_save(index: *const concord_index, path: *const c_char) -> ConcordStatus;
    pub fn concord_index_free(index: *mut concord_index);

    pub fn concord_index_add(
        index: *mut concord_index,
        vectors: *const concord_matrix,
        labels: *const u64,
        progress: Progress,
        context: *mut c_void,
        count: *mut usize,
    ) -> ConcordStatus;
    pub fn concord_index_upsert(
        index: *mut concord_index,
        vectors: *const concord_matrix,
        labels: *const u64,
        progress: Progress,
        context: *mut c_void,
        count: *mut usize,
    ) -> ConcordStatus;
    pub fn concord_index_remove(
        index: *mut concord_index,
        labels: *const u64,
        label_count: usize,
        count: *mut usize,
    ) -> ConcordStatus;

    pub fn concord_index_size(index: *const concord_index) -> usize;
    pub fn concord_index_get_params(
        index: *const concord_index,
        params: *mut concord_index_params,
    ) -> ConcordStatus;
    pub fn concord_index_contains(
        index: *const concord_index,
        label: u64,
        found: *mut c_int,
    ) -> ConcordStatus;
    pub fn concord_index_vector(
        index: *const concord_index,
        label: u64,
        vector: *mut f32,
        dimension: usize,
    ) -> ConcordStatus;
    pub fn concord_index_digest(index: *const concord_index, digest: *mut c_char) -> ConcordStatus;
    pub fn concord_index_search(
        index: *const concord_index,
        queries: *const concord_matrix,
        params: *const concord_search_params,
        hits: *const concord_hits,
    ) -> ConcordStatus;

    pub fn concord_filter_of_labels(
        index: *const concord_index,
        labels: *const u64,
        count: usize,
        filter: *mut *mut concord_filter,
    ) -> ConcordStatus;
    pub fn concord_filter_of_predicate(
        index: *const concord_index,
        predicate: Predicate,
        context: *mut c_void,
        filter: *mut *mut concord_filter,
    ) -> ConcordStatus;
    pub fn concord_filter_and(
        a: *const concord_filter,
        b: *const concord_filter,
        filter: *mut *mut concord_filter,
    ) -> ConcordStatus;
    pub fn concord_filter_or(
        a: *const concord_filter,
        b: *const concord_filter,
        filter: *mut *mut concord_filter,
    ) -> ConcordStatus;
    pub fn concord_filter_not(
        a: *const concord_filter,
        filter: *mut *mut concord_filter,
    ) -> ConcordStatus;
    pub fn concord_filter_matches(filter: *const concord_filter) -> usize;
    pub fn concord_filter_free(filter: *mut concord_filter);
}
