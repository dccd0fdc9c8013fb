// One use of concord::view(Eigen matrix) per case; CMakeLists.txt says which must not compile.

#include <concord/eigen.hpp>

#if defined(CONCORD_CASE_ROW_MAJOR)
using Matrix = concord::RowMajorMatrix<float>;
auto use(const Matrix& matrix) { return concord::view(matrix); }
#elif defined(CONCORD_CASE_COLUMN_MAJOR)
auto use(const Eigen::MatrixXf& matrix) { return concord::view(matrix); }
#elif defined(CONCORD_CASE_DOUBLE)
auto use(const concord::RowMajorMatrix<double>& matrix) { return concord::view(matrix); }
#elif defined(CONCORD_CASE_EXPRESSION)
auto use(const concord::RowMajorMatrix<float>& matrix) { return concord::view(matrix + matrix); }
#endif
