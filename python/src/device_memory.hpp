// Arrays in device memory, as concord/cuda.hpp takes them.
#pragma once

#include <concord/cuda.hpp>
#include <string>

#include "array.hpp"
#include "errors.hpp"

namespace concord::python {

/// Throws ArrayTypeError.
inline cuda::DeviceMatrixView<const float> device_view(const Array& array) {
  if (!array.is_matrix_of(DType::float32)) {
    throw ArrayTypeError(std::string(array.name()) + " in device memory must be float32 with the " +
                         "elements of a row side by side; these are " + array.dtype_name());
  }
  return {reinterpret_cast<const float*>(array.data()), array.rows(), array.cols(),
          array.matrix_stride()};
}

/// Vectors in device memory go to one index; shards take theirs from the host.
[[noreturn]] inline void refuse_device_memory() {
  throw Error(ErrorCode::unsupported,
              "a ShardedIndex reads vectors and queries from host memory only");
}

}  // namespace concord::python
