// Steps that several commands take: announce the data, find the ground truth, report a build.
#pragma once

#include "bench/tool/options.hpp"
#include "bench/tool/result_document.hpp"

namespace concord::bench {

void print_data(const DataSet& data);

/// checked_ground_truth with a progress bar.
GroundTruth find_ground_truth(const DataSet& data, const FloatMatrix& vectors, std::uint32_t k,
                              unsigned threads);
/// The same. If the data have no neighbors and `index` uses a device, the device finds them and a
/// sample of them is checked. `index` holds `vectors`, and its labels are row numbers.
GroundTruth find_ground_truth(const DataSet& data, const FloatMatrix& vectors, const Index& index,
                              const Options& options);

/// Measures the sweep over ef, or over batches if the options name some, prints it and puts it into
/// `document`.
void search_and_report(Index& index, const DataSet& data, const Judge& judge,
                       const Options& options, Json& document);

/// Prints build, audit, digest and memory of a fresh index and returns the document with them. Its
/// ["audit"]["ok"] is the verdict of the audit.
Json report_build(const Options& options, const DataSet& data, const BuildMeasure& build);

}  // namespace concord::bench
