//! The wrapper over a real library: what goes in comes out, errors are values, panics and threads do no harm.

use concord::{Error, Filter, Index, IndexParams, Metric, SearchParams};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::PathBuf;

const DIMENSION: usize = 8;
const ROWS: usize = 300;

/// The same numbers in every run.
fn data() -> Vec<f32> {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1664525).wrapping_add(1013904223);
        (state >> 16) as f32 / 65536.0
    };
    (0..ROWS * DIMENSION).map(next).collect()
}

fn empty() -> Index {
    Index::new(&IndexParams::new(DIMENSION as u32, Metric::L2Sq)).unwrap()
}

fn filled() -> Index {
    let mut index = empty();
    assert_eq!(index.add(&data()), Ok(ROWS));
    index
}

fn path_of(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("concord-rust-{}-{name}", std::process::id()))
}

fn kind_of<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
    result.unwrap_err().kind()
}

#[test]
fn each_vector_finds_itself() {
    let index = filled();
    assert_eq!((index.len(), index.dimension()), (ROWS, DIMENSION));
    assert!(!index.is_empty() && empty().is_empty());
    let params = SearchParams {
        k: 3,
        ..Default::default()
    };
    let hits = index.search(&data(), &params).unwrap();
    assert_eq!(hits.queries(), ROWS);
    for q in 0..ROWS {
        let found: Vec<_> = hits.of(q).collect();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], (q as u64, 0.0));
        assert!(found.windows(2).all(|pair| pair[0].1 <= pair[1].1));
    }
    assert_eq!(
        index.vector(5).unwrap(),
        data()[5 * DIMENSION..6 * DIMENSION]
    );
    assert_eq!(index.contains(ROWS as u64), Ok(false));
}

#[test]
fn changes_and_labels() {
    let mut index = empty();
    let two = &data()[..2 * DIMENSION];
    assert_eq!(index.add_labelled(two, &[70, 71]), Ok(2));
    assert_eq!(index.upsert(two, &[71, 72]), Ok(2));
    assert_eq!(index.len(), 3);
    assert_eq!(index.vector(71).unwrap(), data()[..DIMENSION]);
    assert_eq!(index.remove(&[70]), Ok(1));
    assert_eq!(index.contains(70), Ok(false));
    assert_eq!(kind_of(index.remove(&[70])), "unknown_label");
    assert_eq!(
        kind_of(index.add_labelled(two, &[70, 71])),
        "duplicate_label"
    );
    assert_eq!(
        kind_of(index.add_labelled(two, &[80])),
        "dimension_mismatch"
    );
    assert_eq!(index.len(), 2);
}

#[test]
fn bytes_give_the_digest_of_floats() {
    let bytes: Vec<u8> = (0..ROWS * DIMENSION).map(|i| (i * i % 251) as u8).collect();
    let floats: Vec<f32> = bytes.iter().map(|&byte| f32::from(byte)).collect();
    let (mut of_bytes, mut of_floats) = (empty(), empty());
    of_bytes.add(&bytes).unwrap();
    of_floats.add(&floats).unwrap();
    assert_eq!(of_bytes.digest(), of_floats.digest());
    assert_eq!(of_bytes.digest().unwrap().len(), 32);
}

#[test]
fn files() {
    let path = path_of("a.concord");
    let index = filled();
    index.save(&path).unwrap();
    let loaded = Index::load(&path, 1).unwrap();
    assert_eq!(loaded.digest(), index.digest());
    std::fs::remove_file(&path).unwrap();
    let error = Index::load(&path, 1).unwrap_err();
    assert_eq!(error.kind(), "io");
    assert_eq!(error.system_error, 2); // ENOENT
    assert!(error.to_string().contains("concord-rust-"));
    assert_eq!(kind_of(Index::load("a\0b", 1)), "invalid_parameter");
}

