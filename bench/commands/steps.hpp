// Steps that several commands take: announce the data, find the ground truth, report a build.
#pragma once

#include "bench/options.hpp"
#include "bench/report.hpp"

namespace concord::bench {

void print_data(const DataSet& data);

/// checked_ground_truth with a progress bar, saying where the neighbors are from.
GroundTruth find_ground_truth(const DataSet& data, const FloatMatrix& vectors, std::uint32_t k,
                              unsigned threads);
/// The same; neighbors that the data do not state are found by `index`, an index of `vectors` whose
/// labels are row numbers, where a device scans for it, and a sample of them is checked.
GroundTruth find_ground_truth(const DataSet& data, const FloatMatrix& vectors, const Index& index,
                              const Options& options);

/// The sweep over ef, or over batches where the options name some: measured, printed, and put into
/// `report`.
void search_and_report(Index& index, const DataSet& data, const Judge& judge,
                       const Options& options, Json& report);

/// Prints build, audit, digest and memory of a fresh index and returns the document with all that;
/// whether the audit held stands in ["audit"]["ok"].
Json report_build(const Options& options, const DataSet& data, const BuildMeasure& build);

}  // namespace concord::bench
