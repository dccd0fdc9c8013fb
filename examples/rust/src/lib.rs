//! Concord from Rust: a deterministic HNSW vector index, over its C interface (`concord/concord.h`).
//!
//! The crate is an example. It shows that the C interface suffices for a safe wrapper, and covers indexes, searches,
//! filters and files.
//!
//! ```
//! use concord::{Filter, Index, IndexParams, Metric, SearchParams};
//!
//! # fn main() -> Result<(), concord::Error> {
//! let mut index = Index::new(&IndexParams::new(2, Metric::L2Sq))?;
//! index.add(&[0.0f32, 0.0, 1.0, 1.0, 5.0, 5.0])?;
//! let hits = index.search(&[0.9f32, 0.9], &SearchParams { k: 2, ..Default::default() })?;
//! assert_eq!(hits.of(0).map(|(label, _)| label).collect::<Vec<_>>(), [1, 0]);
//!
//! let filter = Filter::of_predicate(&index, |label| label != 1)?;
//! let params = SearchParams { k: 1, filter: Some(&filter), ..Default::default() };
//! assert_eq!(index.search(&[0.9f32, 0.9], &params)?.of(0).next().unwrap().0, 0);
//! # Ok(())
//! # }
//! ```
#![deny(missing_debug_implementations, unsafe_op_in_unsafe_fn)]

mod callback;
mod error;
#[allow(non_camel_case_types)]
mod ffi;
mod filter;
mod index;
mod params;

pub use error::Error;
pub use filter::Filter;
pub use index::{Element, Hits, Index};
pub use params::{IndexParams, Metric, SearchParams};
