// Indexes of the C interface in tests that are C++.
#pragma once

#include <concord/concord.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/support/data_sets.hpp"

namespace concord::test {

struct FreeIndex {
  void operator()(concord_index* index) const { concord_index_free(index); }
};
using Handle = std::unique_ptr<concord_index, FreeIndex>;

/// Options as their _init function gives them.
template <class Params>
Params defaults(void (*init)(Params*, std::size_t)) {
  Params params;
  init(&params, sizeof params);
  return params;
}

inline concord_matrix matrix_of(const Matrix& data) {
  return {data.view().data, data.rows, data.cols, 0, CONCORD_ELEMENT_F32, 0};
}

/// The index that a function of C gives.
template <class Make>
Handle made(const Make& make) {
  concord_index* index = nullptr;
  EXPECT_EQ(make(&index), CONCORD_OK) << concord_last_error();
  return Handle(index);
}

inline void add(const Handle& index, const Matrix& data) {
  const concord_matrix rows = matrix_of(data);
  EXPECT_EQ(concord_index_add(index.get(), &rows, nullptr, nullptr, nullptr, nullptr), CONCORD_OK)
      << concord_last_error();
}

inline std::string digest_of(const Handle& index) {
  char digest[CONCORD_DIGEST_SIZE] = {};
  EXPECT_EQ(concord_index_digest(index.get(), digest), CONCORD_OK) << concord_last_error();
  return digest;
}

}  // namespace concord::test
