// Concord for C, and for every language that calls C: all of Index, ShardedIndex, Replica, Filter,
// Groups and Cursor.
//
// This header and those that it includes need C99 or C++98 and nothing of C++. The page
// docs/c_api.md has a program. What a function does beyond its comment here is what the C++ member
// of the same name does (concord/index.hpp).
//
// Handles. concord_index, concord_replica, concord_filter, concord_groups and concord_cursor are
// opaque. A function that makes one stores it only if it succeeds. The caller owns it and gives it
// to the function whose name ends in _free, which takes NULL as well. A concord_index is one graph
// or a sharded index; functions that need one kind of them say so.
//
// Memory. The library borrows what a pointer leads to until the call returns, and keeps no pointer
// to it. What it leads to is aligned as C aligns the type, and the data of a matrix as its elements
// are. Results of a known size go to arrays of the caller. Results of a size that only the call
// shows come in a struct that the library allocates. The caller reads it, and gives it to its _free
// function.
//
// Errors. A function that can fail returns a concord_status. If it is not CONCORD_OK,
// concord_last_error() has the message, for each thread its own. A call that refuses its input
// changes nothing. Except for the cases that a comment names, output parameters keep their content
// when a call fails. Nothing is thrown into the caller. A pointer that must not be NULL and is, is
// CONCORD_ERROR_INVALID_PARAMETER.
//
// Structs of options begin with struct_size. Their _init functions set it and give each field its
// default. A later version may add fields at the end, so that programs and libraries of different
// versions go on to fit. NULL in the place of options means the defaults. A struct with fields that
// the library does not know is refused unless they are zero. A caller sets struct_size of a struct
// that a function fills.
//
// Structs that the library allocates begin with struct_size as well, and the library sets it. A
// program that is newer than the library reads a field only if struct_size is above the field's
// offsetof. concord_matrix, concord_hits and concord_phase never grow.
//
// Callbacks get the pointer that the caller gave with them as their first argument. They run on the
// thread that made the call, and must return: no exception, panic, longjmp, pthread_exit or
// pthread_cancel may leave them. An int that is not 0 ends the call; of a predicate, which answers
// 1 or 0, a negative one does. Callbacks of a change may read the index; another change of it there
// is CONCORD_ERROR_INVALID_PARAMETER.
//
// Threads. One thread changes an index at a time, and any number may read it meanwhile. Functions
// that take a const concord_index* read, and concord_index_tune may run beside them and beside a
// change. concord_index_set_runtime and concord_index_free need the index to themselves. Filters
// and groups never change. A cursor belongs to one thread at a time. A thread that is inside a call
// must not be cancelled (pthread_cancel).
//
// Determinism. The same parameters and the same operations in the same order give the same bytes,
// in every language, on every device and for any number of threads.
#pragma once

#include <concord/c/base.h>
#include <concord/c/filter.h>
#include <concord/c/index.h>
#include <concord/c/params.h>
#include <concord/c/replica.h>
#include <concord/c/reports.h>
#include <concord/c/search.h>
#include <concord/version.h>
