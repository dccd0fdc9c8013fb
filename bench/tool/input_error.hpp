// The exception for input the user gave and can correct: main() prints it on one line and exits 2.
#pragma once

#include <stdexcept>

namespace concord::bench {

class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace concord::bench
