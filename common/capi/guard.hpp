// The wall between C++ and the C interface: no exception passes it. Each C function is a body
// within guarded(), which turns what is thrown into a concord_status and keeps the message for
// concord_last_error(). Thread-safety: messages are thread-local; the rest is pure functions.
#pragma once

#include <concord/c/base.h>

#include <concord/error.hpp>
#include <exception>
#include <string>

namespace concord::capi {

/// A callback of the caller that returned a number which ends the call.
class Cancelled : public std::exception {
 public:
  explicit Cancelled(const char* callback)
      : message_(std::string("the ") + callback + " ended the call") {}
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

/// What a call needs more room for than its caller gave.
class BufferTooSmall : public std::exception {
 public:
  explicit BufferTooSmall(std::string message) : message_(std::move(message)) {}
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

concord_status status_of(ErrorCode code) noexcept;

/// The status of the exception that is being handled; keeps its message. REQUIRES to be within a
/// catch.
concord_status keep_exception() noexcept;

template <class Body>
concord_status guarded(const Body& body) noexcept {
  try {
    body();
    return CONCORD_OK;
  } catch (...) {
    return keep_exception();
  }
}

/// What `pointer` leads to. Throws Error(invalid_parameter) for NULL; `name` is the parameter's.
template <class T>
T& expect(T* pointer, const char* name) {
  if (pointer != nullptr) return *pointer;
  throw Error(ErrorCode::invalid_parameter, std::string(name) + " is NULL");
}

}  // namespace concord::capi
