// A search beside the writer (common/graph/link_table.hpp, graph.hpp, cpu/search.hpp).
//
// In layer 0, b and e are linked to a, and each of them has a child: c and f. The writer inserts d,
// linked to a, and shows it; d's level is higher, so it becomes the entry point. Then a seal moves c
// and f to a: each is linked to a before its anchor lets it go. In f's place d is linked to e. A
// search reads the entry point, the size, and the lists of a, b and e. What it must keep:
//
//   - It meets no node behind its size, and what it reads of d and of d's list is there.
//   - The size has the entry point.
//   - If it lacks c or f, it knows that a seal was under way.
//
// The lists are [b, e, …] of a, [c, a] of b and [a, f] of e: removal moves an id to another place in
// one, and leaves a place for another id in the other.

#define WRITER 0
#define SEARCH 1
#define THREADS 2
#define MESSAGES 5

#define SEALS 0
#define EXTENT 1
#define ENTRY 2
#define DEGREE_A 3
#define A_2 4
#define A_3 5
#define A_4 6
#define DEGREE_B 7
#define B_0 8
#define B_1 9
#define DEGREE_D 10
#define D_0 11
#define VECTOR_D 12
#define DEGREE_E 13
#define E_1 14
#define LOCATIONS 15

#include "memory.pml"

#define NONE 9
#define NODE_A 0
#define NODE_B 1
#define NODE_C 2
#define NODE_E 3
#define NODE_F 4
#define NODE_D 5

// Each of these weakens one access; the model must then fail (check.sh).
#ifdef APPEND_RELAXED
#define store_append store_relaxed
#else
#define store_append store_release
#endif
#ifdef EXTENT_RELAXED
#define store_extent store_relaxed
#else
#define store_extent store_release
#endif
#ifdef ENTRY_RELAXED
#define store_entry store_relaxed
#else
#define store_entry store_release
#endif
#ifdef REMOVAL_RELAXED
#define store_removal store_relaxed
#else
#define store_removal store_release
#endif
#ifdef DEGREE_RELAXED
#define store_degree store_relaxed
#else
#define store_degree store_release
#endif
#ifdef SEALS_RELAXED
#define store_seals store_relaxed
#else
#define store_seals store_sequential
#endif
#ifdef IDS_READ_RELAXED
#define load_id load_relaxed
#else
#define load_id load_acquire
#endif

inline write_initially(x, number) {
  memory[x].size = 1;
  memory[x].messages[0].value = number
}

bool writes = false;

// LinkTable::append, fill, remove; Graph::admit, begin_seal, end_seal.
active proctype writer() {
  byte message_;
  d_step {
    write_initially(SEALS, 0);
    write_initially(EXTENT, NODE_D);
    write_initially(ENTRY, NODE_A);
    write_initially(DEGREE_A, 2);
    write_initially(A_2, NONE);
    write_initially(A_3, NONE);
    write_initially(A_4, NONE);
    write_initially(DEGREE_B, 2);
    write_initially(B_0, NODE_C);
    write_initially(B_1, NODE_A);
    write_initially(DEGREE_D, 0);
    write_initially(D_0, NONE);
    write_initially(VECTOR_D, 0);
    write_initially(DEGREE_E, 2);
    write_initially(E_1, NODE_F);
    writes = true
  }
  // An addition of d.
  write_data(WRITER, VECTOR_D, 1);
  store_append(WRITER, A_2, NODE_D);
  store_degree(WRITER, DEGREE_A, 3);
  store_relaxed(WRITER, D_0, NODE_A);
  store_degree(WRITER, DEGREE_D, 1);
  store_extent(WRITER, EXTENT, NODE_D + 1);
  store_entry(WRITER, ENTRY, NODE_D);
  // A seal.
  store_seals(WRITER, SEALS, 1);
  store_append(WRITER, A_3, NODE_C);
  store_degree(WRITER, DEGREE_A, 4);
  store_removal(WRITER, B_0, NODE_A);
  store_degree(WRITER, DEGREE_B, 1);
  store_append(WRITER, A_4, NODE_F);
  store_degree(WRITER, DEGREE_A, 5);
  store_degree(WRITER, DEGREE_E, 1);
  store_append(WRITER, E_1, NODE_D);
  store_degree(WRITER, DEGREE_E, 2);
  store_seals(WRITER, SEALS, 2)
}

inline meet(x) {
  load_id(SEARCH, x, id);
  assert(id != NONE);
  has_c = has_c || id == NODE_C;
  has_f = has_f || id == NODE_F;
  has_d = has_d || (id == NODE_D && id < size);
  id = NONE
}

// cpu/search.hpp: fill_beside_seals, Graph::live, LinkTable::visit_ids.
active proctype search() {
  byte message_, before, after, entry, size, degree, vector;
  byte id = NONE;
  bool has_c = false;
  bool has_d = false;
  bool has_f = false;
  writes;
  load_acquire(SEARCH, SEALS, before);
  load_acquire(SEARCH, ENTRY, entry);
  load_sequential(SEARCH, EXTENT, size);
  assert(size > entry);
  has_d = entry == NODE_D;
  load_acquire(SEARCH, DEGREE_A, degree);
  if
  :: degree > 2 -> meet(A_2)
  :: else
  fi;
  if
  :: degree > 3 -> meet(A_3)
  :: else
  fi;
  if
  :: degree > 4 -> meet(A_4)
  :: else
  fi;
  load_acquire(SEARCH, DEGREE_B, degree);
  meet(B_0);
  if
  :: degree > 1 -> meet(B_1)
  :: else
  fi;
  load_acquire(SEARCH, DEGREE_E, degree);
  if
  :: degree > 1 -> meet(E_1)
  :: else
  fi;
  if
  :: has_d ->
     read_data(SEARCH, VECTOR_D, vector);
     assert(vector == 1);
     load_acquire(SEARCH, DEGREE_D, degree);
     assert(degree == 1);
     load_id(SEARCH, D_0, id);
     assert(id == NODE_A)
  :: else
  fi;
  load_acquire(SEARCH, SEALS, after);
  assert((has_c && has_f) || before % 2 == 1 || after != before)
}
