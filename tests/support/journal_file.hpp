// A journal as bytes to forge: its records, and its checksums made right, from the bytes alone as
// common/FORMAT.md says.
#pragma once

#include <cstddef>
#include <vector>

#include "common/journal/layout.hpp"
#include "tests/support/index_file.hpp"

namespace concord::test {

/// Where records of the present version begin, one after another as their lengths say, and where
/// the last ends; stops at what is not long enough or has no record's length.
std::vector<std::size_t> record_offsets(const std::vector<char>& journal);

/// Makes every checksum right again, of the header and then of the records that record_offsets()
/// finds, and every chain of records. Takes any bytes, also of version 1.
void sign_journal(std::vector<char>& journal);

}  // namespace concord::test
