// What all of the C interface rests on: how functions are exported, errors, rows of vectors,
// callbacks. See <concord/concord.h> for the rules.
#pragma once

#include <concord/version.h>
#include <stddef.h>
#include <stdint.h>

#if defined(CONCORD_STATIC)
#define CONCORD_C_API
#else
#define CONCORD_C_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/// How a call has ended. The numbers never change; later versions may add some.
typedef int32_t concord_status;
enum {
  CONCORD_OK = 0,
  CONCORD_ERROR_INVALID_PARAMETER = 1,   ///< a parameter is outside its documented range, or NULL
  CONCORD_ERROR_DIMENSION_MISMATCH = 2,  ///< the shape of a matrix or array does not fit
  CONCORD_ERROR_INVALID_VECTOR = 3,      ///< NaN, infinity, or a norm that is too large
  CONCORD_ERROR_DUPLICATE_LABEL = 4,     ///< a label is in the index already, or twice in the call
  CONCORD_ERROR_UNKNOWN_LABEL = 5,       ///< no vector has this label
  CONCORD_ERROR_CAPACITY = 6,            ///< more vectors than an index takes (2,147,483,646)
  CONCORD_ERROR_OUT_OF_MEMORY = 7,       ///< the system refused memory
  CONCORD_ERROR_IO = 8,                  ///< a file operation failed; see concord_last_system_error
  CONCORD_ERROR_CORRUPT_FILE = 9,        ///< no Concord index, a damaged one, or a newer version
  CONCORD_ERROR_UNSUPPORTED = 10,        ///< this machine, build, index or file format cannot do it
  CONCORD_ERROR_CUDA = 11,               ///< a CUDA call failed
  CONCORD_ERROR_UNKNOWN_PRESET = 12,     ///< no preset reaches the recall, or it is out of date
  CONCORD_ERROR_BUFFER_TOO_SMALL =
      13,                        ///< the output parameter beside the buffer says what it needs
  CONCORD_ERROR_CANCELLED = 14,  ///< a callback ended the call
  CONCORD_ERROR_INTERNAL = 15,   ///< what should not happen; the message has what is known
  CONCORD_ERROR_DIVERGED = 16    ///< the files have another history than the replica
};

/// The name of a status without its prefix, in lower case, for logs; "unknown" for another number.
/// The text lives as long as the library. Any thread. O(1).
CONCORD_C_API const char* concord_status_name(concord_status status);
/// What was wrong with the last call of this thread that failed, and what is allowed; "" before the
/// first. UTF-8, except for bytes of paths, and cut after 5,119 bytes. Good until the next call of
/// this thread that fails. A language that moves its tasks between threads reads it before the task
/// can be moved. Works in handlers of atexit and at the end of a thread as well. O(1).
CONCORD_C_API const char* concord_last_error(void);
/// The errno of the system call behind CONCORD_ERROR_IO, such as ENOENT, for the same call as
/// concord_last_error; 0 if no system call failed. O(1).
CONCORD_C_API int concord_last_system_error(void);
/// The CONCORD_VERSION of the library, which a program may compare with that of its headers.
/// Any thread. O(1).
CONCORD_C_API uint32_t concord_version(void);

/// While it is set, calls of this thread run on at most `threads` threads, the calling one
/// included, and on no more than the index has. 0 means no limit. Returns the limit before, so that
/// a caller can set it again. Never changes a result. O(1).
CONCORD_C_API uint32_t concord_limit_threads(uint32_t threads);

/// The label of padding in results. Never a valid label.
#define CONCORD_NO_LABEL UINT64_MAX

/// What the elements of a matrix are. All become float exactly. The library does not keep the type:
/// concord_index_params.storage decides how vectors are stored.
enum {
  CONCORD_ELEMENT_F32 = 0,   ///< float
  CONCORD_ELEMENT_F16 = 1,   ///< IEEE 754 binary16, in uint16_t
  CONCORD_ELEMENT_BF16 = 2,  ///< bfloat16, in uint16_t
  CONCORD_ELEMENT_U8 = 3,    ///< uint8_t
  CONCORD_ELEMENT_I8 = 4     ///< int8_t
};

/// Borrowed rows of vectors: row r begins at element r · stride of data. Elements other than float
/// are copied as floats: an addition does so in pieces of 1 MiB, other calls for all rows at once.
typedef struct concord_matrix {
  const void* data;  ///< aligned as the elements; may be NULL for 0 rows
  size_t rows;
  size_t cols;      ///< elements of a vector: the dimension of the index
  size_t stride;    ///< elements from one row to the next, at least cols; 0 means cols
  int32_t element;  ///< CONCORD_ELEMENT_*
  int32_t zero;     ///< must be 0
} concord_matrix;

/// Receives how much of a long call is done, of `total`, at most every 20 ms and once at the end.
/// Return 0 to go on.
typedef int (*concord_progress)(void* context, uint64_t done, uint64_t total);

enum { CONCORD_LOG_INFO = 0, CONCORD_LOG_WARNING = 1 };
/// Receives a message about the library's work: `length` bytes and a NUL behind them.
typedef void (*concord_log)(void* context, int32_t level, const char* message, size_t length);

/// Gives the vectors of an addition from number `first` on: at least one row, valid until the next
/// call or the end of the addition. Return 0, or another number if it cannot: the addition then
/// ends with CONCORD_ERROR_CANCELLED, before it has inserted anything.
typedef int (*concord_row_source)(void* context, size_t first, concord_matrix* rows);

/// Takes the next `count` bytes of an index file, at least one, after which `left` more come.
/// Return 0, or another number if it cannot: the call then ends with CONCORD_ERROR_CANCELLED.
typedef int (*concord_byte_sink)(void* context, const void* bytes, size_t count, uint64_t left);

/// Whether the vector of a label matches: 1 or 0. A negative number ends the call with
/// CONCORD_ERROR_CANCELLED.
typedef int (*concord_predicate)(void* context, uint64_t label);

#ifdef __cplusplus
}
#endif