#[test]
fn errors_are_values() {
    let mut index = filled();
    assert_eq!(kind_of(index.add(&data()[1..])), "dimension_mismatch");
    assert_eq!(kind_of(index.add(&[f32::NAN; DIMENSION])), "invalid_vector");
    assert_eq!(kind_of(index.vector(ROWS as u64)), "unknown_label");
    let none = IndexParams::new(0, Metric::Cosine);
    assert_eq!(kind_of(Index::new(&none)), "invalid_parameter");
    let wide = SearchParams {
        k: 70_000,
        ..Default::default()
    };
    assert_eq!(
        kind_of(index.search(&data()[..DIMENSION], &wide)),
        "invalid_parameter"
    );
    let absurd = SearchParams {
        k: u32::MAX,
        ..Default::default()
    };
    assert_eq!(kind_of(index.search(&data(), &absurd)), "invalid_parameter");
    assert_eq!(index.len(), ROWS);
}

/// The library may be called while a thread ends, after the destructors of C++ in it.
#[test]
fn the_end_of_a_thread_may_use_an_index() {
    struct Last(Index);
    impl Drop for Last {
        fn drop(&mut self) {
            assert_eq!(kind_of(self.0.vector(77_777)), "unknown_label");
        }
    }
    thread_local!(static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) });
    let thread = std::thread::spawn(|| {
        LAST.with(|last| *last.borrow_mut() = Some(Last(filled())));
        let none = IndexParams::new(0, Metric::L2Sq);
        assert_eq!(kind_of(Index::new(&none)), "invalid_parameter");
    });
    thread.join().unwrap();
}

#[test]
fn filters() {
    let index = filled();
    let even = Filter::of_predicate(&index, |label| label % 2 == 0).unwrap();
    let first = Filter::of_labels(&index, &(0..10).collect::<Vec<_>>()).unwrap();
    assert_eq!(even.matches(), ROWS / 2);
    assert_eq!(even.and(&first).unwrap().matches(), 5);
    assert_eq!(even.or(&first).unwrap().matches(), ROWS / 2 + 5);
    assert_eq!(first.not().unwrap().matches(), ROWS - 10);
    let params = SearchParams {
        filter: Some(&even),
        ..Default::default()
    };
    let hits = index.search(&data(), &params).unwrap();
    assert!((0..ROWS).all(|q| hits.of(q).count() == 10 && hits.of(q).all(|(l, _)| l % 2 == 0)));
    let other = filled();
    assert_eq!(kind_of(other.search(&data(), &params)), "invalid_parameter");
}

#[test]
fn a_panic_does_not_pass_through_c() {
    let mut index = filled();
    let result = catch_unwind(AssertUnwindSafe(|| {
        Filter::of_predicate(
            &index,
            |label| if label == 7 { panic!("seven") } else { true },
        )
    }));
    assert_eq!(*result.unwrap_err().downcast::<&str>().unwrap(), "seven");
    let result = catch_unwind(AssertUnwindSafe(|| {
        let labels: Vec<u64> = (1000..1000 + ROWS as u64).collect();
        index.add_with(&data(), Some(&labels), |_, _| panic!("stop"))
    }));
    assert_eq!(*result.unwrap_err().downcast::<&str>().unwrap(), "stop");
    assert_eq!(
        index
            .search(&data()[..DIMENSION], &SearchParams::default())
            .unwrap()
            .queries(),
        1
    );
}

#[test]
fn progress_is_told() {
    let mut last = (0, 0);
    let count = empty().add_with(&data(), None, |done, total| {
        last = (done, total);
        true
    });
    assert_eq!((count, last), (Ok(ROWS), (ROWS as u64, ROWS as u64)));
}

#[test]
fn threads_search_one_index() {
    let index = filled();
    let expected = index.search(&data(), &SearchParams::default()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                assert_eq!(
                    index.search(&data(), &SearchParams::default()).unwrap(),
                    expected
                );
            });
        }
    });
    let moved = std::thread::spawn(move || index.len());
    assert_eq!(moved.join().unwrap(), ROWS);
}
