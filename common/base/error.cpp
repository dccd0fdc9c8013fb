#include <concord/error.hpp>

namespace concord {

Error::Error(ErrorCode code, const std::string& message)
    : std::runtime_error(message), code_(code) {}

Error::Error(ErrorCode code, const std::string& message, int system_error)
    : std::runtime_error(message), code_(code), system_error_(system_error) {}

Error::~Error() = default;  // here, so that the type's identity is the library's alone

const char* to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalid_parameter:
      return "invalid_parameter";
    case ErrorCode::dimension_mismatch:
      return "dimension_mismatch";
    case ErrorCode::invalid_vector:
      return "invalid_vector";
    case ErrorCode::duplicate_label:
      return "duplicate_label";
    case ErrorCode::unknown_label:
      return "unknown_label";
    case ErrorCode::capacity:
      return "capacity";
    case ErrorCode::out_of_memory:
      return "out_of_memory";
    case ErrorCode::io:
      return "io";
    case ErrorCode::corrupt_file:
      return "corrupt_file";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::cuda:
      return "cuda";
    case ErrorCode::unknown_preset:
      return "unknown_preset";
  }
  return "unknown";
}

}  // namespace concord
