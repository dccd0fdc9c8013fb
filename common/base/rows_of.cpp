// Vectors that stand one behind the other, as rows.

#include <concord/error.hpp>
#include <concord/matrix_view.hpp>
#include <string>

namespace concord {

MatrixView<const float> rows_of(std::span<const float> elements, std::size_t dimension) {
  if (dimension == 0 || elements.size() % dimension != 0) {
    throw Error(ErrorCode::dimension_mismatch,
                std::to_string(elements.size()) + " elements are no whole vectors of " +
                    std::to_string(dimension) + "; a multiple of that is allowed");
  }
  return {elements.data(), elements.size() / dimension, dimension};
}

}  // namespace concord
