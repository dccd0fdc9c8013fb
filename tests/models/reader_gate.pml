// Readers beside a slide (common/threads/reader_gate.hpp, common/contents/slide.hpp).
//
// Slot 0 has a node that stays, slot 1 is empty, slots 2 and 3 have x and y. The writer moves x to
// slot 1 and y to slot 2, a block each, and then gives slot 3 back. It waits for readers behind each
// step. A reader enters the gate, finds x as the entry point and y in the list of slot 0, reads what
// their slots hold, and leaves; then it comes again. What it must keep:
//
//   - It reads x and y, whatever the slots are at the time, and no slot beside the writer.
//   - The writer writes no slot that a reader may still read.
//   - A reader that finds no slide under way finds ids of the graph before it or behind it.

#define WRITER 0
#define READER 1
#define THREADS 2
#define MESSAGES 5

#define SIDE 0
#define INSIDE_0 1  // and the next, one for each side
#define SLIDING 3   // Graph::moved_from_, as a flag
#define HOLE 4      // the slot that is the hole; NONE: none
#define MOVED_FROM 5
#define ENTRY 6
#define LINK 7
#define SLOTS 8  // slots 1, 2 and 3
#define CLOCK 11  // how many reads of the reader a view has seen
#define LOCATIONS 12

#include "memory.pml"

#define NONE 0
#define NODE_X 1
#define NODE_Y 2
#define GIVEN_BACK 3

#ifdef HOLE_NOT_SEQUENTIAL
#define store_hole store_release
#define load_hole load_acquire
#else
#define store_hole store_sequential
#define load_hole load_sequential
#endif
#ifdef SLIDING_NOT_SEQUENTIAL
#define store_sliding store_release
#define load_sliding load_acquire
#else
#define store_sliding store_sequential
#define load_sliding load_sequential
#endif
#ifdef RENAME_RELAXED
#define store_rename store_relaxed
#else
#define store_rename store_release
#endif
#ifdef LEAVE_RELAXED
#define change_leave change_relaxed
#else
#define change_leave change_release
#endif
#ifdef COUNT_READ_RELAXED
#define load_count load_newest_relaxed
#else
#define load_count load_newest_sequential
#endif
#ifdef ONE_TURN
#define TURNS 1
#else
#define TURNS 2
#endif

inline write_initially(x, number) {
  memory[x].size = 1;
  memory[x].messages[0].value = number
}

bool moves = false;
byte read_at[LOCATIONS];  // the clock of the last read of data

// Plain data that the reader may have read.
inline write_shared(x, number) {
  d_step {
    assert(views[WRITER].at[CLOCK] >= read_at[x]);  // otherwise a race
    append(WRITER, x, number);
    memory[x].messages[m_].view.at[x] = m_
  }
}
inline read_shared(x, into) {
  d_step {
    assert(views[READER].at[x] == memory[x].size - 1);  // otherwise a race
    into = memory[x].messages[views[READER].at[x]].value;
    views[READER].at[CLOCK]++;
    read_at[x] = views[READER].at[CLOCK]
  }
}

// ReaderGate::wait_for_readers.
inline wait_for_readers() {
  turn = 0;
  do
  :: turn < TURNS ->
     atomic {
       side = newest(SIDE);
       change_sequential(WRITER, SIDE, 1 - side)
     }
     do
     :: load_count(WRITER, INSIDE_0 + side, count);
        if
        :: count == 0 -> break
        :: else
        fi
     od;
     turn++
  :: else -> break
  od;
  turn = 0;
  side = 0;
  count = 0
}

active proctype writer() {
  byte message_, turn, side, count;
  d_step {
    write_initially(SIDE, 0);
    write_initially(INSIDE_0, 0);
    write_initially(INSIDE_0 + 1, 0);
    write_initially(SLIDING, 0);
    write_initially(HOLE, NONE);
    write_initially(MOVED_FROM, NONE);
    write_initially(ENTRY, 2);
    write_initially(LINK, 3);
    write_initially(SLOTS, GIVEN_BACK);
    write_initially(SLOTS + 1, NODE_X);
    write_initially(SLOTS + 2, NODE_Y);
    moves = true
  }
  store_hole(WRITER, HOLE, 1);
  store_sliding(WRITER, SLIDING, 1);
  wait_for_readers();
  // The first block: x moves.
  write_shared(SLOTS, NODE_X);
  write_shared(MOVED_FROM, 2);
  store_rename(WRITER, ENTRY, 1);
  store_hole(WRITER, HOLE, 2);
  wait_for_readers();
  // The second: y.
  write_shared(SLOTS + 1, NODE_Y);
  write_shared(MOVED_FROM, 3);
  store_rename(WRITER, LINK, 2);
  store_hole(WRITER, HOLE, 3);
  wait_for_readers();
  // What is behind the end goes back.
  store_sliding(WRITER, SLIDING, 0);
  store_hole(WRITER, HOLE, NONE);
  write_shared(SLOTS + 2, GIVEN_BACK);
  wait_for_readers()
}

// The id that the node had before the move at hand: SlidingView::name.
inline find(x, node) {
  load_acquire(READER, x, id);
  if
  :: sliding == 1 && id == hole -> read_shared(MOVED_FROM, id)
  :: else
  fi;
  read_shared(SLOTS + id - 1, found);
  assert(found == node);
  found = NONE;
  id = NONE
}

active proctype reader() {
  byte message_, side, sliding, hole, id, found, visits;
  moves;
  do
  :: visits < 2 ->
     load_newest_sequential(READER, SIDE, side);
     d_step { change_sequential(READER, INSIDE_0 + side, newest(INSIDE_0 + side) + 1) }
     load_sliding(READER, SLIDING, sliding);
     hole = NONE;
     if
     :: sliding == 1 -> load_hole(READER, HOLE, hole)
     :: else
     fi;
     find(ENTRY, NODE_X);
     find(LINK, NODE_Y);
     d_step { change_leave(READER, INSIDE_0 + side, newest(INSIDE_0 + side) - 1) }
     visits++
  :: else -> break
  od
}
