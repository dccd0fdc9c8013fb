#include "common/capi/guard.hpp"

#include <concord/version.h>

#include <algorithm>
#include <concord/replica.hpp>
#include <cstring>
#include <new>
#include <stdexcept>

#include "common/threads/thread_pool.hpp"

namespace concord::capi {
namespace {

/// Of the last call of a thread that failed. It has no destructor and takes no memory, so that
/// calls may fail while a thread or the process ends, and where there is no memory.
struct LastError {
  char text[5120];  ///< a path of PATH_MAX bytes, and what is said of it
  int system_error;
};
constinit thread_local LastError last = {};

concord_status keep(concord_status status, const char* text, int system_error = 0) noexcept {
  const std::size_t length = std::min(std::strlen(text), sizeof last.text - 1);
  std::memcpy(last.text, text, length);
  last.text[length] = '\0';
  last.system_error = system_error;
  return status;
}

}  // namespace

concord_status status_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_parameter:
      return CONCORD_ERROR_INVALID_PARAMETER;
    case ErrorCode::dimension_mismatch:
      return CONCORD_ERROR_DIMENSION_MISMATCH;
    case ErrorCode::invalid_vector:
      return CONCORD_ERROR_INVALID_VECTOR;
    case ErrorCode::duplicate_label:
      return CONCORD_ERROR_DUPLICATE_LABEL;
    case ErrorCode::unknown_label:
      return CONCORD_ERROR_UNKNOWN_LABEL;
    case ErrorCode::capacity:
      return CONCORD_ERROR_CAPACITY;
    case ErrorCode::out_of_memory:
      return CONCORD_ERROR_OUT_OF_MEMORY;
    case ErrorCode::io:
      return CONCORD_ERROR_IO;
    case ErrorCode::corrupt_file:
      return CONCORD_ERROR_CORRUPT_FILE;
    case ErrorCode::unsupported:
      return CONCORD_ERROR_UNSUPPORTED;
    case ErrorCode::cuda:
      return CONCORD_ERROR_CUDA;
    case ErrorCode::unknown_preset:
      return CONCORD_ERROR_UNKNOWN_PRESET;
  }
  return CONCORD_ERROR_INTERNAL;
}

concord_status keep_exception() noexcept {
  try {
    throw;
  } catch (const DivergedError& error) {
    return keep(CONCORD_ERROR_DIVERGED, error.what());
  } catch (const Error& error) {
    return keep(status_of(error.code()), error.what(), error.system_error());
  } catch (const Cancelled& error) {
    return keep(CONCORD_ERROR_CANCELLED, error.what());
  } catch (const BufferTooSmall& error) {
    return keep(CONCORD_ERROR_BUFFER_TOO_SMALL, error.what());
  } catch (const std::bad_alloc&) {
    return keep(CONCORD_ERROR_OUT_OF_MEMORY, "the system refused memory");
  } catch (const std::length_error&) {  // of a container, for more than any system has
    return keep(CONCORD_ERROR_OUT_OF_MEMORY, "no system has so much memory");
  } catch (const std::exception& error) {
    return keep(CONCORD_ERROR_INTERNAL, error.what());
  } catch (...) {
    return keep(CONCORD_ERROR_INTERNAL, "an exception of an unknown type");
  }
}

}  // namespace concord::capi

using namespace concord;

const char* concord_status_name(concord_status status) {
  switch (status) {
    case CONCORD_OK:
      return "ok";
    case CONCORD_ERROR_BUFFER_TOO_SMALL:
      return "buffer_too_small";
    case CONCORD_ERROR_CANCELLED:
      return "cancelled";
    case CONCORD_ERROR_DIVERGED:
      return "diverged";
    case CONCORD_ERROR_INTERNAL:
      return "internal";
    default:
      break;
  }
  for (int code = 0; code <= static_cast<int>(ErrorCode::unknown_preset); ++code) {
    const auto error = static_cast<ErrorCode>(code);
    if (capi::status_of(error) == status) return to_string(error);
  }
  return "unknown";
}

const char* concord_last_error() { return capi::last.text; }
int concord_last_system_error() { return capi::last.system_error; }
uint32_t concord_version() { return CONCORD_VERSION; }
uint32_t concord_limit_threads(uint32_t threads) { return core::limit_threads(threads); }
