"""Faults in the rule of filtered searches, its walks and its scans; see plant.py.

They are the mutations that the study of filters asks for, and more of their kinds.
"""

from fault import Fault

_RULE = "common/search/filter_rule.hpp"
_WALK = "cpu/filtered_search.hpp"
_SEARCHER = "cpu/filtered_searcher.cpp"
_CURSOR = "cpu/paged_search.cpp"
_DEVICE = "cuda/filtered_search.hpp"

FAULTS = [
    Fault(_WALK, "[[i < core::FilterRule::kSeeds]]", "false", "seeds: none"),
    Fault(_CURSOR, "[[i < core::FilterRule::kSeeds]]", "false", "seeds: none for a cursor"),
    Fault(_DEVICE, "[[i < core::FilterRule::kSeeds]]", "false", "seeds: none on a device"),
    Fault(_RULE, "[[(2 * std::uint64_t{i} + 1) * count]]", "(2 * std::uint64_t{i} + 1) * 64", "seeds: the first matches"),
    Fault(_WALK, "[[rule_.gives_up(work_, hops)]]", "false", "giving up: never"),
    Fault(_CURSOR, "given_up = [[gives_up()]];\n      }", "false", "giving up: not within a page"),
    Fault(_DEVICE, "[[rule_.gives_up(work_, hops)]]", "false", "giving up: never on a device"),
    Fault(_WALK, "[[rule_.costs_a_scan(work_)]]", "false", "giving up: no closure"),
    Fault(_RULE, "if ([[costs_a_scan(work)]])", "false", "giving up: not where a scan is reached"),
    Fault(_RULE, "[[512 * work * width_ > hops * matches_ * stride_]]", "false", "giving up: not at this rate"),
    Fault(_RULE, "[[work > matches_]]", "work > 2 * matches_", "giving up: at twice the work of a scan"),
    Fault(_WALK, "[[derived_.expand(node, [&](std::uint32_t found) { meet(found); })]]", "(derived_.expand(node, [&](std::uint32_t n) { meet(n); }), std::uint64_t{met_})", "work: counts distances"),
    Fault(_WALK, "return [[1 + bridges]];", "1 + std::min(others_, bridges)", "work: counts the lists that are read"),
    Fault(_DEVICE, "work_ += [[1 + bridges]];", "1u", "work: one for each hop on a device"),
    Fault(_RULE, "[[found >= M_]]", "true", "bridges: none"),
    Fault(_RULE, "[[found >= M_]]", "false", "bridges: also where enough matches are met"),
    Fault(_RULE, "[[larger(2 * M_, kWanted)]]", "2 * M_", "bridges: for 2 M however small M is"),
    Fault(_WALK, "[[queued < bridges ? std::min(others_, bridges) : queued]]", "queued", "bridges: one hop alone"),
    Fault(_RULE, "[[lists < kMostBridges ? static_cast<std::uint32_t>(lists) : kMostBridges]]", "static_cast<std::uint32_t>(lists < 256 ? lists : 256)", "bridges: half the cap"),
    Fault(_RULE, "[[lists < kMostBridges ? static_cast<std::uint32_t>(lists) : kMostBridges]]", "static_cast<std::uint32_t>(lists < 1024 ? lists : 1024)", "bridges: twice the cap"),
    Fault(_WALK, "j < others_ && [[j < bridges]]", "j < bridges && j < 32", "visits: 32 lists for each hop"),
    Fault(_WALK, "[[reach_.ends(list_, list_.closest())]]", "hops > ef || reach_.ends(list_, list_.closest())", "visits: no more than ef"),
    Fault(_SEARCHER, "return [[fill_entries(within, scratch)]]; };\n      for", "fill_entries(within, scratch) || true", "too few: a walk is taken as it is"),
    Fault(_SEARCHER, "return [[fill_entries(within, scratch)]]; };\n      const", "fill_entries(within, scratch) || true", "too few: a walk with groups is taken as it is"),
    Fault(_SEARCHER, "const IsMatch& is_match) const {\n    if ([[!fill_entries(within, scratch)]])", "!fill_entries(within, scratch) && false", "too few: a range search spreads from a short walk"),
    Fault(_DEVICE, "[[storage.list.size() >= wanted]]", "true", "too few: a device's walk is taken as it is"),
    Fault(_CURSOR, "[[walk.frontier.empty() && walk.by_width.size() < count]]", "false", "too few: a cursor ends"),
    Fault(_SEARCHER, "[[some_died && !core::stands_for_match(searcher_.graph_, live, set, id)]]", "false", "the dead: a scan meets them"),
    Fault(_WALK, "[[bits_[id] != 0 && core::stands_for_match(*graph_, *live_, *set_, id)]]", "bits_[id] != 0", "the dead: a walk meets them"),
    Fault(_CURSOR, "return is_seen(id) && [[lives(id)]] &&", "true", "the dead: a cursor gives them"),
    Fault(_SEARCHER, "return [[!core::stands_for_match(searcher_.graph_, live, set, node)]];", "false", "the dead: they count as matches"),
    Fault(_RULE, "[[(std::uint64_t{1} << 13)]]", "(std::uint64_t{1} << 12)", "scan: at half the matches"),
    Fault(_RULE, "[[(std::uint64_t{1} << 13)]]", "(std::uint64_t{1} << 14)", "scan: at twice the matches"),
]

PROGRAMS = [
    ("common", "one_thread_tests", "FilterRule*"),
    ("cpu", "one_thread_tests", "*Filter*"),
    ("api", "tests", "*Filter*:Cursor*:ShortWalk*"),
    ("cuda", "one_thread_tests", "*Filter*"),
]
