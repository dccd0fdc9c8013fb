// The memory of unlinked nodes comes back: a slide moves the nodes behind them down, in order, in
// place, and gives the pages behind the end back to the system.
//
// Sliding renumbers storage and changes no comparison: digests, files and all that is built later
// are the same with and without it. So it is no part of the sequence of operations, and may happen
// between any two of them.
//
// The hole is a range of slots without nodes. Nodes move from behind it to its beginning until it
// is at the end. A node moves in this order: its vector and lists are copied; its neighbors, whose
// lists lead to it because links go both ways, get its new id in the place of the old one; its
// label leads to the new id. What it left stays as it is. When a block of nodes has moved, the hole
// is moved on, and the next block waits until all readers have left who may use what the first has
// left (ReaderGate).
//
// Why readers see one graph all the while: who enters reads the hole first. Until it leaves, at
// most one block moves, into that hole; it finds every other node by the id that it has then.
// Whoever visits all slots, or looks labels up, passes the hole over: outside of it each node is
// once. Whoever walks may meet a moved node by its new id, which is in the hole, so it knows the
// old one and goes on with that (SlidingView). So it walks as in a graph at rest.
//
// If the first nodes of all are unlinked, as in a window that goes on with time, they become a hole
// where they are. Its pages go back at once, and nothing moves until most slots are empty.
//
// Who keeps ids beyond a stay in the gate keeps their numbering (common/graph/numbering.hpp) and
// finds the new ids by it. The numbering behind a slide is there before its first node moves.
// Thread-safety: the writer; readers in the gate go on beside it.
#pragma once

#include "common/contents/contents.hpp"

namespace concord::core {

/// Slides all nodes down, whatever it gains. Waits for readers who have entered. REQUIRES an
/// unlinked node, no announced ones, and contents that are not mapped from a file. Throws
/// Error(out_of_memory), std::bad_alloc with nothing changed.
void slide(Contents& contents);
/// Gives the pages of the unlinked nodes before all others back. REQUIRES and waits as slide().
void give_front_back(Contents& contents) noexcept;

/// How many of the slots that take memory must be empty for a slide: one of so many.
enum class EmptySlots : NodeId { in_passing = 4, on_request = 16 };

/// Does one or the other if unlinked nodes hold enough memory. Returns true if ids have changed. If
/// there is no memory to prepare a slide with, a later call tries again. REQUIRES as slide(), but
/// for an unlinked node. O(1), or O(size) once for as many removals as a share of the size.
bool give_memory_back(Contents& contents, EmptySlots share) noexcept;

}  // namespace concord::core
