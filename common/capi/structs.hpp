// Structs of the C interface that may grow. Each begins with struct_size, the size that its user
// was compiled with. A user that is older than the library knows fewer fields, and gets the
// defaults for the others. A user that is newer knows more, and may not use them. So both go on to
// fit. Only complete fields are ever added, at the end. Thread-safety: pure functions.
#pragma once

#include <concord/c/params.h>
#include <concord/c/reports.h>

#include <algorithm>
#include <concord/error.hpp>
#include <cstring>
#include <string>

#include "common/capi/guard.hpp"

namespace concord::capi {

/// The size of a struct in the first version that had it. None of them ever changes.
template <class T>
inline constexpr std::size_t kFirstSize = 0;
template <>
inline constexpr std::size_t kFirstSize<concord_index_params> = 48;
template <>
inline constexpr std::size_t kFirstSize<concord_shard_params> = 16;
template <>
inline constexpr std::size_t kFirstSize<concord_runtime_options> = 64;
template <>
inline constexpr std::size_t kFirstSize<concord_search_params> = 64;
template <>
inline constexpr std::size_t kFirstSize<concord_range_params> = 48;
template <>
inline constexpr std::size_t kFirstSize<concord_tune_params> = 40;
template <>
inline constexpr std::size_t kFirstSize<concord_exact_params> = 40;
template <>
inline constexpr std::size_t kFirstSize<concord_preset> = 88;
template <>
inline constexpr std::size_t kFirstSize<concord_memory> = 64;

/// More than any struct will have. What is larger was not initialised.
inline constexpr std::size_t kLargestStruct = 4096;

/// The struct_size of a struct whose content is not known yet. Throws Error(invalid_parameter).
template <class T>
std::size_t checked_size(const T& given, const char* name) {
  static_assert(kFirstSize<T> > 0 && kFirstSize<T> <= sizeof(T));
  const std::size_t size = given.struct_size;
  if (size >= kFirstSize<T> && size <= kLargestStruct) return size;
  throw Error(ErrorCode::invalid_parameter, std::string(name) + ".struct_size is " +
                                                std::to_string(size) + "; it must be sizeof(" +
                                                name + ")");
}

/// Gives `size` bytes the defaults, and zeros behind the fields that this version knows.
template <class T>
void initialise(T* to, std::size_t size, T defaults) noexcept {
  if (to == nullptr || size < sizeof(std::size_t)) return;
  defaults.struct_size = size;
  std::memset(static_cast<void*>(to), 0, size);
  std::memcpy(static_cast<void*>(to), &defaults, std::min(size, sizeof(T)));
}

/// The options that a caller gave; NULL gives the defaults. Throws Error(invalid_parameter), and
/// Error(unsupported) for fields of a later version that are not zero.
template <class T>
T read_options(const T* given, const T& defaults, const char* name) {
  T options = defaults;
  if (given == nullptr) return options;
  const std::size_t size = checked_size(*given, name);
  std::memcpy(&options, given, std::min(size, sizeof(T)));
  const auto* const bytes = reinterpret_cast<const unsigned char*>(given);
  if (std::any_of(bytes + std::min(size, sizeof(T)), bytes + size,
                  [](unsigned char byte) { return byte != 0; })) {
    throw Error(ErrorCode::unsupported, std::string(name) +
                                            " has fields that this version of the library does not "
                                            "know; they must be zero");
  }
  return options;
}

/// Fills the struct of a caller, as far as both know its fields. Throws Error(invalid_parameter).
template <class T>
void fill(T* to, T value, const char* name) {
  value.struct_size = checked_size(expect(to, name), name);
  initialise(to, value.struct_size, value);
}

}  // namespace concord::capi
